#include "saml/redirect.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "saml/key.h"

namespace sallyport::saml {
namespace {

const Signer& Us() {
  static const std::shared_ptr<const Signer> made = *Signer::FromPem(Secret(Signer::NewPem()));
  return *made;
}

std::vector<std::string> Keys() {
  const auto der = Base64Decode(Us().certificate());
  return {"no key", KeyOfCertificate(AsText(*der))};
}

std::string QueryOf(const std::string& url) { return url.substr(url.find('?') + 1); }

Errc Refusal(const std::string& query) {
  const auto read = ReadRedirect(query, Keys());
  EXPECT_FALSE(read) << query;
  return read ? Errc::internal : read.error().code;
}

TEST(Redirect, WhatIsSignedIsRead) {
  const std::string url =
      RedirectUrl("https://idp.test/slo?x=1", Kind::response, "<a>ü</a>", "state &=+%", &Us());
  ASSERT_TRUE(url.starts_with("https://idp.test/slo?x=1&SAMLResponse="));
  const auto read = ReadRedirect(QueryOf(url), Keys());
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->kind, Kind::response);
  EXPECT_EQ(read->relay_state, "state &=+%");
  EXPECT_EQ(Inflate(read->deflated, 100).value_or(""), "<a>ü</a>");
}

TEST(Redirect, EveryChangeIsSeen) {
  const std::string query =
      QueryOf(RedirectUrl("https://idp.test/slo", Kind::request, "<a/>", "state", &Us()));
  EXPECT_TRUE(ReadRedirect(query, Keys()));
  for (size_t i = 0; i < query.size(); ++i) {
    std::string other = query;
    other[i] = other[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(ReadRedirect(other, Keys())) << other;
  }
  const std::string relay = "&RelayState=state";
  std::string without = query;
  without.erase(without.find(relay), relay.size());
  EXPECT_EQ(Refusal(without), Errc::token_signature_invalid);
  EXPECT_EQ(Refusal(query + relay), Errc::token_malformed);
  EXPECT_EQ(Refusal(query + "&SAMLRequest=x"), Errc::token_malformed);
  EXPECT_EQ(Refusal(query + "&SAMLResponse=x"), Errc::token_malformed);
  EXPECT_EQ(Refusal(query + "&%53AMLRequest=x&SAMLRequest"), Errc::token_malformed);
  EXPECT_EQ(Refusal(query.substr(0, query.find("&SigAlg"))), Errc::token_signature_invalid);
  EXPECT_EQ(Refusal("RelayState=x"), Errc::token_malformed);
  const auto foreign = ReadRedirect(query, {"no key"});
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Errc::token_signature_invalid);
}

TEST(Redirect, OnlyStrongAlgorithms) {
  std::string query =
      QueryOf(RedirectUrl("https://idp.test/slo", Kind::request, "<a/>", "", &Us()));
  const size_t at = query.find("rsa-sha256");
  ASSERT_NE(at, query.npos);
  query.replace(at, 10, "rsa-sha1");
  EXPECT_EQ(Refusal(query), Errc::token_alg_refused);
}

TEST(Redirect, ABombIsNotUnpacked) {
  const std::string url =
      RedirectUrl("https://idp.test/slo", Kind::request, std::string(1 << 20, ' '), "", &Us());
  const auto read = ReadRedirect(QueryOf(url), Keys());
  ASSERT_TRUE(read);
  EXPECT_FALSE(Inflate(read->deflated, 64 << 10));
  EXPECT_FALSE(Inflate("no deflate", 100));
  EXPECT_FALSE(Inflate(read->deflated + "x", 2 << 20));
}

}  // namespace
}  // namespace sallyport::saml
