#include "saml/metadata.h"

#include <algorithm>

#include "base/bytes.h"
#include "saml/key.h"
#include "saml/xml.h"

namespace sallyport::saml {
namespace {

constexpr std::string_view kRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
constexpr size_t kMostKeys = 8, kLongestUri = 1024, kLongestCertificate = 16 << 10;

std::unexpected<Error> Bad(std::string detail) {
  return Fail(Errc::token_malformed, std::move(detail));
}

/// Plain characters, https or loopback: a browser is sent there.
bool IsPlaceToGo(std::string_view url) {
  const bool plain =
      url.size() <= kLongestUri && std::ranges::all_of(url, [](uint8_t c) {
        return c > 0x20 && c < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\' && c != '#';
      });
  if (!plain) return false;
  if (url.starts_with("https://")) return url.size() > 8 && url[8] != '/';
  for (const std::string_view host : {"http://127.0.0.1", "http://localhost", "http://[::1]"}) {
    if (url.starts_with(host) && url.size() > host.size() &&
        (url[host.size()] == ':' || url[host.size()] == '/'))
      return url.find('@') == url.npos;
  }
  return false;
}

Result<> ReadKeys(const xmlNode* role, Metadata& out) {
  for (const xmlNode* descriptor : Elements(role, "KeyDescriptor", kMetadata)) {
    const std::string use = Attribute(descriptor, "use");
    if (!use.empty() && use != "signing") continue;
    for (const xmlNode* info : Elements(descriptor, "KeyInfo", kDsig)) {
      for (const xmlNode* data : Elements(info, "X509Data", kDsig)) {
        for (const xmlNode* certificate : Elements(data, "X509Certificate", kDsig)) {
          SALLYPORT_TRY(std::string text, TextOf(certificate, kLongestCertificate));
          std::erase_if(text,
                        [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; });
          const auto der = Base64Decode(text);
          std::string key = der ? KeyOfCertificate(AsText(*der)) : std::string();
          if (key.empty())
            return Fail(Errc::token_key_unknown,
                        "a certificate that cannot be read, or whose key is too weak (RSA from "
                        "2048 bits, ECDSA on P-256, P-384, P-521)");
          if (std::ranges::find(out.keys, key) == out.keys.end())
            out.keys.push_back(std::move(key));
          if (out.keys.size() > kMostKeys) return Bad("more than 8 signing certificates");
        }
      }
    }
  }
  if (out.keys.empty())
    return Fail(Errc::token_key_unknown, "no certificate for signing (KeyDescriptor)");
  return {};
}

Result<> CheckValidUntil(const xmlNode* node, Nanos now) {
  const std::string text = Attribute(node, "validUntil");
  if (text.empty()) return {};
  SALLYPORT_TRY(const Nanos until, TimeOf(text));
  if (until <= now) return Fail(Errc::token_expired, "validUntil is over: get it anew");
  return {};
}

}  // namespace

Result<Metadata> ReadMetadata(std::string_view xml, Nanos now) {
  if (xml.size() > kMostMetadata) return Bad("too large");
  while (!xml.empty() && (xml.front() == '\n' || xml.front() == '\r' || xml.front() == ' '))
    xml.remove_prefix(1);
  SALLYPORT_TRY(const DocPtr doc, ParseXml(xml, Strictness::metadata));
  const xmlNode* entity = xmlDocGetRootElement(doc.get());
  if (!Is(entity, "EntityDescriptor", kMetadata))
    return Bad("the root element is not EntityDescriptor: take the metadata of the one provider");
  Metadata out;
  out.entity_id = Attribute(entity, "entityID");
  if (out.entity_id.empty() || out.entity_id.size() > kLongestUri) return Bad("no entityID");
  SALLYPORT_CHECK(CheckValidUntil(entity, now));
  SALLYPORT_TRY(const xmlNode* role, TheOne(entity, "IDPSSODescriptor", kMetadata));
  SALLYPORT_CHECK(CheckValidUntil(role, now));
  const std::string protocols = " " + Attribute(role, "protocolSupportEnumeration") + " ";
  if (protocols.find(" " + std::string(kProtocol) + " ") == protocols.npos)
    return Bad("the provider does not speak SAML 2.0");
  const std::string wants = Attribute(role, "WantAuthnRequestsSigned");
  out.wants_signed_requests = wants == "true" || wants == "1";
  SALLYPORT_CHECK(ReadKeys(role, out));
  for (const xmlNode* service : Elements(role, "SingleSignOnService", kMetadata)) {
    if (Attribute(service, "Binding") != kRedirect || !out.sso_url.empty()) continue;
    out.sso_url = Attribute(service, "Location");
    if (!IsPlaceToGo(out.sso_url)) return Bad("SingleSignOnService is not an https address");
  }
  if (out.sso_url.empty()) return Bad("no SingleSignOnService with the redirect binding");
  for (const xmlNode* service : Elements(role, "SingleLogoutService", kMetadata)) {
    if (Attribute(service, "Binding") != kRedirect || !out.logout_url.empty()) continue;
    out.logout_url = Attribute(service, "Location");
    out.logout_answer_url = Attribute(service, "ResponseLocation");
    if (!IsPlaceToGo(out.logout_url) ||
        (!out.logout_answer_url.empty() && !IsPlaceToGo(out.logout_answer_url)))
      return Bad("SingleLogoutService is not an https address");
  }
  return out;
}

}  // namespace sallyport::saml
