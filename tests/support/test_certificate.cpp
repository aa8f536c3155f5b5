// SPDX-License-Identifier: MIT
#include "support/test_certificate.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace idempo::tests {

namespace {

template <class T>
using owned = std::unique_ptr<T, void (*)(T*)>;

void require(bool succeeded) {
    if (!succeeded) throw std::runtime_error("OpenSSL could not make a certificate");
}

owned<X509> make_certificate(EVP_PKEY* key, std::string const& host) {
    constexpr long a_day = 24 * 60 * 60;
    owned<X509> made(X509_new(), X509_free);
    X509_set_version(made.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -a_day);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), a_day);
    auto* const name = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<unsigned char const*>(host.c_str()), -1, -1,
                               0);
    X509_set_issuer_name(made.get(), name);
    auto const names = "DNS:" + host;
    owned<X509_EXTENSION> const extension(X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str()),
                                          X509_EXTENSION_free);
    require(extension && X509_add_ext(made.get(), extension.get(), -1) == 1);
    require(X509_set_pubkey(made.get(), key) == 1 && X509_sign(made.get(), key, EVP_sha256()) != 0);
    return made;
}

template <class Write>
void write_file(std::string const& path, Write write) {
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> const file(std::fopen(path.c_str(), "w"), std::fclose);
    require(file && write(file.get()) == 1);
}

}  // namespace

test_certificate::test_certificate(std::string const& host)
    : directory_((std::filesystem::temp_directory_path() / "idempo-certificate-XXXXXX").string()) {
    if (::mkdtemp(directory_.data()) == nullptr) throw std::system_error(errno, std::generic_category(), "mkdtemp");
    owned<EVP_PKEY> const key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    auto const certificate = make_certificate(key.get(), host);
    write_file(path(), [&](std::FILE* file) { return PEM_write_X509(file, certificate.get()); });
    write_file(directory_ + "/key.pem", [&](std::FILE* file) {
        return PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
}

test_certificate::~test_certificate() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

std::vector<std::string> test_certificate::redis_flags(std::string const& auth_clients) const {
    return {"--tls-cert-file",    path(), "--tls-key-file",     directory_ + "/key.pem",
            "--tls-ca-cert-file", path(), "--tls-auth-clients", auth_clients};
}

}  // namespace idempo::tests
