// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/stores/record_seal.hpp>

#include <idempo/option_checks.hpp>

#include <boost/endian/conversion.hpp>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>
#include <string>

namespace idempo::detail {

namespace {

/// The first byte of a sealed record. Of an unsealed one it is the version of its format, which counts up from 1.
constexpr unsigned char sealed_version = 0x81;
constexpr std::size_t sealed_head_size = 1 + 4 + 8;
constexpr std::size_t nonce_size = 12;
constexpr std::size_t tag_size = 16;
static_assert(record_seal::overhead == sealed_head_size + nonce_size + tag_size);

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
    auto const& [id, secret] = keys_.front();
    auto const now = std::chrono::duration_cast<std::chrono::milliseconds>(clock_().time_since_epoch());
    auto const expiry =
        retention > std::chrono::milliseconds::max() - now ? std::chrono::milliseconds::max() : now + retention;
    return shared_bytes(record.size() + overhead, [&, id = id, &secret = secret](char* const to) {
        char* const nonce = to + sealed_head_size;
        char* const content = nonce + nonce_size;
        *octets_of(to) = sealed_version;
        boost::endian::store_big_u32(octets_of(to + 1), id);
        boost::endian::store_big_u64(octets_of(to + 5), static_cast<std::uint64_t>(expiry.count()));
        if (RAND_bytes(octets_of(nonce), static_cast<int>(nonce_size)) != 1) {
            throw std::runtime_error("OpenSSL's random generator failed to make a nonce");
        }
        record_cipher cipher(record_cipher::direction::seal, record_key(secret, whose.key), octets_of(nonce));
        cipher.authenticate(whose.key.view());
        cipher.authenticate(whose.fingerprint.view());
        cipher.authenticate({to, sealed_head_size});
        cipher.convert(content, record.view());
        cipher.write_tag(content + record.size());
    });
}

std::optional<shared_bytes> record_seal::open(seal_context const& whose, shared_bytes const& sealed) const {
    auto const all = sealed.view();
    if (all.empty()) return std::nullopt;
    if (*octets_of(all.data()) != sealed_version) {
        return reads_unsealed_ ? std::optional(sealed) : std::nullopt;
    }
    if (all.size() < overhead) return std::nullopt;
    auto const* const secret = find(boost::endian::load_big_u32(octets_of(all.data() + 1)));
    if (secret == nullptr || is_expired(boost::endian::load_big_u64(octets_of(all.data() + 5)))) return std::nullopt;

    auto const head = all.substr(0, sealed_head_size);
    auto const nonce = all.substr(sealed_head_size, nonce_size);
    auto const content = all.substr(sealed_head_size + nonce_size, all.size() - overhead);
    record_cipher cipher(record_cipher::direction::open, record_key(*secret, whose.key), octets_of(nonce.data()));
    cipher.authenticate(whose.key.view());
    cipher.authenticate(whose.fingerprint.view());
    cipher.authenticate(head);
    shared_bytes opened(content.size(), [&](char* to) { cipher.convert(to, content); });
    if (!cipher.has_tag(all.substr(all.size() - tag_size))) return std::nullopt;
    return opened;
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
