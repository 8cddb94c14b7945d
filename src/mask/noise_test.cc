// What is no card number stays as it is: identifiers, hashes, timestamps, floats, running text.
#include <functional>
#include <gtest/gtest.h>
#include <iostream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "mask/corpus_format.h"
#include "mask/variation_maker.h"

namespace sallyport::mask {
namespace {

struct Noise {
  const char* name;
  int count;
  double allowed;  // share that may be flagged
  std::function<std::string(Maker&)> make;
};

TEST(Noise, IsLeftAlone) {
  static const auto hex = [](Maker& m, int n) {
    std::string s;
    for (int i = 0; i < n; i++) s += "0123456789abcdef"[m.Below(16)];
    return s;
  };
  static const auto uuid = [](Maker& m) {
    std::string s = hex(m, 8) + "-" + hex(m, 4) + "-4" + hex(m, 3) + "-" + "89ab"[m.Below(4)] +
                    hex(m, 3) + "-" + hex(m, 12);
    return s;
  };
  const std::vector<Noise> kinds = {
      {"uuid", 60000, 0, [](Maker& m) { return "request_id=" + uuid(m); }},
      {"uuid json", 20000, 0, [](Maker& m) { return "{\"account_token\":\"" + uuid(m) + "\"}"; }},
      {"uuid digits", 20000, 0,
       [](Maker& m) {
         return m.Complete("4", 16).insert(12, "-").insert(8, "-") + "-b66c-f2db26efb20c";
       }},
      {"epoch ms", 20000, 0, [](Maker& m) { return "{\"ts\":17" + m.Digits(11) + "}"; }},
      {"epoch us", 20000, 0, [](Maker& m) { return "at 17" + m.Digits(14) + " done"; }},
      {"epoch ns", 20000, 0, [](Maker& m) { return "{\"ts_ns\":17" + m.Digits(17) + "}"; }},
      {"snowflake", 20000, 0, [](Maker& m) { return "{\"tweet_id\":1" + m.Digits(18) + "}"; }},
      {"discord", 20000, 0,
       [](Maker& m) {
         return "{\"guild\":\"" + std::to_string(1 + m.Below(9)) + m.Digits(17) + "\"}";
       }},
      {"sha1", 20000, 0, [](Maker& m) { return "commit " + hex(m, 40); }},
      {"sha256", 20000, 0, [](Maker& m) { return "sha256:" + hex(m, 64); }},
      {"md5", 20000, 0, [](Maker& m) { return "etag " + hex(m, 32); }},
      {"float", 20000, 0, [](Maker& m) { return "0." + m.Digits(16); }},
      {"float pair", 20000, 0,
       [](Maker& m) {
         return m.Digits(2) + "." + m.Digits(8) + " -" + m.Digits(1) + "." + m.Digits(8);
       }},
      {"float json", 20000, 0,
       [](Maker& m) {
         return "{\"v\":[" + std::to_string(m.Below(99)) + "." + m.Digits(15) + ",4." +
                m.Digits(16) + "]}";
       }},
      {"isbn", 5000, 0, [](Maker& m) { return "ISBN 978" + m.Digits(10); }},
      {"ean", 5000, 0, [](Maker& m) { return "EAN 40" + m.Digits(11); }},
      {"gtin", 5000, 0, [](Maker& m) { return "{\"gtin\":\"3" + m.Digits(13) + "\"}"; }},
      {"imei", 5000, 0, [](Maker& m) { return "IMEI 35" + m.Digits(13); }},
      {"imeisv", 5000, 0, [](Maker& m) { return "{\"imeisv\":\"35" + m.Digits(14) + "\"}"; }},
      {"iccid", 5000, 0, [](Maker& m) { return "ICCID 89" + m.Digits(17); }},
      {"sscc", 5000, 0, [](Maker& m) { return "(00)3" + m.Digits(17); }},
      {"south african id", 5000, 0, [](Maker& m) { return "SA ID " + m.Digits(13); }},
      {"aws", 5000, 0, [](Maker& m) { return "arn:aws:iam::" + m.Digits(12) + ":role/x"; }},
      {"fedex", 5000, 0, [](Maker& m) { return "FedEx " + m.Digits(12); }},
      {"usps", 5000, 0,
       [](Maker& m) {
         return "USPS 94" + m.Digits(2) + " " + m.Digits(4) + " " + m.Digits(4) + " " +
                m.Digits(4) + " " + m.Digits(4) + " " + m.Digits(2);
       }},
      {"phones", 5000, 0,
       [](Maker& m) { return "415-555-" + m.Digits(4) + " 415-555-" + m.Digits(4); }},
      {"ip", 5000, 0,
       [](Maker& m) {
         return "2001:0db8:" + hex(m, 4) + ":" + m.Digits(4) + ":" + m.Digits(4) + ":" +
                m.Digits(4) + ":" + m.Digits(4) + ":7334";
       }},
      {"dates", 5000, 0,
       [](Maker& m) {
         return "2025" + m.Digits(4) + "T" + m.Digits(6) + "Z 2025-01-" + m.Digits(2) +
                " 10:" + m.Digits(2) + ":" + m.Digits(2);
       }},
      {"long run", 20000, 0.002, [](Maker& m) { return "n=" + m.Digits(20); }},
      {"longer run", 5000, 0, [](Maker& m) { return "modulus " + m.Digits(60 + m.Below(60)); }},
      {"base64", 5000, 0,
       [](Maker& m) {
         std::string b;
         for (int i = 0; i < 60; i++) b += char(m.Below(256));
         return "base64 " + Base64Encode(AsBytes(b));
       }},
      {"masked", 2000, 0,
       [](Maker& m) {
         return "card **** **** **** " + m.Digits(4) + " or " + "411111******" + m.Digits(4) +
                " or 411111..." + m.Digits(4);
       }},
      {"records", 5000, 0,
       [](Maker& m) {
         return "{\"id\":" + m.Digits(9) + ",\"sku\":\"SKU-" + m.Digits(8) +
                "\",\"qty\":" + m.Digits(2) + ",\"price\":" + m.Digits(3) +
                ".25,\"created\":\"2025-03-04T00:00:00Z\"}";
       }},
      {"short ids", 5000, 0,
       [](Maker& m) {
         return "order " + m.Digits(8) + " ticket " + m.Digits(10) + " SSN 078-05-" + m.Digits(4);
       }},
      // The floor of chance: a number of sixteen digits and nothing that speaks against it.
      {"random 16", 20000, 0.042, [](Maker& m) { return m.Digits(16); }},
  };
  const auto masker = TestMasker();
  Maker maker(7);
  for (const Noise& noise : kinds) {
    int flagged = 0;
    std::string example;
    for (int k = 0; k < noise.count; k++) {
      const std::string text = noise.make(maker);
      const auto masked =
          MaskRecord(*masker, text[0] == '{' ? TextFormat::json : TextFormat::text, text);
      if (masked->findings.empty()) continue;
      flagged++;
      example = text + " -> " + masked->text;
    }
    EXPECT_LE(flagged, noise.count * noise.allowed) << noise.name << ": " << example;
    if (flagged > 0)
      std::cout << noise.name << ": " << flagged << "/" << noise.count << ", e.g. " << example
                << "\n";
  }
}

}  // namespace
}  // namespace sallyport::mask
