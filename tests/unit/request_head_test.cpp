// SPDX-License-Identifier: MIT
#include <idempo/request_head.hpp>

#include "support/catch.hpp"

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <memory_resource>
#include <string_view>

namespace http = boost::beast::http;
using idempo::request_head;

namespace {

using pool_fields = http::basic_fields<std::pmr::polymorphic_allocator<char>>;

std::string_view target_of(request_head const& head) { return head.target(); }

template <class Request>
void check_view_of(Request& request) {
    request.insert("X-Tenant", "first");
    request.insert("Accept", "*/*");
    request.insert("X-Tenant", "second");
    request_head const head(request);
    CHECK(head.method() == http::verb::post);
    CHECK(head.method_string() == "POST");
    CHECK(head.target() == "/orders?page=2");
    CHECK(head.field("X-Tenant") == "first");
    CHECK(head.field("x-TENANT") == "first");
    CHECK(head.count("X-Tenant") == 2);
    CHECK(head.count("x-tenant") == 2);
    CHECK(head.field("accept") == "*/*");
    CHECK(head.count("Cookie") == 0);
    CHECK(head.field("Cookie").empty());
}

}  // namespace

TEST_CASE("request_head: shows start line and fields of a request", "[request_head]") {
    SECTION("with a string body") {
        http::request<http::string_body> request(http::verb::post, "/orders?page=2", 11);
        check_view_of(request);
    }
    SECTION("with an empty body") {
        http::request<http::empty_body> request(http::verb::post, "/orders?page=2", 11);
        check_view_of(request);
    }
    SECTION("of a header alone") {
        http::request_header<> header;
        header.method(http::verb::post);
        header.target("/orders?page=2");
        check_view_of(header);
    }
    SECTION("with fields from another allocator") {
        std::pmr::monotonic_buffer_resource pool;
        http::request<http::string_body, pool_fields> request(
            http::request_header<pool_fields>{std::pmr::polymorphic_allocator<char>(&pool)});
        request.method(http::verb::post);
        request.target("/orders?page=2");
        check_view_of(request);
    }
}

TEST_CASE("request_head: shows a method that Beast has no name for", "[request_head]") {
    http::request<http::string_body> request;
    request.method_string("BREW");
    CHECK(request_head(request).method() == http::verb::unknown);
    CHECK(request_head(request).method_string() == "BREW");
}

TEST_CASE("request_head: a request converts to one", "[request_head]") {
    CHECK(target_of(http::request<http::string_body>(http::verb::get, "/", 11)) == "/");
}

TEST_CASE("request_head: looks at the request, and copies nothing", "[request_head]") {
    http::request<http::string_body> request(http::verb::get, "/", 11);
    request_head const head(request);
    auto const copy = head;
    request.set("X-Late", "yes");
    CHECK(head.field("X-Late") == "yes");
    CHECK(copy.field("X-Late").data() == request["X-Late"].data());
}
