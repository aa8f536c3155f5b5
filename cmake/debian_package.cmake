# SPDX-License-Identifier: MIT

# One Debian package for users of the library: cpack -G DEB in the build directory. It depends on the packages of Boost and
# of the client libraries that the build has found.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME libidempo-dev)
set(CPACK_PACKAGE_CONTACT "the idempo authors") # CPack needs one; there is no address
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libdevel)
set(boost "${Boost_VERSION_MAJOR}.${Boost_VERSION_MINOR}")
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libboost${boost}-dev | libboost-dev (>= ${boost}), libssl-dev (>= 3)")
if(TARGET idempo_redis)
    string(APPEND CPACK_DEBIAN_PACKAGE_DEPENDS ", libhiredis-dev")
endif()
if(TARGET idempo_postgres)
    string(APPEND CPACK_DEBIAN_PACKAGE_DEPENDS ", libpqxx-dev")
endif()
include(CPack)
