# embed_migrations(<to> <file>...): writes a C++ source file with the text of each numbered SQL file, in the order given.
# Runs at configure time, which happens again when a file changes.
function(embed_migrations to)
    set(entries "")
    foreach(file IN LISTS ARGN)
        get_filename_component(name ${file} NAME_WE)
        string(REGEX MATCH "^0*([1-9][0-9]*)_" prefix ${name})
        set(number ${CMAKE_MATCH_1})
        if(NOT prefix)
            message(FATAL_ERROR "${file} must begin with its number")
        endif()
        file(READ ${file} text)
        string(APPEND entries "    migration{${number}, R\"sql(${text})sql\"},\n")
    endforeach()
    list(LENGTH ARGN count)
    file(
        CONFIGURE
        OUTPUT ${to}
        CONTENT "// Generated from the .sql files by cmake/embed_migrations.cmake.
#include \"postgres/migrations.hpp\"

#include <array>

namespace idempo::postgres {

namespace {

constexpr std::array<migration, @count@> embedded{
@entries@};

}  // namespace

std::span<migration const> migrations() { return embedded; }

}  // namespace idempo::postgres
"
        @ONLY
    )
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${ARGN})
endfunction()
