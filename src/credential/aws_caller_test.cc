#include "credential/aws_caller.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <random>

#include "json/document.h"

namespace sallyport::credential {
namespace {

bool Fits(std::string_view text, std::string_view more, size_t most) {
  return text.size() >= 2 && text.size() <= most && std::ranges::all_of(text, [&](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  more.contains(c);
         });
}

op::Principal Ana() {
  return {.issuer = "https://idp", .subject = "248", .name = "ana@example.com", .provider = "corp"};
}

TEST(NameAtAws, IsForPeopleToRead) {
  const AwsName name = NameAtAws(Ana());
  EXPECT_EQ(name.source, "corp,248");
  EXPECT_EQ(name.person, "corp:248");
  EXPECT_TRUE(name.session.starts_with("ana@example.com,")) << name.session;
  op::Principal agent = Ana();
  agent.agent = "agent-refunds";
  EXPECT_TRUE(NameAtAws(agent).session.starts_with("agent-refunds,"));
  EXPECT_EQ(NameAtAws(agent).source, name.source);
}

TEST(NameAtAws, ANameThatSomebodyChoseIsNotSomebodyElse) {
  op::Principal other = Ana();
  other.subject = "249";
  EXPECT_NE(NameAtAws(Ana()).session, NameAtAws(other).session);
  // Long names that differ where they are cut, and subjects that look like cut ones.
  op::Principal a = Ana(), b = Ana();
  a.subject = std::string(300, 'x') + "1", b.subject = std::string(300, 'x') + "2";
  EXPECT_NE(NameAtAws(a).source, NameAtAws(b).source);
  EXPECT_NE(NameAtAws(a).person, NameAtAws(b).person);
  b.subject = NameAtAws(a).source.substr(5);
  EXPECT_NE(NameAtAws(a).source, NameAtAws(b).source);
  // What stands between the parts cannot be faked by one of them.
  a = Ana(), b = Ana();
  a.provider = "c", a.subject = "d,e";
  b.provider = "c,d", b.subject = "e";
  EXPECT_NE(NameAtAws(a).source, NameAtAws(b).source);
  EXPECT_NE(NameAtAws(a).person, NameAtAws(b).person);
  a.provider = b.provider = "c";
  a.subject = "x|y", b.subject = "x=7Cy";
  EXPECT_NE(NameAtAws(a).source, NameAtAws(b).source);
}

TEST(NameAtAws, IsAlwaysTakenAndNeverShared) {
  std::mt19937 random(7);
  const std::string letters = "aZ0|/:=+,@. -_\x01\xc3\xa9";
  const auto text = [&](size_t most) {
    std::string out;
    for (size_t i = random() % most; i > 0; --i) out += letters[random() % letters.size()];
    return out;
  };
  std::map<std::string, std::string> sessions, sources, persons;
  for (int i = 0; i < 20'000; ++i) {
    op::Principal who = Ana();
    who.subject = "s" + text(i % 2 == 0 ? 4 : 90), who.name = text(80);
    const AwsName name = NameAtAws(who);
    ASSERT_TRUE(Fits(name.session, "_+=,.@-", 64)) << name.session;
    ASSERT_TRUE(Fits(name.source, "_+=,.@-", 64)) << name.source;
    ASSERT_TRUE(Fits(name.person, " _.:/=+-@", 256)) << name.person;
    for (auto& [seen, value] :
         {std::pair(&sessions, name.session), std::pair(&sources, name.source),
          std::pair(&persons, name.person)}) {
      const auto [at, fresh] = seen->try_emplace(value, who.subject);
      ASSERT_EQ(at->second, who.subject) << value;
    }
  }
}

TEST(ClaimsForAws, AreTagsAndSourceIdentity) {
  op::Principal who = Ana();
  who.session = "u_1";
  const std::string claims = ClaimsOf(who, "https://gate", {.audience = "sts"}, 0,
                                      {.more = ClaimsForAws(who, NameAtAws(who))});
  const auto doc = json::Document::Parse(claims);
  ASSERT_TRUE(doc) << claims;
  const auto tags = doc->root()["https://aws.amazon.com/tags"];
  EXPECT_EQ(tags["principal_tags"]["sallyport:person"].at(0).string(), "corp:248");
  EXPECT_EQ(tags["principal_tags"]["sallyport:session"].at(0).string(), "u_1");
  EXPECT_FALSE(tags["principal_tags"]["sallyport:agent"]);
  EXPECT_EQ(tags["transitive_tag_keys"].at(0).string(), "sallyport:person");
  EXPECT_EQ(doc->root()["https://aws.amazon.com/source_identity"].string(), "corp,248");
}

}  // namespace
}  // namespace sallyport::credential
