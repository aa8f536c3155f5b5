# embed_scripts(<to> <prelude> <script>...): writes a C++ source file with each script behind the prelude, and its SHA-1.
# Runs at configure time, which happens again when a script changes.
function(embed_scripts to prelude)
    set(definitions "")
    file(READ ${prelude} shared)
    foreach(file IN LISTS ARGN)
        get_filename_component(name ${file} NAME_WE)
        file(READ ${file} own)
        set(source "${shared}\n${own}")
        string(SHA1 digest "${source}")
        string(APPEND definitions "script const ${name}{\"${digest}\", R\"lua(${source})lua\"};\n")
    endforeach()
    file(
        CONFIGURE
        OUTPUT ${to}
        CONTENT "// Generated from the .lua files by cmake/embed_scripts.cmake.
#include \"redis/script.hpp\"

namespace idempo::redis::scripts {

@definitions@
}  // namespace idempo::redis::scripts
"
        @ONLY
    )
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${prelude} ${ARGN})
endfunction()
