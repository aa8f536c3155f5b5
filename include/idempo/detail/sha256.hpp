// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace idempo::detail {

/// SHA-256 (FIPS 180-4) over bytes in pieces. Input of at most `gathered_bytes` is hashed in one call, since for short
/// input the calls cost more than the hashing.
///
/// Any number may be alive on one thread, and one may move to another thread: it borrows the thread's OpenSSL context
/// only while it needs it, and one object at a time has it.
/// \throws std::runtime_error from any member if OpenSSL fails: it ran out of memory or was configured without
/// SHA-256.
class sha256 {
public:
    sha256() = default;
    sha256(sha256 const&) = delete;
    sha256& operator=(sha256 const&) = delete;
    ~sha256();

    /// Begins behind what has been hashed into `prepared` (`prepared_sha256`) instead of at the beginning. Called
    /// before anything is added; `prepared` must outlive the hash.
    sha256& behind(void const* prepared) {
        prepared_ = prepared;
        return *this;
    }

    /// The length, then the bytes, so that no byte can move between two parts without changing the digest.
    sha256& part(std::string_view bytes) { return part_size(bytes.size()).raw(bytes); }

    /// The length alone, for a part whose bytes follow by `raw`; or any number. Seven bits a byte, the lowest first,
    /// the eighth bit set if more follow (LEB128), so that the lengths of short parts do not fill a block of their own.
    sha256& part_size(std::uint64_t size) {
        if (size <= low_bits && gathered_size_ < gathered_.size()) {
            gathered_[gathered_size_++] = static_cast<unsigned char>(size);
            return *this;
        }
        return long_part_size(size);
    }

    /// The bytes alone.
    sha256& raw(std::string_view bytes) {
        if (bytes.size() > gathered_.size() - gathered_size_) return raw_beyond(bytes);
        bytes.copy(reinterpret_cast<char*>(gathered_.data()) + gathered_size_, bytes.size());
        gathered_size_ += bytes.size();
        return *this;
    }

    /// The digest. Nothing may be added afterwards. The thread's context is free again.
    [[nodiscard]] std::array<unsigned char, 32> finish();

private:
    sha256& long_part_size(std::uint64_t size);
    /// Bytes for which there is no room among the gathered ones.
    sha256& raw_beyond(std::string_view bytes);
    void flush();

    static constexpr std::size_t gathered_bytes = 256;
    static constexpr std::uint64_t low_bits = 0x7F;

    std::array<unsigned char, gathered_bytes> gathered_;  // not initialised: only the first `gathered_size_` are read
    std::size_t gathered_size_ = 0;
    void* context_ = nullptr;  // EVP_MD_CTX, from the first flush on
    void const* prepared_ = nullptr;
};

/// The state of SHA-256 behind some bytes, which are hashed once. Freed with the last copy, and wiped then.
/// \throws std::runtime_error as `sha256`
[[nodiscard]] std::shared_ptr<void const> prepared_sha256(std::string_view bytes);

}  // namespace idempo::detail
