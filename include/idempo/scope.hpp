// SPDX-License-Identifier: MIT
#pragma once

#include <idempo/request_head.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace idempo {

/// Whose key it is. Keys are unique per caller. Only the application knows who the caller is.
///
/// | choice                      | leak between callers             | credential rotated between tries |
/// |-----------------------------|----------------------------------|----------------------------------|
/// | `credential_bound` (default)| none if the credential is listed | 422, no duplicate                |
/// | `principal(fn)`             | none                             | fine                             |
/// | `single_tenant`             | yes                              | fine                             |
///
/// Where responses are replayed, a credential is not part of the store key: after a rotation a retry would run again
/// and nobody would notice. In guard mode (`on_duplicate::reject`) bound credentials are, since nothing else keeps
/// callers apart there.
class scope {
public:
    /// The verified id of the caller; empty or nothing: nobody, and the keyed request is refused.
    /// Called on the thread that makes the call, concurrently for concurrent requests. It may throw, which is
    /// answered as if the handler had thrown: rethrown by the one-argument call, 500 by the call with a token.
    using principal_function = std::function<std::optional<std::string>(request_head const&)>;

    /// The listed fields are part of the fingerprint: another credential with the same key is a mismatch.
    /// Services that use cookies, client certificates or per-request signatures must choose `principal`.
    static scope credential_bound(std::vector<std::string> fields);

    /// With `Authorization` and `X-Api-Key`. No default argument: GCC 12 crashes on a braced one where `options` is
    /// initialised by braces in a template.
    static scope credential_bound();

    /// The caller's id is part of the store key. The best choice wherever callers are authenticated.
    /// \throws std::invalid_argument for an empty function.
    static scope principal(principal_function find_principal);

    /// All callers share their keys. An explicit choice for a service with one caller.
    static scope single_tenant();

    [[nodiscard]] std::vector<std::string> const& credential_fields() const noexcept { return credential_fields_; }
    [[nodiscard]] principal_function const& find_principal() const noexcept { return find_principal_; }

private:
    scope() = default;

    std::vector<std::string> credential_fields_;
    principal_function find_principal_;
};

}  // namespace idempo
