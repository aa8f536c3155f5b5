// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <idempo/detail/post_to.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <string>
#include <utility>

using idempo::detail::post_to;

namespace {

namespace asio = boost::asio;

using handler = asio::any_completion_handler<void(int, std::unique_ptr<std::string>)>;

}  // namespace

TEST_CASE("post_to: calls a handler without an executor on the given one, and never at once") {
    asio::io_context context;
    int told = 0;
    post_to(asio::any_io_executor(context.get_executor()), handler([&](int number, auto text) {
                CHECK(context.get_executor().running_in_this_thread());
                CHECK(*text == "kept");
                told = number;
            }),
            7, std::make_unique<std::string>("kept"));
    CHECK(told == 0);
    context.run();
    CHECK(told == 7);
}

TEST_CASE("post_to: goes on to the handler's own executor") {
    asio::io_context context;
    asio::io_context own;
    int told = 0;
    post_to(asio::any_io_executor(context.get_executor()),
            handler(asio::bind_executor(own, [&](int number, auto const&) { told = number; })), 7, nullptr);
    context.run();
    CHECK(told == 0);
    own.run();
    CHECK(told == 7);
}

TEST_CASE("post_to: never at once, even where the caller runs on that executor") {
    asio::io_context context;
    std::string order;
    post_to(asio::any_io_executor(context.get_executor()), handler([&](int, auto const&) {
                post_to(asio::any_io_executor(context.get_executor()),
                        handler(asio::bind_executor(context, [&](int, auto const&) { order += "inner "; })), 0,
                        nullptr);
                order += "outer ";
            }),
            0, nullptr);
    context.run();
    CHECK(order == "outer inner ");
}
