# Two targets for libtorch: batch71_aten for tensors alone, batch71_libtorch for modules and DDP too.
#
# Debian's libtorch-dev by default; a libtorch of one's own by CMAKE_PREFIX_PATH. The libraries are named
# directly: Torch's own CMake package asks for far more than is needed here. What differs between
# versions of libtorch is in ddp/collectives.cc and ddp/libtorch_compat/.
if(NOT TARGET batch71_aten)
  find_path(TORCH_API_INCLUDE torch/nn/module.h PATH_SUFFIXES torch/csrc/api/include REQUIRED)
  find_path(TORCH_INCLUDE ATen/ATen.h REQUIRED)
  find_library(TORCH_CPU_LIBRARY torch_cpu REQUIRED)
  find_library(C10_LIBRARY c10 REQUIRED)
  add_library(batch71_aten INTERFACE)
  target_include_directories(batch71_aten SYSTEM INTERFACE ${TORCH_INCLUDE})
  target_link_libraries(batch71_aten INTERFACE ${TORCH_CPU_LIBRARY} ${C10_LIBRARY})
  add_library(batch71_libtorch INTERFACE)
  target_include_directories(batch71_libtorch SYSTEM INTERFACE
    ${CMAKE_SOURCE_DIR}/ddp/libtorch_compat ${TORCH_API_INCLUDE})
  target_compile_definitions(batch71_libtorch INTERFACE USE_C10D_GLOO)
  target_link_libraries(batch71_libtorch INTERFACE batch71_aten)
endif()
