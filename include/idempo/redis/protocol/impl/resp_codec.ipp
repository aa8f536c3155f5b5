// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/redis/protocol/resp_codec.hpp>

#include <hiredis/hiredis.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <new>

namespace idempo::redis {

namespace {

constexpr std::string_view line_end = "\r\n";

/// Of a head at most: its type, a number and the end of its line.
constexpr std::size_t head_bytes = 1 + std::numeric_limits<std::size_t>::digits10 + 1 + line_end.size();

/// An empty buffer that is larger is given back.
constexpr std::size_t max_idle_buffer = std::size_t{512} * 1024;

redisReply const& as_reply(void const* reply) noexcept { return *static_cast<redisReply const*>(reply); }

int type_of(void const* reply) noexcept { return reply == nullptr ? 0 : as_reply(reply).type; }

bool has_text(int type) noexcept {
    return type == REDIS_REPLY_STRING || type == REDIS_REPLY_STATUS || type == REDIS_REPLY_ERROR;
}

/// Grows as appending does, not to the exact size: commands are appended one by one.
void reserve_room(std::string& to, std::size_t size) {
    if (to.capacity() - to.size() < size) to.reserve(std::max(to.size() + size, 2 * to.capacity()));
}

void append_head(std::string& to, char type, std::size_t number) {
    std::array<char, head_bytes> head{type};
    auto* const end = std::to_chars(head.data() + 1, head.data() + head.size(), number).ptr;
    to.append(head.data(), end).append(line_end);
}

}  // namespace

void append_command(std::string& to, std::initializer_list<std::string_view> words) {
    append_command(to, std::span(words.begin(), words.size()));
}

void append_command(std::string& to, std::span<std::string_view const> words) {
    std::size_t size = head_bytes;
    for (auto const word : words) size += head_bytes + word.size() + line_end.size();
    reserve_room(to, size);
    append_head(to, '*', words.size());
    for (auto const word : words) {
        append_head(to, '$', word.size());
        to.append(word).append(line_end);
    }
}

bool reply_view::is_nil() const noexcept { return type_of(reply_) == REDIS_REPLY_NIL; }
bool reply_view::is_error() const noexcept { return type_of(reply_) == REDIS_REPLY_ERROR; }
bool reply_view::is_array() const noexcept { return type_of(reply_) == REDIS_REPLY_ARRAY; }
bool reply_view::is_integer() const noexcept { return type_of(reply_) == REDIS_REPLY_INTEGER; }
bool reply_view::is_string() const noexcept { return type_of(reply_) == REDIS_REPLY_STRING; }

std::string_view reply_view::text() const noexcept {
    if (!has_text(type_of(reply_))) return {};
    return {as_reply(reply_).str, static_cast<std::size_t>(as_reply(reply_).len)};  // an int before hiredis 0.14
}

long long reply_view::integer() const noexcept { return is_integer() ? as_reply(reply_).integer : -1; }

std::size_t reply_view::size() const noexcept { return is_array() ? as_reply(reply_).elements : 0; }

reply_view reply_view::operator[](std::size_t index) const noexcept {
    return reply_view(index < size() ? as_reply(reply_).element[index] : nullptr);
}

void reply_deleter::operator()(void* owned) const noexcept { freeReplyObject(owned); }

void reply_reader::reader_deleter::operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }

struct reply_reader::functions {
    redisReplyObjectFunctions theirs;
    redisReplyObjectFunctions ours;
    std::size_t max_array_elements;
};

void reply_reader::functions_deleter::operator()(functions* owned) const noexcept { delete owned; }

namespace {

/// hiredis 0.14 allocates whatever the server says that the array has. Null makes it report an error.
/// \tparam Count `int` in 0.14, `size_t` in 1.x.
template <class Functions, class Count>
void* create_small_array(redisReadTask const* task, Count elements) {
    auto const& functions = *static_cast<Functions const*>(task->privdata);
    if (elements < 0 || static_cast<std::size_t>(elements) > functions.max_array_elements) return nullptr;
    return functions.theirs.createArray(task, elements);
}

}  // namespace

reply_reader::reply_reader(std::size_t max_array_elements) : reader_(redisReaderCreate()) {
    if (!reader_) throw std::bad_alloc();
    functions_.reset(new functions{*reader_->fn, *reader_->fn, max_array_elements});
    functions_->ours.createArray = create_small_array<functions>;
    reader_->fn = &functions_->ours;
    reader_->privdata = functions_.get();
    reader_->maxbuf = max_idle_buffer;
}

void reply_reader::feed(std::string_view bytes) {
    unread_bytes_ += bytes.size();
    if (unread_bytes_ > max_reply_bytes) is_broken_ = true;
    if (!is_broken_ && redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) != REDIS_OK) is_broken_ = true;
}

reply reply_reader::next() {
    if (is_broken_) return nullptr;
    void* found = nullptr;
    is_broken_ = redisReaderGetReply(reader_.get(), &found) != REDIS_OK;
    if (is_broken_ || found == nullptr) return nullptr;
    unread_bytes_ = reader_->len - reader_->pos;
    return reply(found);
}

}  // namespace idempo::redis
