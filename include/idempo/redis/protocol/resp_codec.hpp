// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct redisReader;
struct redisReplyObjectFunctions;

/// \file
/// The protocol of Redis (RESP2): commands are written here, and hiredis reads the replies. No input or output happens
/// here. https://redis.io/docs/latest/develop/reference/protocol-spec/

namespace idempo::redis {

/// Appends one command: an array of bulk strings.
void append_command(std::string& to, std::initializer_list<std::string_view> words);
void append_command(std::string& to, std::span<std::string_view const> words);

/// A reply, or an element of one: a view. Asking it for what it is not gives an empty text, -1, or no element.
class reply_view {
public:
    /// \param reply a redisReply, or null for one that is not there.
    explicit reply_view(void const* reply) noexcept : reply_(reply) {}

    [[nodiscard]] bool is_nil() const noexcept;
    [[nodiscard]] bool is_error() const noexcept;
    [[nodiscard]] bool is_array() const noexcept;
    [[nodiscard]] bool is_integer() const noexcept;
    /// A bulk string, not a status.
    [[nodiscard]] bool is_string() const noexcept;
    /// Of a string, a status or an error.
    [[nodiscard]] std::string_view text() const noexcept;
    [[nodiscard]] long long integer() const noexcept;
    /// Of an array.
    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] reply_view operator[](std::size_t index) const noexcept;

private:
    void const* reply_;
};

/// Owns a redisReply.
struct reply_deleter {
    void operator()(void* owned) const noexcept;
};
using reply = std::unique_ptr<void, reply_deleter>;

/// Makes replies of the bytes of one connection, however they are cut.
class reply_reader {
public:
    /// An incomplete reply with more bytes than this is an error: it is twice what Redis lets a value be.
    static constexpr std::size_t max_reply_bytes = std::size_t{1} << 30;
    /// An array with more elements is an error. None of the store's commands is answered by half as many, SCAN
    /// included, which may give more keys than it is asked for.
    static constexpr std::size_t default_max_array_elements = 1024;

    explicit reply_reader(std::size_t max_array_elements = default_max_array_elements);
    // The members refer to each other: an assignment would free them in the wrong order.
    reply_reader(reply_reader const&) = delete;
    reply_reader& operator=(reply_reader const&) = delete;

    void feed(std::string_view bytes);

    /// The next complete reply; null where there is none, for good if `is_broken()`.
    [[nodiscard]] reply next();

    /// The bytes were not RESP2. Nothing that came after the last reply can be trusted, and nothing will come.
    [[nodiscard]] bool is_broken() const noexcept { return is_broken_; }

private:
    struct reader_deleter {
        void operator()(redisReader* reader) const noexcept;
    };

    /// hiredis' own functions for making replies, and ours, which call them. The reader holds their addresses.
    struct functions;
    struct functions_deleter {
        void operator()(functions* owned) const noexcept;
    };

    std::unique_ptr<functions, functions_deleter> functions_;
    std::unique_ptr<redisReader, reader_deleter> reader_;
    std::size_t unread_bytes_ = 0;
    bool is_broken_ = false;
};

}  // namespace idempo::redis
