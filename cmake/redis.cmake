# SPDX-License-Identifier: MIT

# idempo::redis, the store in Redis. Users of its public headers need no hiredis header.
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
find_package(Hiredis MODULE REQUIRED) # also where config files come first, of which Debian's is broken

add_library(idempo_redis)
add_library(idempo::redis ALIAS idempo_redis)
target_sources(idempo_redis PRIVATE ${idempo_redis_sources})
add_header_sets(idempo_redis PUBLIC "${idempo_redis_headers}" "${idempo_redis_implementation}")
target_link_libraries(
    idempo_redis
    PUBLIC idempo
    PRIVATE hiredis::hiredis OpenSSL::SSL OpenSSL::Crypto $<BUILD_INTERFACE:idempo_project_options>
)
set_target_properties(
    idempo_redis
    PROPERTIES EXPORT_NAME redis VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
)
