// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/identifiers.hpp>

#include <openssl/rand.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <pthread.h>

namespace idempo {

namespace {

/// Counts the forks between the first process that made a token and this one. A child starts with a copy of its
/// parent's thread-local block and would hand out the same tokens; the count makes it discard the copy. (OpenSSL's own
/// generator reseeds itself in a child.) Global, because a fork concerns the whole process.
std::atomic<unsigned> fork_generation{0};

void watch_forks() {
    static int const failure = pthread_atfork(nullptr, nullptr, [] { ++fork_generation; });
    if (failure != 0) throw std::system_error(failure, std::generic_category(), "pthread_atfork");
}

/// Random tokens made in one call of the generator, which costs about the same for one token and for 64.
class token_block {
public:
    fencing_token next() {
        if (used_ == tokens_.size() || generation_ != fork_generation) refill();
        return tokens_[used_++];
    }

private:
    void refill() {
        watch_forks();
        used_ = tokens_.size();  // after a failure, the next call must not reuse old tokens
        generation_ = fork_generation;
        static_assert(sizeof(fencing_token) == sizeof(fencing_token::bytes));
        constexpr int size = sizeof tokens_;
        if (RAND_bytes(reinterpret_cast<unsigned char*>(tokens_.data()), size) != 1) {
            throw std::runtime_error("OpenSSL's random generator failed to make a token");
        }
        used_ = 0;
    }

    std::array<fencing_token, 64> tokens_{};
    std::size_t used_ = tokens_.size();
    unsigned generation_ = 0;
};

}  // namespace

fencing_token make_fencing_token() {
    static thread_local token_block block;
    return block.next();
}

std::string to_hex(std::string_view bytes) {
    std::string hex;
    append_hex(hex, bytes);
    return hex;
}

void append_hex(std::string& to, std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    auto const begin = to.size();
    to.resize(begin + 2 * bytes.size());
    auto* next = to.data() + begin;
    for (char const byte : bytes) {
        auto const value = static_cast<unsigned char>(byte);
        *next++ = digits[value >> 4];
        *next++ = digits[value & 0xF];
    }
}

}  // namespace idempo
