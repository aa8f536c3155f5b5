// SPDX-License-Identifier: MIT

// A store that blocks would block the io_context.

#include <idempo/idempo.hpp>

namespace http = boost::beast::http;

struct blocking_one {
    idempo::claim_result claim(idempo::claim_request const&, idempo::error_code&) { return {}; }
    idempo::complete_result complete(idempo::complete_request const&, idempo::error_code&) { return {}; }
    void abandon(idempo::store_key const&, idempo::fencing_token const&, idempo::error_code&) {}
};

int main() {
    auto const handle = idempo::idempotency(blocking_one()) |
                        [](http::request<http::string_body> const&) { return http::response<http::string_body>(); };
    handle(http::request<http::string_body>(), [](http::message_generator) {});
}
