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

/// Seals with AES-256-GCM (NIST SP 800-38D) what a store keeps of a key, under a key of its own: HMAC-SHA-256 of the
/// store key under the secret. So the random nonce of 96 bits never comes near the number of uses where two may be
/// equal.
///
///     a record:  form 1 | key id 4 | expiry 8, in milliseconds since 1970 | nonce 12 | encrypted bytes | tag 16
///     a step:    form 1 | key id 4 | size of the encrypted bytes 4        | nonce 12 | encrypted bytes | tag 16
///     a reason:  form 1 | key id 4                                        | nonce 12 | encrypted bytes | tag 16
///
/// Numbers are big-endian. Authenticated beside it: store key, fingerprint, what stands before the nonce, and of a step
/// its offset among the sealed steps. Who settles a record and who looks at its reason do not know the fingerprint:
/// there it counts as zeros, and the form of the record is another one.
/// Safe from any thread.
class record_seal {
public:
    /// How much longer than the record, the step, or the reason its seal makes it.
    static constexpr std::size_t overhead = 1 + 4 + 8 + 12 + 16;
    static constexpr std::size_t step_overhead = 1 + 4 + 4 + 12 + 16;
    static constexpr std::size_t reason_overhead = 1 + 4 + 12 + 16;

    /// \throws std::invalid_argument without a key, with two of one id, with a secret under 32 bytes, or a negative
    /// tolerance.
    explicit record_seal(seal_options options);

    /// \throws std::runtime_error when OpenSSL fails; std::bad_alloc
    [[nodiscard]] shared_bytes seal(seal_context const& whose, shared_bytes const& record,
                                    std::chrono::milliseconds retention) const;
    /// The same for a record that is completed by `settle`.
    [[nodiscard]] shared_bytes seal_settled(store_key const& of, shared_bytes const& record,
                                            std::chrono::milliseconds retention) const;

    /// Empty where it is not, or no longer, the record that was sealed for this place, or its key is not known.
    [[nodiscard]] std::optional<shared_bytes> open(seal_context const& whose, shared_bytes const& sealed) const;

    /// \param offset how many bytes of sealed steps the record has before it
    [[nodiscard]] shared_bytes seal_step(seal_context const& whose, std::size_t offset, shared_bytes const& step) const;

    struct opened_steps {
        shared_bytes steps;
        /// How many of them were sealed. Those that were not come first.
        std::size_t sealed = 0;
    };
    /// Empty where a step is not the one that was sealed for this place, or its key is not known.
    [[nodiscard]] std::optional<opened_steps> open_steps(seal_context const& whose, std::string_view kept) const;

    [[nodiscard]] shared_bytes seal_reason(store_key const& of, std::string_view reason) const;
    /// Empty also where it is none of this key, or its key is not known.
    [[nodiscard]] shared_bytes open_reason(store_key const& of, shared_bytes const& sealed) const;

private:
    [[nodiscard]] shared_bytes seal_as(unsigned char form, seal_context const& whose, shared_bytes const& record,
                                       std::chrono::milliseconds retention) const;
    [[nodiscard]] hmac_key const* find(std::uint32_t id) const noexcept;
    [[nodiscard]] bool is_expired(std::uint64_t expiry) const;

    std::vector<std::pair<std::uint32_t, hmac_key>> keys_;
    std::chrono::milliseconds tolerance_;
    bool reads_unsealed_;
    std::function<std::chrono::system_clock::time_point()> clock_;
};

}  // namespace detail

}  // namespace idempo
