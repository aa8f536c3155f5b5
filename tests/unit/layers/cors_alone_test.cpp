// SPDX-License-Identifier: MIT
//
// Nothing else of the library is included: a layer brings all that a handler behind it needs.
#include <idempo/layers/cors.hpp>

#include "support/catch.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <utility>

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

using request_type = http::request<http::string_body>;
using response_type = http::response<http::string_body>;

response_type ok() { return {http::status::ok, 11}; }

template <class Handler>
void check_with_token(Handler const& handler) {
    asio::io_context context;
    int answers = 0;
    handler(request_type(), asio::bind_executor(context, [&](http::message_generator) { ++answers; }));
    context.run();
    CHECK(answers == 1);
}

}  // namespace

TEST_CASE("cors: its header alone puts it before handlers of every kind") {
    auto const layer = idempo::cors({.origins = {"https://shop.example"}});
    auto const plain = layer | layer | [](request_type const&) { return ok(); };
    auto const generic = layer | layer | [](auto&&) { return ok(); };
    CHECK(plain(request_type()).result() == http::status::ok);
    CHECK(generic(request_type()).result() == http::status::ok);
    check_with_token(plain);
    check_with_token(generic);
    check_with_token(layer | layer | [](request_type) -> asio::awaitable<response_type> { co_return ok(); });
    check_with_token(layer | layer | idempo::async_handler([](request_type, auto done) {
                         std::move(done)(http::message_generator(ok()));
                     }));
}
