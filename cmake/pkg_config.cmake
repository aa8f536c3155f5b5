# SPDX-License-Identifier: MIT

# pkg-config files: idempo, idempo-redis, idempo-json and idempo-postgres. Boost has none: its headers must be
# where the compiler looks.
# Users of a static library link its dependencies themselves; a shared one brings them along.
if(BUILD_SHARED_LIBS)
    set(inner Requires.private)
else()
    set(inner Requires)
endif()

set(pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
    set(pc_prefix ${CMAKE_INSTALL_PREFIX})
    set(pc_libdir ${CMAKE_INSTALL_LIBDIR})
else()
    # Relative to the file itself, so that an installed tree can be moved.
    file(RELATIVE_PATH up /${pc_dir} /)
    string(REGEX REPLACE "/$" "" up ${up})
    set(pc_prefix "\${pcfiledir}/${up}")
    set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()

# install_pkg_config(<name> <library> <description> <lines>)
function(install_pkg_config name library description lines)
    file(
        CONFIGURE
        OUTPUT ${PROJECT_BINARY_DIR}/${name}.pc
        CONTENT "prefix=@pc_prefix@
libdir=@pc_libdir@
includedir=\${prefix}/@CMAKE_INSTALL_INCLUDEDIR@

Name: @name@
Description: @description@
Version: @PROJECT_VERSION@
@lines@
Libs: -L\${libdir} -l@library@
Cflags: -I\${includedir}
"
        @ONLY
    )
    install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${pc_dir})
endfunction()

install_pkg_config(idempo idempo "${PROJECT_DESCRIPTION}" "${inner}: libcrypto")
set(exactly "idempo = ${PROJECT_VERSION}")
if(TARGET idempo_redis)
    if(BUILD_SHARED_LIBS)
        set(lines "Requires: ${exactly}\nRequires.private: hiredis libssl")
    else()
        set(lines "Requires: ${exactly} hiredis libssl")
    endif()
    install_pkg_config(idempo-redis idempo_redis "idempo's store in Redis" "${lines}")
endif()
if(TARGET idempo_json)
    install_pkg_config(idempo-json idempo_json "idempo's comparison of JSON bodies" "Requires: ${exactly}")
endif()
if(TARGET idempo_postgres)
    install_pkg_config(
        idempo-postgres idempo_postgres "idempo's store in PostgreSQL" "Requires: ${exactly} libpqxx libpq"
    )
endif()
