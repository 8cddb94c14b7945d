#include "mask/masker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <zlib.h>

#include "base/bytes.h"
#include "mask/fold.h"
#include "mask/iin_table.h"
#include "mask/json_scan.h"
#include "mask/text_stream.h"

namespace sallyport::mask {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

constexpr const char* kPan = "4111111111111111";

std::shared_ptr<const Masker> Make(std::vector<DetectorSpec> specs,
                                   const char* key = "0123456789abcdef") {
  auto masker = Masker::Make(specs, Secret(key));
  EXPECT_TRUE(masker) << masker.error().detail;
  return masker ? *masker : nullptr;
}
std::shared_ptr<const Masker> Standard(Render render = Render::last4) {
  return Make({{.name = "pan", .render = render}, {.name = "sad", .kind = DetectorKind::sad}});
}
std::string Text(const Masker& m, std::string_view text, Context context = {}) {
  std::string out;
  Tally tally;
  return m.MaskText(text, context, out, tally) ? out : std::string(text);
}
std::string Json(const Masker& m, std::string_view json, const JsonOptions& options = {}) {
  std::string out;
  Tally tally;
  const auto changed = m.MaskJson(json, options, out, tally);
  EXPECT_TRUE(changed) << json;
  return changed && *changed ? out : std::string(json);
}

TEST(Masker, Renders) {
  EXPECT_EQ(Text(*Standard(), "card 4111 1111 1111 1111."), "card **** **** **** 1111.");
  EXPECT_EQ(Text(*Standard(Render::first6_last4), "card 4111-1111-1111-1111"),
            "card 4111-11**-****-1111");
  EXPECT_EQ(Text(*Standard(Render::full), "card 378282246310005"), "card ***************");
  const std::string token = Text(*Standard(Render::token), "card 4111 1111 1111 1111 ok");
  EXPECT_THAT(token, MatchesRegex("card pan_[A-Z2-7]+_[A-Z2-7]+ ok"));
  EXPECT_EQ(token.size(), std::string("card pan_AAAAAA_ ok").size() + 26);
  // The same number gives the same token however it is written; another key gives another.
  EXPECT_EQ(token, Text(*Standard(Render::token), "card 4111111111111111 ok"));
  const auto other =
      Make({{.name = "pan", .render = Render::token}}, "another key of enough bytes");
  EXPECT_NE(token, Text(*other, "card 4111111111111111 ok"));
}

TEST(Masker, MakeRefusesBadDetectors) {
  const auto error = [](std::vector<DetectorSpec> specs, const char* key = "0123456789abcdef") {
    const auto m = Masker::Make(specs, Secret(key));
    return m ? std::string() : std::string(ReasonCode(m.error().code)) + " " + m.error().detail;
  };
  EXPECT_THAT(error({{.name = "x", .kind = DetectorKind::regex, .pattern = "(a"}}),
              HasSubstr("config-invalid detector x"));
  EXPECT_THAT(error({{.name = "x", .kind = DetectorKind::regex}}), HasSubstr("pattern is empty"));
  EXPECT_THAT(error({{.name = ""}}), HasSubstr("needs a name"));
  EXPECT_THAT(error({{.name = "a"}, {.name = "a"}}), HasSubstr("used twice"));
  EXPECT_THAT(error({{.name = "a", .render = Render::token}}, "short"),
              HasSubstr("at least 16 bytes"));
  EXPECT_EQ(error({{.name = "a"}}, "short"), "");
}

TEST(Masker, NothingFoundLeavesOutAlone) {
  const auto m = Standard();
  std::string out = "before ";
  Tally tally;
  EXPECT_FALSE(m->MaskText("order 12345 shipped", {}, out, tally));
  EXPECT_EQ(*m->MaskJson(R"({"a":[1,2,"3"],"n":19007199254740993123,"x":1e400})", {}, out, tally),
            false);
  EXPECT_EQ(out, "before ");
  EXPECT_TRUE(tally.Empty());
}

TEST(Masker, SadIsRemovedAndCanBlock) {
  const auto m =
      Make({{.name = "pan"}, {.name = "sad", .kind = DetectorKind::sad, .action = Action::block}});
  std::string out;
  Tally tally;
  EXPECT_TRUE(m->MaskText(";4111111111111111=28121010000000000000? and cvv: 123", {}, out, tally));
  EXPECT_EQ(out, "[SAD removed] and cvv: [SAD removed]");
  EXPECT_TRUE(tally.blocked);
  EXPECT_EQ(tally.sad, 2u);
  EXPECT_EQ(tally.pan, 1u);
  Tally quiet;
  out.clear();
  EXPECT_TRUE(m->MaskText("card 4111111111111111", {}, out, quiet));
  EXPECT_FALSE(quiet.blocked);
  // Track data whose number is not a valid card number is SAD all the same.
  EXPECT_EQ(Text(*m, ";4111111111111112=28121010000000000000?"), "[SAD removed]");
}

TEST(Masker, OperatorPatterns) {
  const auto m = Make({{.name = "iban",
                        .kind = DetectorKind::regex,
                        .action = Action::block,
                        .pattern = R"(\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b)"}});
  std::string out;
  Tally tally;
  EXPECT_TRUE(m->MaskText("to DE89370400440532013000 now, card 4111111111111111", {}, out, tally));
  EXPECT_EQ(out, "to ******************3000 now, card 4111111111111111");
  EXPECT_TRUE(tally.blocked);
  EXPECT_EQ(tally.regex, 1u);
  EXPECT_EQ(Json(*m, R"({"k":"DE89370400440532013000"})"), R"({"k":"******************3000"})");
}

TEST(Masker, TokensOfAJsonTextKeepTheirBytes) {
  const auto m = Standard();
  EXPECT_EQ(
      Json(
          *m,
          R"({ "a" : "x \u00e9 4111111111111111 \"q\"" , "n":1.50e+3,"a":null,"big":9223372036854775807 })"),
      R"({ "a" : "x \u00e9 ************1111 \"q\"" , "n":1.50e+3,"a":null,"big":9223372036854775807 })");
  EXPECT_EQ(Json(*m, R"({"4111111111111111":1,"4111 1111 1111 1111":2,"4111111111111111":3})"),
            R"({"************1111":1,"**** **** **** 1111":2,"************1111~2":3})");
  EXPECT_EQ(Json(*m, R"(["{\"a\":\"{\\\"b\\\":4111111111111111}\"}"])"),
            R"(["{\"a\":\"{\\\"b\\\":\\\"************1111\\\"}\"}"])");
}

TEST(Masker, NumbersFollowTheirPolicy) {
  const auto m = Standard();
  JsonOptions options;
  options.number_rules = {{"/rows/*/pan", NumberPolicy::null}, {"/id", NumberPolicy::surrogate}};
  const std::string out = Json(
      *m, R"({"rows":[{"pan":4111111111111111}],"id":4111111111111111,"x":-4111111111111111.0})",
      options);
  EXPECT_THAT(out, MatchesRegex(R"re(\{"rows":\[\{"pan":null\}\],"id":7[0-9]+,"x":"\*+1111"\})re"));
  const std::string surrogate = out.substr(out.find("\"id\":") + 5, 16);
  std::array<uint8_t, 16> d;
  for (size_t i = 0; i < 16; i++) d[i] = uint8_t(surrogate[i] - '0');
  EXPECT_FALSE(LuhnOk(d.data(), 16));
  EXPECT_LT(std::stoull(surrogate), 1ull << 53);
  EXPECT_EQ(Json(*m, out, options), out);
}

TEST(Masker, KeptPointersAreNotLookedInto) {
  const auto m = Standard();
  JsonOptions options;
  options.keep = {"/id", "/a/*/raw"};
  EXPECT_EQ(
      Json(*m,
           R"({"id":"4111111111111111","a":[{"raw":["4111111111111111"],"v":"4111111111111111"}]})",
           options),
      R"({"id":"4111111111111111","a":[{"raw":["4111111111111111"],"v":"************1111"}]})");
}

TEST(Masker, PlacesAreJsonPointersWithoutDigits) {
  const auto m = Standard();
  std::string out;
  Tally tally;
  ASSERT_TRUE(m->MaskJson(
      R"({"r":[{"c/d":"4111111111111111 5555555555554444"}],"4111111111111111":{"cvc":"123"}})", {},
      out, tally));
  ASSERT_EQ(tally.places.size(), 3u);
  EXPECT_EQ(tally.places[0].pointer, "/r/0/c~1d");
  EXPECT_EQ(tally.places[0].count, 2u);
  EXPECT_EQ(tally.places[1].pointer, "/*");
  EXPECT_EQ(tally.places[2].pointer, "/*/cvc");
  EXPECT_EQ(tally.places[2].kind, DetectorKind::sad);
}

TEST(Masker, WhatIsNotJsonFails) {
  const auto m = Standard();
  std::string out;
  Tally tally;
  const std::string deep = std::string(65, '[') + '"' + kPan + '"' + std::string(65, ']');
  for (const std::string& bad :
       {std::string(R"({"a":"4111111111111111)"), std::string(R"({"a":"4111111111111111"}})"),
        std::string(R"({"a":"4111111111111111",})"), std::string(R"({"a":4111111111111111 "b"})"),
        std::string(R"("\x4111111111111111")"), std::string("4111111111111111x"), deep}) {
    const auto r = m->MaskJson(bad, {}, out, tally);
    ASSERT_FALSE(r) << bad;
    EXPECT_EQ(r.error().code, Errc::mask_failed);
    EXPECT_THAT(r.error().detail, testing::Not(HasSubstr("4111")));
  }
  EXPECT_EQ(out, "");
}

TEST(Masker, HintsRaiseAndLower) {
  const auto m = Standard();
  EXPECT_EQ(Text(*m, "675964982648", {.hint = "card_no"}), "********2648");
  EXPECT_EQ(Text(*m, "675964982648", {.hint = "order_id"}), "675964982648");
  EXPECT_EQ(Text(*m, "3530632211254555", {.hint = "imeisv"}), "3530632211254555");
  EXPECT_EQ(Text(*m, "the order 675964982648 was shipped"), "the order 675964982648 was shipped");
}

TEST(Masker, WhatInflatesTooFarIsRemoved) {
  const auto m = Standard();
  const std::string zeros(20 << 20, ' ');
  std::string packed(compressBound(zeros.size()), '\0');
  uLongf size = packed.size();
  ASSERT_EQ(compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                     reinterpret_cast<const Bytef*>(zeros.data()), zeros.size()),
            Z_OK);
  packed.resize(size);
  EXPECT_EQ(Text(*m, "blob " + Base64Encode(AsBytes(packed)) + " end"),
            "blob [removed: too large to look into] end");
  // A stream that is whole is looked into and packed again.
  const std::string csv = "name,pan\nA,4111111111111111\n";
  packed.assign(compressBound(csv.size()), '\0');
  size = packed.size();
  ASSERT_EQ(compress(reinterpret_cast<Bytef*>(packed.data()), &size,
                     reinterpret_cast<const Bytef*>(csv.data()), csv.size()),
            Z_OK);
  packed.resize(size);
  const std::string out = Text(*m, "zl " + Base64Encode(AsBytes(packed)));
  const auto bytes = Base64Decode(out.substr(3));
  ASSERT_TRUE(bytes) << out;
  std::string plain(200, '\0');
  uLongf n = plain.size();
  ASSERT_EQ(uncompress(reinterpret_cast<Bytef*>(plain.data()), &n, bytes->data(), bytes->size()),
            Z_OK);
  EXPECT_EQ(plain.substr(0, n), "name,pan\nA,************1111\n");
}

TEST(IinTable, EveryLengthOfEveryNetwork) {
  struct Case {
    const char* prefix;
    const char* network;
    std::initializer_list<int> lengths;
  };
  const Case cases[] = {{"4", "visa", {13, 16, 18, 19}},
                        {"51", "mastercard", {16}},
                        {"55", "mastercard", {16}},
                        {"222100", "mastercard", {16}},
                        {"272099", "mastercard", {16}},
                        {"34", "amex", {15}},
                        {"37", "amex", {15}},
                        {"6011", "discover", {16, 17, 18, 19}},
                        {"644", "discover", {16, 19}},
                        {"3528", "jcb", {16, 17, 18, 19}},
                        {"3589", "jcb", {16, 19}},
                        {"1800", "jcb", {15}},
                        {"2131", "jcb", {15}},
                        {"300", "diners", {14, 16, 19}},
                        {"36", "diners", {14, 15, 16, 17, 18, 19}},
                        {"3095", "diners", {14}},
                        {"38", "diners", {14}},
                        {"62", "unionpay", {14, 15, 16, 17, 18, 19}},
                        {"810", "unionpay", {16, 19}},
                        {"2200", "mir", {16, 17, 18, 19}},
                        {"2204", "mir", {16, 19}},
                        {"6759", "maestro", {12, 13, 14, 15, 16, 17, 18, 19}},
                        {"5018", "maestro", {12, 16, 19}},
                        {"56", "maestro", {12, 16, 19}},
                        {"63", "maestro", {12, 16, 19}},
                        {"9792", "troy", {16}},
                        {"506099", "verve", {16, 18, 19}},
                        {"5019", "dankort", {16}},
                        {"1354", "uatp", {15}},
                        {"606282", "hipercard", {16, 19}},
                        {"637095", "hiper", {16}},
                        {"508", "rupay", {16}},
                        {"607000", "rupay", {16}},
                        {"6521", "rupay", {16}},
                        {"82", "rupay", {16}},
                        {"636297", "elo", {16}},
                        {"4903", "switch", {16, 18, 19}},
                        {"6767", "solo", {16, 18, 19}},
                        {"6304", "laser", {16, 19}},
                        {"589562", "naranja", {16}}};
  for (const Case& c : cases) {
    for (int n = 12; n <= 19; n++) {
      std::array<uint8_t, 24> d{};
      for (size_t i = 0; i < 24; i++)
        d[i] = c.prefix[std::min(i, std::string(c.prefix).size() - 1)] &&
                       i < std::string(c.prefix).size()
                   ? uint8_t(c.prefix[i] - '0')
                   : 0;
      const auto match = LookUpIin(d.data(), n);
      if (std::ranges::find(c.lengths, n) == c.lengths.end()) continue;
      ASSERT_TRUE(match) << c.prefix << " " << n;
      EXPECT_EQ(match->network, c.network) << c.prefix << " " << n;
      EXPECT_TRUE(kLengthsOfPrefix4[d[0] * 1000 + d[1] * 100 + d[2] * 10 + d[3]] >> (n - 12) & 1);
    }
  }
  for (const char* none : {"17", "0000", "7", "99", "2721", "2220", "32", "33", "3527", "3590"}) {
    std::array<uint8_t, 24> d{};
    for (size_t i = 0; i < std::string(none).size(); i++) d[i] = uint8_t(none[i] - '0');
    EXPECT_FALSE(LookUpIin(d.data(), 16)) << none;
  }
  EXPECT_FALSE(Masker::TableVersion().empty());
}

TEST(Fold, MapsBackToTheBytes) {
  const std::string text = "a%34\xef\xbc\x91&#49;\xe2\x80\x8b\\u0031 \xc2\xa0=\n";
  std::vector<Symbol> s;
  Fold("4" + text, 0, text.size() + 1, s);
  std::string seen;
  for (const Symbol& x : s) seen += x.c;
  EXPECT_EQ(seen, "4a%34111  ");  // a lone %34 is no escape, "=\n" is a soft line break
  s.clear();
  Fold("%34%31", 0, 6, s);
  ASSERT_EQ(s.size(), 2u);
  EXPECT_EQ(s[1].begin, 3u);
  EXPECT_EQ(s[1].end, 6u);
  EXPECT_EQ(s[1].c, '1');
}

TEST(TextStream, HoldsLittleAndFailsClosed) {
  const auto m = Standard();
  TextStream stream(m, {});
  std::string out;
  size_t most = 0;
  for (int i = 0; i < 2000; i++) {
    stream.Feed(i % 3 ? "some words " : "that carry nothing, ", out);
    most = std::max(most, stream.held());
  }
  EXPECT_LT(most, 64u);  // prose goes out word by word
  stream.Finish(out);

  // No place to cut in more than max_hold bytes: what is held goes out without letters and digits.
  TextStream tight(m, {}, 4096);
  out.clear();
  for (int i = 0; i < 1000; i++) tight.Feed("NDExMTExMTEx", out);
  tight.Feed(" 4111111111111111", out);
  tight.Finish(out);
  EXPECT_TRUE(tight.Overflowed());
  EXPECT_EQ(out.find("NDEx"), std::string::npos);
  EXPECT_LE(tight.held(), 4096u);
}

TEST(JsonScan, IsStrict) {
  std::vector<JsonNode> nodes;
  for (const char* good :
       {"1", " [1 , {\"a\":[]} ] ", "\"\\u0041\"", "-0.5E-3", "null", "[[[]]]"}) {
    nodes.clear();
    EXPECT_TRUE(ScanJson(good, 8, nodes)) << good;
  }
  for (const char* bad :
       {"", " ", "01", "1.", "+1", "[1,]", "[,1]", "{\"a\"}", "{a:1}", "\"\t\"", "\"\\x\"",
        "\"\\u12\"", "tru", "[1]]", "[1 2]", "{\"a\":1 \"b\":2}", "nul", "\"", "'a'"}) {
    nodes.clear();
    EXPECT_FALSE(ScanJson(bad, 8, nodes)) << bad;
  }
  nodes.clear();
  EXPECT_FALSE(ScanJson("[[[[[[[[[1]]]]]]]]]", 8, nodes));
  const std::string deep(1 << 20, '[');
  EXPECT_FALSE(ScanJson(deep, 1 << 22, nodes));
}

}  // namespace
}  // namespace sallyport::mask
