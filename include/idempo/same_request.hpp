// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/detail/sha256.hpp>
#include <idempo/request_head.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace idempo {

/// Takes what counts of a body, part by part. Valid during the call that it is given to.
class body_hash {
public:
    explicit body_hash(detail::sha256& hash) noexcept : hash_(&hash) {}

    /// One part. Its length goes before its bytes, so that no byte can change sides with the next part.
    /// \throws std::runtime_error when OpenSSL fails.
    body_hash& add(std::string_view part) {
        hash_->part(part);
        return *this;
    }

private:
    detail::sha256* hash_;
};

/// What of a request's body makes two requests the same (draft-ietf-httpapi-idempotency-key-header-07, section 2.4).
class body_rule {
public:
    /// Adds what counts of `body` to the hash and returns true; or returns false, and `by_content` decides. Equal input
    /// must add equal parts. Called on the thread that makes the call, concurrently for concurrent requests. What it
    /// throws is answered as if the handler had thrown it.
    using function = std::function<bool(request_head const& head, std::string_view body, body_hash& hash)>;

    enum class kind { by_content, exact, custom };

    /// `by_content`
    body_rule() : name_("by-content-1") {}

    /// The default. Every byte counts, except what clients make anew for each try of the same request:
    /// - the boundary of `multipart/*` (RFC 2046, section 5.1). The header fields and the bytes of the parts count, in
    ///   their order. A body that is not well-formed counts byte by byte, with its boundary.
    /// - the time in the header of a body with `Content-Encoding: gzip` (MTIME in RFC 1952, section 2.3.1).
    static body_rule by_content() { return {}; }

    /// Every byte counts.
    static body_rule exact();

    /// A rule of your own. \param name stands for the function: a function that compares differently needs another
    /// name, since records made by the old one are recognised by it.
    /// \throws std::invalid_argument for an empty name or function.
    static body_rule custom(std::string name, function add);

    [[nodiscard]] kind how() const noexcept { return kind_; }
    [[nodiscard]] std::string const& name() const noexcept { return name_; }
    [[nodiscard]] function const& add() const noexcept { return add_; }

private:
    kind kind_ = kind::by_content;
    std::string name_;
    function add_;
};

/// When a request with a known key is the same request again, and not another one that gets 422.
///
/// Method, path and query are always compared, as sent. A target in absolute-form (RFC 9112, section 3.2.2) equals the
/// same target in origin-form.
struct same_request {
    /// Compared by the values of their lines: fields that change what a request means. Of `multipart/*` in Content-Type
    /// the boundary does not count.
    std::vector<std::string> fields = default_fields();

    /// Whether the host counts (RFC 9110, section 7.1): the authority of the target or else `Host`, in lower case,
    /// without port 80 or 443. False where clients retry at another address of the same service.
    bool authority = true;

    body_rule body{};

    /// Content-Type, Content-Encoding, Content-Range, If-Match, If-None-Match, If-Unmodified-Since; of resumable
    /// uploads (tus 1.0 and draft-ietf-httpbis-resumable-upload), Upload-Concat, -Length, -Metadata, -Offset and
    /// -Complete; and X-HTTP-Method-Override.
    static std::vector<std::string> default_fields();
};

}  // namespace idempo
