# SPDX-License-Identifier: MIT

# idempo::postgres, the store in PostgreSQL.
list(APPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
find_package(LibPQXX MODULE REQUIRED)

add_library(idempo_postgres)
add_library(idempo::postgres ALIAS idempo_postgres)
target_sources(idempo_postgres PRIVATE ${idempo_postgres_sources})
add_header_sets(idempo_postgres PUBLIC "${idempo_postgres_headers}" "${idempo_postgres_implementation}")
target_link_libraries(
    idempo_postgres
    PUBLIC idempo libpqxx::pqxx # for transactional.hpp alone
    PRIVATE $<BUILD_INTERFACE:idempo_project_options>
)
set_target_properties(
    idempo_postgres
    PROPERTIES EXPORT_NAME postgres VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
)
