#include "saml/request.h"

#include <algorithm>
#include <zlib.h>

#include "base/bytes.h"

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

/// Raw DEFLATE (RFC 1951) of a small text.
std::string Deflate(const std::string& text) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return {};
  std::string out(deflateBound(&stream, text.size()), '\0');
  std::string in = text;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = uInt(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  const int done = deflate(&stream, Z_FINISH);
  out.resize(done == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return out;
}

std::string Percent(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[uint8_t(c) >> 4];
      out += kHex[uint8_t(c) & 15];
    }
  }
  return out;
}

}  // namespace

std::string MetadataOf(const ServiceProvider& us) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
         "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"" +
         Escape(us.entity_id) +
         "\">\n"
         "  <md:SPSSODescriptor AuthnRequestsSigned=\"false\" WantAssertionsSigned=\"true\" "
         "protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\n"
         "    <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
         "</md:NameIDFormat>\n"
         "    <md:AssertionConsumerService "
         "Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"" +
         Escape(us.acs) +
         "\" index=\"0\" isDefault=\"true\"/>\n"
         "  </md:SPSSODescriptor>\n"
         "</md:EntityDescriptor>\n";
}

std::string RequestUrl(const ServiceProvider& us, std::string_view sso_url, std::string_view id,
                       Nanos now, bool fresh, std::string_view relay_state) {
  const std::string xml =
      "<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" "
      "xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"" +
      std::string(id) + "\" Version=\"2.0\" IssueInstant=\"" + FormatUtc(now).substr(0, 19) +
      "Z\" Destination=\"" + Escape(sso_url) + "\" AssertionConsumerServiceURL=\"" +
      Escape(us.acs) + "\" ProtocolBinding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\"" +
      (fresh ? " ForceAuthn=\"true\"" : "") + "><saml:Issuer>" + Escape(us.entity_id) +
      "</saml:Issuer><samlp:NameIDPolicy AllowCreate=\"true\"/></samlp:AuthnRequest>";
  std::string url(sso_url);
  url += url.find('?') == url.npos ? "?" : "&";
  url += "SAMLRequest=" + Percent(Base64Encode(AsBytes(Deflate(xml))));
  url += "&RelayState=" + Percent(relay_state);
  return url;
}

}  // namespace sallyport::saml
