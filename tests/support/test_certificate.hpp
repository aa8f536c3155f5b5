#pragma once

#include <string>
#include <vector>

namespace idempo::tests {

/// A self-signed certificate and its key, in files of their own that are gone when this object is.
class test_certificate {
public:
    /// \param host that it is for, a name
    explicit test_certificate(std::string const& host);
    test_certificate(test_certificate const&) = delete;
    test_certificate& operator=(test_certificate const&) = delete;
    ~test_certificate();

    /// To be trusted.
    [[nodiscard]] std::string path() const { return directory_ + "/certificate.pem"; }

    /// With which a redis_server speaks TLS on its port, and nothing else there.
    [[nodiscard]] std::vector<std::string> redis_flags() const;

private:
    std::string directory_;
};

}  // namespace idempo::tests
