# idempo::postgres, the store in PostgreSQL.
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
include(embed_migrations)
find_package(LibPQXX MODULE REQUIRED)

set(migrations ${PROJECT_BINARY_DIR}/postgres/migrations.cpp)
list(TRANSFORM idempo_postgres_migrations PREPEND ${PROJECT_SOURCE_DIR}/)
embed_migrations(${migrations} ${idempo_postgres_migrations})

add_library(idempo_postgres)
add_library(idempo::postgres ALIAS idempo_postgres)
target_sources(
    idempo_postgres
    PRIVATE ${idempo_postgres_sources} ${migrations}
    PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${idempo_postgres_headers}
)
target_include_directories(idempo_postgres PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(
    idempo_postgres
    PUBLIC idempo libpqxx::pqxx # for transactional.hpp alone
    PRIVATE $<BUILD_INTERFACE:idempo_project_options>
)
set_target_properties(
    idempo_postgres
    PROPERTIES EXPORT_NAME postgres VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
)
