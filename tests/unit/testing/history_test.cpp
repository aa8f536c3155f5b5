// SPDX-License-Identifier: MIT
#include <idempo/testing/history.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <cstdint>
#include <set>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace std::chrono_literals;
using idempo::testing::linearize;
using idempo::testing::model_record;
using idempo::testing::past_operation;
using kind = past_operation::kind;

using answer = decltype(past_operation::answer);

/// Operations that run at the same time, and those that come later.
class history {
public:
    past_operation& add(kind what, unsigned char by, answer got) {
        past_operation made;
        made.what = what;
        made.fencing_token.bytes.fill(by);
        made.bytes = "stored";
        made.has_long_lease = true;
        made.returned = 1000 + operations_.size();
        made.answer = std::move(got);
        operations_.push_back(std::move(made));
        return operations_.back();
    }

    /// After everything that `add` has added.
    void add_later(kind what, unsigned char by, answer got) {
        auto& made = add(what, by, std::move(got));
        made.began = 2000;
        made.returned += 2000;
    }

    [[nodiscard]] bool is_possible() const {
        return !linearize(std::set<model_record>{model_record{}}, operations_).empty();
    }

private:
    std::vector<past_operation> operations_;
};

answer granted() { return idempo::claim_result(idempo::granted{1}); }
answer in_flight() { return idempo::claim_result(idempo::in_flight{1s}); }
answer replayed() { return idempo::claim_result(idempo::completed{idempo::shared_bytes("stored")}); }
answer done() { return idempo::complete_result(idempo::done{}); }

}  // namespace

TEST_CASE("history: the orders of operations that only look are not searched") {
    history tested;
    tested.add(kind::claim, 1, granted());
    tested.add(kind::complete, 1, done());
    // 2^60 subsets, if each had to be tried.
    for (unsigned char i = 0; i < 15; ++i) {
        tested.add(kind::claim, static_cast<unsigned char>(10 + i), in_flight());
        tested.add(kind::claim, static_cast<unsigned char>(30 + i), replayed());
        tested.add(kind::renew, static_cast<unsigned char>(50 + i), false);
        tested.add(kind::abandon, static_cast<unsigned char>(70 + i), {});
    }

    SECTION("and are possible") { CHECK(tested.is_possible()); }
    SECTION("and one that has no place is found") {
        tested.add(kind::claim, 2, idempo::claim_result(idempo::mismatch{}));
        CHECK_FALSE(tested.is_possible());
    }
}

TEST_CASE("history: what may change the record is tried in each place") {
    history tested;
    tested.add(kind::claim, 1, granted());

    SECTION("an Abandon behind its claim frees the record") {
        tested.add(kind::abandon, 1, {});
        tested.add(kind::claim, 2, granted());
        CHECK(tested.is_possible());
    }
    SECTION("an Abandon before its claim does nothing") {
        tested.add(kind::abandon, 1, {});
        tested.add_later(kind::renew, 1, true);
        CHECK(tested.is_possible());
    }
    SECTION("two claims cannot both be granted") {
        tested.add(kind::abandon, 3, {});
        tested.add(kind::claim, 2, granted());
        CHECK_FALSE(tested.is_possible());
    }
    SECTION("a refusal has its place between grant and end") {
        tested.add_later(kind::claim, 2, in_flight());
        CHECK(tested.is_possible());
        tested.add(kind::complete, 1, done());
        CHECK_FALSE(tested.is_possible());
    }
}
