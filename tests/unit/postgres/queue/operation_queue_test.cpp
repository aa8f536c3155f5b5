// SPDX-License-Identifier: MIT
#include "support/catch.hpp"
#include <idempo/postgres/queue/operation_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace idempo::postgres;
using idempo::store_key;

namespace {

class silent_operation : public operation {
public:
    using operation::operation;
    void deliver(outcome) override {}
};

operation_ptr make(unsigned char key, operation_kind kind = operation_kind::claim) {
    return std::make_shared<silent_operation>(request{kind, store_key{{key}}});
}

void finish(operation_queue& queue, batch const& taken) {
    for (auto const& each : taken) queue.finish(*each);
}

}  // namespace

TEST_CASE("postgres operation_queue: a batch is in the order of its keys") {
    operation_queue queue;
    for (int const key : {7, 3, 9, 1}) queue.push(make(static_cast<unsigned char>(key)));
    auto const taken = queue.take();
    REQUIRE(taken.size() == 4);
    CHECK(std::ranges::is_sorted(taken, {}, [](auto const& each) { return each->key(); }));
    CHECK_FALSE(queue.is_ready());
}

TEST_CASE("postgres operation_queue: a batch is all that is ready, up to a limit") {
    auto const [ready, first, second] = GENERATE(table<int, std::size_t, std::size_t>({
        {1, 1, 0},
        {64, 64, 0},
        {200, operation_queue::largest_batch, 200 - operation_queue::largest_batch},
    }));
    CAPTURE(ready);
    operation_queue queue;
    for (int key = 0; key < ready; ++key) queue.push(make(static_cast<unsigned char>(key)));
    CHECK(queue.take().size() == first);
    CHECK(queue.is_ready() == (second > 0));
    CHECK(queue.take().size() == second);
}

TEST_CASE("postgres operation_queue: a batch ends at a megabyte of records, and has one at least") {
    operation_queue queue;
    for (unsigned char key = 0; key < 5; ++key) {
        request complete{operation_kind::complete, store_key{{key}}};
        complete.record = idempo::shared_bytes(std::string(key == 0 ? 3'000'000 : 400'000, 'x'));
        queue.push(std::make_shared<silent_operation>(complete));
    }
    CHECK(queue.take().size() == 1);
    CHECK(queue.take().size() == 2);
    CHECK(queue.take().size() == 2);
    CHECK(queue.take().empty());
}

TEST_CASE("postgres operation_queue: what a holder asks goes before claims of others that wait") {
    operation_queue queue;
    auto const by = [](unsigned char token, operation_kind kind) {
        request asked{kind, store_key{{1}}};
        asked.by.bytes[0] = token;
        return std::make_shared<silent_operation>(asked);
    };
    std::vector<operation_ptr> const submitted{by(1, operation_kind::claim), by(2, operation_kind::claim),
                                               by(3, operation_kind::claim), by(3, operation_kind::abandon),
                                               by(1, operation_kind::complete)};
    for (auto const& each : submitted) queue.push(each);
    std::vector<operation_ptr> order;
    for (auto taken = queue.take(); !taken.empty(); taken = queue.take()) {
        order.insert(order.end(), taken.begin(), taken.end());
        finish(queue, taken);
    }
    // The abandon stays behind its own claim.
    CHECK(order == batch{submitted[0], submitted[4], submitted[1], submitted[2], submitted[3]});
}

TEST_CASE("postgres operation_queue: what had to wait for its key expects a record there") {
    operation_queue queue;
    for (auto const kind : {operation_kind::claim, operation_kind::complete, operation_kind::claim}) {
        queue.push(make(1, kind));
    }
    auto taken = queue.take();
    CHECK_FALSE(taken.front()->request().expects_record);
    for (int following = 0; following < 2; ++following) {
        finish(queue, taken);
        taken = queue.take();
        CHECK(taken.front()->request().expects_record);
    }
    finish(queue, taken);
    queue.push(make(1));
    CHECK_FALSE(queue.take().front()->request().expects_record);
}

TEST_CASE("postgres operation_queue: claims that had to wait for their key run together") {
    operation_queue queue;
    std::vector<operation_ptr> submitted;
    auto const push = [&](unsigned char key, operation_kind kind = operation_kind::claim) {
        submitted.push_back(make(key, kind));
        queue.push(submitted.back());
    };
    for (int claim = 0; claim < 3; ++claim) push(5);
    push(5, operation_kind::abandon);
    push(5);
    finish(queue, queue.take());
    push(1);
    push(9);
    auto const together = queue.take();
    CHECK(together == batch{submitted[5], submitted[1], submitted[2], submitted[6]});
    queue.finish(*submitted[1]);
    CHECK(queue.take().empty());  // the other one is still under way
    queue.finish(*submitted[2]);
    CHECK(queue.take() == batch{submitted[3]});
    queue.finish(*submitted[3]);
    CHECK(queue.take() == batch{submitted[4]});
    for (int const left : {4, 5, 6}) queue.finish(*submitted[static_cast<std::size_t>(left)]);
    CHECK(queue.clear().empty());
}

TEST_CASE("postgres operation_queue: claims of one key are no more than a batch") {
    operation_queue queue;
    for (std::size_t claim = 0; claim < 300; ++claim) queue.push(make(1));
    std::vector<std::size_t> sizes;
    for (auto taken = queue.take(); !taken.empty(); taken = queue.take()) {
        sizes.push_back(taken.size());
        finish(queue, taken);
    }
    CHECK(sizes == std::vector<std::size_t>{1, 128, 128, 43});
}

TEST_CASE("postgres operation_queue: operations of one key run one at a time, in order") {
    operation_queue queue;
    std::vector<operation_ptr> const submitted{make(1), make(1, operation_kind::complete), make(1)};
    for (auto const& each : submitted) queue.push(each);
    for (auto const& expected : submitted) {
        auto const taken = queue.take();
        REQUIRE(taken.size() == 1);
        CHECK(taken.front() == expected);
        CHECK(queue.take().empty());
        finish(queue, taken);
    }
    CHECK_FALSE(queue.is_ready());
}

TEST_CASE("postgres operation_queue: kinds share no batch, and take turns") {
    operation_queue queue;
    for (unsigned char key = 0; key < 10; ++key) {
        queue.push(make(key, key % 2 == 0 ? operation_kind::claim : operation_kind::complete));
    }
    std::set<operation_kind> seen;
    for (int turn = 0; turn < 2; ++turn) {
        auto const taken = queue.take();
        CHECK(taken.size() == 5);
        for (auto const& each : taken) CHECK(each->kind() == taken.front()->kind());
        seen.insert(taken.front()->kind());
    }
    CHECK(seen.size() == 2);
}

TEST_CASE("postgres operation_queue: peek and forget are alone") {
    operation_queue queue;
    queue.push(make(1, operation_kind::peek));
    queue.push(make(2, operation_kind::peek));
    CHECK(queue.take().size() == 1);
    CHECK(queue.take().size() == 1);
}

TEST_CASE("postgres operation_queue: cleared, it gives back all but what has been taken") {
    operation_queue queue;
    queue.push(make(1));
    auto const taken = queue.take();
    queue.push(make(1));
    queue.push(make(2));
    queue.push(make(2));
    CHECK(queue.clear().size() == 3);
    finish(queue, taken);
    CHECK_FALSE(queue.is_ready());
    queue.push(make(1));
    CHECK(queue.take().size() == 1);
}

TEST_CASE("postgres operation_queue: whatever is submitted comes out once, and never two of a key at a time") {
    auto const seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    operation_queue queue;
    std::map<store_key, std::vector<operation_ptr>> expected;
    std::vector<batch> running;
    std::size_t pushed = 0;
    std::size_t taken_count = 0;
    std::size_t waits_seen = 0;
    for (int step = 0; step < 20'000; ++step) {
        if (random() % 2 == 0) {
            auto const added =
                make(static_cast<unsigned char>(random() % 20), static_cast<operation_kind>(random() % 7));
            waits_seen += !expected[added->key()].empty();
            expected[added->key()].push_back(added);
            queue.push(added);
            ++pushed;
        } else if (random() % 2 == 0 && running.size() < 4) {
            auto taken = queue.take();
            taken_count += taken.size();
            std::map<store_key, std::size_t> together;
            for (auto const& each : taken) CHECK(expected[each->key()].at(together[each->key()]++) == each);
            if (!taken.empty()) running.push_back(std::move(taken));
        } else if (!running.empty()) {
            std::swap(running[random() % running.size()], running.back());
            for (auto const& each : running.back()) expected[each->key()].erase(expected[each->key()].begin());
            finish(queue, running.back());
            running.pop_back();
        }
    }
    std::size_t left = queue.clear().size();
    CHECK(taken_count + left == pushed);
    CHECK(taken_count > 1000);
    CHECK(waits_seen > 1000);
}
