#include "saml/request.h"

#include <gtest/gtest.h>

namespace sallyport::saml {
namespace {

const ServiceProvider kUs{.entity_id = "https://gate.test/login/saml/metadata?a&b",
                          .acs = "https://gate.test/login/saml/acs"};

Metadata Idp(std::string sso_url) {
  Metadata out;
  out.sso_url = std::move(sso_url);
  return out;
}

TEST(Request, GoesToTheProviderWithTheState) {
  const std::string url = RequestUrl(kUs, Idp("https://idp.test/sso"), "_1", 0, false, "st+te");
  EXPECT_TRUE(url.starts_with("https://idp.test/sso?SAMLRequest="));
  EXPECT_TRUE(url.ends_with("&RelayState=st%2Bte"));
  EXPECT_EQ(url.find_first_of("+/=", url.find("SAMLRequest=") + 12), url.find("=st%2B"));
  EXPECT_TRUE(RequestUrl(kUs, Idp("https://idp.test/sso?x=1"), "_1", 0, false, "s")
                  .starts_with("https://idp.test/sso?x=1&SAMLRequest="));
  EXPECT_NE(RequestUrl(kUs, Idp("https://idp.test/sso"), "_1", 0, true, "st+te"), url);
}

TEST(Request, MetadataIsEscaped) {
  const std::string xml = MetadataOf(kUs);
  EXPECT_NE(xml.find("entityID=\"https://gate.test/login/saml/metadata?a&amp;b\""), xml.npos);
  EXPECT_NE(xml.find("Location=\"https://gate.test/login/saml/acs\""), xml.npos);
}

}  // namespace
}  // namespace sallyport::saml
