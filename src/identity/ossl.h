#pragma once

#include <memory>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

namespace sallyport::identity {

/// Owners of OpenSSL objects: `Owned<BIGNUM, BN_free>`.
template <auto F>
struct OsslFree {
  template <class T>
  void operator()(T* p) const {
    F(p);
  }
};
template <class T, auto F>
using Owned = std::unique_ptr<T, OsslFree<F>>;

using BigNum = Owned<BIGNUM, BN_free>;
using MdCtx = Owned<EVP_MD_CTX, EVP_MD_CTX_free>;
using PkeyCtx = Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using ParamBld = Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Params = Owned<OSSL_PARAM, OSSL_PARAM_free>;
using EcdsaSig = Owned<ECDSA_SIG, ECDSA_SIG_free>;

}  // namespace sallyport::identity
