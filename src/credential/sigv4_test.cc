#include "credential/sigv4.h"

#include <fstream>
#include <gtest/gtest.h>

#include "json/document.h"

namespace sallyport::credential {
namespace {

/// The lines of one vector file, read.
std::vector<std::string> Lines(const std::string& file) {
  std::ifstream in(std::string(SALLYPORT_TESTDATA) + "/sigv4/" + file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

struct Vector {
  explicit Vector(const std::string& line) : doc(*json::Document::Parse(line)) {
    request = {.method = method = Text("method"),
               .host = host = Text("host"),
               .target = target = Text("target"),
               .headers = {},
               .body = body = Text("body")};
    for (auto header = doc.root()["headers"].at(0); header; header = header.next())
      request.headers.emplace_back(header.at(0).string().value(), header.at(1).string().value());
  }
  std::string Text(std::string_view key) const {
    return std::string(doc.root()[key].string().value_or(""));
  }
  AwsKey Key() const {
    const auto key = doc.root()["key"];
    return {std::string(key.at(0).string().value()), Secret(std::string(*key.at(1).string())),
            Secret(std::string(key.at(2).string().value_or("")))};
  }
  Nanos When() const { return doc.root()["seconds"].integer().value() * 1'000'000'000; }

  json::Document doc;
  std::string method, host, target, body;
  AwsRequest request;
};

constexpr Nanos kSuiteTime = Nanos(1'440'938'160) * 1'000'000'000;  // 2015-08-30T12:36:00Z

TEST(SigV4, SignsAsTheSuiteOfAwsSays) {
  size_t seen = 0;
  for (const std::string& line : Lines("aws.jsonl")) {
    Vector v(line);
    const AwsKey key{"AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                     Secret(v.Text("token"))};
    const auto made = SignAws(v.request, key, {"us-east-1", "service"}, kSuiteTime);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->authorization, v.Text("authorization"))
        << v.Text("name") << '\n'
        << CanonicalAws(v.request, key, made->date);
    EXPECT_EQ(made->date, "20150830T123600Z");
    ++seen;
  }
  EXPECT_EQ(seen, 33u);
}

TEST(SigV4, SignsAsBotocoreDoes) {
  size_t requests = 0, tokens = 0;
  for (const std::string& line : Lines("botocore.jsonl")) {
    Vector v(line);
    const std::string region = v.Text("region");
    if (v.doc.root()["user"]) {
      const auto token = RdsToken(v.host, uint16_t(*v.doc.root()["port"].integer()), v.Text("user"),
                                  v.Key(), region, v.When());
      ASSERT_TRUE(token);
      EXPECT_EQ(token->Reveal(), v.Text("token")) << v.Text("name");
      ++tokens;
      continue;
    }
    const auto made = SignAws(v.request, v.Key(), {region, v.Text("service")}, v.When());
    ASSERT_TRUE(made);
    EXPECT_EQ(made->authorization, v.Text("authorization"))
        << v.Text("name") << ' ' << v.target << '\n'
        << CanonicalAws(v.request, v.Key(), made->date);
    ++requests;
  }
  EXPECT_EQ(requests, 400u);
  EXPECT_EQ(tokens, 20u);
}

}  // namespace
}  // namespace sallyport::credential
