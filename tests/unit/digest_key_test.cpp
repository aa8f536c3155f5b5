// SPDX-License-Identifier: MIT

// What a secret keeps from those who read the store.

#include <idempo/digest_key.hpp>
#include <idempo/fingerprint.hpp>
#include <idempo/json/canonical_json.hpp>
#include <idempo/key.hpp>
#include <idempo/layers/idempotency.hpp>
#include <idempo/same_request.hpp>
#include <idempo/stores/memory_store.hpp>

#include "support/catch.hpp"
#include "support/charges.hpp"

#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace idempo::tests;
using idempo::digest_key;
using idempo::digest_keys;

constexpr std::string_view secret = "of this service alone, 32 bytes.";
constexpr std::string_view other_secret = "of this service alone, 32 bytes!";

std::string body_with(std::string const& card) { return R"({"amount":4200,"card":")" + card + R"("})"; }

/// What the store is given.
class watched_store {
public:
    explicit watched_store(idempo::fingerprint& seen) : seen_(&seen) {}
    idempo::claim_result claim(idempo::claim_request const& request, idempo::error_code& error) {
        *seen_ = request.fingerprint;
        return records_.claim(request, error);
    }
    idempo::complete_result complete(idempo::complete_request const& request, idempo::error_code& error) {
        return records_.complete(request, error);
    }
    void abandon(idempo::store_key const& key, idempo::fencing_token const& by, idempo::error_code& error) {
        records_.abandon(key, by, error);
    }

private:
    idempo::memory_store records_;
    idempo::fingerprint* seen_;
};

idempo::fingerprint fingerprint_in_store(idempo::options options, text_request request) {
    idempo::fingerprint seen;
    effect_ledger const ledger;
    auto const handle = idempo::idempotency(watched_store(seen), std::move(options)) |
                        [&](text_request&&, idempo::execution& execution) { return charge(ledger, execution); };
    static_cast<void>(handle(std::move(request)));
    return seen;
}

/// Tries the middle digits of a card whose first six and last four are known, without any secret.
std::optional<std::string> recover_card(idempo::fingerprint const& stolen, unsigned first, unsigned last) {
    idempo::fingerprint_rule const rule{idempo::same_request()};
    for (unsigned digits = first; digits < last; ++digits) {
        std::string hidden(7, '\0');
        std::snprintf(hidden.data(), hidden.size(), "%06u", digits);
        hidden.pop_back();
        auto const candidate = "424242" + hidden + "4242";
        if (rule(keyed_request("key-1", body_with(candidate))).view().substr(4) == stolen.view().substr(4)) {
            return candidate;
        }
    }
    return std::nullopt;
}

idempo::options single_tenant(digest_keys keys) {
    idempo::options options;
    options.scope = idempo::scope::single_tenant();
    options.digest_keys = std::move(keys);
    return options;
}

}  // namespace

TEST_CASE("digest_key: a list that protects nothing is refused", "[digest_key]") {
    CHECK_THROWS_AS(digest_key(""), std::invalid_argument);
    CHECK_THROWS_AS(digest_key("fifteen bytes.."), std::invalid_argument);
    CHECK_NOTHROW(digest_key("sixteen bytes..."));
    CHECK_THROWS_AS(digest_keys(std::vector<std::string>()), std::invalid_argument);
    CHECK_THROWS_AS(digest_keys(std::vector<std::string>{""}), std::invalid_argument);
    CHECK_THROWS_AS((digest_keys{secret, "short"}), std::invalid_argument);
    CHECK_THROWS_AS((digest_keys{secret, secret}), std::invalid_argument);
    std::vector<std::string> many;
    for (std::size_t each = 0; each <= digest_keys::most; ++each)
        many.push_back(std::to_string(each) + std::string(secret));
    CHECK_THROWS_AS(digest_keys(many), std::invalid_argument);
    many.pop_back();
    CHECK(digest_keys(many).list().size() == digest_keys::most);
    CHECK(digest_keys::none().list().empty());
    idempo::options const defaults{.digest_keys = {}};
    CHECK(defaults.digest_keys.list().empty());
}

TEST_CASE("digest_key: a hidden card number is recovered from a plain fingerprint, and not from a keyed one",
          "[digest_key]") {
    auto const card = std::string("4242421234564242");
    auto const request = keyed_request("key-1", body_with(card));
    // A window around the digits will do: all of a million take a second.
    constexpr unsigned first = 123000;
    constexpr unsigned last = 124000;
    auto const plain = fingerprint_in_store(single_tenant(digest_keys::none()), request);
    CHECK(recover_card(plain, first, last) == card);
    auto const keyed = fingerprint_in_store(single_tenant({secret}), request);
    CHECK_FALSE(recover_card(keyed, first, last));
    // Who has the secret can: it is the same rule.
    idempo::fingerprint_rule const rule({}, {}, digest_key(secret));
    CHECK(rule(request) == keyed);
}

TEST_CASE("digest_key: every rule for bodies goes through the secret, and a record says under which", "[digest_key]") {
    auto const json = idempo::canonical_json();
    std::vector<std::pair<std::string, idempo::body_rule>> const rules{
        {"by content", idempo::body_rule::by_content()},
        {"exact", idempo::body_rule::exact()},
        {"canonical JSON", json},
        {"custom", idempo::body_rule::custom("first byte", [](auto const&, std::string_view body, auto& hash) {
             hash.add(body.substr(0, 1));
             return true;
         })}};
    auto form = keyed_request("key-1", "--b\r\nA: 1\r\n\r\nx\r\n--b--\r\n");
    form.set(http::field::content_type, "multipart/form-data; boundary=b");
    for (auto const& request : {keyed_request(), form}) {
        for (auto const& [name, body] : rules) {
            INFO(name);
            idempo::same_request what;
            what.body = body;
            idempo::fingerprint_rule const plain(what);
            idempo::fingerprint_rule const keyed(what, {}, digest_key(secret));
            idempo::fingerprint_rule const otherwise(what, {}, digest_key(other_secret));
            CHECK(keyed(request).view().substr(4) != plain(request).view().substr(4));
            CHECK(keyed(request).view().substr(4) != otherwise(request).view().substr(4));
            CHECK(keyed(request) == idempo::fingerprint_rule(what, {}, digest_key(secret))(request));
            CHECK(keyed.number() != plain.number());
            CHECK(keyed.number() != otherwise.number());
        }
    }
}

TEST_CASE("digest_key: nobody without the secret can tell that a client's key is in the store", "[digest_key]") {
    digest_key const key(secret);
    digest_key const other(other_secret);
    auto const keyed = idempo::make_store_key("shop", "alice", "order-1", {}, &key);
    CHECK(keyed != idempo::make_store_key("shop", "alice", "order-1"));
    CHECK(keyed != idempo::make_store_key("shop", "alice", "order-1", {}, &other));
    CHECK(keyed == idempo::make_store_key("shop", "alice", "order-1", {}, &key));
    // A fingerprint is no store key, whatever is hashed.
    CHECK(keyed != idempo::make_store_key("shop", "alice", "order-2", {}, &key));
}
