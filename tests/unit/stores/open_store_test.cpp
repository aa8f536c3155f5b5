// SPDX-License-Identifier: MIT
#include <idempo/stores/open_store.hpp>

#include "support/catch.hpp"

#include <idempo/stores/any_store.hpp>
#include <idempo/stores/memory_store.hpp>
#include <idempo/stores/url_scheme.hpp>

#include <boost/asio/io_context.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace {

namespace asio = boost::asio;

/// A scheme that remembers what it was asked to open.
struct recording_scheme {
    std::string_view name;
    std::string* opened = nullptr;

    [[nodiscard]] bool accepts(std::string_view scheme) const { return scheme == name; }
    [[nodiscard]] idempo::any_store open(asio::any_io_executor executor, std::string_view url) const {
        *opened = url;
        return idempo::any_store(idempo::memory_store(), std::move(executor));
    }
};

static_assert(idempo::store_scheme<recording_scheme>);
static_assert(idempo::store_scheme<idempo::memory_scheme>);
static_assert(!idempo::store_scheme<int>);

idempo::any_store open(std::string_view url) {
    static asio::io_context context;
    return idempo::open_store(context.get_executor(), url);
}

std::string sentence_for(std::string_view url) {
    try {
        open(url);
    } catch (std::invalid_argument const& refused) {
        return refused.what();
    }
    return "none";
}

idempo::claim_request claim_of(unsigned char key) {
    idempo::claim_request request;
    request.key.bytes[0] = key;
    request.fencing_token = idempo::make_fencing_token();
    request.lease = request.retention = std::chrono::hours{1};
    return request;
}

}  // namespace

TEST_CASE("open_store: memory", "[open_store]") {
    auto const url = GENERATE("memory:", "MEMORY:", "memory:?", "memory:?max_records=2",
                              "memory:?max_bytes=1000000&max_records=2", "memory:?max_records=2&");
    INFO(url);
    CHECK(open(url).direct());
}

TEST_CASE("open_store: the bounds of the URL are the store's", "[open_store]") {
    auto const store = open(GENERATE("memory:?max_records=1", "memory:?max_bytes=400"));
    idempo::error_code error;
    store.direct()->claim(claim_of(1), error);
    CHECK_FALSE(error);
    store.direct()->claim(claim_of(2), error);
    CHECK(error == idempo::error::store_full);
}

TEST_CASE("open_store: a URL that makes no sense is a sentence", "[open_store]") {
    CHECK(sentence_for("") == "a store URL begins with a scheme, as in memory:");
    CHECK(sentence_for("memory") == "a store URL begins with a scheme, as in memory:");
    CHECK(sentence_for(":memory") == "a store URL begins with a scheme, as in memory:");
    CHECK(sentence_for("redis://localhost") == "unknown store scheme 'redis:'");
    CHECK(sentence_for("memory://host") == "memory: has no host or path");
    CHECK(sentence_for("memory:path") == "memory: has no host or path");
    CHECK(sentence_for("memory:?size=1") == "memory: knows only max_records and max_bytes");
    CHECK(sentence_for("memory:?=1") == "memory: knows only max_records and max_bytes");
    for (std::string const value : {"", "0", "-1", "1.5", "1k", " 1", "99999999999999999999999"}) {
        INFO(value);
        CHECK(sentence_for("memory:?max_records=" + value) == "memory: max_records must be a positive whole number");
        CHECK(sentence_for("memory:?max_bytes=" + value) == "memory: max_bytes must be a positive whole number");
    }
    CHECK(sentence_for("memory:?max_records") == "memory: max_records must be a positive whole number");
    CHECK(sentence_for("memory:?max_bytes=1") != "none");  // no room for a single record
}

TEST_CASE("open_store: a sentence does not quote what may be a password", "[open_store]") {
    CHECK(sentence_for("redis://user:secret@host/0").find("secret") == std::string::npos);
    CHECK(sentence_for("memory:secret").find("secret") == std::string::npos);
    CHECK(sentence_for("memory:?secret=secret").find("secret") == std::string::npos);
    CHECK(sentence_for("memory:?max_bytes=secret").find("secret") == std::string::npos);
    CHECK(sentence_for("user:secret@host").find("secret") == std::string::npos);
}

TEST_CASE("open_store: opens by the scheme that it is given, whatever its case, with the whole URL", "[open_store]") {
    asio::io_context context;
    std::string first;
    std::string second;
    recording_scheme const red{"red", &first};
    recording_scheme const blue{"blue", &second};
    idempo::open_store(context.get_executor(), "Blue://Host/x?y=1", red, blue);
    CHECK(first.empty());
    CHECK(second == "Blue://Host/x?y=1");
    CHECK_THROWS_WITH(idempo::open_store(context.get_executor(), "green:", red, blue), "unknown store scheme 'green:'");
    CHECK(idempo::open_store(context.get_executor(), "memory:", red, blue).direct());
}

TEST_CASE("url_scheme: the text before the colon, in lower case", "[open_store]") {
    CHECK(idempo::url_scheme("Redis+Sentinel://x") == "redis+sentinel");
    CHECK(idempo::url_scheme("postgresql:") == "postgresql");
}
