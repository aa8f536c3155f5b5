// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

/// Files of this directory, made part of the program by cmake/embed_files.cmake.
namespace embedded {

extern std::string_view const schema_sql;
extern std::string_view const index_html;
extern std::string_view const page_js;
extern std::string_view const style_css;
extern std::string_view const icon_svg;

}  // namespace embedded
