// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/hmac_sha256.hpp>
#include <idempo/identifiers.hpp>
#include <idempo/shared_bytes.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace idempo {

/// A secret for sealing records.
struct seal_key {
    /// Stored with each record, in clear: which key opens it. Never use one number for two secrets.
    std::uint32_t id = 0;
    /// 32 to 64 bytes that nobody can guess, from a key management service or `openssl rand -hex 32`; more is hashed.
    std::string secret;
};

/// How records are sealed.
struct seal_options {
    /// The first seals, all open. To rotate: add the new key behind the old one in every process, then put it first,
    /// and remove the old one after the longest retention. A secret that every process has forgotten erases its
    /// records.
    std::vector<seal_key> keys;
    /// How long after its retention a record may still be opened: what the clocks of processes and store may differ by.
    /// The store keeps the retention; this refuses a record that somebody has put back.
    std::chrono::milliseconds clock_tolerance{std::chrono::hours{1}};
    /// Whether records are read that were stored unsealed. Only while sealing is introduced, for one retention: whoever
    /// can write to the store can then make answers.
    bool reads_unsealed = false;
    /// The time, for tests.
    std::function<std::chrono::system_clock::time_point()> clock{&std::chrono::system_clock::now};
};

namespace detail {

/// Whose record it is. Both are authenticated with it, so that it opens in no other place.
struct seal_context {
    store_key key;
    idempo::fingerprint fingerprint;
};

/// Seals records with AES-256-GCM (NIST SP 800-38D), each under a key of its own: HMAC-SHA-256 of the store key under
/// the secret. So the random nonce of 96 bits never comes near the number of uses where two may be equal.
///
///     version 1 | key id 4 | expiry 8, in milliseconds since 1970 | nonce 12 | encrypted record | tag 16
///
/// Numbers are big-endian. Authenticated beside it: store key, fingerprint, and what stands before the nonce.
/// Safe from any thread.
class record_seal {
public:
    /// How much longer than the record its seal makes it.
    static constexpr std::size_t overhead = 1 + 4 + 8 + 12 + 16;

    /// \throws std::invalid_argument without a key, with two of one id, with a secret under 32 bytes, or a negative
    /// tolerance.
    explicit record_seal(seal_options options);

    /// \throws std::runtime_error when OpenSSL fails; std::bad_alloc
    [[nodiscard]] shared_bytes seal(seal_context const& whose, shared_bytes const& record,
                                    std::chrono::milliseconds retention) const;

    /// Empty where it is not, or no longer, the record that was sealed for this place, or its key is not known.
    [[nodiscard]] std::optional<shared_bytes> open(seal_context const& whose, shared_bytes const& sealed) const;

private:
    [[nodiscard]] hmac_key const* find(std::uint32_t id) const noexcept;
    [[nodiscard]] bool is_expired(std::uint64_t expiry) const;

    std::vector<std::pair<std::uint32_t, hmac_key>> keys_;
    std::chrono::milliseconds tolerance_;
    bool reads_unsealed_;
    std::function<std::chrono::system_clock::time_point()> clock_;
};

}  // namespace detail

}  // namespace idempo
