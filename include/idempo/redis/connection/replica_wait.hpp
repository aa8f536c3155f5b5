#pragma once

#include <idempo/redis/protocol/operation.hpp>

#include <idempo/redis/options.hpp>

#include <cstddef>
#include <string>

namespace idempo::redis {

/// `WAIT`, for the oldest `covered` of the records that have been written. Nobody is told of its reply but the
/// pipeline.
class replica_wait final : public operation {
public:
    replica_wait(redis_replica_wait const& wanted, std::size_t covered)
        : operation({}),
          wanted_(wanted),
          covered_(covered) {}

    [[nodiscard]] std::size_t covered() const noexcept { return covered_; }

    void append_command(std::string& to, server_abilities) override {
        redis::append_command(to, {"WAIT", std::to_string(wanted_.count), std::to_string(wanted_.timeout.count())});
    }

    /// An error also says that nobody knows what the replicas have.
    [[nodiscard]] reading read(reply_view answer) override {
        if (answer.is_error()) return reading::not_replicated;
        if (!answer.is_integer() || answer.integer() < 0) return reading::wrong_connection;
        return answer.integer() >= wanted_.count ? reading::replicated : reading::not_replicated;
    }

    void settle() override {}
    void fail(error_code) override {}
    [[nodiscard]] bool is_settled() const noexcept override { return true; }

private:
    redis_replica_wait wanted_;
    std::size_t covered_;
};

}  // namespace idempo::redis
