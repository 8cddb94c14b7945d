#include "access/digest.h"

#include <memory>
#include <new>
#include <openssl/evp.h>

namespace sallyport::access {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* ctx) const { EVP_MD_CTX_free(ctx); }
};

}  // namespace

TokenDigest DigestToken(std::string_view token) {
  // Fetched once: EVP_sha256() looks the implementation up anew for every digest.
  static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> ctx(EVP_MD_CTX_new());
  TokenDigest out{};
  // A digest that is not one would let one token pass for another.
  if (!ctx || EVP_DigestInit_ex2(ctx.get(), sha256, nullptr) != 1 ||
      EVP_DigestUpdate(ctx.get(), token.data(), token.size()) != 1 ||
      EVP_DigestFinal_ex(ctx.get(), out.data(), nullptr) != 1) {
    throw std::bad_alloc();
  }
  return out;
}

}  // namespace sallyport::access
