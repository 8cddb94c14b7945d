#include "saml/logout.h"

#include "saml/signature.h"
#include "saml/xml.h"

namespace sallyport::saml {
namespace {

constexpr std::string_view kSuccess = "urn:oasis:names:tc:SAML:2.0:status:Success";
constexpr size_t kLongestName = 255, kLongestUri = 1024, kMostSessions = 100;
constexpr std::chrono::minutes kSentWithin{5};

std::unexpected<Error> Bad(std::string detail) {
  return Fail(Errc::token_malformed, std::move(detail));
}

Nanos InNanos(std::chrono::nanoseconds time) { return time.count(); }

Result<> CheckTimes(const xmlNode* root, const LogoutExpected& expected) {
  const Nanos skew = InNanos(expected.skew);
  SALLYPORT_TRY(const Nanos sent, TimeOf(Attribute(root, "IssueInstant")));
  if (sent > expected.now + skew)
    return Fail(Errc::token_not_yet_valid, "issued in the future; compare the clocks");
  if (sent < expected.now - InNanos(kSentWithin) - skew)
    return Fail(Errc::token_expired, "the message is older than five minutes");
  if (const std::string text = Attribute(root, "NotOnOrAfter"); !text.empty()) {
    SALLYPORT_TRY(const Nanos until, TimeOf(text));
    if (until <= expected.now - skew) return Fail(Errc::token_expired, "the message is too old");
  }
  return {};
}

Result<> CheckFrame(const xmlNode* root, const LogoutExpected& expected) {
  if (Attribute(root, "Version") != "2.0") return Bad("another version than SAML 2.0");
  if (!IsPlainId(Attribute(root, "ID"))) return Bad("no usable ID");
  if (Attribute(root, "Destination") != expected.destination)
    return Fail(Errc::token_audience_wrong, "the message is meant for another address");
  SALLYPORT_TRY(const xmlNode* issuer, TheOne(root, "Issuer", kSaml));
  SALLYPORT_TRY(const std::string name, TextOf(issuer, kLongestUri));
  if (name != expected.issuer) return Fail(Errc::token_issuer_unknown, "from another provider");
  return CheckTimes(root, expected);
}

Result<Logout> ReadRequest(const xmlNode* root) {
  SALLYPORT_CHECK(
      OnlyThese(root, kProtocol, {"Issuer", "Signature", "Extensions", "NameID", "SessionIndex"}));
  Logout out{.request = true, .id = Attribute(root, "ID")};
  SALLYPORT_TRY(const xmlNode* name, TheOne(root, "NameID", kSaml));
  SALLYPORT_TRY(out.name_id, TextOf(name, kLongestName));
  if (out.name_id.empty()) return Bad("an empty NameID");
  for (const xmlNode* session : Elements(root, "SessionIndex", kProtocol)) {
    SALLYPORT_TRY(std::string index, TextOf(session, kLongestName));
    if (index.empty() || out.sessions.size() == kMostSessions) return Bad("SessionIndex");
    out.sessions.push_back(std::move(index));
  }
  return out;
}

Result<Logout> ReadAnswer(const xmlNode* root) {
  SALLYPORT_CHECK(OnlyThese(root, kProtocol, {"Issuer", "Signature", "Extensions", "Status"}));
  Logout out{.id = Attribute(root, "ID"), .in_response_to = Attribute(root, "InResponseTo")};
  SALLYPORT_TRY(const xmlNode* status, TheOne(root, "Status", kProtocol));
  SALLYPORT_TRY(const xmlNode* code, TheOne(status, "StatusCode", kProtocol));
  // A second-level code says that some service did not take part.
  out.success = Attribute(code, "Value") == kSuccess && Elements(code).empty();
  return out;
}

}  // namespace

Result<Logout> ReadLogout(std::string_view xml, const LogoutExpected& expected) {
  if (xml.size() > kMostLogout) return Bad("too large");
  if (expected.issuer.empty() || expected.destination.empty())
    return Fail(Errc::internal, "nothing to compare the message with");
  SALLYPORT_TRY(DocPtr doc, ParseXml(xml));
  if (!expected.signed_beside) {
    xmlNode* root = xmlDocGetRootElement(doc.get());
    if (Count(root, "Signature", kDsig) != 1) return Bad("not one signature");
    SALLYPORT_TRY(const std::string bytes, SignedBytes(doc, root, expected.keys));
    SALLYPORT_TRY(doc, ParseXml(bytes));
  } else if (Count(xmlDocGetRootElement(doc.get()), "Signature", kDsig) != 0) {
    return Bad("a second signature");
  }
  const xmlNode* root = xmlDocGetRootElement(doc.get());
  SALLYPORT_CHECK(CheckFrame(root, expected));
  if (Is(root, "LogoutRequest", kProtocol)) return ReadRequest(root);
  if (Is(root, "LogoutResponse", kProtocol)) return ReadAnswer(root);
  return Bad("not a message of single logout");
}

}  // namespace sallyport::saml
