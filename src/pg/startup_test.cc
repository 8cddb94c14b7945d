#include "pg/startup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pg/frame.h"

namespace sallyport::pg {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

std::string Packet(uint32_t code, std::string_view body = {}) {
  std::string out;
  MessageWriter(out).Begin(0).U32(code).Bytes(body).End();
  return out;
}

std::string Startup3(const std::vector<std::pair<std::string, std::string>>& pairs,
                     uint32_t minor = 0) {
  std::string body;
  for (const auto& [name, value] : pairs) body += name + '\0' + value + '\0';
  return Packet(3 << 16 | minor, body + '\0');
}

StartupRequest Good(const std::string& packet) {
  auto parsed = ParseFirstPacket(packet);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? std::get<StartupRequest>(std::move(*parsed)) : StartupRequest{};
}

/// "SQLSTATE message"
std::string Bad(const std::string& packet) {
  auto parsed = ParseFirstPacket(packet);
  return parsed ? "accepted" : parsed.error().sqlstate + (" " + parsed.error().message);
}

TEST(StartupTest, NamesAndSettings) {
  const StartupRequest request = Good(Startup3({{"user", "ana"},
                                                {"database", "orders-db"},
                                                {"application_name", "psql\n\xc3\xa4"},
                                                {"options", "-c statement_timeout=5s"},
                                                {"DateStyle", "ISO"}}));
  EXPECT_EQ(request.startup.user, "ana");
  EXPECT_EQ(request.startup.database, "orders-db");
  EXPECT_EQ(request.startup.application_name, "psql???");
  EXPECT_THAT(request.startup.parameters,
              ElementsAre(Pair("statement_timeout", "5s"),
                          Pair("application_name", "psql\n\xc3\xa4"), Pair("DateStyle", "ISO")));
  EXPECT_FALSE(request.negotiate);
  EXPECT_EQ(request.method, LoginMethod::password);
}

TEST(StartupTest, TheDatabaseIsTheUserByDefault) {
  EXPECT_EQ(Good(Startup3({{"user", "ana"}})).startup.database, "ana");
  EXPECT_EQ(Good(Startup3({{"user", "ana"}, {"database", ""}})).startup.database, "ana");
}

TEST(StartupTest, AUserIsNeeded) {
  EXPECT_THAT(Bad(Startup3({{"database", "x"}})), HasSubstr("28000 no PostgreSQL user name"));
  EXPECT_THAT(Bad(Startup3({})), HasSubstr("28000"));
  EXPECT_THAT(Bad(Startup3({{"user", ""}})), HasSubstr("28000"));
}

TEST(StartupTest, NamesThatCannotBeShown) {
  EXPECT_THAT(Bad(Startup3({{"user", "a\nb"}})), HasSubstr("22021"));
  EXPECT_THAT(Bad(Startup3({{"user", "a\xff"}})), HasSubstr("22021"));
  EXPECT_THAT(Bad(Startup3({{"user", "a"}, {"database", "\xc2\x85"}})), HasSubstr("22021"));
  EXPECT_EQ(Good(Startup3({{"user", "j\xc3\xb6rg"}})).startup.user, "j\xc3\xb6rg");
}

TEST(StartupTest, Options) {
  const auto settings = [](std::string text) {
    return Good(Startup3({{"user", "a"}, {"options", std::move(text)}})).startup.parameters;
  };
  EXPECT_THAT(settings(""), IsEmpty());
  EXPECT_THAT(settings("  -c a.b=c  -cx=y\t--work-mem=64kB "),
              ElementsAre(Pair("a.b", "c"), Pair("x", "y"), Pair("work_mem", "64kB")));
  EXPECT_THAT(settings(R"(-c search_path=a\ b\\c --x=\-)"),
              ElementsAre(Pair("search_path", R"(a b\c)"), Pair("x", "-")));
  EXPECT_THAT(settings("-c a=b=c -c d="), ElementsAre(Pair("a", "b=c"), Pair("d", "")));
  for (const char* text : {"-c", "-c a", "--", "--a", "--=b", "-e", "-W 5", "x", "-c --a=b -"}) {
    EXPECT_THAT(Bad(Startup3({{"user", "a"}, {"options", text}})), HasSubstr("42601")) << text;
  }
}

TEST(StartupTest, HowToLogInIsChosenByASetting) {
  const auto ask = [](std::string name, std::string value) {
    return Good(Startup3({{"user", "a"}, {std::move(name), std::move(value)}, {"x", "y"}}));
  };
  for (const auto& request :
       {ask("options", "-c sallyport.auth=oauthbearer"), ask("sallyport.auth", "oauthbearer"),
        ask("Sallyport.Auth", "oauthbearer")}) {
    EXPECT_EQ(request.method, LoginMethod::oauthbearer);
    EXPECT_THAT(request.startup.parameters, ElementsAre(Pair("x", "y"))) << "it goes no further";
  }
  EXPECT_EQ(ask("sallyport.auth", "password").method, LoginMethod::password);
  EXPECT_THAT(Bad(Startup3({{"user", "a"}, {"sallyport.auth", "scram"}})), HasSubstr("22023"));
}

TEST(StartupTest, Replication) {
  for (const char* value : {"true", "database", "1", "on", "yes", "x", ""})
    EXPECT_THAT(Bad(Startup3({{"user", "a"}, {"replication", value}})), HasSubstr("0A000"))
        << value;
  EXPECT_THAT(Good(Startup3({{"user", "a"}, {"replication", "False"}})).startup.parameters,
              IsEmpty());
}

TEST(StartupTest, VersionsAreNegotiated) {
  const auto ask = [](uint32_t minor, std::vector<std::pair<std::string, std::string>> more = {}) {
    more.emplace_back("user", "a");
    const StartupRequest request = Good(Startup3(more, minor));
    std::string out;
    if (request.negotiate) AppendNegotiation(out, request);
    if (out.empty()) return "3." + std::to_string(request.startup.minor);
    BodyReader reader(std::string_view(out).substr(FrameHead::kSize));
    EXPECT_EQ(out[0], 'v');
    EXPECT_EQ(PeekHead(out)->total(), out.size());
    const uint32_t version = reader.U32();
    EXPECT_EQ(version & 0xffff, request.startup.minor);
    std::string text = "v" + std::to_string(version >> 16) + "." + std::to_string(version & 0xffff);
    for (uint32_t n = reader.U32(); n > 0; --n) text += " " + std::string(reader.CString());
    EXPECT_TRUE(reader.done());
    return text;
  };
  EXPECT_EQ(ask(0), "3.0");
  EXPECT_EQ(ask(2), "3.2");
  EXPECT_EQ(ask(1), "v3.0");
  EXPECT_EQ(ask(3), "v3.2");
  EXPECT_EQ(ask(9999, {{"_pq_.test_protocol_negotiation", ""}}),
            "v3.2 _pq_.test_protocol_negotiation");
  EXPECT_EQ(ask(0, {{"_pq_.a", "1"}, {"_pq_.b", "2"}}), "v3.0 _pq_.a _pq_.b");
  EXPECT_EQ(ask(2, {{"_pq_.a", "1"}}), "v3.2 _pq_.a");
}

TEST(StartupTest, OtherMajorVersions) {
  EXPECT_THAT(Bad(Packet(2 << 16)), HasSubstr("0A000 unsupported frontend protocol 2.0"));
  EXPECT_THAT(Bad(Packet(4 << 16 | 1)), HasSubstr("0A000 unsupported frontend protocol 4.1"));
  EXPECT_THAT(Bad(Packet(0)), HasSubstr("0A000"));
}

TEST(StartupTest, WhatIsNotWhole) {
  const std::string good = Startup3({{"user", "ana"}, {"a", "b"}});
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_THAT(Bad(good.substr(0, n)), HasSubstr("08P01 invalid length")) << n;
    if (n < 8) continue;
    // Cut, with a length that fits: something is missing wherever the cut is.
    std::string cut = good.substr(0, n);
    Store32(cut.data(), uint32_t(n));
    EXPECT_THAT(Bad(cut), HasSubstr("08P01")) << n;
  }
  std::string longer = good + "x";
  Store32(longer.data(), uint32_t(longer.size()));
  EXPECT_THAT(Bad(longer), HasSubstr("08P01"));
}

TEST(StartupTest, EncryptionAndCancelRequests) {
  EXPECT_TRUE(std::holds_alternative<SslRequest>(*ParseFirstPacket(Packet(80877103))));
  EXPECT_TRUE(std::holds_alternative<GssRequest>(*ParseFirstPacket(Packet(80877104))));
  EXPECT_THAT(Bad(Packet(80877103, "x")), HasSubstr("08P01"));
  const auto cancel = [](size_t key) {
    return ParseFirstPacket(Packet(80877102, std::string("\0\0\0\7", 4) + std::string(key, 'k')));
  };
  for (size_t n : {4, 32, 256}) {
    const auto request = std::get<CancelRequest>(*cancel(n));
    EXPECT_EQ(request.pid, 7u);
    EXPECT_EQ(request.key, std::string(n, 'k'));
  }
  EXPECT_FALSE(cancel(3));
  EXPECT_FALSE(cancel(257));
  EXPECT_FALSE(ParseFirstPacket(Packet(80877102, "abc")));
}

TEST(StartupTest, AFatalErrorHasItsFields) {
  std::string out;
  AppendFatal(out, {Error(Errc::internal), "28000", "no", "because", ""});
  EXPECT_EQ(out, std::string("E\0\0\0\x27SFATAL\0VFATAL\0C28000\0Mno\0Dbecause\0\0", 40));
}

}  // namespace
}  // namespace sallyport::pg
