# idempo::redis, the store in Redis. Its users need no hiredis header.
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
include(embed_scripts)
find_package(Hiredis MODULE REQUIRED) # also where config files come first, of which Debian's is broken

set(scripts ${PROJECT_BINARY_DIR}/redis/scripts.cpp)
list(TRANSFORM idempo_redis_scripts PREPEND ${PROJECT_SOURCE_DIR}/src/redis/)
embed_scripts(${scripts} ${PROJECT_SOURCE_DIR}/src/redis/record.lua ${idempo_redis_scripts})

add_library(idempo_redis)
add_library(idempo::redis ALIAS idempo_redis)
target_sources(
    idempo_redis
    PRIVATE ${idempo_redis_sources} ${scripts}
    PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${idempo_redis_headers}
)
target_include_directories(idempo_redis PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(
    idempo_redis
    PUBLIC idempo
    PRIVATE hiredis::hiredis OpenSSL::SSL OpenSSL::Crypto $<BUILD_INTERFACE:idempo_project_options>
)
set_target_properties(
    idempo_redis
    PROPERTIES EXPORT_NAME redis VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
)
