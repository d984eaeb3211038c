# `cmake --install build/release --prefix DIR` brings the program and its pages; the component
# `system` what belongs at fixed places; `cpack --config build/release/CPackConfig.cmake -G DEB` a
# Debian package of both.
include(GNUInstallDirs)

# Packing takes what is built: it does not build everything, tests included, first.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)

install(TARGETS holdfast RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES README.md CHANGELOG.md docs/cli.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ops/package/holdfast.service DESTINATION /lib/systemd/system
  COMPONENT system EXCLUDE_FROM_ALL)
install(FILES ops/package/holdfast.toml DESTINATION /etc/holdfast
  COMPONENT system EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME holdfast)
set(CPACK_PACKAGE_VENDOR "The Holdfast project")
set(CPACK_PACKAGE_CONTACT "Holdfast maintainers <maintainers@holdfast.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Model hub: mirrors, converts, quantizes and serves models")
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_CMAKE_PROJECTS
  "${PROJECT_BINARY_DIR};holdfast;Unspecified;/;${PROJECT_BINARY_DIR};holdfast;system;/")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${PROJECT_SOURCE_DIR}/ops/package/postinst;${PROJECT_SOURCE_DIR}/ops/package/prerm;${PROJECT_SOURCE_DIR}/ops/package/postrm;${PROJECT_BINARY_DIR}/conffiles")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
file(WRITE ${PROJECT_BINARY_DIR}/conffiles "/etc/holdfast/holdfast.toml\n")
include(CPack)
