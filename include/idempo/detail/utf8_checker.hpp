// SPDX-License-Identifier: MIT
#pragma once

namespace idempo::detail {

/// Checks UTF-8 a byte at a time (RFC 3629, section 4): no overlong forms, no surrogates, nothing above U+10FFFF.
class utf8_checker {
public:
    /// False: no valid text begins with the bytes up to this one.
    bool accepts(unsigned char byte) noexcept {
        if (missing_ == 0) return begins(byte);
        bool const valid = byte >= lowest_ && byte <= highest_;
        expect(missing_ - 1, 0x80, 0xBF);
        return valid;
    }

    /// Whether the last character is whole.
    [[nodiscard]] bool is_complete() const noexcept { return missing_ == 0; }

private:
    bool begins(unsigned char byte) noexcept {
        if (byte <= 0x7F) return true;
        if (byte >= 0xC2 && byte <= 0xDF) return expect(1, 0x80, 0xBF);
        if (byte == 0xE0) return expect(2, 0xA0, 0xBF);
        if (byte == 0xED) return expect(2, 0x80, 0x9F);
        if (byte >= 0xE1 && byte <= 0xEF) return expect(2, 0x80, 0xBF);
        if (byte == 0xF0) return expect(3, 0x90, 0xBF);
        if (byte >= 0xF1 && byte <= 0xF3) return expect(3, 0x80, 0xBF);
        if (byte == 0xF4) return expect(3, 0x80, 0x8F);
        return false;
    }

    bool expect(int missing, unsigned char lowest, unsigned char highest) noexcept {
        missing_ = missing;
        lowest_ = lowest;
        highest_ = highest;
        return true;
    }

    int missing_ = 0;  // continuation bytes of the present character
    unsigned char lowest_ = 0;
    unsigned char highest_ = 0;
};

}  // namespace idempo::detail
