// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/peek_many_operation.hpp>

#include <idempo/redis/operations/operations.hpp>
#include <idempo/redis/operations/script_answer.hpp>

#include <utility>

namespace idempo::redis {

peek_many_operation::peek_many_operation(std::vector<store_key> const& keys, std::string_view prefix,
                                         boost::asio::any_io_executor executor, handler done)
    : called_operation({}, {}, std::move(executor), std::move(done), operation_kind::unordered) {
    keys_.reserve(keys.size());
    for (auto const& key : keys) keys_.push_back(redis_key(prefix, key));
}

std::size_t peek_many_operation::weight() const noexcept {
    auto const bytes_of_key = keys_.empty() ? 0 : keys_.front().size();
    return called_operation::weight() + keys_.size() * (sizeof(std::string) + bytes_of_key);
}

void peek_many_operation::append_command(std::string& to, server_abilities abilities) {
    script_.append_with_keys(to, abilities, keys_, token_.view());
}

reading peek_many_operation::read(reply_view answer_) {
    if (answer_.is_error()) {
        error_code error;
        auto const outcome = script_.read_error(answer_, error);
        return outcome == reading::answered ? answer(error) : outcome;
    }
    if (!script_call::is_echo(answer_, token_.view()) || answer_.size() != keys_.size() + 2) {
        return reading::wrong_connection;
    }
    std::vector<peeked> all;
    all.reserve(keys_.size());
    for (std::size_t place = 2; place < answer_.size(); ++place) {
        auto const found = read_peek(answer_[place]);
        if (!found) return reading::wrong_connection;
        all.push_back(found->result ? peeked{*found->result} : peeked{{}, true});
    }
    return answer(std::move(all));
}

}  // namespace idempo::redis
