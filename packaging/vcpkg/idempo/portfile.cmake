# SPDX-License-Identifier: MIT

# An overlay port, built from the tree that it lies in: vcpkg install idempo --overlay-ports=<idempo>/packaging/vcpkg
# A registry's copy says vcpkg_from_github here, with the tag and the hash of a release.
get_filename_component(SOURCE_PATH "${CURRENT_PORT_DIR}/../../.." ABSOLUTE)

vcpkg_check_features(
    OUT_FEATURE_OPTIONS FEATURE_OPTIONS
    FEATURES
        redis IDEMPO_REDIS
        json IDEMPO_JSON
        postgres IDEMPO_POSTGRES
)
vcpkg_cmake_configure(
    SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS
        ${FEATURE_OPTIONS}
        -DIDEMPO_BUILD_TESTS=OFF
        -DIDEMPO_BUILD_EXAMPLES=OFF
        -DIDEMPO_BUILD_BENCHMARKS=OFF
        -DIDEMPO_BUILD_TOOLS=OFF
        -DIDEMPO_INSTALL=ON
        # idempo::testing needs Catch2, which the port does not ask for.
        -DCMAKE_DISABLE_FIND_PACKAGE_Catch2=ON
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/idempo)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
file(INSTALL "${CURRENT_PORT_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
