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

    /// The flags with which a redis_server speaks only TLS on its port.
    [[nodiscard]] std::vector<std::string> redis_flags() const;

private:
    std::string directory_;
};

}  // namespace idempo::tests
