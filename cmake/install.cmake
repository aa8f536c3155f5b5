# SPDX-License-Identifier: MIT

# Headers, libraries and the files that find_package(idempo) reads. An optional library is a component with targets and
# dependencies of its own, so that find_package(idempo) alone requires nothing but the needs of idempo::idempo.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
set(idempo_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/idempo)

install(TARGETS idempo EXPORT idempo-targets FILE_SET HEADERS FILE_SET implementation)
install(EXPORT idempo-targets NAMESPACE idempo:: DESTINATION ${idempo_config_dir})

# install_component(<name>): the target idempo_<name>, if it is built.
function(install_component name)
    if(TARGET idempo_${name})
        set(file_sets FILE_SET HEADERS)
        if(NOT name STREQUAL "testing")
            list(APPEND file_sets FILE_SET implementation)
        endif()
        install(TARGETS idempo_${name} EXPORT idempo-${name}-targets ${file_sets})
        install(EXPORT idempo-${name}-targets NAMESPACE idempo:: DESTINATION ${idempo_config_dir})
    endif()
endfunction()

install_component(testing)
install_component(redis)
if(TARGET idempo_redis)
    install(FILES ${CMAKE_CURRENT_LIST_DIR}/FindHiredis.cmake DESTINATION ${idempo_config_dir})
endif()
install_component(json)
install_component(postgres)
if(TARGET idempo_postgres)
    install(FILES ${CMAKE_CURRENT_LIST_DIR}/FindLibPQXX.cmake DESTINATION ${idempo_config_dir})
endif()

configure_package_config_file(
    ${CMAKE_CURRENT_LIST_DIR}/idempo-config.cmake.in ${PROJECT_BINARY_DIR}/idempo-config.cmake
    INSTALL_DESTINATION ${idempo_config_dir}
)
# Before 1.0 a new minor version may break callers.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/idempo-config-version.cmake COMPATIBILITY SameMinorVersion)
install(
    FILES ${PROJECT_BINARY_DIR}/idempo-config.cmake ${PROJECT_BINARY_DIR}/idempo-config-version.cmake
    DESTINATION ${idempo_config_dir}
)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

include(${CMAKE_CURRENT_LIST_DIR}/pkg_config.cmake)
if(PROJECT_IS_TOP_LEVEL)
    include(${CMAKE_CURRENT_LIST_DIR}/debian_package.cmake)
endif()
