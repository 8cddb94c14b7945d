#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string>

namespace sallyport::net {

/// A certificate authority that lives as long as the test, and the directory its files are in.
class TestAuthority {
 public:
  TestAuthority() {
    std::string name = (std::filesystem::temp_directory_path() / "sallyport_tls_XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    key_.reset(EVP_EC_gen("P-256"));
    certificate_ = Issue(key_.get(), "Test authority", "CA:TRUE", nullptr, nullptr);
    Write("ca.pem", certificate_.get(), nullptr);
  }
  ~TestAuthority() { std::filesystem::remove_all(directory_); }

  std::string path(const std::string& file) const { return directory_ + "/" + file; }
  /// Writes <name>.pem and <name>.key for `names` ("DNS:localhost,IP:127.0.0.1").
  void MakeLeaf(const std::string& name, const char* names, int days = 1) {
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    Write(name, Issue(key.get(), name.c_str(), "CA:FALSE", names, certificate_.get(), days).get(),
          key.get());
  }
  /// The same, signed by itself: its key and digest say with what ("ED25519" and null, "RSA" and
  /// SHA-512).
  void MakeSelfSigned(const std::string& name, const char* algorithm, const EVP_MD* digest) {
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
        std::string_view(algorithm) == "RSA" ? EVP_RSA_gen(2048)
                                             : EVP_PKEY_Q_keygen(nullptr, nullptr, algorithm),
        EVP_PKEY_free);
    Certificate made = Issue(key.get(), name.c_str(), "CA:TRUE", "DNS:localhost", nullptr, 1);
    X509_sign(made.get(), key.get(), digest);
    Write(name, made.get(), key.get());
  }

 private:
  using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

  Certificate Issue(EVP_PKEY* subject_key, const char* name, const char* constraints,
                    const char* names, X509* issuer, int days = 1) {
    Certificate made(X509_new(), X509_free);
    X509* x = made.get();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(x), -3 * 86'400);
    X509_gmtime_adj(X509_getm_notAfter(x), long(days) * 86'400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer != nullptr ? issuer : x));
    X509_set_pubkey(x, subject_key);
    Extend(x, issuer, NID_basic_constraints, constraints);
    if (names != nullptr) Extend(x, issuer, NID_subject_alt_name, names);
    X509_sign(x, key_.get(), EVP_sha256());
    return made;
  }
  static void Extend(X509* x, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer != nullptr ? issuer : x, x, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
  }
  void Write(const std::string& name, X509* certificate, EVP_PKEY* key) {
    const std::string file = name.ends_with(".pem") ? name : name + ".pem";
    std::unique_ptr<FILE, int (*)(FILE*)> out(std::fopen(path(file).c_str(), "w"), std::fclose);
    PEM_write_X509(out.get(), certificate);
    if (key == nullptr) return;
    std::unique_ptr<FILE, int (*)(FILE*)> secret(std::fopen(path(name + ".key").c_str(), "w"),
                                                 std::fclose);
    PEM_write_PrivateKey(secret.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  }

  std::string directory_;
  long serial_ = 0;
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_{nullptr, EVP_PKEY_free};
  Certificate certificate_{nullptr, X509_free};
};

}  // namespace sallyport::net
