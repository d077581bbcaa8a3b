# One folder is one layer: a static library and, beside the code, its unit tests.
#
#   quicmesh_layer(quic DEPS identity crypto base EXTERNAL ngtcp2 gnutls)
#     every *.cpp of the folder `quic` but *_test.cpp  -> quicmesh_quic (static library)
#     every *_test.cpp                                 -> quic_tests, ctest labels `unit` and `quic`
#   quicmesh_tests(real_tests FOLDER real LABELS real DEPS io)
#     a test executable of every *_test.cpp of a folder, without a library; or of those of ONLY,
#     and of them the tests that FILTER chooses
#   quicmesh_fuzz_target(node_id SOURCE node_id_fuzz.cpp DEPS identity)
#     libFuzzer in the preset `fuzz`; elsewhere a ctest test that replays the corpus
#
# `DEPS` are layers, `EXTERNAL` the names of QuicmeshDependencies.cmake. A folder without sources,
# and a dependency on one, is skipped: a layer comes to life with its first file. Which edges are
# allowed is decided by tools/check_layers.py, not here.

include(GoogleTest)

# ctest tells a sanitizer's report by the exit code; these make the report useful.
set(QUICMESH_TEST_ENVIRONMENT "UBSAN_OPTIONS=print_stacktrace=1" "TSAN_OPTIONS=second_deadlock_stack=1")

function(quicmesh_link_layers target visibility)
  foreach(layer IN LISTS ARGN)
    if(TARGET quicmesh_${layer})
      target_link_libraries(${target} ${visibility} quicmesh_${layer})
    endif()
  endforeach()
endfunction()

function(quicmesh_link_externals target visibility)
  foreach(external IN LISTS ARGN)
    target_link_libraries(${target} ${visibility} external::${external})
  endforeach()
endfunction()

function(quicmesh_layer name)
  cmake_parse_arguments(PARSE_ARGV 1 layer "" "" "DEPS;EXTERNAL")
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/${name})
  if(NOT IS_DIRECTORY ${folder})
    get_filename_component(own_name ${CMAKE_CURRENT_SOURCE_DIR} NAME)
    if(own_name STREQUAL name)
      set(folder ${CMAKE_CURRENT_SOURCE_DIR})
    endif()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "(_test|_fuzz)\\.cpp$")
  file(GLOB headers CONFIGURE_DEPENDS ${folder}/*.hpp)

  if(sources)
    add_library(quicmesh_${name} STATIC ${sources})
    set(visibility PUBLIC)
  elseif(headers)
    add_library(quicmesh_${name} INTERFACE)
    set(visibility INTERFACE)
  else()
    return()
  endif()
  # The root itself is on the path of sim/ alone: its headers are included as "sim/link.hpp".
  target_include_directories(quicmesh_${name} ${visibility} ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  if(name STREQUAL "sim")
    target_include_directories(quicmesh_${name} ${visibility} ${PROJECT_SOURCE_DIR})
  endif()
  quicmesh_link_layers(quicmesh_${name} ${visibility} ${layer_DEPS})
  quicmesh_link_externals(quicmesh_${name} ${visibility} ${layer_EXTERNAL})

  quicmesh_tests(${name}_tests FOLDER ${folder} LABELS unit ${name} DEPS ${name})
endfunction()

function(quicmesh_tests name)
  cmake_parse_arguments(PARSE_ARGV 1 tests "" "FOLDER;FILTER" "LABELS;DEPS;EXTERNAL;SOURCES;ONLY")
  if(NOT QUICMESH_TESTS)
    return()
  endif()
  get_filename_component(folder ${tests_FOLDER} ABSOLUTE)
  if(tests_ONLY)
    list(TRANSFORM tests_ONLY PREPEND ${folder}/ OUTPUT_VARIABLE sources)
  else()
    file(GLOB sources CONFIGURE_DEPENDS ${folder}/*_test.cpp)
  endif()
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources} ${tests_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  quicmesh_link_layers(${name} PRIVATE ${tests_DEPS})
  quicmesh_link_externals(${name} PRIVATE ${tests_EXTERNAL} gtest)
  # Golden vectors and scenarios are read from the source tree, wherever the test is started.
  target_compile_definitions(${name} PRIVATE QUICMESH_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  set(filter)
  if(tests_FILTER)
    set(filter TEST_FILTER ${tests_FILTER})
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST ${filter} PROPERTIES TIMEOUT 600)
  # Values with a semicolon do not survive gtest_discover_tests, so ctest sets them when it has
  # found the tests.
  set(properties ${CMAKE_CURRENT_BINARY_DIR}/${name}_properties.cmake)
  file(WRITE ${properties} "if(${name}_TESTS)
  set_tests_properties(\${${name}_TESTS} PROPERTIES
    LABELS \"${tests_LABELS}\" ENVIRONMENT \"${QUICMESH_TEST_ENVIRONMENT}\")
endif()
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${properties})

  # What several threads use is built and run under TSan too (`make test`; the test preset `tsan`
  # names the same labels): the drivers, real sockets, base with its error categories, and the
  # simulator's threads.
  foreach(label base io real threads)
    if(label IN_LIST tests_LABELS)
      add_dependencies(threaded_tests ${name})
    endif()
  endforeach()
endfunction()

if(QUICMESH_TESTS)
  add_custom_target(threaded_tests COMMENT "Tests of what several threads use")
endif()

if(QUICMESH_FUZZ)
  add_custom_target(fuzz_targets COMMENT "All fuzz targets")
endif()

# A fuzz target is one function, LLVMFuzzerTestOneInput, in one file. In the preset `fuzz` it is
# linked with libFuzzer. Everywhere else the same source is linked with a small main that replays
# tests/fuzz/corpus/<name>/, so that an input that once failed is tested for ever after.
function(quicmesh_fuzz_target name)
  cmake_parse_arguments(PARSE_ARGV 1 fuzz "" "SOURCE" "DEPS;EXTERNAL")
  if(NOT QUICMESH_TESTS AND NOT QUICMESH_FUZZ)
    return()
  endif()
  set(corpus ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
  add_executable(fuzz_${name} ${fuzz_SOURCE})
  target_include_directories(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  quicmesh_link_layers(fuzz_${name} PRIVATE ${fuzz_DEPS})
  quicmesh_link_externals(fuzz_${name} PRIVATE ${fuzz_EXTERNAL})
  if(QUICMESH_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzz_targets fuzz_${name})
    return()
  endif()
  target_sources(fuzz_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
  add_test(NAME fuzz_corpus.${name} COMMAND fuzz_${name} ${corpus})
  set_tests_properties(fuzz_corpus.${name} PROPERTIES LABELS "fuzz_corpus" TIMEOUT 600
    ENVIRONMENT "${QUICMESH_TEST_ENVIRONMENT}")
endfunction()

# Adds each folder that has a CMakeLists.txt; one that appears later is noticed by itself.
function(quicmesh_add_folders)
  foreach(folder IN LISTS ARGN)
    file(GLOB lists CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
    if(lists)
      add_subdirectory(${folder})
    endif()
  endforeach()
endfunction()
