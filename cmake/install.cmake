# What `cmake --install` puts in place: the service (component "service"), and the C++ client as a CMake package
# (component "client").
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto SSL)

# The client with the folders under it in one archive, without our warnings and inner headers: what programs link to, from
# the tree as well as from a prefix.
add_library(mpr_client_package STATIC
  $<TARGET_OBJECTS:mpr_client> $<TARGET_OBJECTS:mpr_net> $<TARGET_OBJECTS:mpr_base>)
add_library(mpr::client ALIAS mpr_client_package)
set_target_properties(mpr_client_package PROPERTIES
  EXPORT_NAME client OUTPUT_NAME mpr_client LINKER_LANGUAGE CXX)
get_target_property(boost_definitions mpr_boost INTERFACE_COMPILE_DEFINITIONS)
target_compile_definitions(mpr_client_package INTERFACE ${boost_definitions})
target_compile_features(mpr_client_package INTERFACE cxx_std_23)
target_include_directories(mpr_client_package INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(mpr_client_package
  PUBLIC Boost::headers Threads::Threads PRIVATE simdjson::simdjson OpenSSL::SSL OpenSSL::Crypto)

install(TARGETS mpr RUNTIME COMPONENT service)

set(package_directory ${CMAKE_INSTALL_LIBDIR}/cmake/mpr)
install(TARGETS mpr_client_package EXPORT mpr_targets ARCHIVE COMPONENT client)
install(EXPORT mpr_targets NAMESPACE mpr:: FILE mpr-targets.cmake
  DESTINATION ${package_directory} COMPONENT client)
install(DIRECTORY include/mpr TYPE INCLUDE COMPONENT client)
configure_package_config_file(cmake/mpr-config.cmake.in ${CMAKE_BINARY_DIR}/mpr-config.cmake
  INSTALL_DESTINATION ${package_directory})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/mpr-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/mpr-config.cmake ${CMAKE_BINARY_DIR}/mpr-config-version.cmake
  DESTINATION ${package_directory} COMPONENT client)
