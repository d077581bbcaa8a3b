# The libraries we stand on, each as one target `external::<name>`.
# A missing one is reported with the command that installs it.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

set(QUICMESH_SETUP_HINT "run scripts/setup.sh, or `make demo`, which does")

# Finds the pkg-config modules `ARGN` and makes `external::name` of them.
function(quicmesh_external_module name)
  string(TOUPPER ${name} variable)
  pkg_check_modules(${variable} QUIET IMPORTED_TARGET GLOBAL ${ARGN})
  if(NOT ${variable}_FOUND)
    message(FATAL_ERROR "${ARGN} not found: ${QUICMESH_SETUP_HINT}.")
  endif()
  add_library(external::${name} ALIAS PkgConfig::${variable})
endfunction()

# Finds the package `package` and calls its target `target` external::name.
macro(quicmesh_external_package name target package)
  find_package(${package} ${ARGN} QUIET)
  if(NOT TARGET ${target})
    message(FATAL_ERROR "${package} ${ARGN} not found: ${QUICMESH_SETUP_HINT}.")
  endif()
  add_library(external_${name} INTERFACE)
  target_link_libraries(external_${name} INTERFACE ${target})
  add_library(external::${name} ALIAS external_${name})
endmacro()

quicmesh_external_module(sodium libsodium)
quicmesh_external_module(gnutls gnutls)
quicmesh_external_module(ngtcp2 libngtcp2>=1.11)
# Its .pc names neither ngtcp2 nor gnutls; layers that use it name all three.
quicmesh_external_module(ngtcp2_crypto_gnutls libngtcp2_crypto_gnutls>=1.11)
quicmesh_external_package(boost Boost::headers Boost 1.83 CONFIG)
# Asio's own switches: no deprecated names, no separate Boost.System library.
target_compile_definitions(external_boost INTERFACE BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(external_boost INTERFACE Threads::Threads)
quicmesh_external_package(fmt fmt::fmt fmt CONFIG)
quicmesh_external_package(spdlog spdlog::spdlog spdlog CONFIG)
quicmesh_external_module(cli11 CLI11)
quicmesh_external_module(tomlplusplus tomlplusplus)
quicmesh_external_module(capnp capnp)
find_program(QUICMESH_CAPNP capnp)
if(NOT QUICMESH_CAPNP)
  message(FATAL_ERROR "capnp, the compiler of schemas, not found: ${QUICMESH_SETUP_HINT}.")
endif()
if(QUICMESH_PORT_MAPPING)
  quicmesh_external_module(miniupnpc miniupnpc)
  # It has neither a .pc file nor a CMake package.
  find_path(QUICMESH_NATPMP_INCLUDE natpmp.h)
  find_library(QUICMESH_NATPMP_LIBRARY natpmp)
  if(NOT QUICMESH_NATPMP_INCLUDE OR NOT QUICMESH_NATPMP_LIBRARY)
    message(FATAL_ERROR "libnatpmp not found: ${QUICMESH_SETUP_HINT}.")
  endif()
  add_library(external_natpmp INTERFACE)
  target_include_directories(external_natpmp SYSTEM INTERFACE ${QUICMESH_NATPMP_INCLUDE})
  target_link_libraries(external_natpmp INTERFACE ${QUICMESH_NATPMP_LIBRARY})
  add_library(external::natpmp ALIAS external_natpmp)
endif()
if(QUICMESH_TESTS)
  quicmesh_external_package(gtest GTest::gmock_main GTest)
  target_link_libraries(external_gtest INTERFACE GTest::gtest GTest::gmock)
endif()
