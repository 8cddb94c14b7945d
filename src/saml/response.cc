#include "saml/response.h"

#include <algorithm>
#include <array>

#include "saml/signature.h"
#include "saml/xml.h"

namespace sallyport::saml {
namespace {

constexpr std::string_view kBearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
constexpr std::string_view kSuccess = "urn:oasis:names:tc:SAML:2.0:status:Success";
constexpr std::string_view kTransient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
constexpr size_t kLongestName = 255, kLongestUri = 1024, kLongestValue = 2048;
constexpr size_t kMostValues = 5000;

std::unexpected<Error> Bad(std::string detail) {
  return Fail(Errc::token_malformed, std::move(detail));
}

class Check {
 public:
  explicit Check(const Expected& expected)
      : expected_(expected), skew_(std::chrono::nanoseconds(expected.skew).count()) {}

  Result<Assertion> Run(std::string_view xml) {
    SALLYPORT_TRY(const DocPtr doc, ParseXml(xml));
    xmlNode* response = xmlDocGetRootElement(doc.get());
    if (!Is(response, "Response", kProtocol)) return Bad("not a Response");
    SALLYPORT_CHECK(OnlyThese(response, kProtocol, {"Issuer", "Signature", "Status", "Assertion"}));
    SALLYPORT_CHECK(CheckStatus(response));
    SALLYPORT_TRY(xmlNode * assertion, TheOne(response, "Assertion", kSaml));
    if (Count(response, "Assertion", kSaml) != 1) return Bad("more than one Assertion");
    const bool whole = !Elements(response, "Signature", kDsig).empty();
    const bool part = !Elements(assertion, "Signature", kDsig).empty();
    if (Count(response, "Signature", kDsig) != size_t(whole) + size_t(part))
      return Bad("a signature in an unexpected place");
    if (!whole && !part) return Fail(Errc::token_signature_invalid, "nothing is signed");

    std::string response_bytes, assertion_bytes;
    if (whole) {
      SALLYPORT_TRY(response_bytes, SignedBytes(doc, response, expected_.keys));
    }
    if (part) {
      SALLYPORT_TRY(assertion_bytes, SignedBytes(doc, assertion, expected_.keys));
    }
    return ReadSigned(response, response_bytes, assertion_bytes);
  }

 private:
  /// From here on only what was signed is read; what the response says beside it can make the
  /// verdict worse only.
  Result<Assertion> ReadSigned(const xmlNode* unsigned_response, const std::string& response_bytes,
                               const std::string& assertion_bytes) {
    DocPtr whole, part;
    if (!response_bytes.empty()) {
      SALLYPORT_TRY(whole, ParseXml(response_bytes));
    }
    const xmlNode* response = whole ? xmlDocGetRootElement(whole.get()) : unsigned_response;
    if (!Is(response, "Response", kProtocol)) return Bad("not a Response");
    SALLYPORT_CHECK(CheckStatus(response));
    SALLYPORT_CHECK(CheckResponse(response));
    const xmlNode* assertion = nullptr;
    if (!assertion_bytes.empty()) {
      SALLYPORT_TRY(part, ParseXml(assertion_bytes));
      assertion = xmlDocGetRootElement(part.get());
    } else {
      SALLYPORT_TRY(assertion, TheOne(response, "Assertion", kSaml));
    }
    if (!Is(assertion, "Assertion", kSaml)) return Bad("not an Assertion");
    return ReadAssertion(assertion);
  }

  Result<> CheckStatus(const xmlNode* response) {
    SALLYPORT_TRY(const xmlNode* status, TheOne(response, "Status", kProtocol));
    SALLYPORT_TRY(const xmlNode* code, TheOne(status, "StatusCode", kProtocol));
    if (Attribute(code, "Value") != kSuccess)
      return Fail(Errc::cancelled, "The identity provider refused the login.");
    return {};
  }

  Result<> CheckIssuer(const xmlNode* issuer) {
    SALLYPORT_TRY(const std::string name, TextOf(issuer, kLongestUri));
    const std::string format = Attribute(issuer, "Format");
    if (name != expected_.issuer ||
        (!format.empty() && format != "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"))
      return Fail(Errc::token_issuer_unknown, "Another provider has answered.");
    return {};
  }

  Result<> CheckRequest(const std::string& in_response_to) {
    if (in_response_to.empty())
      return Fail(Errc::state_invalid,
                  "The provider's answer belongs to no request: logins begin here, not there.");
    if (in_response_to != expected_.request_id)
      return Fail(Errc::state_invalid, "The provider has answered another request.");
    return {};
  }

  Result<> CheckResponse(const xmlNode* response) {
    if (Attribute(response, "Version") != "2.0") return Bad("another version than SAML 2.0");
    SALLYPORT_CHECK(CheckRequest(Attribute(response, "InResponseTo")));
    if (Attribute(response, "Destination") != expected_.acs)
      return Fail(Errc::token_audience_wrong, "The answer is meant for another address.");
    const auto issuers = Elements(response, "Issuer", kSaml);
    if (issuers.size() > 1) return Bad("more than one Issuer");
    if (!issuers.empty()) SALLYPORT_CHECK(CheckIssuer(issuers[0]));
    return CheckInstant(response, "IssueInstant");
  }

  /// A required time that must not be in the future.
  Result<> CheckInstant(const xmlNode* node, std::string_view name) {
    SALLYPORT_TRY(const Nanos at, TimeOf(Attribute(node, name)));
    if (at > expected_.now + skew_)
      return Fail(Errc::token_not_yet_valid, "issued in the future; compare the clocks");
    return {};
  }

  Result<> CheckWindow(const xmlNode* node) {
    if (const std::string text = Attribute(node, "NotBefore"); !text.empty()) {
      SALLYPORT_TRY(const Nanos from, TimeOf(text));
      if (from > expected_.now + skew_)
        return Fail(Errc::token_not_yet_valid, "not valid yet; compare the clocks");
    }
    if (const std::string text = Attribute(node, "NotOnOrAfter"); !text.empty()) {
      SALLYPORT_TRY(const Nanos until, TimeOf(text));
      SALLYPORT_CHECK(CheckUntil(until));
    }
    return {};
  }

  Result<> CheckUntil(Nanos until) {
    if (until <= expected_.now - skew_)
      return Fail(Errc::token_expired, "the answer is too old; sign in again");
    return {};
  }

  Result<Assertion> ReadAssertion(const xmlNode* node) {
    SALLYPORT_CHECK(OnlyThese(
        node, kSaml,
        {"Issuer", "Signature", "Subject", "Conditions", "AuthnStatement", "AttributeStatement"}));
    if (Attribute(node, "Version") != "2.0") return Bad("another version than SAML 2.0");
    Assertion out;
    out.id = Attribute(node, "ID");
    if (!IsPlainId(out.id)) return Bad("no usable ID");
    SALLYPORT_CHECK(CheckInstant(node, "IssueInstant"));
    SALLYPORT_TRY(const xmlNode* issuer, TheOne(node, "Issuer", kSaml));
    SALLYPORT_CHECK(CheckIssuer(issuer));
    out.issuer = expected_.issuer;
    SALLYPORT_TRY(const xmlNode* conditions, TheOne(node, "Conditions", kSaml));
    SALLYPORT_CHECK(CheckConditions(conditions));
    SALLYPORT_TRY(const xmlNode* subject, TheOne(node, "Subject", kSaml));
    SALLYPORT_CHECK(ReadSubject(subject, out));
    SALLYPORT_TRY(const xmlNode* authentication, TheOne(node, "AuthnStatement", kSaml));
    SALLYPORT_CHECK(ReadAuthentication(authentication, out));
    SALLYPORT_CHECK(ReadAttributes(node, out));
    return out;
  }

  Result<> CheckConditions(const xmlNode* conditions) {
    SALLYPORT_CHECK(
        OnlyThese(conditions, kSaml, {"AudienceRestriction", "OneTimeUse", "ProxyRestriction"}));
    SALLYPORT_CHECK(CheckWindow(conditions));
    const auto restrictions = Elements(conditions, "AudienceRestriction", kSaml);
    if (restrictions.empty())
      return Fail(Errc::token_audience_wrong, "the assertion names no audience");
    for (const xmlNode* restriction : restrictions) {
      bool ours = false;
      for (const xmlNode* audience : Elements(restriction, "Audience", kSaml)) {
        SALLYPORT_TRY(const std::string name, TextOf(audience, kLongestUri));
        ours = ours || name == expected_.audience;
      }
      if (!ours)
        return Fail(Errc::token_audience_wrong, "The assertion is meant for another service.");
    }
    return {};
  }

  Result<> ReadSubject(const xmlNode* subject, Assertion& out) {
    SALLYPORT_CHECK(OnlyThese(subject, kSaml, {"NameID", "SubjectConfirmation"}));
    SALLYPORT_TRY(const xmlNode* name, TheOne(subject, "NameID", kSaml));
    SALLYPORT_TRY(out.name_id.value, TextOf(name, kLongestName));
    out.name_id.format = Attribute(name, "Format");
    out.name_id.qualifier = Attribute(name, "NameQualifier");
    out.name_id.sp_qualifier = Attribute(name, "SPNameQualifier");
    const auto edge = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    const std::string& value = out.name_id.value;
    if (value.empty() || edge(value.front()) || edge(value.back()))
      return Fail(Errc::token_claims_invalid, "the NameID is empty, or has blanks around it");
    if (out.name_id.format == kTransient)
      return Fail(Errc::token_claims_invalid,
                  "the NameID is transient: nobody could be known again by it; have the provider "
                  "send a persistent one");
    const std::string& for_whom = out.name_id.sp_qualifier;
    if (!for_whom.empty() && for_whom != expected_.audience)
      return Fail(Errc::token_audience_wrong, "the NameID is that of another service");
    return CheckConfirmation(subject, out);
  }

  /// One bearer confirmation that is for this request, here and now (saml-profiles 4.1.4.2).
  Result<> CheckConfirmation(const xmlNode* subject, Assertion& out) {
    SALLYPORT_TRY(const xmlNode* confirmation, TheOne(subject, "SubjectConfirmation", kSaml));
    if (Attribute(confirmation, "Method") != kBearer) return Bad("no bearer confirmation");
    SALLYPORT_TRY(const xmlNode* data, TheOne(confirmation, "SubjectConfirmationData", kSaml));
    if (Attribute(data, "Recipient") != expected_.acs)
      return Fail(Errc::token_audience_wrong, "The assertion is meant for another address.");
    SALLYPORT_CHECK(CheckRequest(Attribute(data, "InResponseTo")));
    if (!Attribute(data, "NotBefore").empty()) return Bad("NotBefore in a bearer confirmation");
    SALLYPORT_TRY(const Nanos until, TimeOf(Attribute(data, "NotOnOrAfter")));
    SALLYPORT_CHECK(CheckUntil(until));
    out.until = until + skew_;
    return {};
  }

  Result<> ReadAuthentication(const xmlNode* statement, Assertion& out) {
    SALLYPORT_CHECK(CheckInstant(statement, "AuthnInstant"));
    SALLYPORT_TRY(out.authenticated_at, TimeOf(Attribute(statement, "AuthnInstant")));
    out.session_index = Attribute(statement, "SessionIndex");
    if (out.session_index.size() > kLongestName) return Bad("SessionIndex is too long");
    if (const std::string text = Attribute(statement, "SessionNotOnOrAfter"); !text.empty()) {
      SALLYPORT_TRY(out.session_until, TimeOf(text));
      SALLYPORT_CHECK(CheckUntil(out.session_until));
    }
    SALLYPORT_TRY(const xmlNode* context, TheOne(statement, "AuthnContext", kSaml));
    const auto classes = Elements(context, "AuthnContextClassRef", kSaml);
    if (classes.size() > 1) return Bad("more than one AuthnContextClassRef");
    if (!classes.empty()) {
      SALLYPORT_TRY(out.context, TextOf(classes[0], kLongestUri));
    }
    return {};
  }

  Result<> ReadAttributes(const xmlNode* assertion, Assertion& out) {
    size_t values = 0;
    for (const xmlNode* statement : Elements(assertion, "AttributeStatement", kSaml)) {
      for (const xmlNode* attribute : Elements(statement)) {
        if (!Is(attribute, "Attribute", kSaml))
          return Bad(Named(attribute) + " in AttributeStatement");
        const std::string name = Attribute(attribute, "Name");
        if (name.empty() || name.size() > kLongestUri) return Bad("an attribute without a name");
        if (out.attributes.contains(name)) return Bad("an attribute occurs twice");
        auto& list = out.attributes[name];
        for (const xmlNode* value : Elements(attribute)) {
          if (!Is(value, "AttributeValue", kSaml)) return Bad(Named(value) + " in Attribute");
          if (!Elements(value).empty()) continue;  // structured: nothing that is asked for
          if (++values > kMostValues) return Bad("too many attribute values");
          SALLYPORT_TRY(std::string text, TextOf(value, kLongestValue));
          list.push_back(std::move(text));
        }
      }
    }
    return {};
  }

  const Expected& expected_;
  const Nanos skew_;
};

}  // namespace

Result<Assertion> VerifyResponse(std::string_view xml, const Expected& expected) {
  if (xml.size() > kMostResponse) return Bad("too large");
  if (expected.issuer.empty() || expected.request_id.empty() || expected.acs.empty() ||
      expected.audience.empty())
    return Fail(Errc::internal, "nothing to compare the response with");
  return Check(expected).Run(xml);
}

}  // namespace sallyport::saml
