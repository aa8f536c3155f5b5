# SPDX-License-Identifier: MIT

# Finds libpqxx, 6.4, 7.x or 8.x, with the libpq below it, and defines libpqxx::pqxx. Debian's package has no CMake files of
# its own; those of vcpkg and Conan have.
find_package(libpqxx CONFIG QUIET)
if(TARGET libpqxx::pqxx)
    set(LibPQXX_FOUND TRUE)
    return()
endif()

find_package(PostgreSQL REQUIRED)
find_path(LibPQXX_INCLUDE_DIR pqxx/pqxx)
find_library(LibPQXX_LIBRARY pqxx)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibPQXX REQUIRED_VARS LibPQXX_LIBRARY LibPQXX_INCLUDE_DIR)
mark_as_advanced(LibPQXX_INCLUDE_DIR LibPQXX_LIBRARY)

if(LibPQXX_FOUND AND NOT TARGET libpqxx::pqxx)
    add_library(libpqxx::pqxx UNKNOWN IMPORTED)
    set_target_properties(
        libpqxx::pqxx
        PROPERTIES IMPORTED_LOCATION "${LibPQXX_LIBRARY}"
                   INTERFACE_INCLUDE_DIRECTORIES "${LibPQXX_INCLUDE_DIR}"
                   INTERFACE_LINK_LIBRARIES PostgreSQL::PostgreSQL
    )
endif()
