#include "mcp/envelope.h"

#include <gtest/gtest.h>

#include "json/document.h"
#include "mcp/member_scan.h"
#include "mcp/upstream_bridge.h"

namespace sallyport::mcp {
namespace {

using Kind = UpstreamMessage::Kind;

std::string Scan(std::string_view text, char open = '{') {
  std::string out;
  MemberScan scan(text, open);
  while (scan.Next()) out += std::string(scan.key()) + "=" + std::string(scan.value()) + ";";
  return out + (scan.ok() ? "" : "!");
}

TEST(WithTraceparentTest, GoesIntoMeta) {
  for (const auto& [params, want] : std::initializer_list<std::pair<const char*, const char*>>{
           {"", R"({"_meta":{"traceparent":"t"}})"},
           {"{}", R"({"_meta":{"traceparent":"t"}})"},
           {R"({"name":"x"})", R"({"_meta":{"traceparent":"t"},"name":"x"})"},
           {R"({"_meta":{},"name":"x"})", R"({"_meta":{"traceparent":"t"},"name":"x"})"},
           {R"({"a":1,"_meta": {"k":2}})", R"({"a":1,"_meta": {"traceparent":"t","k":2}})"},
           {R"({"_meta":{"k":2,"traceparent":"old"}})", R"({"_meta":{"k":2,"traceparent":"t"}})"},
           {R"({"_meta":3})", R"({"_meta":3})"}})
    EXPECT_EQ(WithTraceparent(params, "t"), want) << params;
}

TEST(MemberScan, SplitsObjectsAndArrays) {
  EXPECT_EQ(Scan(R"({"a":1,"b":{"c":[1,2,{"d":"}"}]},"e":"x,\"y"})"),
            R"(a=1;b={"c":[1,2,{"d":"}"}]};e="x,\"y";)");
  EXPECT_EQ(Scan(" \n{ \"a\" : -1.5e3 , \"b\" : null }\t"), "a=-1.5e3;b=null;");
  EXPECT_EQ(Scan("{}"), "");
  EXPECT_EQ(Scan("[1,[2],\"]\"]", '['), "=1;=[2];=\"]\";");
  EXPECT_EQ(Scan(R"({"a\"\u0062":"\\"})"), R"(a"b="\\";)");
}

TEST(MemberScan, RefusesWhatIsNoObject) {
  for (const char* bad :
       {"", "[]", "1", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1", "{\"a\":1,}", "{,}", "{\"a\":1}x",
        "{\"a\":1 \"b\":2}", "{a:1}", "{\"a\":\"x}", "{\"a\":[1}", "{\"a\":{\"b\":1}"}) {
    EXPECT_TRUE(Scan(bad).ends_with('!')) << bad;
  }
}

TEST(ReadMessage, Kinds) {
  auto m = ReadMessage(R"({"jsonrpc":"2.0","id":7,"result":{"x":1.00}})");
  ASSERT_TRUE(m);
  EXPECT_EQ(m->kind, Kind::result);
  EXPECT_EQ(m->id, "7");
  EXPECT_EQ(m->body, R"({"x":1.00})");
  m = ReadMessage(R"({"error":{"code":-1,"message":"m"},"id":null,"jsonrpc":"2.0"})");
  ASSERT_TRUE(m);
  EXPECT_EQ(m->kind, Kind::error);
  m = ReadMessage(R"({"jsonrpc":"2.0","id":"q","method":"roots\/list"})");
  ASSERT_TRUE(m);
  EXPECT_EQ(m->kind, Kind::request);
  EXPECT_EQ(m->id, "\"q\"");
  EXPECT_EQ(m->method, "roots/list");
  m = ReadMessage(R"({"jsonrpc":"2.0","method":"n","params":{}})");
  ASSERT_TRUE(m);
  EXPECT_EQ(m->kind, Kind::notification);
}

TEST(ReadMessage, Refuses) {
  for (const char* bad : {R"([])",
                          R"({})",
                          R"(null)",
                          R"(<html>)",
                          R"({"jsonrpc":"1.0","id":1,"result":{}})",
                          R"({"id":1,"result":{}})",
                          R"({"jsonrpc":"2.0","id":1,"result":{},"error":{}})",
                          R"({"jsonrpc":"2.0","id":1})",
                          R"({"jsonrpc":"2.0","id":1,"id":2,"result":{}})",
                          R"({"jsonrpc":"2.0","i\u0064":1,"id":2,"result":{}})",
                          R"({"jsonrpc":"2.0","id":1.5,"result":{}})",
                          R"({"jsonrpc":"2.0","id":{},"result":{}})",
                          R"({"jsonrpc":"2.0","result":{}})",
                          R"({"jsonrpc":"2.0","id":null,"method":"x"})",
                          R"({"jsonrpc":"2.0","id":1,"method":"x","result":{}})",
                          R"({"jsonrpc":"2.0","id":1,"method":""})",
                          R"({"jsonrpc":"2.0","id":1,"method":5})",
                          R"({"jsonrpc":"2.0","method":"x","params":[1]})",
                          R"({"jsonrpc":"2.0","id":1,"result":"text"})",
                          R"({"jsonrpc":"2.0","id":1,"result":{}}{})"}) {
    const auto m = ReadMessage(bad);
    ASSERT_FALSE(m) << bad;
    EXPECT_EQ(m.error().code, Errc::upstream_protocol);
  }
}

TEST(Envelope, WritesByPuttingTextsTogether) {
  EXPECT_EQ(
      RequestText(18446744073709551615u, "tools/call", R"({"n":1.000})"),
      R"({"jsonrpc":"2.0","id":18446744073709551615,"method":"tools/call","params":{"n":1.000}})");
  EXPECT_EQ(NotificationText("a\"b", {}), R"({"jsonrpc":"2.0","method":"a\"b"})");
  EXPECT_EQ(ResponseText("\"x\"", {true, R"({"code":1})"}),
            R"({"jsonrpc":"2.0","id":"x","error":{"code":1}})");
  std::string text = R"({"jsonrpc":"2.0","id":1,"result":{"a":1}})";
  const std::string_view body = ReadMessage(text)->body;
  KeepOnly(text, body);
  EXPECT_EQ(text, R"({"a":1})");
}

// The examples of the specification.
TEST(Envelope, HeaderValues) {
  EXPECT_EQ(HeaderValue("us-west1"), "us-west1");
  EXPECT_EQ(HeaderValue("Hello, \xe4\xb8\x96\xe7\x95\x8c"), "=?base64?SGVsbG8sIOS4lueVjA==?=");
  EXPECT_EQ(HeaderValue(" padded "), "=?base64?IHBhZGRlZCA=?=");
  EXPECT_EQ(HeaderValue("line1\nline2"), "=?base64?bGluZTEKbGluZTI=?=");
  EXPECT_EQ(HeaderValue("=?base64?literal?="), "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=");
  EXPECT_EQ(HeaderValue("a\r\nX: y").find('\n'), std::string::npos);
}

TEST(Bridge, ModernParamsKeepsWhatIsNotOfTheEra) {
  ClientFace face;
  face.capabilities = R"({"elicitation":{}})";
  face.info = R"({"name":"c","version":"1"})";
  const auto params = ModernParams(
      R"({"name":"t","_meta":{"progressToken":5,"io.modelcontextprotocol\/logLevel":"debug","x":1.0},"arguments":{"n":1e2}})",
      face, {R"("info")", R"({"k":{}})", R"("s")"});
  ASSERT_TRUE(params);
  EXPECT_EQ(*params,
            R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
            R"("io.modelcontextprotocol/clientCapabilities":{"elicitation":{}},)"
            R"("io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},)"
            R"("io.modelcontextprotocol/logLevel":"info","progressToken":5,"x":1.0},)"
            R"("name":"t","arguments":{"n":1e2},"inputResponses":{"k":{}},"requestState":"s"})");
  EXPECT_TRUE(json::Document::Parse(*params));
  EXPECT_FALSE(ModernParams("[1]", face, {}));
  EXPECT_FALSE(ModernParams(R"({"_meta":3})", face, {}));
}

TEST(Bridge, SessionParamsTakesTheEraOut) {
  std::string level = "old";
  EXPECT_EQ(
      *SessionParams(
          R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":"p",)"
          R"("io.modelcontextprotocol/logLevel":"info","io.modelcontextprotocol/clientInfo":{},)"
          R"("io.modelcontextprotocol/clientCapabilities":{}},"name":"t"})",
          level),
      R"({"_meta":{"progressToken":"p"},"name":"t"})");
  EXPECT_EQ(level, "\"info\"");
  EXPECT_EQ(*SessionParams(R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"x"}})", level),
            "{}");
  EXPECT_EQ(level, "");
  EXPECT_FALSE(SessionParams("nope", level));
}

TEST(Bridge, CompleteResultAddsOnlyWhatIsMissing) {
  const auto complete = [](std::string result, std::string_view method) {
    CompleteResult(result, method);
    return result;
  };
  EXPECT_EQ(complete(R"({"tools":[]})", "tools/list"),
            R"({"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[]})");
  EXPECT_EQ(complete(R"({"content":[]})", "tools/call"),
            R"({"resultType":"complete","content":[]})");
  EXPECT_EQ(complete("{}", "ping"), R"({"resultType":"complete"})");
  EXPECT_EQ(complete(R"({"resultType":"task","ttlMs":5,"cacheScope":"public"})", "resources/read"),
            R"({"resultType":"task","ttlMs":5,"cacheScope":"public"})");
}

TEST(Bridge, ProgressTokenIsReplacedInPlace) {
  std::string was;
  EXPECT_EQ(*WithProgressToken(R"({"a":1,"_meta":{"progressToken":"p q","x":2}})", "77", was),
            R"({"a":1,"_meta":{"progressToken":77,"x":2}})");
  EXPECT_EQ(was, "\"p q\"");
  EXPECT_EQ(*WithProgressToken(R"({"a":{"_meta":{"progressToken":1}}})", "77", was),
            R"({"a":{"_meta":{"progressToken":1}}})");
  EXPECT_EQ(was, "");
}

TEST(Bridge, Faces) {
  const auto face = ReadDiscover(
      R"({"supportedVersions":["2026-07-28","2099-01-01","2025-06-18"],"capabilities":{"tools":{}},)"
      R"("instructions":"a\nb","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}})");
  ASSERT_TRUE(face);
  EXPECT_EQ(face->revisions, (std::vector{Revision::r2025_06_18, Revision::r2026_07_28}));
  EXPECT_EQ(face->info, R"({"name":"s"})");
  EXPECT_EQ(face->instructions, "a\nb");
  EXPECT_FALSE(ReadDiscover(R"({"capabilities":{}})"));
  EXPECT_EQ(ReadInitialize(R"({"protocolVersion":"2024-11-05","capabilities":{}})")->version,
            "2024-11-05");
  EXPECT_FALSE(ReadInitialize(R"({"protocolVersion":"2026-07-28","capabilities":{}})"));
  EXPECT_FALSE(ReadInitialize(R"({"protocolVersion":"1999-01-01","capabilities":{}})"));
  EXPECT_FALSE(ReadInitialize(R"({"capabilities":{}})"));
}

}  // namespace
}  // namespace sallyport::mcp
