# SPDX-License-Identifier: MIT

# idempo::json, the comparison of JSON bodies. Boost.JSON is compiled in, from its headers: no library of it is needed.
add_library(idempo_json)
add_library(idempo::json ALIAS idempo_json)
target_sources(idempo_json PRIVATE ${idempo_json_sources})
add_header_sets(idempo_json PUBLIC "${idempo_json_headers}" "${idempo_json_implementation}")
target_link_libraries(
    idempo_json
    PUBLIC idempo
    PRIVATE $<BUILD_INTERFACE:idempo_project_options>
)
set_target_properties(
    idempo_json
    PROPERTIES EXPORT_NAME json VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
)
