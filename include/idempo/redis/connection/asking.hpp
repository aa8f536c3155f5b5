#pragma once

#include <idempo/redis/protocol/operation.hpp>

#include <string>

namespace idempo::redis {

/// `ASKING`, before the command of an operation that was redirected by ASK: a node serves keys of a slot that is still
/// on its way to it only then. Should it be refused, the reply to that command says why.
class asking final : public operation {
public:
    asking() : operation({}) {}

    void append_command(std::string& to, server_abilities) override { redis::append_command(to, {"ASKING"}); }

    [[nodiscard]] reading read(reply_view answer) override {
        return answer.is_error() || answer.text() == "OK" ? reading::answered : reading::wrong_connection;
    }

    void settle() override {}
    void fail(error_code) override {}
    [[nodiscard]] bool is_settled() const noexcept override { return true; }
};

}  // namespace idempo::redis
