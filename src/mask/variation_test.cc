// Variations of the corpus classes: other numbers (computed check digits), other networks, other
// words. A rule that was written for one record fails here.
#include <algorithm>
#include <bit>
#include <functional>
#include <gtest/gtest.h>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "mask/corpus_format.h"
#include "mask/fold.h"
#include "mask/text_stream.h"
#include "mask/variation_maker.h"

namespace sallyport::mask {
namespace {

struct Variation {
  std::string text, pan;
  TextFormat format = TextFormat::text;
};
struct Class {
  const char* name;
  const char* tier;
  std::function<Variation(Maker&)> make;
};

std::string InJson(Maker& m, const std::string& value) {
  static const char* const kKeys[] = {"v", "card", "val", "number", "t", "note", "data", "text"};
  return std::string("{\"seq\":") + std::to_string(m.Below(900)) + ",\"" + m.Pick(kKeys) +
         "\":" + value + "}";
}
std::string Row(const std::string& type, const std::string& fmt, const std::string& value) {
  return R"({"msg":"DataRow","cols":[{"name":"id","type":"int4","fmt":"text"},{"name":"val","type":")" +
         type + R"(","fmt":")" + fmt + R"("}],"vals":["17",")" + value + "\"]}";
}
std::string HexBe(uint64_t v) {
  std::string s;
  for (int k = 60; k >= 0; k -= 4) s += "0123456789abcdef"[v >> k & 15];
  return s;
}

const std::vector<Class>& Classes() {
  static const std::vector<Class> classes = [] {
    std::vector<Class> c;
    const auto text = [&](const char* name, const char* tier,
                          std::function<std::string(Maker&, const std::string&)> f,
                          bool any = false) {
      c.push_back({name, tier, [f, any](Maker& m) {
                     const std::string pan = any ? m.Any() : m.Common16();
                     return Variation{f(m, pan), pan};
                   }});
    };
    const auto json = [&](const char* name, const char* tier,
                          std::function<std::string(Maker&, const std::string&)> f) {
      c.push_back({name, tier, [f](Maker& m) {
                     const std::string pan = m.Common16();
                     return Variation{f(m, pan), pan, TextFormat::json};
                   }});
    };
    const auto row = [&](const char* name, const char* tier,
                         std::function<std::string(Maker&, const std::string&)> f) {
      c.push_back({name, tier, [f](Maker& m) {
                     const std::string pan = m.Common16();
                     return Variation{f(m, pan), pan, TextFormat::sql_row};
                   }});
    };
    text(
        "net", "T1", [](Maker& m, const std::string& p) { return m.CardWords() + p + m.Tail(); },
        true);
    text(
        "net.json", "T1",
        [](Maker& m, const std::string& p) {
          return "{\"customer\":\"C-" + m.Digits(2) + "\",\"pan\":\"" + p + "\"}";
        },
        true);
    text("net.bare", "T1", [](Maker&, const std::string& p) { return p; }, true);
    for (const char* sep : {" ", "-", ".", "\t", "\n", "\r\n", "  "}) {
      text("sep.plain", "T1", [sep](Maker& m, const std::string& p) {
        return m.CardWords() + m.Grouped(p, sep) + " ok";
      });
    }
    text(
        "sep.net", "T1",
        [](Maker& m, const std::string& p) {
          return m.CardWords() + m.Grouped(p, m.Below(2) ? " " : "-") + m.Tail();
        },
        true);
    text("sep.halves", "T1", [](Maker& m, const std::string& p) {
      return m.CardWords() + m.Groups(p, {8, 8}, " ") + " ok";
    });
    text("sep.bin", "T1", [](Maker& m, const std::string& p) {
      return m.CardWords() + m.Groups(p, {6, 10}, "-") + " ok";
    });
    for (char32_t cp :
         {0xa0, 0x202f, 0x2009, 0x2007, 0x3000, 0x2012, 0x2013, 0x2014, 0x2212, 0x2011, 0xad,
          0x200b, 0x200c, 0x200d, 0x2060, 0xfeff, 0xb7, 0x2022, 0x200e}) {
      text("sep.unicode", "T2", [cp](Maker& m, const std::string& p) {
        return m.CardWords() + m.Grouped(p, Utf8(cp)) + " ok";
      });
    }
    text("sep.every_digit", "T2", [](Maker& m, const std::string& p) {
      const std::string sep = m.Below(2) ? " " : "-";
      std::string s = m.Each(p, [&](char d) { return d + sep; });
      s.resize(s.size() - 1);
      return m.CardWords() + s + " ok";
    });
    text("sep.every_zwsp", "T2", [](Maker& m, const std::string& p) {
      return m.CardWords() + m.Each(p, [](char d) { return d + Utf8(0x200b); }) + " ok";
    });
    text("sep.mixed", "T2", [](Maker& m, const std::string& p) {
      return m.CardWords() + p.substr(0, 4) + " " + p.substr(4, 4) + "-" + p.substr(8, 4) + "." +
             p.substr(12);
    });
    text("sep.wrapped", "T2", [](Maker&, const std::string& p) {
      return p.substr(0, 4) + " " + p.substr(4, 4) + " " + p.substr(8, 4) + "\n" + p.substr(12);
    });
    for (const char* sep : {" - ", "_", "/", "*", ",", "|", ":", "+", "x"}) {
      text("sep.odd", "T3", [sep](Maker& m, const std::string& p) {
        return m.CardWords() + m.Grouped(p, sep) + " ok";
      });
    }
    text("sep.nul", "T3", [](Maker& m, const std::string& p) {
      return m.CardWords() + m.Grouped(p, std::string(1, '\0')) + " ok";
    });
    text("sep.continuation", "T3", [](Maker&, const std::string& p) {
      return p.substr(0, 4) + " " + p.substr(4, 4) + " " + p.substr(8, 2) + "\\\n" +
             p.substr(10, 2) + " " + p.substr(12);
    });
    for (char32_t zero :
         {0xff10, 0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0x1d7ce, 0x1d7f6, 0x1d7d8, 0x1fbf0, 0x2080}) {
      text("uni.digits", "T2", [zero](Maker& m, const std::string& p) {
        return m.CardWords() + m.Each(p, [&](char d) { return Utf8(zero + char32_t(d - '0')); }) +
               " ok";
      });
    }
    text("uni.circled", "T2", [](Maker& m, const std::string& p) {
      return m.CardWords() +
             m.Each(p, [](char d) { return Utf8(d == '0' ? 0x24ea : 0x2460 + char32_t(d - '1')); });
    });
    text("uni.mixed", "T2", [](Maker& m, const std::string& p) {
      return m.CardWords() + p.substr(0, 5) +
             m.Each(p.substr(5), [](char d) { return Utf8(0xff10 + char32_t(d - '0')); });
    });
    text("uni.keycap", "T3", [](Maker& m, const std::string& p) {
      return m.CardWords() + m.Each(p, [](char d) { return d + Utf8(0xfe0f) + Utf8(0x20e3); });
    });
    text("uni.combining", "T3", [](Maker& m, const std::string& p) {
      return m.CardWords() + m.Each(p, [](char d) { return d + Utf8(0x332); });
    });
    text("uni.rtl", "T3", [](Maker& m, const std::string& p) {
      return m.CardWords() + Utf8(0x202e) + std::string(p.rbegin(), p.rend()) + Utf8(0x202c) +
             " ok";
    });
    json("json.string", "T1",
         [](Maker& m, const std::string& p) { return InJson(m, '"' + m.Prose() + p + '"'); });
    json("json.number", "T1", [](Maker& m, const std::string& p) { return InJson(m, p); });
    json("json.key", "T1", [](Maker& m, const std::string& p) {
      return "{\"" + (m.Below(2) ? p : m.Grouped(p, " ")) + "\":{\"balance\":10}}";
    });
    json("json.nested", "T1", [](Maker& m, const std::string& p) {
      return R"({"jsonrpc":"2.0","id":4,"result":{"content":[{"type":"text","text":"{\"rows\":[{\"a\":\")" +
             p + R"(\",\"n\":)" + m.Digits(1) + R"(}]}"}]}})";
    });
    json("json.dot0", "T2", [](Maker& m, const std::string& p) { return InJson(m, p + ".0"); });
    json("json.exponent", "T2", [](Maker& m, const std::string& p) {
      return InJson(m, p.substr(0, 1) + "." + p.substr(1) + "e15");
    });
    json("json.e0", "T2", [](Maker& m, const std::string& p) { return InJson(m, p + "E0"); });
    json("json.exponent_neg", "T3",
         [](Maker& m, const std::string& p) { return InJson(m, p + "00e-2"); });
    json("json.negative", "T2", [](Maker& m, const std::string& p) { return InJson(m, "-" + p); });
    json("json.escapes", "T2", [](Maker& m, const std::string& p) {
      return InJson(m, '"' + m.Each(p, [](char d) { return std::string("\\u003") + d; }) + '"');
    });
    json("json.escaped_separators", "T2", [](Maker& m, const std::string& p) {
      static const char* const kSeps[] = {"\\u0020", "\\u00a0", "\\u200b", "\\t", "\\n", "\\u2011"};
      return InJson(m, '"' + m.Grouped(p, m.Pick(kSeps)) + '"');
    });
    json("json.escaped_slash", "T3",
         [](Maker& m, const std::string& p) { return InJson(m, '"' + m.Grouped(p, "\\/") + '"'); });
    json("json.digit_array", "T3", [](Maker& m, const std::string& p) {
      std::string s = m.Each(p, [](char d) { return std::string(1, d) + ","; });
      s.back() = ']';
      return "{\"digits\":[" + s + "}";
    });
    json("json.group_array", "T3", [](Maker& m, const std::string& p) {
      return "{\"groups\":[\"" + m.Grouped(p, "\",\"") + "\"]}";
    });
    json("json.split", "T3", [](Maker&, const std::string& p) {
      return R"({"pan_first8":")" + p.substr(0, 8) + R"(","pan_last8":")" + p.substr(8) + "\"}";
    });
    json("json.split4", "T3", [](Maker&, const std::string& p) {
      return R"({"p1":")" + p.substr(0, 4) + R"(","p2":")" + p.substr(4, 4) + R"(","p3":")" +
             p.substr(8, 4) + R"(","p4":")" + p.substr(12) + "\"}";
    });
    json("json.bin_mid_last", "T3", [](Maker&, const std::string& p) {
      return R"({"bin":")" + p.substr(0, 6) + R"(","mid":")" + p.substr(6, 6) + R"(","last4":")" +
             p.substr(12) + "\"}";
    });
    json("json.split_items", "T3", [](Maker& m, const std::string& p) {
      return R"({"result":{"content":[{"type":"text","text":")" + m.CardWords() + p.substr(0, 8) +
             R"("},{"type":"text","text":")" + p.substr(8) + " ok\"}]}}";
    });
    json("json.blob", "T2", [](Maker& m, const std::string& p) {
      return R"({"mimeType":"text/csv","blob":")" +
             Base64Encode(AsBytes("name,pan\nA" + m.Digits(1) + "," + p + "\n")) + "\"}";
    });
    text("enc.base64", "T3", [](Maker& m, const std::string& p) {
      return m.Prose() + Base64Encode(AsBytes((m.Below(2) ? "card=" : "") + p));
    });
    text("enc.base64url", "T3", [](Maker&, const std::string& p) {
      return "blob " + Base64UrlEncode(AsBytes("?\x3f>" + p));
    });
    text("enc.base64_twice", "T3", [](Maker&, const std::string& p) {
      return "blob " + Base64Encode(AsBytes(Base64Encode(AsBytes(p))));
    });
    text("enc.data_uri", "T2", [](Maker& m, const std::string& p) {
      return "data:text/plain;base64," + Base64Encode(AsBytes(m.CardWords() + p));
    });
    text("enc.jwt", "T3", [](Maker&, const std::string& p) {
      return "eyJhbGciOiJub25lIn0." +
             Base64UrlEncode(AsBytes("{\"sub\":\"a\",\"pan\":\"" + p + "\"}")) + ".";
    });
    text("enc.hex", "T3", [](Maker& m, const std::string& p) {
      return (m.Below(2) ? "hex " : "hex 0x") + HexEncode(AsBytes(p));
    });
    text("enc.hex_spaced", "T3", [](Maker& m, const std::string& p) {
      return "dump " + m.Each(p, [](char d) { return std::string("3") + d + " "; });
    });
    text("enc.utf16_hex", "T3", [](Maker& m, const std::string& p) {
      return "utf16 " + m.Each(p, [](char d) { return std::string("3") + d + "00"; });
    });
    text("enc.ebcdic_hex", "T3", [](Maker& m, const std::string& p) {
      return "ebcdic " + m.Each(p, [](char d) { return std::string("f") + d; });
    });
    text("enc.utf16", "T3", [](Maker& m, const std::string& p) {
      return m.Each(p, [](char d) { return std::string(1, d) + '\0'; });
    });
    text("enc.percent", "T2", [](Maker& m, const std::string& p) {
      return "url " + m.Each(p, [](char d) { return std::string("%3") + d; });
    });
    text("enc.percent_space", "T1", [](Maker& m, const std::string& p) {
      return "https://x.test/pay?number=" + m.Grouped(p, "%20") + "&cvv=" + m.Digits(3);
    });
    text("enc.form_plus", "T2",
         [](Maker& m, const std::string& p) { return "pan=" + m.Grouped(p, "+") + "&x=1"; });
    text("enc.entities", "T2", [](Maker& m, const std::string& p) {
      const bool hex = m.Below(2);
      return "<td>" + m.Each(p, [&](char d) {
        return hex ? std::string("&#x3") + d + ";" : "&#" + std::to_string(int(d)) + ";";
      }) + "</td>";
    });
    text("enc.nbsp", "T1",
         [](Maker& m, const std::string& p) { return "<p>" + m.Grouped(p, "&nbsp;") + "</p>"; });
    text("enc.tags", "T3", [](Maker& m, const std::string& p) {
      return "<td>" + m.Grouped(p, m.Below(2) ? "<wbr>" : "</b><i>") + "</td>";
    });
    text("enc.qp", "T3", [](Maker& m, const std::string& p) {
      return m.Each(p, [](char d) { return std::string("=3") + d; });
    });
    text("enc.c_escape", "T3", [](Maker& m, const std::string& p) {
      return m.Each(p, [](char d) { return std::string("\\x3") + d; });
    });
    text("enc.octal", "T3", [](Maker& m, const std::string& p) {
      return m.Each(p, [](char d) {
        return std::string("\\0") + (d < '8' ? '6' : '7') + char('0' + (d - '0') % 8);
      });
    });
    text("enc.words", "T3", [](Maker& m, const std::string& p) {
      static const char* const kEn[] = {"zero", "one", "two",   "three", "four",
                                        "five", "six", "seven", "eight", "nine"};
      static const char* const kDe[] = {"null",  "eins",  "zwei",   "drei", "vier",
                                        "fuenf", "sechs", "sieben", "acht", "neun"};
      const bool en = m.Below(2);
      return m.CardWords() +
             m.Each(p, [&](char d) { return std::string(en ? kEn[d - '0'] : kDe[d - '0']) + " "; });
    });
    text("enc.letter_O", "T3", [](Maker& m, const std::string& p) {
      return m.CardWords() + m.Each(p, [](char d) {
        return std::string(1, d == '0' ? 'O' : d == '1' ? 'l' : d);
      });
    });
    text("enc.interleaved", "T3", [](Maker& m, const std::string& p) {
      char letter = 'a';
      return m.CardWords() + m.Each(p, [&](char d) { return std::string(1, d) + letter++; });
    });
    for (const char* around : {"(|)",
                               "\"|\"",
                               "'|'",
                               "card#|",
                               "[|]",
                               "<|>",
                               "/v1/cards/|/tx",
                               "stmt_|.pdf",
                               "|@pay.test",
                               "$|",
                               "+|",
                               "-|",
                               "| 100.00 EUR",
                               "|/11/28",
                               "| 11/28 123",
                               "qty 3 |",
                               "2025-02-03 |",
                               "11:59:01 |",
                               "| ****",
                               "7,Ann,|,11/28",
                               "|,Ann,11/28",
                               "7\tAnn\t|\t11/28",
                               "7;Ann;|;11/28",
                               "7|Ann||"
                               "|11/28",
                               "<pan>|</pan>",
                               "pan: |\nname: Ann",
                               "level=info pan=| amt=10",
                               "INSERT INTO cards VALUES (1,'|','Ann');",
                               "\x1b[31m|\x1b[0m",
                               "\r\n|\r\n",
                               "acct | was debited",
                               "tx=15 card=| amt=2.16",
                               "000123 | 000456",
                               "\xf0\x9f\x92\xb3|\xf0\x9f\x92\xb3",
                               "SELECT 1 WHERE pan LIKE '%|%'",
                               "**|**"}) {
      for (bool grouped : {false, true}) {
        text("ctx", grouped ? "T2" : "T1", [around, grouped](Maker& m, const std::string& p) {
          std::string s = around;
          const size_t at = s.find("||") != s.npos ? s.find("||") + 1 : s.find('|');
          return s.replace(at, 1, grouped ? m.Grouped(p, " ") : p);
        });
      }
    }
    for (const char* around :
         {"visa|", "|visa", "_|_", "x|x", "PAN:|EXP:1128CVV:123", "|.5",
          "\xe3\x82\xab\xe3\x83\xbc\xe3\x83\x89\xe7\x95\xaa\xe5\x8f\xb7|\xe3\x81\xa7\xe3\x81\x99",
          "\xe5\x8d\xa1\xe5\x8f\xb7|\xe6\x9c\x89\xe6\x95\x88"}) {
      text("ctx.glued", "T2", [around](Maker&, const std::string& p) {
        std::string s = around;
        return s.replace(s.find('|'), 1, p);
      });
    }
    text("multi.space", "T1", [](Maker& m, const std::string& p) {
      return m.Grouped(p, " ") + " " + m.Grouped(m.Common16(), " ");
    });
    text("multi.dash", "T2", [](Maker& m, const std::string& p) {
      return m.Grouped(p, "-") + "-" + m.Grouped(m.Common16(), "-");
    });
    text("multi.lines", "T1", [](Maker& m, const std::string& p) {
      return m.Any() + "\n" + p + "\n" + m.Common16() + "\n" + m.Complete("36", 14);
    });
    text("multi.short_groups", "T1", [](Maker& m, const std::string& p) {
      return m.Digits(2) + " " + m.Grouped(p, " ") + " " + m.Digits(2);
    });
    text("multi.years", "T2",
         [](Maker& m, const std::string& p) { return "2025 " + m.Grouped(p, " ") + " 2026"; });
    text("multi.amex_exp_cvv", "T1", [](Maker& m, const std::string&) {
      return m.Grouped("378282246310005", " ") + " 1128 " + m.Digits(3);
    });
    text("glue.mmyy", "T3", [](Maker&, const std::string& p) { return p + "1128"; });
    text("glue.mmyy_cvv", "T3",
         [](Maker& m, const std::string& p) { return p + "0729" + m.Digits(3); });
    text("glue.llvar", "T3",
         [](Maker&, const std::string& p) { return std::to_string(p.size()) + p; });
    text("glue.mti", "T3",
         [](Maker&, const std::string& p) { return "0200" + std::to_string(p.size()) + p; });
    text("glue.5a", "T2", [](Maker&, const std::string& p) { return "5A08" + p; });
    text("sad.track2", "T1", [](Maker& m, const std::string& p) {
      return ";" + p + "=2811" + "101" + m.Digits(12) + "?";
    });
    text("sad.track1", "T1", [](Maker& m, const std::string& p) {
      return "%B" + p + "^ROE/RICHARD^2811101" + m.Digits(10) + "?";
    });
    text("sad.track1_spaces", "T2", [](Maker& m, const std::string& p) {
      return "%B" + m.Grouped(p, " ") + "^ROE/R^2811101?";
    });
    text("sad.57", "T2", [](Maker& m, const std::string& p) {
      return (m.Below(2) ? "57 13 " : "5713") + p + "D2811201" + m.Digits(10);
    });
    row("pg.text", "T1", [](Maker& m, const std::string& p) {
      return Row("text", "text", m.Prose() + (m.Below(2) ? p : m.Grouped(p, "-")));
    });
    row("pg.text_binary", "T1", [](Maker&, const std::string& p) {
      return Row("text", "binary", "\\\\x" + HexEncode(AsBytes(p)));
    });
    row("pg.int8", "T1", [](Maker&, const std::string& p) { return Row("int8", "text", p); });
    row("pg.int8_binary", "T2", [](Maker&, const std::string& p) {
      return Row("int8", "binary", "\\\\x" + HexBe(std::stoull(p)));
    });
    row("pg.float8_binary", "T2", [](Maker&, const std::string& p) {
      return Row("float8", "binary",
                 "\\\\x" + HexBe(std::bit_cast<uint64_t>(double(std::stoull(p)))));
    });
    row("pg.numeric_scale", "T2",
        [](Maker&, const std::string& p) { return Row("numeric(20,2)", "text", p + ".00"); });
    row("pg.bytea", "T2", [](Maker&, const std::string& p) {
      return Row("bytea", "text", "\\\\x" + HexEncode(AsBytes(p)));
    });
    row("pg.bcd", "T2", [](Maker& m, const std::string& p) {
      return Row("bytea", m.Below(2) ? "text" : "binary", "\\\\x" + p);
    });
    row("pg.array", "T1", [](Maker& m, const std::string& p) {
      return Row(m.Below(2) ? "text[]" : "int8[]", "text", "{" + p + "," + m.Common16() + "}");
    });
    row("pg.jsonb", "T1", [](Maker& m, const std::string& p) {
      return Row("jsonb", "text",
                 m.Below(2) ? "{\\\"a\\\":\\\"" + p + "\\\"}" : "{\\\"a\\\": " + p + "}");
    });
    row("pg.record", "T1", [](Maker& m, const std::string& p) {
      return Row("record", "text", "(" + p + ",11/28," + m.Digits(3) + ")");
    });
    row("pg.columns", "T3", [](Maker&, const std::string& p) {
      return R"({"msg":"DataRow","cols":[{"name":"a","type":"text","fmt":"text"},{"name":"b","type":"text","fmt":"text"}],"vals":[")" +
             p.substr(0, 8) + "\",\"" + p.substr(8) + "\"]}";
    });
    row("pg.copy_split", "T3", [](Maker& m, const std::string& p) {
      const size_t at = size_t(1 + m.Below(14));
      return R"({"msg":"CopyData","cols":[],"vals":[")" + p.substr(0, at) + "\",\"" + p.substr(at) +
             "\\n\"]}";
    });
    row("pg.error", "T1", [](Maker&, const std::string& p) {
      return R"({"msg":"ErrorResponse","cols":[],"vals":["duplicate key","Key (pan)=()" + p +
             ") already exists.\"]}";
    });
    return c;
  }();
  return classes;
}

std::string DigitsOnly(std::string_view text) {
  std::vector<Symbol> symbols;
  Fold(text, 0, text.size(), symbols);
  std::string digits;
  for (const Symbol& s : symbols) {
    if (s.c >= '0' && s.c <= '9') digits += s.c;
  }
  return digits;
}

TEST(Variations, EveryClassIsFoundWithOtherNumbersAndWords) {
  constexpr int kEach = 25;
  const auto masker = TestMasker();
  std::map<std::string, std::pair<int, int>> tiers;
  Maker maker(20261121);
  for (const Class& c : Classes()) {
    int missed = 0;
    std::string example;
    for (int k = 0; k < kEach; k++) {
      const Variation v = c.make(maker);
      const auto masked = MaskRecord(*masker, v.format, v.text);
      ASSERT_TRUE(masked) << v.text;
      const auto again = MaskRecord(*masker, v.format, masked->text);
      ASSERT_TRUE(again) << masked->text;
      EXPECT_EQ(again->text, masked->text) << v.text;
      EXPECT_TRUE(again->findings.empty()) << masked->text;
      auto& [found, all] = tiers[c.tier];
      all++;
      const bool gone = DigitsOnly(masked->text).find(v.pan) == std::string::npos;
      if (gone && masked->text != v.text && !masked->findings.empty()) {
        found++;
      } else {
        missed++;
        example = v.text;
      }
      if (v.format != TextFormat::text) continue;
      TextStream stream(masker, {});
      std::string out;
      const size_t cut = size_t(maker.Below(int(v.text.size())));
      stream.Feed(std::string_view(v.text).substr(0, cut), out);
      stream.Feed(std::string_view(v.text).substr(cut), out);
      stream.Finish(out);
      EXPECT_EQ(out, masked->text) << v.text << " cut at " << cut;
    }
    if (missed > 0)
      std::cout << c.name << " " << c.tier << ": missed " << missed << "/" << kEach << ", e.g. "
                << example << "\n";
  }
  for (const auto& [tier, n] : tiers) {
    std::cout << "recall " << tier << ": " << n.first << "/" << n.second << "\n";
  }
  EXPECT_GE(tiers["T1"].first, tiers["T1"].second * 0.995);
  EXPECT_GE(tiers["T2"].first, tiers["T2"].second * 0.99);
  EXPECT_GE(tiers["T3"].first, tiers["T3"].second * 0.85);
}

}  // namespace
}  // namespace sallyport::mask
