// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/operations/operations.hpp>

#include <idempo/redis/operations/record.hpp>
#include <idempo/redis/operations/script_answer.hpp>

#include <type_traits>
#include <utility>

namespace idempo::redis {

namespace {

using boost::asio::any_io_executor;

std::string in_milliseconds(std::chrono::milliseconds span) { return std::to_string(span.count()); }

/// Reads the answer to a script: an error, or an array that begins with the fencing token.
/// \param read_answer one of the functions of script_answer.hpp
/// \param keep takes what it found, or an error
template <class ReadAnswer, class Keep>
reading read_script(script_call& called, reply_view answer, std::string_view token, ReadAnswer read_answer, Keep keep) {
    if (answer.is_error()) {
        error_code error;
        auto const outcome = called.read_error(answer, error);
        return outcome == reading::answered ? keep(error) : outcome;
    }
    if (!script_call::is_echo(answer, token)) return reading::wrong_connection;
    auto found = read_answer(answer);
    if (!found) return reading::wrong_connection;
    if (!found->result) return keep(error_code(error::record_unreadable));
    return keep(std::move(*found->result));
}

}  // namespace

std::string redis_key(std::string_view prefix, store_key const& key) {
    std::string made;
    made.reserve(prefix.size() + 2 * key.bytes.size());
    made.append(prefix);
    append_hex(made, key.view());
    return made;
}

std::string mark_key(std::string_view prefix, std::string_view record_key) {
    std::string made;
    made.reserve(prefix.size() + record_key.size() + 2);
    made.append(prefix).append("{").append(record_key).append("}");
    return made;
}

claim_operation::claim_operation(claim_request const& request, std::string_view prefix, any_io_executor executor,
                                 handler done)
    : called_operation(request.key, redis_key(prefix, request.key), std::move(executor), std::move(done)),
      request_(request),
      mark_(request.remember > std::chrono::milliseconds::zero() ? mark_key(prefix, server_key()) : std::string()),
      needs_script_(!mark_.empty()) {}

void claim_operation::append_command(std::string& to, server_abilities abilities) {
    if (!wanted_.empty()) return fetch_.append(to, abilities, server_key(), wanted_);
    auto const value = write_open(request_);
    auto const life = in_milliseconds(life_of(request_.lease, request_.retention));
    sent_script_ = needs_script_ || !abilities.set_nx_get;
    if (sent_script_) {
        std::string_view const takes_over = request_.take_over ? "1" : "0";
        std::string_view const takes_parked = request_.take_parked ? "1" : "0";
        if (mark_.empty()) return script_.append(to, abilities, server_key(), value, life, takes_over, takes_parked);
        script_.append_with_mark(to, abilities, server_key(), mark_, value, life, takes_over, takes_parked,
                                 in_milliseconds(bounded(request_.remember)));
    } else {
        redis::append_command(to, {"SET", server_key(), value, "NX", "GET", "PX", life});
    }
}

reading claim_operation::read(reply_view answer_) {
    if (!wanted_.empty()) {
        return read_script(fetch_, answer_, wanted_, read_fetch, [this](auto found) {
            if constexpr (std::is_same_v<decltype(found), error_code>) {
                return answer(found);
            } else {
                return take_fetched(std::move(found));
            }
        });
    }
    if (!sent_script_) return read_first_step(answer_);
    if (script_call::is_echo(answer_, request_.fencing_token.view()) && answer_[1].text() == "large") {
        return read_large(answer_);
    }
    auto const outcome = read_script(script_, answer_, request_.fencing_token.view(), read_claim,
                                     [this](auto found) { return answer(std::move(found)); });
    needs_script_ = needs_script_ || outcome == reading::script_unknown;
    return outcome;
}

reading claim_operation::read_first_step(reply_view answer_) {
    if (answer_.is_error()) {
        auto const meaning = meaning_of(answer_.text());
        if (meaning == error_meaning::wrong_server) return reading::wrong_connection;
        // A large record is a hash, which SET cannot read.
        bool const is_open = meaning == error_meaning::full || meaning == error_meaning::foreign_value;
        if (!is_open) return answer(code_of(meaning));
        needs_script_ = true;
        return reading::ask_again;
    }
    if (!answer_.is_nil() && !answer_.is_string()) return reading::wrong_connection;
    auto const found = read_reservation(answer_, request_);
    if (found.unreadable) return answer(error_code(error::record_unreadable));
    if (found.result) return answer(*found.result);
    needs_script_ = true;
    return reading::ask_again;
}

reading claim_operation::read_large(reply_view answer_) {
    if (answer_.size() < 4 || !answer_[2].is_string() || !answer_[3].is_integer()) return reading::wrong_connection;
    auto const size = static_cast<std::size_t>(answer_[3].integer());
    auto const found = read_header(answer_[2].text(), size);
    if (!found || !found->is_completed) return reading::wrong_connection;
    wanted_ = answer_[2].text();
    wanted_bytes_ = size - header_size;
    return reading::fetch;
}

reading claim_operation::take_fetched(std::optional<shared_bytes> found) {
    if (!found) {
        // It has expired since, or an operator has removed it: the script decides anew.
        wanted_.clear();
        wanted_bytes_ = 0;
        needs_script_ = true;
        return reading::ask_again;
    }
    if (found->size() != wanted_bytes_) return answer(error_code(error::record_unreadable));
    return answer(completed{std::move(*found)});
}

bool claim_operation::share(operation const& fetched) {
    auto const* const found = std::get_if<completed>(&static_cast<claim_operation const&>(fetched).result());
    if (found == nullptr) return false;
    static_cast<void>(answer(*found));
    return true;
}

complete_operation::complete_operation(complete_request request, std::string_view prefix, any_io_executor executor,
                                       handler done)
    : called_operation(request.key, redis_key(prefix, request.key), std::move(executor), std::move(done),
                       operation_kind::holder),
      request_(std::move(request)),
      mark_(request_.remember > std::chrono::milliseconds::zero() ? mark_key(prefix, server_key()) : std::string()) {}

void complete_operation::append_command(std::string& to, server_abilities abilities) {
    bool const has_room = request_.record.size() <= small_record_bytes;
    auto const life = in_milliseconds(life_of(std::chrono::milliseconds::zero(), request_.retention));
    std::string_view const reserved = has_room ? "1" : "0";
    auto const record = write_done(request_);
    if (mark_.empty()) return script_.append(to, abilities, server_key(), record, life, reserved);
    script_.append_with_mark(to, abilities, server_key(), mark_, record, life, reserved,
                             in_milliseconds(bounded(request_.remember)));
}

reading complete_operation::read(reply_view answer_) {
    return read_script(script_, answer_, request_.fencing_token.view(), read_complete,
                       [this](auto found) { return answer(std::move(found)); });
}

renew_operation::renew_operation(store_key const& key, fencing_token const& by, std::chrono::milliseconds lease,
                                 std::string_view prefix, any_io_executor executor, handler done)
    : called_operation(key, redis_key(prefix, key), std::move(executor), std::move(done), operation_kind::holder),
      by_(by),
      lease_(lease),
      mark_(mark_key(prefix, server_key())) {}

void renew_operation::append_command(std::string& to, server_abilities abilities) {
    script_.append_with_mark(to, abilities, server_key(), mark_, by_.view(), in_milliseconds(bounded(lease_)));
}

reading renew_operation::read(reply_view answer_) {
    return read_script(script_, answer_, by_.view(), read_held, [this](auto found) { return answer(found); });
}

save_step_operation::save_step_operation(step_request request, std::string_view prefix, any_io_executor executor,
                                         handler done)
    : called_operation(request.key, redis_key(prefix, request.key), std::move(executor), std::move(done),
                       operation_kind::holder),
      request_(std::move(request)) {}

void save_step_operation::append_command(std::string& to, server_abilities abilities) {
    script_.append(to, abilities, server_key(), request_.fencing_token.view(), std::to_string(request_.offset),
                   request_.step.view());
}

reading save_step_operation::read(reply_view answer_) {
    return read_script(script_, answer_, request_.fencing_token.view(), read_held,
                       [this](auto found) { return answer_write(found); });
}

park_operation::park_operation(park_request request, std::string_view prefix, any_io_executor executor, handler done)
    : called_operation(request.key, redis_key(prefix, request.key), std::move(executor), std::move(done),
                       operation_kind::holder),
      request_(std::move(request)),
      mark_(request_.remember > std::chrono::milliseconds::zero() ? mark_key(prefix, server_key()) : std::string()) {}

void park_operation::append_command(std::string& to, server_abilities abilities) {
    auto const life = in_milliseconds(life_of(std::chrono::milliseconds::zero(), request_.retention));
    auto const record = write_parked(request_);
    if (mark_.empty()) return script_.append(to, abilities, server_key(), record, life);
    script_.append_with_mark(to, abilities, server_key(), mark_, record, life,
                             in_milliseconds(bounded(request_.remember)));
}

reading park_operation::read(reply_view answer_) {
    return read_script(script_, answer_, request_.fencing_token.view(), read_held,
                       [this](auto found) { return answer_write(found); });
}

settle_operation::settle_operation(settle_request request, std::string_view prefix, any_io_executor executor,
                                   handler done)
    : called_operation(request.key, redis_key(prefix, request.key), std::move(executor), std::move(done)),
      request_(std::move(request)),
      mark_(mark_key(prefix, server_key())) {}

void settle_operation::append_command(std::string& to, server_abilities abilities) {
    auto const life = in_milliseconds(life_of(std::chrono::milliseconds::zero(), request_.retention));
    script_.append_with_mark(to, abilities, server_key(), mark_, key().view(), std::to_string(request_.attempt),
                             write_settled(request_), life);
}

reading settle_operation::read(reply_view answer_) {
    return read_script(script_, answer_, key().view(), read_held, [this](auto found) { return answer_write(found); });
}

std::size_t settle_operation::weight() const noexcept {
    return operation::weight() + (request_.record ? request_.record->size() : 0);
}

abandon_operation::abandon_operation(store_key const& key, fencing_token const& by, std::string_view prefix,
                                     any_io_executor executor, handler done)
    : called_operation(key, redis_key(prefix, key), std::move(executor), std::move(done), operation_kind::holder),
      by_(by),
      mark_(mark_key(prefix, server_key())) {}

void abandon_operation::append_command(std::string& to, server_abilities abilities) {
    script_.append_with_mark(to, abilities, server_key(), mark_, by_.view());
}

reading abandon_operation::read(reply_view answer_) {
    auto const keep = [this](auto found) {
        if constexpr (std::is_same_v<decltype(found), error_code>) {
            return answer(found);
        } else {
            return answer(nothing{});
        }
    };
    return read_script(script_, answer_, by_.view(), read_abandon, keep);
}

peek_operation::peek_operation(store_key const& key, std::string_view prefix, any_io_executor executor, handler done)
    : called_operation(key, redis_key(prefix, key), std::move(executor), std::move(done)),
      mark_(mark_key(prefix, server_key())) {}

void peek_operation::append_command(std::string& to, server_abilities abilities) {
    script_.append_with_mark(to, abilities, server_key(), mark_, key().view());
}

reading peek_operation::read(reply_view answer_) {
    return read_script(script_, answer_, key().view(), read_peek, [this](auto found) { return answer(found); });
}

forget_operation::forget_operation(store_key const& key, std::string_view prefix, any_io_executor executor,
                                   handler done)
    : called_operation(key, redis_key(prefix, key), std::move(executor), std::move(done)),
      mark_(mark_key(prefix, server_key())) {}

void forget_operation::append_command(std::string& to, server_abilities) {
    redis::append_command(to, {"DEL", server_key(), mark_});
}

reading forget_operation::read(reply_view answer_) {
    if (answer_.is_error()) {
        auto const meaning = meaning_of(answer_.text());
        return meaning == error_meaning::wrong_server ? reading::wrong_connection : answer(code_of(meaning));
    }
    constexpr int most = 2;
    if (answer_.integer() < 0 || answer_.integer() > most) return reading::wrong_connection;
    return answer(answer_.integer() > 0);
}

}  // namespace idempo::redis
