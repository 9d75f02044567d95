# Compiler flags, sanitizers, ccache and mold where they are present.
set(BATCH71_SANITIZE "" CACHE STRING "What -fsanitize= is given: `address,undefined`, `thread`, or nothing")

add_library(batch71_options INTERFACE)
target_include_directories(batch71_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(batch71_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wconversion -Wno-sign-conversion -Werror
  -fno-omit-frame-pointer)
if(BATCH71_SANITIZE)
  target_compile_options(batch71_options INTERFACE -fsanitize=${BATCH71_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(batch71_options INTERFACE -fsanitize=${BATCH71_SANITIZE})
  # It knows no fences. Those of the trace are for readers in other processes, which it cannot see.
  if(BATCH71_SANITIZE STREQUAL "thread")
    target_compile_options(batch71_options INTERFACE -Wno-tsan)
  endif()
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
