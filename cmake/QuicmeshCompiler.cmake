# How every translation unit is compiled: warnings, optimisation, sanitizers, ccache.
#
# The presets (CMakePresets.json) choose a build type and, through QUICMESH_SANITIZE, sanitizers;
# everything else is decided here once for all targets.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Debug CACHE STRING "Debug (-O1) or Release (-O2)" FORCE)
endif()
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(QUICMESH_CCACHE ccache)
  if(QUICMESH_CCACHE)
    # Paths below the source tree are hashed as relative ones: a second clone finds what the first
    # one has compiled.
    set(launcher ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=true
        ${QUICMESH_CCACHE})
    set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
    set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  endif()
endif()

# -O1 keeps the tests quick enough to be run all the time; -g1 has function names and lines for
# stack traces at a third of the size of -g.
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1 -D_GLIBCXX_ASSERTIONS")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g1")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror
                    -fno-omit-frame-pointer)
# Aggregates of ours give their members defaults and are named in part on purpose.
add_compile_options(-Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False positive of g++ 12 on `"text" + string` (GCC PR 105651); fixed in 13.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
  # And on the frames of Asio's coroutines, whose operator new and delete belong together.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-mismatched-new-delete>)
  # And, once it optimises, on a vector within a variant within an optional that is moved
  # (GCC PR 80635); -Wuninitialized, which is sure of what it says, stays.
  add_compile_options($<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Release>>:-Wno-maybe-uninitialized>)
else()
  # The stable sorts of libstdc++ 12 use a buffer that its own headers call deprecated.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-deprecated-declarations>)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-ffunction-sections -fdata-sections)
  add_link_options(-Wl,--gc-sections)
endif()

if(QUICMESH_SANITIZE)
  # An error ends the process: a report that scrolls by in a passing test is no report.
  add_compile_options(-fsanitize=${QUICMESH_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${QUICMESH_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # The instrumentation of g++ 12 makes this warning see paths that do not exist.
    add_compile_options(-Wno-maybe-uninitialized)
    if(QUICMESH_SANITIZE MATCHES "thread")
      # Boost.Asio has std::atomic_thread_fence, of which TSan knows nothing; not an error by itself.
      add_compile_options(-Wno-tsan)
    endif()
  endif()
endif()

if(QUICMESH_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "QUICMESH_FUZZ needs clang (libFuzzer): use the preset `fuzz`.")
  endif()
  # The code under test is instrumented; only the fuzz executables link libFuzzer's main.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
