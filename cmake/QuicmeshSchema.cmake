# The code that Cap'n Proto makes of schema/*.capnp, as the library `quicmesh_schema`. Its headers
# are included as <schema/dht.capnp.h>: they are not ours, and none of our warnings looks at them.
# They begin with what clang needs to understand Cap'n Proto's own headers.

function(quicmesh_schema)
  set(generated ${PROJECT_BINARY_DIR}/generated)
  file(GLOB schemas CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/schema/*.capnp)
  foreach(schema IN LISTS schemas)
    get_filename_component(name ${schema} NAME)
    set(made ${generated}/schema/${name}.c++ ${generated}/schema/${name}.h)
    add_custom_command(OUTPUT ${made}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${generated}
      COMMAND ${QUICMESH_CAPNP} compile -oc++:${generated} --src-prefix=${PROJECT_SOURCE_DIR} ${schema}
      COMMAND sed -i "1i #include \"wire/kj_comparisons.hpp\"" ${generated}/schema/${name}.h
      DEPENDS ${schema} COMMENT "Generating code of schema/${name}" VERBATIM)
    list(APPEND sources ${made})
  endforeach()
  add_library(quicmesh_schema STATIC ${sources})
  target_compile_options(quicmesh_schema PRIVATE -w)
  target_include_directories(quicmesh_schema SYSTEM PUBLIC ${generated})
  target_include_directories(quicmesh_schema PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(quicmesh_schema PUBLIC external::capnp)
endfunction()
