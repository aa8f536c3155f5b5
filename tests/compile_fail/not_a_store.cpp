// SPDX-License-Identifier: MIT

// The options in place of the store.

#include <idempo/idempo.hpp>

namespace http = boost::beast::http;

inline http::response<http::string_body> answer(http::request<http::string_body> const&) { return {}; }

int main() { idempo::middleware<decltype(&answer), idempo::options> const handle(&answer, idempo::options()); }
