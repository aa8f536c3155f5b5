// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/record_seal.hpp>

#include <idempo/detail/step_log.hpp>
#include <idempo/option_checks.hpp>

#include <boost/endian/conversion.hpp>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace idempo::detail {

namespace {

/// The first byte of what is sealed. Of an unsealed record it is the version of its format, which counts up from 1; of
/// an unsealed step 0; and no text begins with it.
constexpr unsigned char record_form = 0x81;
constexpr unsigned char step_form = 0x82;
constexpr unsigned char reason_form = 0x83;
constexpr unsigned char settled_form = 0x84;

constexpr std::size_t record_head_size = 1 + 4 + 8;
constexpr std::size_t step_head_size = 1 + 4 + 4;
constexpr std::size_t reason_head_size = 1 + 4;
constexpr std::size_t nonce_size = 12;
constexpr std::size_t tag_size = 16;
static_assert(record_seal::overhead == record_head_size + nonce_size + tag_size);
static_assert(record_seal::step_overhead == step_head_size + nonce_size + tag_size);
static_assert(record_seal::reason_overhead == reason_head_size + nonce_size + tag_size);

struct cipher_deleter {
    void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};

void check_cipher(bool succeeded) {
    if (!succeeded) throw std::runtime_error("OpenSSL cannot compute AES-256-GCM");
}

unsigned char* octets_of(char* at) noexcept { return reinterpret_cast<unsigned char*>(at); }
unsigned char const* octets_of(char const* at) noexcept { return reinterpret_cast<unsigned char const*>(at); }

/// OpenSSL counts in int; records are bounded far below, by `options.max_response_body`.
int size_of(std::string_view bytes) {
    if (bytes.size() > (std::size_t{1} << 30U)) throw std::length_error("a record of this size cannot be sealed");
    return static_cast<int>(bytes.size());
}

/// The key of one record. Wiped on destruction.
class record_key {
public:
    record_key(hmac_key const& secret, store_key const& of) {
        hmac_sha256 derived(secret);
        derived.update("idempo sealed record 1");
        derived.update(of.view());
        bytes_ = derived.finish();
    }
    record_key(record_key const&) = delete;
    record_key& operator=(record_key const&) = delete;
    ~record_key() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

    [[nodiscard]] unsigned char const* data() const noexcept { return bytes_.data(); }

private:
    std::array<unsigned char, 32> bytes_{};
};

/// One record under one key, in one direction.
class record_cipher {
public:
    enum class direction { open, seal };

    record_cipher(direction to, record_key const& key, unsigned char const* nonce) : context_(EVP_CIPHER_CTX_new()) {
        int const seals = to == direction::seal ? 1 : 0;
        check_cipher(context_ != nullptr);
        check_cipher(EVP_CipherInit_ex(context_.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce, seals) == 1);
    }

    void authenticate(std::string_view bytes) {
        int written = 0;
        check_cipher(EVP_CipherUpdate(context_.get(), nullptr, &written, octets_of(bytes.data()), size_of(bytes)) == 1);
    }

    void convert(char* to, std::string_view from) {
        int written = 0;
        check_cipher(EVP_CipherUpdate(context_.get(), octets_of(to), &written, octets_of(from.data()), size_of(from)) ==
                     1);
    }

    void write_tag(char* to) {
        check_cipher(is_final() && EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_GCM_GET_TAG, tag_size, to) == 1);
    }

    [[nodiscard]] bool has_tag(std::string_view tag) {
        std::string copy(tag);  // OpenSSL takes it as writable
        check_cipher(EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_GCM_SET_TAG, tag_size, copy.data()) == 1);
        return is_final();
    }

private:
    [[nodiscard]] bool is_final() {
        std::array<unsigned char, tag_size> nothing{};
        int written = 0;
        return EVP_CipherFinal_ex(context_.get(), nothing.data(), &written) == 1;
    }

    std::unique_ptr<EVP_CIPHER_CTX, cipher_deleter> context_;
};

/// Whose it is, and where it stands, as far as the place is not in the head.
struct sealed_place {
    seal_context const& whose;
    std::string_view at{};
};

void authenticate(record_cipher& cipher, sealed_place const& place, std::string_view head) {
    cipher.authenticate(place.whose.key.view());
    cipher.authenticate(place.whose.fingerprint.view());
    if (!place.at.empty()) cipher.authenticate(place.at);
    cipher.authenticate(head);
}

void write_head(char* to, unsigned char form, std::uint32_t key_id) {
    *octets_of(to) = form;
    boost::endian::store_big_u32(octets_of(to + 1), key_id);
}

std::uint32_t key_id_in(std::string_view head) { return boost::endian::load_big_u32(octets_of(head.data() + 1)); }

bool has_form(std::string_view bytes, unsigned char form) { return !bytes.empty() && *octets_of(bytes.data()) == form; }

/// Writes nonce, encrypted bytes and tag behind a head that has been written.
void seal_behind(std::span<char> head, hmac_key const& secret, sealed_place const& place, std::string_view plain) {
    char* const nonce = head.data() + head.size();
    char* const content = nonce + nonce_size;
    if (RAND_bytes(octets_of(nonce), static_cast<int>(nonce_size)) != 1) {
        throw std::runtime_error("OpenSSL's random generator failed to make a nonce");
    }
    record_cipher cipher(record_cipher::direction::seal, record_key(secret, place.whose.key), octets_of(nonce));
    authenticate(cipher, place, {head.data(), head.size()});
    cipher.convert(content, plain);
    cipher.write_tag(content + plain.size());
}

/// \pre the bytes are no fewer than head, nonce and tag
std::optional<shared_bytes> open_behind(std::size_t head_size, hmac_key const& secret, sealed_place const& place,
                                        std::string_view all) {
    auto const nonce = all.substr(head_size, nonce_size);
    auto const content = all.substr(head_size + nonce_size, all.size() - head_size - nonce_size - tag_size);
    record_cipher cipher(record_cipher::direction::open, record_key(secret, place.whose.key), octets_of(nonce.data()));
    authenticate(cipher, place, all.substr(0, head_size));
    shared_bytes opened(content.size(), [&](char* to) { cipher.convert(to, content); });
    if (!cipher.has_tag(all.substr(all.size() - tag_size))) return std::nullopt;
    return opened;
}

/// Of a step, as it is authenticated.
class step_offset {
public:
    explicit step_offset(std::size_t offset) { boost::endian::store_big_u64(octets_of(bytes_.data()), offset); }
    [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), bytes_.size()}; }

private:
    std::array<char, 8> bytes_{};
};

/// The first of sealed steps; empty where it is cut off.
std::string_view first_sealed_step(std::string_view kept) {
    if (kept.size() < record_seal::step_overhead) return {};
    std::size_t const size = boost::endian::load_big_u32(octets_of(kept.data() + 5));
    if (size > kept.size() - record_seal::step_overhead) return {};
    return kept.substr(0, size + record_seal::step_overhead);
}

}  // namespace

record_seal::record_seal(seal_options options)
    : tolerance_(options.clock_tolerance),
      reads_unsealed_(options.reads_unsealed),
      clock_(std::move(options.clock)) {
    require(!options.keys.empty(), "seal_options.keys needs a key");
    require(tolerance_ >= std::chrono::milliseconds::zero(), "seal_options.clock_tolerance must not be negative");
    require(static_cast<bool>(clock_), "seal_options.clock must not be empty");
    for (auto const& key : options.keys) {
        require(key.secret.size() >= 32, "a secret in seal_options.keys must have at least 32 bytes");
        require(find(key.id) == nullptr, "two keys in seal_options.keys have the same id");
        keys_.emplace_back(key.id, hmac_key(key.secret));
    }
}

shared_bytes record_seal::seal(seal_context const& whose, shared_bytes const& record,
                               std::chrono::milliseconds retention) const {
    return seal_as(record_form, whose, record, retention);
}

shared_bytes record_seal::seal_settled(store_key const& of, shared_bytes const& record,
                                       std::chrono::milliseconds retention) const {
    return seal_as(settled_form, {of, {}}, record, retention);
}

shared_bytes record_seal::seal_as(unsigned char form, seal_context const& whose, shared_bytes const& record,
                                  std::chrono::milliseconds retention) const {
    auto const& [id, secret] = keys_.front();
    auto const now = std::chrono::duration_cast<std::chrono::milliseconds>(clock_().time_since_epoch());
    auto const expiry =
        retention > std::chrono::milliseconds::max() - now ? std::chrono::milliseconds::max() : now + retention;
    return shared_bytes(record.size() + overhead, [&, id = id, &secret = secret](char* const to) {
        write_head(to, form, id);
        boost::endian::store_big_u64(octets_of(to + reason_head_size), static_cast<std::uint64_t>(expiry.count()));
        seal_behind({to, record_head_size}, secret, {whose}, record.view());
    });
}

std::optional<shared_bytes> record_seal::open(seal_context const& whose, shared_bytes const& sealed) const {
    auto const all = sealed.view();
    if (all.empty()) return std::nullopt;
    bool const is_settled = has_form(all, settled_form);
    if (!is_settled && !has_form(all, record_form)) return reads_unsealed_ ? std::optional(sealed) : std::nullopt;
    if (all.size() < overhead) return std::nullopt;
    auto const* const secret = find(key_id_in(all));
    if (secret == nullptr || is_expired(boost::endian::load_big_u64(octets_of(all.data() + reason_head_size)))) {
        return std::nullopt;
    }
    seal_context const settled{whose.key, {}};
    return open_behind(record_head_size, *secret, {is_settled ? settled : whose}, all);
}

shared_bytes record_seal::seal_step(seal_context const& whose, std::size_t offset, shared_bytes const& step) const {
    auto const& [id, secret] = keys_.front();
    step_offset const at(offset);
    return shared_bytes(step.size() + step_overhead, [&, id = id, &secret = secret](char* const to) {
        write_head(to, step_form, id);
        boost::endian::store_big_u32(octets_of(to + reason_head_size),
                                     static_cast<std::uint32_t>(size_of(step.view())));
        seal_behind({to, step_head_size}, secret, {whose, at.view()}, step.view());
    });
}

std::optional<record_seal::opened_steps> record_seal::open_steps(seal_context const& whose,
                                                                 std::string_view kept) const {
    std::string opened;
    std::size_t sealed = 0;
    for (std::size_t offset = 0; offset < kept.size();) {
        auto const rest = kept.substr(offset);
        if (!has_form(rest, step_form)) {
            if (!reads_unsealed_ || sealed > 0) return std::nullopt;
            auto const size = step_log::first_size(rest);
            if (size == 0) return std::nullopt;
            opened += rest.substr(0, size);
            offset += size;
            continue;
        }
        auto const step = first_sealed_step(rest);
        auto const* const secret = step.empty() ? nullptr : find(key_id_in(step));
        if (secret == nullptr) return std::nullopt;
        step_offset const at(offset);
        auto const bytes = open_behind(step_head_size, *secret, {whose, at.view()}, step);
        if (!bytes) return std::nullopt;
        opened += bytes->view();
        offset += step.size();
        ++sealed;
    }
    return opened_steps{shared_bytes(opened), sealed};
}

shared_bytes record_seal::seal_reason(store_key const& of, std::string_view reason) const {
    auto const& [id, secret] = keys_.front();
    seal_context const whose{of, {}};
    return shared_bytes(reason.size() + reason_overhead, [&, id = id, &secret = secret](char* const to) {
        write_head(to, reason_form, id);
        seal_behind({to, reason_head_size}, secret, {whose}, reason);
    });
}

shared_bytes record_seal::open_reason(store_key const& of, shared_bytes const& sealed) const {
    auto const all = sealed.view();
    if (!has_form(all, reason_form)) return reads_unsealed_ ? sealed : shared_bytes();
    auto const* const secret = all.size() < reason_overhead ? nullptr : find(key_id_in(all));
    if (secret == nullptr) return {};
    seal_context const whose{of, {}};
    return open_behind(reason_head_size, *secret, {whose}, all).value_or(shared_bytes());
}

hmac_key const* record_seal::find(std::uint32_t id) const noexcept {
    auto const found = std::ranges::find(keys_, id, [](auto const& key) { return key.first; });
    return found == keys_.end() ? nullptr : &found->second;
}

bool record_seal::is_expired(std::uint64_t expiry) const {
    auto const now = std::chrono::duration_cast<std::chrono::milliseconds>(clock_().time_since_epoch());
    auto const oldest = now - tolerance_;
    return oldest.count() > 0 && expiry < static_cast<std::uint64_t>(oldest.count());
}

}  // namespace idempo::detail
