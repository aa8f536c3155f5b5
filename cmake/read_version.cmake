# SPDX-License-Identifier: MIT

# idempo_version: read from include/idempo/version.hpp, the only place that has it.
set(version_header ${CMAKE_CURRENT_LIST_DIR}/../include/idempo/version.hpp)
file(READ ${version_header} version_text)
set(version_numbers "")
foreach(part IN ITEMS major minor patch)
    if(NOT version_text MATCHES "version_${part} = ([0-9]+);")
        message(FATAL_ERROR "${version_header} does not say version_${part}")
    endif()
    list(APPEND version_numbers ${CMAKE_MATCH_1})
endforeach()
list(JOIN version_numbers "." idempo_version)

# The name of the symbol that the linker checks contains the version.
list(GET version_numbers 0 major)
list(GET version_numbers 1 minor)
if(NOT version_text MATCHES "headers_v${major}_${minor} = &library_v${major}_${minor};")
    message(FATAL_ERROR "${version_header}: the names with _v<major>_<minor> must be those of version ${idempo_version}")
endif()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${version_header})
