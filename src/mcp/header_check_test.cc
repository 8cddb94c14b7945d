#include "mcp/header_check.h"

#include <gtest/gtest.h>

namespace sallyport::mcp {
namespace {

struct Read {
  explicit Read(std::string_view body)
      : text(body), doc(*json::Document::Parse(text)), message(*ReadClientMessage(doc.root())) {}
  std::string text;
  json::Document doc;
  ClientMessage message;
};

constexpr std::string_view kCall =
    R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get","arguments":{"region":"us","n":42,"on":true,"deep":{"x":"a b"}}}})";

ToolDefinition Tool(std::string_view json) {
  const std::string text(json);
  return ReadToolDefinition(json::Document::Parse(text)->root());
}

TEST(HeaderCheck, StandardHeadersHaveToAgree) {
  const Read read(kCall);
  EXPECT_TRUE(
      CheckStandardHeaders({{"mcp-method", "tools/call"}, {"MCP-NAME", "get"}}, read.message));
  EXPECT_TRUE(CheckStandardHeaders({{"Mcp-Method", "tools/call"}, {"Mcp-Name", "=?base64?Z2V0?="}},
                                   read.message));
  const std::vector<net::Headers> wrong = {
      {{"Mcp-Method", "tools/call"}},
      {{"Mcp-Name", "get"}},
      {{"Mcp-Method", "tools/list"}, {"Mcp-Name", "get"}},
      {{"Mcp-Method", "tools/call"}, {"Mcp-Name", "Get"}},
      {{"Mcp-Method", "tools/call"}, {"Mcp-Name", "=?BASE64?Z2V0?="}},
      {{"Mcp-Method", "tools/call"}, {"Mcp-Name", "=?base64?Z2V?="}},
      {{"Mcp-Method", "tools/call"}, {"Mcp-Name", "get"}, {"mcp-name", "get"}},
      {{"Mcp-Method", "tools/call"},
       {"Mcp-Name", "get"},
       {"Mcp-Param-A", "1"},
       {"mcp-param-a", "1"}},
  };
  for (const net::Headers& headers : wrong) {
    const auto checked = CheckStandardHeaders(headers, read.message);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Errc::header_mismatch);
  }
}

TEST(HeaderCheck, ParametersAreComparedByValue) {
  const Read read(kCall);
  const ToolDefinition tool = Tool(
      R"({"name":"get","inputSchema":{"type":"object","properties":{
          "region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"},
          "on":{"type":"boolean","x-mcp-header":"On"},"gone":{"type":"string","x-mcp-header":"Gone"},
          "deep":{"type":"object","properties":{"x":{"type":"string","x-mcp-header":"X"}}}}}})");
  ASSERT_EQ(tool.header_fault, "");
  ASSERT_EQ(tool.headers.size(), 5u);
  const json::Value arguments = read.message.params["arguments"];
  const net::Headers good = {{"Mcp-Param-Region", "us"},
                             {"mcp-param-n", "42.0"},
                             {"Mcp-Param-On", "true"},
                             {"Mcp-Param-X", "=?base64?YSBi?="},
                             {"Mcp-Param-Other", "is nobody's"}};
  EXPECT_TRUE(CheckParamHeaders(good, tool, arguments));
  for (const std::string_view name :
       {"Mcp-Param-Region", "Mcp-Param-N", "Mcp-Param-On", "Mcp-Param-X"}) {
    net::Headers without = good;
    without.Remove(name);
    EXPECT_FALSE(CheckParamHeaders(without, tool, arguments)) << name;
    without.Add(std::string(name), "other");
    EXPECT_FALSE(CheckParamHeaders(without, tool, arguments)) << name;
  }
  net::Headers extra = good;
  extra.Add("Mcp-Param-Gone", "x");
  EXPECT_FALSE(CheckParamHeaders(extra, tool, arguments));
}

TEST(ToolDefinition, WrongAnnotationsSpoilTheTool) {
  const auto fault = [](std::string_view schema) {
    return Tool(R"({"name":"t","inputSchema":)" + std::string(schema) + "}").header_fault;
  };
  EXPECT_EQ(fault(R"({"properties":{"a":{"type":"string","x-mcp-header":"A"}}})"), "");
  EXPECT_NE(fault(R"({"properties":{"a":{"type":"string","x-mcp-header":""}}})"), "");
  EXPECT_NE(fault(R"({"properties":{"a":{"type":"string","x-mcp-header":"A\r\nB"}}})"), "");
  EXPECT_NE(fault(R"({"properties":{"a":{"type":"number","x-mcp-header":"A"}}})"), "");
  EXPECT_NE(
      fault(
          R"({"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}})"),
      "");
  EXPECT_NE(
      fault(
          R"({"properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}})"),
      "");
  EXPECT_NE(fault(R"({"anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]})"), "");
  EXPECT_NE(fault(R"({"$defs":{"d":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}}})"),
            "");
}

TEST(ToolDefinition, DigestsSeeEverythingButSpelling) {
  const ToolDefinition a =
      Tool(R"({"name":"a","description":"d","inputSchema":{"type":"object"}})");
  const ToolDefinition same =
      Tool(R"({ "description" : "\u0064", "inputSchema":{"type":"object"},"name":"a"})");
  const ToolDefinition renamed =
      Tool(R"({"name":"b","description":"d","inputSchema":{"type":"object"}})");
  const ToolDefinition changed =
      Tool(R"({"name":"a","description":"d","inputSchema":{"type":"object"},"annotations":{}})");
  EXPECT_EQ(a.digest, same.digest);
  EXPECT_NE(a.digest, renamed.digest);
  EXPECT_EQ(a.body_digest, renamed.body_digest);
  EXPECT_NE(a.digest, changed.digest);
  EXPECT_NE(a.body_digest, changed.body_digest);
}

TEST(ParamHeaders, AreMadeForClientsThatKnowNone) {
  const ToolDefinition tool = Tool(R"({"name":"a","inputSchema":{"type":"object","properties":{
      "region":{"type":"string","x-mcp-header":"Region"},
      "n":{"type":"integer","x-mcp-header":"N"},
      "deep":{"type":"object","properties":{"flag":{"type":"boolean","x-mcp-header":"Flag"}}}}}})");
  const auto made = [&](std::string_view arguments) {
    const auto doc = json::Document::Parse(arguments).value();
    net::Headers headers;
    for (auto& [name, value] : MirrorParams(tool, doc.root())) headers.Add(name, value);
    // What is made is what the check of the next gateway, or of the server, accepts.
    EXPECT_TRUE(CheckParamHeaders(headers, tool, doc.root())) << arguments;
    return headers;
  };
  const auto all = made(R"({"region":"eu","n":7,"deep":{"flag":true},"other":"x"})");
  EXPECT_EQ(all.fields().size(), 3u);
  EXPECT_EQ(all.Find("Mcp-Param-Region"), "eu");
  EXPECT_EQ(all.Find("Mcp-Param-N"), "7");
  EXPECT_EQ(all.Find("Mcp-Param-Flag"), "true");
  EXPECT_EQ(made(R"({"region":"größe"})").Find("Mcp-Param-Region"), "=?base64?Z3LDtsOfZQ==?=");
  EXPECT_EQ(made(R"({"region":"x\r\nInjected: 1"})").Find("Mcp-Param-Region"),
            "=?base64?eA0KSW5qZWN0ZWQ6IDE=?=");
  EXPECT_EQ(made(R"({"region":null})").fields().size(), 0u);
  EXPECT_EQ(made(R"({})").fields().size(), 0u);
}

TEST(ToolDefinition, InvisibleTextIsNoticed) {
  EXPECT_FALSE(Tool(R"({"name":"a","description":"Zahlung über 5 €\nund mehr 中文"})").poisoned);
  EXPECT_TRUE(Tool(R"({"name":"a","description":"x\u200by"})").poisoned);
  EXPECT_TRUE(Tool(R"({"name":"a","description":"x\udb40\udc41"})").poisoned);
  EXPECT_TRUE(
      Tool(R"({"name":"a","inputSchema":{"properties":{"p":{"description":"\u202e"}}}})").poisoned);
}

TEST(ToolDefinition, OutputSchemaSaysWhatANumberMayBecome) {
  const ToolDefinition t = Tool(R"({"name":"a","outputSchema":{"type":"object","properties":{
      "i":{"type":"integer"},"n":{"type":["integer","null"]},"s":{"type":["integer","string"]},
      "rows":{"type":"array","items":{"$ref":"#/$defs/row"}}},
      "$defs":{"row":{"type":"object","properties":{"pan":{"type":"integer"}}}}}})");
  const auto policy = [&](std::string_view pointer) -> std::optional<mask::NumberPolicy> {
    for (const auto& [pattern, p] : t.numbers) {
      if (PointerMatches(pattern, pointer)) return p;
    }
    return std::nullopt;
  };
  EXPECT_EQ(policy("/structuredContent/i"), mask::NumberPolicy::surrogate);
  EXPECT_EQ(policy("/structuredContent/n"), mask::NumberPolicy::null);
  EXPECT_EQ(policy("/structuredContent/s"), mask::NumberPolicy::string);
  EXPECT_EQ(policy("/structuredContent/rows/7/pan"), mask::NumberPolicy::surrogate);
}

}  // namespace
}  // namespace sallyport::mcp
