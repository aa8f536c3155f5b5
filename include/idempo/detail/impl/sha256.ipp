// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/sha256.hpp>

#include <openssl/evp.h>

#include <memory>
#include <stdexcept>
#include <utility>

namespace idempo::detail {

namespace {

struct context_deleter {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using context_pointer = std::unique_ptr<EVP_MD_CTX, context_deleter>;

/// Reusing a context costs a third of making one. A borrower leaves the place empty, so a second user on the same
/// thread makes its own.
thread_local context_pointer spare_context;

void check(bool succeeded) {
    if (!succeeded) throw std::runtime_error("OpenSSL cannot compute SHA-256");
}

/// Fetched once, since looking it up costs more than hashing 64 bytes; never freed, since another thread may still be
/// hashing while the process exits.
EVP_MD const* algorithm() {
    static EVP_MD const* const fetched = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
    check(fetched != nullptr);
    return fetched;
}

void begin_hash(EVP_MD_CTX* context) { check(EVP_DigestInit_ex2(context, algorithm(), nullptr) == 1); }

context_pointer make_context() {
    context_pointer made(EVP_MD_CTX_new());
    check(made != nullptr);
    return made;
}

/// A context with nothing hashed yet, or with what has been hashed into another one.
context_pointer borrow_context(void const* prepared) {
    auto context = std::move(spare_context);
    if (context == nullptr) context = make_context();
    if (prepared == nullptr) {
        begin_hash(context.get());
    } else {
        check(EVP_MD_CTX_copy_ex(context.get(), static_cast<EVP_MD_CTX const*>(prepared)) == 1);
    }
    return context;
}

void return_context(context_pointer context) noexcept { spare_context = std::move(context); }

}  // namespace

sha256::~sha256() {
    if (context_ != nullptr) return_context(context_pointer(static_cast<EVP_MD_CTX*>(context_)));
}

sha256& sha256::long_part_size(std::uint64_t size) {
    constexpr std::uint64_t more_follow = 0x80;
    std::array<char, 10> digits;  // 64 bits, seven at a time
    std::size_t count = 0;
    for (; size > low_bits; size >>= 7U) digits[count++] = static_cast<char>((size & low_bits) | more_follow);
    digits[count++] = static_cast<char>(size);
    return raw({digits.data(), count});
}

sha256& sha256::raw_beyond(std::string_view bytes) {
    flush();
    if (bytes.size() <= gathered_.size()) return raw(bytes);
    check(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size()) == 1);
    return *this;
}

std::array<unsigned char, 32> sha256::finish() {
    flush();
    std::array<unsigned char, 32> digest;
    check(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), digest.data(), nullptr) == 1);
    return_context(context_pointer(static_cast<EVP_MD_CTX*>(std::exchange(context_, nullptr))));
    return digest;
}

void sha256::flush() {
    if (context_ == nullptr) context_ = borrow_context(prepared_).release();
    check(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), gathered_.data(), gathered_size_) == 1);
    gathered_size_ = 0;
}

std::shared_ptr<void const> prepared_sha256(std::string_view bytes) {
    auto context = make_context();
    begin_hash(context.get());
    check(EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1);
    return {context.release(), [](void* last) { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(last)); }};
}

}  // namespace idempo::detail
