#include "saml/request.h"

#include "base/bytes.h"
#include "saml/redirect.h"

namespace sallyport::saml {
namespace {

std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string Opening(std::string_view name, const ServiceProvider& us, std::string_view id,
                    Nanos now, std::string_view to, const std::string& attributes) {
  return "<samlp:" + std::string(name) +
         " xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" "
         "xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"" +
         std::string(id) + "\" Version=\"2.0\" IssueInstant=\"" + FormatUtc(now).substr(0, 19) +
         "Z\" Destination=\"" + Escape(to) + "\"" + attributes + "><saml:Issuer>" +
         Escape(us.entity_id) + "</saml:Issuer>";
}

std::string AttributeOf(std::string_view name, std::string_view value) {
  if (value.empty()) return {};
  return " " + std::string(name) + "=\"" + Escape(value) + "\"";
}

std::string LogoutServices(const ServiceProvider& us) {
  std::string out;
  if (us.logout.empty()) return out;
  for (const char* binding : {"HTTP-Redirect", "HTTP-POST"})
    out += "    <md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:" +
           std::string(binding) + "\" Location=\"" + Escape(us.logout) + "\"/>\n";
  return out;
}

std::string KeyOf(const ServiceProvider& us) {
  if (us.signer == nullptr) return {};
  return "    <md:KeyDescriptor use=\"signing\">"
         "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>"
         "<ds:X509Certificate>" +
         us.signer->certificate() +
         "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>\n";
}

}  // namespace

std::string MetadataOf(const ServiceProvider& us) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
         "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"" +
         Escape(us.entity_id) +
         "\">\n"
         "  <md:SPSSODescriptor WantAssertionsSigned=\"true\" "
         "protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\n" +
         KeyOf(us) + LogoutServices(us) +
         "    <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
         "</md:NameIDFormat>\n"
         "    <md:AssertionConsumerService "
         "Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"" +
         Escape(us.acs) +
         "\" index=\"0\" isDefault=\"true\"/>\n"
         "  </md:SPSSODescriptor>\n"
         "</md:EntityDescriptor>\n";
}

std::string RequestUrl(const ServiceProvider& us, const Metadata& idp, std::string_view id,
                       Nanos now, bool fresh, std::string_view relay_state) {
  const std::string xml =
      Opening("AuthnRequest", us, id, now, idp.sso_url,
              AttributeOf("AssertionConsumerServiceURL", us.acs) +
                  " ProtocolBinding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\"" +
                  (fresh ? " ForceAuthn=\"true\"" : "")) +
      "<samlp:NameIDPolicy AllowCreate=\"true\"/></samlp:AuthnRequest>";
  return RedirectUrl(idp.sso_url, Kind::request, xml, relay_state,
                     idp.wants_signed_requests ? us.signer : nullptr);
}

std::string LogoutUrl(const ServiceProvider& us, const Metadata& idp, std::string_view id,
                      Nanos now, const NameId& who, std::string_view session_index) {
  std::string xml = Opening("LogoutRequest", us, id, now, idp.logout_url, "") + "<saml:NameID" +
                    AttributeOf("NameQualifier", who.qualifier) +
                    AttributeOf("SPNameQualifier", who.sp_qualifier) +
                    AttributeOf("Format", who.format) + ">" + Escape(who.value) + "</saml:NameID>";
  if (!session_index.empty())
    xml += "<samlp:SessionIndex>" + Escape(session_index) + "</samlp:SessionIndex>";
  return RedirectUrl(idp.logout_url, Kind::request, xml + "</samlp:LogoutRequest>", {}, us.signer);
}

std::string LogoutAnswerUrl(const ServiceProvider& us, const Metadata& idp, std::string_view id,
                            Nanos now, std::string_view request_id, std::string_view relay_state) {
  const std::string& to = idp.logout_answer_url.empty() ? idp.logout_url : idp.logout_answer_url;
  const std::string xml =
      Opening("LogoutResponse", us, id, now, to, AttributeOf("InResponseTo", request_id)) +
      "<samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/>"
      "</samlp:Status></samlp:LogoutResponse>";
  return RedirectUrl(to, Kind::response, xml, relay_state, us.signer);
}

}  // namespace sallyport::saml
