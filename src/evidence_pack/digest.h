#pragma once

#include <memory>
#include <openssl/evp.h>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace sallyport::evidence_pack {

/// SHA-256 over pieces.
class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void Add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  /// 32 bytes; nothing can be added behind.
  std::string Bytes() {
    std::string out(32, '\0');
    EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr);
    return out;
  }
  std::string Hex() { return HexEncode(AsBytes(Bytes())); }

  static std::string HexOf(std::string_view bytes) {
    Digest digest;
    digest.Add(bytes);
    return digest.Hex();
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace sallyport::evidence_pack
