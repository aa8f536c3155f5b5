// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/called_operation.hpp>
#include <idempo/redis/operations/script_answer.hpp>
#include <idempo/redis/operations/script_call.hpp>

#include <idempo/identifiers.hpp>
#include <idempo/layers/rate.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace idempo::redis {

/// The decision in an answer of take.lua, which begins with the right token; nothing where it makes no sense. Without a
/// result: the value under the key is no number.
[[nodiscard]] std::optional<script_answer<rate_decision>> read_take(reply_view answer, rate const& rate);

/// One run of take.lua, the call of `redis_rate_limiter`.
class take_operation final : public called_operation<rate_decision> {
public:
    take_operation(store_key const& client, rate const& rate, std::string_view prefix,
                   boost::asio::any_io_executor executor, handler done);
    void append_command(std::string& to, server_abilities abilities) override;
    [[nodiscard]] reading read(reply_view answer) override;

private:
    rate rate_;
    fencing_token token_ = make_fencing_token();
    script_call script_{scripts::take()};
};

}  // namespace idempo::redis
