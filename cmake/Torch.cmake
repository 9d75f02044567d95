# batch71_libtorch: libtorch as Debian ships it, with the one header that it lacks.
#
# The two libraries are named directly: Torch's own CMake package asks for far more than is needed here.
if(NOT TARGET batch71_libtorch)
  find_path(TORCH_API_INCLUDE torch/torch.h PATH_SUFFIXES torch/csrc/api/include REQUIRED)
  add_library(batch71_libtorch INTERFACE)
  target_include_directories(batch71_libtorch SYSTEM INTERFACE
    ${CMAKE_SOURCE_DIR}/ddp/libtorch_compat ${TORCH_API_INCLUDE})
  target_compile_definitions(batch71_libtorch INTERFACE USE_C10D_GLOO)
  target_link_libraries(batch71_libtorch INTERFACE torch_cpu c10)
endif()
