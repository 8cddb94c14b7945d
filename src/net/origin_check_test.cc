#include "net/origin_check.h"

#include <gtest/gtest.h>

namespace sallyport::net {
namespace {

Errc Code(const OriginCheck& check, const Headers& headers) {
  const auto checked = check.Check(headers);
  return checked ? Errc::not_found : checked.error().code;  // not_found stands for "accepted"
}

TEST(OriginCheck, PublicName) {
  const OriginCheck check("https://gate.example.com", {}, {"https://console.example.com"});
  EXPECT_EQ(Code(check, {{"Host", "gate.example.com"}}), Errc::not_found);
  EXPECT_EQ(Code(check, {{"Host", "GATE.example.com:443"}}), Errc::not_found);
  EXPECT_EQ(Code(check, {{"Host", "gate.example.com"}, {"Origin", "https://gate.example.com"}}),
            Errc::not_found);
  EXPECT_EQ(Code(check, {{"Host", "gate.example.com"}, {"Origin", "https://console.example.com"}}),
            Errc::not_found);
  EXPECT_EQ(Code(check, {{"Host", "gate.example.com"}, {"Origin", "http://gate.example.com"}}),
            Errc::origin_refused);
  EXPECT_EQ(Code(check, {{"Host", "gate.example.com"}, {"Origin", "null"}}), Errc::origin_refused);
  EXPECT_EQ(
      Code(check, {{"Host", "gate.example.com"}, {"Origin", "https://gate.example.com.evil.test"}}),
      Errc::origin_refused);
  EXPECT_EQ(Code(check, {{"Host", "evil.test"}}), Errc::host_refused);
  EXPECT_EQ(Code(check, {{"Host", "localhost"}}), Errc::host_refused);
  EXPECT_EQ(Code(check, {}), Errc::host_refused);
  EXPECT_EQ(Code(check, {{"Host", "gate.example.com"}, {"Host", "gate.example.com"}}),
            Errc::request_malformed);
  EXPECT_EQ(Code(check, {{"Host", "gate.example.com"},
                         {"Origin", "null"},
                         {"Origin", "https://gate.example.com"}}),
            Errc::request_malformed);
}

TEST(OriginCheck, OnlyWhatIsListedIsSharedWith) {
  const OriginCheck check("https://gate.example.com", {},
                          {"https://Desk.example.com:443", "http://localhost:6274"});
  const auto listed = [&](const char* origin) {
    const std::string* found = check.Listed({{"Host", "gate.example.com"}, {"Origin", origin}});
    return found == nullptr ? std::string("no") : *found;
  };
  EXPECT_EQ(listed("https://desk.example.com"), "https://desk.example.com");
  EXPECT_EQ(listed("http://localhost:6274"), "http://localhost:6274");
  for (const char* other :
       {"https://gate.example.com", "null", "*", "", "http://desk.example.com",
        "https://desk.example.com.evil.test", "https://desk.example.com:444", "http://localhost",
        "https://evil.test/https://desk.example.com", "https://desk.example.com/"}) {
    EXPECT_EQ(listed(other), "no") << other;
  }
  EXPECT_EQ(check.Listed({{"Host", "gate.example.com"}}), nullptr);
}

TEST(OriginCheck, LoopbackHasSeveralNamesAndOnePort) {
  const OriginCheck check("http://127.0.0.1:8080", {}, {});
  for (const std::string host : {"127.0.0.1:8080", "localhost:8080", "[::1]:8080"}) {
    EXPECT_EQ(Code(check, {{"Host", host}, {"Origin", "http://" + host}}), Errc::not_found) << host;
  }
  EXPECT_EQ(Code(check, {{"Host", "127.0.0.1:8081"}}), Errc::host_refused);
  EXPECT_EQ(Code(check, {{"Host", "localhost"}}), Errc::host_refused);
}

}  // namespace
}  // namespace sallyport::net
