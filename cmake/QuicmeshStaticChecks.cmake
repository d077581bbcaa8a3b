# The checks that need no build, as ctest tests with the label `static`; each has a self-test that
# plants faults in a temporary tree and fails if the check does not see them.

find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(quicmesh_static_check name)
  set(tool ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tools/${name}.py ${ARGN})
  add_test(NAME static.${name} COMMAND ${tool})
  add_test(NAME static.${name}.self_test COMMAND ${tool} --self-test)
  set_tests_properties(static.${name} static.${name}.self_test PROPERTIES LABELS static TIMEOUT 600)
endfunction()

# The headers compile the same in every preset, so that they share one memory of what has passed.
set(header_check --compiler ${CMAKE_CXX_COMPILER} --cache ${PROJECT_SOURCE_DIR}/build/headers)
quicmesh_static_check(check_layers)
quicmesh_static_check(tidy)
quicmesh_static_check(check_format)
quicmesh_static_check(check_headers ${header_check})

add_custom_target(check_headers
  COMMAND ${Python3_EXECUTABLE} -B ${PROJECT_SOURCE_DIR}/tools/check_headers.py ${header_check}
  USES_TERMINAL VERBATIM)
