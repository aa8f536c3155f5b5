// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace idempo::tests {

/// A self-signed certificate and its key, in files that are deleted with this object.
class test_certificate {
public:
    /// \param host the name that it certifies
    explicit test_certificate(std::string const& host);
    test_certificate(test_certificate const&) = delete;
    test_certificate& operator=(test_certificate const&) = delete;
    ~test_certificate();

    /// The file for clients that trust it.
    [[nodiscard]] std::string path() const { return directory_ + "/certificate.pem"; }

    [[nodiscard]] std::string key_path() const { return directory_ + "/key.pem"; }

    /// The flags with which a redis_server speaks only TLS on its port.
    /// \param auth_clients whether it asks clients for a certificate, `yes` or `no`
    [[nodiscard]] std::vector<std::string> redis_flags(std::string const& auth_clients = "no") const;

private:
    std::string directory_;
};

}  // namespace idempo::tests
