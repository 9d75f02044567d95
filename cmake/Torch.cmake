# Two targets for libtorch: batch71_aten for tensors alone, batch71_libtorch for modules and DDP too.
#
# Debian's libtorch-dev by default; a libtorch of one's own by CMAKE_PREFIX_PATH, as preset torch2 does.
# The libraries are named directly: Torch's own CMake package asks for far more than is needed here, in
# PyPI's for a CUDA toolkit. What differs in C++ is in ddp/libtorch_version.h.
if(NOT TARGET batch71_aten)
  # Else a wrong path would end at Debian's without a word.
  foreach(prefix ${CMAKE_PREFIX_PATH})
    if(NOT IS_DIRECTORY ${prefix})
      message(FATAL_ERROR "CMAKE_PREFIX_PATH: there is no ${prefix} (`ci/setup --torch2` makes .torch2)")
    endif()
  endforeach()
  find_path(TORCH_INCLUDE ATen/ATen.h REQUIRED)
  find_library(TORCH_CPU_LIBRARY torch_cpu REQUIRED)
  find_library(C10_LIBRARY c10 REQUIRED)
  file(STRINGS ${TORCH_INCLUDE}/torch/csrc/api/include/torch/version.h is_1 REGEX "VERSION_MAJOR 1$")
  set(BATCH71_LIBTORCH_MAJOR $<IF:$<BOOL:${is_1}>,1,2> CACHE INTERNAL "")
  message(STATUS "libtorch: ${TORCH_CPU_LIBRARY}")

  add_library(batch71_aten INTERFACE)
  # PyPI's brings headers of its own {fmt}, which must not hide those of the one that is linked.
  find_package(fmt REQUIRED)
  get_target_property(FMT_INCLUDE fmt::fmt INTERFACE_INCLUDE_DIRECTORIES)
  if(EXISTS ${TORCH_INCLUDE}/fmt AND NOT TORCH_INCLUDE STREQUAL FMT_INCLUDE)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/before_torch)
    file(CREATE_LINK ${FMT_INCLUDE}/fmt ${CMAKE_BINARY_DIR}/before_torch/fmt SYMBOLIC)
    target_include_directories(batch71_aten SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/before_torch)
  endif()
  target_include_directories(batch71_aten SYSTEM INTERFACE ${TORCH_INCLUDE})
  target_link_libraries(batch71_aten INTERFACE ${TORCH_CPU_LIBRARY} ${C10_LIBRARY})

  add_library(batch71_libtorch INTERFACE)
  # Debian's lacks one header that the Reducer's declaration includes.
  if(NOT EXISTS ${TORCH_INCLUDE}/torch/csrc/distributed/autograd/context/context.h)
    target_include_directories(batch71_libtorch SYSTEM INTERFACE ${CMAKE_SOURCE_DIR}/ddp/libtorch_compat)
  endif()
  target_include_directories(batch71_libtorch SYSTEM INTERFACE ${TORCH_INCLUDE}/torch/csrc/api/include)
  target_compile_definitions(batch71_libtorch INTERFACE USE_C10D_GLOO)
  target_link_libraries(batch71_libtorch INTERFACE batch71_aten)
endif()
