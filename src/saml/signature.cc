#include "saml/signature.h"

#include <algorithm>
#include <array>
#include <libxml/parser.h>
#include <libxml/valid.h>
#include <memory>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <xmlsec/buffer.h>
#include <xmlsec/errors.h>
#include <xmlsec/openssl/app.h>
#include <xmlsec/openssl/crypto.h>
#include <xmlsec/openssl/evp.h>
#include <xmlsec/xmldsig.h>
#include <xmlsec/xmlsec.h>

#include "saml/key.h"

namespace sallyport::saml {
namespace {

constexpr std::string_view kEnveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
constexpr std::array<std::string_view, 6> kSignatures{
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"};
constexpr std::array<std::string_view, 3> kDigests{"http://www.w3.org/2001/04/xmlenc#sha256",
                                                   "http://www.w3.org/2001/04/xmldsig-more#sha384",
                                                   "http://www.w3.org/2001/04/xmlenc#sha512"};

struct KeyFree {
  void operator()(xmlSecKeyPtr key) const { xmlSecKeyDestroy(key); }
};
using SecKey = std::unique_ptr<xmlSecKey, KeyFree>;

struct ContextFree {
  void operator()(xmlSecDSigCtxPtr context) const { xmlSecDSigCtxDestroy(context); }
};
using Context = std::unique_ptr<xmlSecDSigCtx, ContextFree>;

void Quiet(const char*, int, const char*, const char*, const char*, int, const char*) {}
void QuietXml(void*, const char*, ...) {}

std::unexpected<Error> Bad(std::string detail) {
  return Fail(Errc::token_malformed, std::move(detail));
}

bool Contains(const auto& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

/// The children of `parent` are elements of the names, in that order, and no others; names that end
/// in '?' may be missing.
Result<> Shape(const xmlNode* parent, std::initializer_list<std::string_view> names) {
  const auto children = Elements(parent);
  size_t next = 0;
  for (std::string_view name : names) {
    const bool optional = name.ends_with('?');
    if (optional) name.remove_suffix(1);
    if (next < children.size() && Is(children[next], name, kDsig)) {
      ++next;
    } else if (!optional) {
      return Bad("a signature whose " + Named(parent) + " has no " + std::string(name));
    }
  }
  for (const xmlNode* n = parent->children; n != nullptr; n = n->next) {
    if (n->type == XML_TEXT_NODE && xmlIsBlankNode(n) == 0) return Bad("a signature with text");
  }
  if (next != children.size())
    return Bad("a signature with " + Named(children[next]) + " in its " + Named(parent));
  return {};
}

Result<> CheckAlgorithm(const xmlNode* node, const auto& allowed) {
  if (Contains(allowed, Attribute(node, "Algorithm"))) return {};
  return Fail(Errc::token_alg_refused, "an algorithm that is not accepted in " + Named(node));
}

Result<> CheckTransforms(const xmlNode* transforms) {
  static constexpr std::array<std::string_view, 1> kFirst{kEnveloped}, kSecond{kExcC14n};
  SALLYPORT_CHECK(Shape(transforms, {"Transform", "Transform"}));
  const auto both = Elements(transforms);
  SALLYPORT_CHECK(CheckAlgorithm(both[0], kFirst));
  SALLYPORT_CHECK(CheckAlgorithm(both[1], kSecond));
  if (!Elements(both[0]).empty()) return Bad("a transform with contents");
  const auto prefixes = Elements(both[1]);
  if (prefixes.size() > 1 ||
      (!prefixes.empty() &&
       (!Is(prefixes[0], "InclusiveNamespaces", kExcC14n) || !Elements(prefixes[0]).empty())))
    return Bad("a transform with contents");
  return {};
}

/// All that the signature says about itself, before any of it is followed.
Result<> CheckShape(const xmlNode* element, const xmlNode* signature) {
  static constexpr std::array<std::string_view, 1> kCanonical{kExcC14n};
  SALLYPORT_CHECK(Shape(signature, {"SignedInfo", "SignatureValue", "KeyInfo?"}));
  const xmlNode* info = Elements(signature)[0];
  // These two are all of a signature that nothing signs.
  for (const xmlNode* node : {signature, static_cast<const xmlNode*>(Elements(signature)[1])}) {
    for (const xmlAttr* a = node->properties; a != nullptr; a = a->next) {
      if (xmlStrcmp(a->name, BAD_CAST "Id") != 0) return Bad("a signature with an attribute");
    }
  }
  SALLYPORT_CHECK(Shape(info, {"CanonicalizationMethod", "SignatureMethod", "Reference"}));
  const auto parts = Elements(info);
  SALLYPORT_CHECK(CheckAlgorithm(parts[0], kCanonical));
  SALLYPORT_CHECK(CheckAlgorithm(parts[1], kSignatures));
  if (!Elements(parts[0]).empty() || !Elements(parts[1]).empty())
    return Bad("a method with contents");
  const std::string id = Attribute(element, "ID");
  if (!IsPlainId(id)) return Bad("no usable ID");
  if (Attribute(parts[2], "URI") != "#" + id || !Attribute(parts[2], "Type").empty())
    return Fail(Errc::token_signature_invalid, "the signature is about something else");
  SALLYPORT_CHECK(Shape(parts[2], {"Transforms", "DigestMethod", "DigestValue"}));
  const auto reference = Elements(parts[2]);
  SALLYPORT_CHECK(CheckTransforms(reference[0]));
  SALLYPORT_CHECK(CheckAlgorithm(reference[1], kDigests));
  if (!Elements(reference[1]).empty()) return Bad("a method with contents");
  return {};
}

SecKey MakeKey(std::string_view spki) {
  if (!IsUsableKey(spki)) return nullptr;
  const auto* at = reinterpret_cast<const unsigned char*>(spki.data());
  EVP_PKEY* pkey = d2i_PUBKEY(nullptr, &at, long(spki.size()));
  xmlSecKeyDataPtr data = pkey == nullptr ? nullptr : xmlSecOpenSSLEvpKeyAdopt(pkey);
  if (data == nullptr) {
    EVP_PKEY_free(pkey);
    return nullptr;
  }
  SecKey key(xmlSecKeyCreate());
  if (!key || xmlSecKeySetValue(key.get(), data) != 0) {
    xmlSecKeyDataDestroy(data);
    return nullptr;
  }
  return key;
}

/// The allow-lists once more, as the library's own bounds.
bool Restrict(xmlSecDSigCtxPtr context) {
  context->flags |= XMLSEC_DSIG_FLAGS_STORE_SIGNEDINFO_REFERENCES;
  context->enabledReferenceUris = xmlSecTransformUriTypeSameDocument;
  for (const xmlSecTransformId id :
       {xmlSecTransformEnvelopedId, xmlSecTransformExclC14NId, xmlSecOpenSSLTransformSha256Id,
        xmlSecOpenSSLTransformSha384Id, xmlSecOpenSSLTransformSha512Id}) {
    if (xmlSecDSigCtxEnableReferenceTransform(context, id) != 0) return false;
  }
  for (const xmlSecTransformId id :
       {xmlSecTransformExclC14NId, xmlSecOpenSSLTransformRsaSha256Id,
        xmlSecOpenSSLTransformRsaSha384Id, xmlSecOpenSSLTransformRsaSha512Id,
        xmlSecOpenSSLTransformEcdsaSha256Id, xmlSecOpenSSLTransformEcdsaSha384Id,
        xmlSecOpenSSLTransformEcdsaSha512Id}) {
    if (xmlSecDSigCtxEnableSignatureTransform(context, id) != 0) return false;
  }
  return true;
}

/// The digested bytes if `key` made the signature; empty otherwise.
std::string Verify(xmlNode* signature, SecKey key) {
  const Context context(xmlSecDSigCtxCreate(nullptr));
  if (!context || !Restrict(context.get())) return {};
  context->signKey = key.release();
  const int done = xmlSecDSigCtxVerify(context.get(), signature);
  ERR_clear_error();
  if (done != 0 || context->status != xmlSecDSigStatusSucceeded) return {};
  if (xmlSecPtrListGetSize(&context->signedInfoReferences) != 1) return {};
  auto* reference = static_cast<xmlSecDSigReferenceCtxPtr>(
      xmlSecPtrListGetItem(&context->signedInfoReferences, 0));
  xmlSecBufferPtr digested = xmlSecDSigReferenceCtxGetPreDigestBuffer(reference);
  if (digested == nullptr) return {};
  return std::string(reinterpret_cast<const char*>(xmlSecBufferGetData(digested)),
                     xmlSecBufferGetSize(digested));
}

/// Makes the ID of `element`, and no other, one that a reference finds.
bool Announce(const DocPtr& doc, xmlNode* element) {
  xmlAttr* attribute = xmlHasProp(element, BAD_CAST "ID");
  if (attribute == nullptr) return false;
  const std::string id = Attribute(element, "ID");
  if (const xmlAttr* known = xmlGetID(doc.get(), BAD_CAST id.c_str())) return known == attribute;
  return xmlAddID(nullptr, doc.get(), BAD_CAST id.c_str(), attribute) != nullptr;
}

}  // namespace

bool SetUpXmlSecurity() {
  static const bool done = [] {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    xmlInitParser();
    xmlSetGenericErrorFunc(nullptr, QuietXml);
    xmlSecErrorsSetCallback(Quiet);
    unsigned char random[8];
    return xmlSecInit() >= 0 && xmlSecOpenSSLAppInit(nullptr) >= 0 && xmlSecOpenSSLInit() >= 0 &&
           RAND_bytes(random, sizeof random) == 1;
  }();
  return done;
}

Result<std::string> SignedBytes(const DocPtr& doc, xmlNode* element,
                                const std::vector<std::string>& keys) {
  if (!SetUpXmlSecurity()) return Fail(Errc::internal, "libxmlsec1 does not work");
  SALLYPORT_TRY(xmlNode * signature, TheOne(element, "Signature", kDsig));
  SALLYPORT_CHECK(CheckShape(element, signature));
  if (!Announce(doc, element)) return Bad("no usable ID");
  for (const std::string& spki : keys) {
    SecKey key = MakeKey(spki);
    if (!key) continue;
    std::string bytes = Verify(signature, std::move(key));
    if (!bytes.empty()) return bytes;
  }
  return Fail(Errc::token_signature_invalid,
              "the signature is by none of the keys in the provider's metadata, or something was "
              "changed after signing");
}

}  // namespace sallyport::saml
