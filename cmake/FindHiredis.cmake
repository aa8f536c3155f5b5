# SPDX-License-Identifier: MIT

# Finds hiredis, 0.14 or 1.x, and defines hiredis::hiredis. Debian's package of 0.14 has no CMake files of its own.
find_package(hiredis CONFIG QUIET)
if(TARGET hiredis::hiredis)
    set(Hiredis_FOUND TRUE)
    return()
endif()

find_path(Hiredis_INCLUDE_DIR hiredis/hiredis.h)
find_library(Hiredis_LIBRARY hiredis)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Hiredis REQUIRED_VARS Hiredis_LIBRARY Hiredis_INCLUDE_DIR)
mark_as_advanced(Hiredis_INCLUDE_DIR Hiredis_LIBRARY)

if(Hiredis_FOUND AND NOT TARGET hiredis::hiredis)
    add_library(hiredis::hiredis UNKNOWN IMPORTED)
    set_target_properties(
        hiredis::hiredis
        PROPERTIES IMPORTED_LOCATION "${Hiredis_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${Hiredis_INCLUDE_DIR}"
    )
endif()
