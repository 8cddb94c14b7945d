#include "export/format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <thread>

#include "export/log_for_tests.h"
#include "json/document.h"

namespace sallyport::exporting {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr Format kFormats[] = {Format::ocsf, Format::cef, Format::ecs, Format::json};

Style StyleOf(Format format, size_t max_bytes = 0) {
  return {.format = format, .version = "1.2.3", .max_bytes = max_bytes};
}

std::string RenderLast(TestLog& log, const Style& style) {
  log.Publish();
  Spool spool = *Spool::Open(log.dir.path());
  return Render(style, *spool.Read(spool.size() - 1));
}

/// Something that would be a line of its own, an event of its own or a field of its own, if it got
/// out of its field.
const std::string kForged =
    "x\n{\"index\":1}\r\nCEF:0|a|b|1|e|n|9|\\| act=allow = \x01\x1b[2J \x7f \xc2\x85 \xe2\x80\xa8 "
    "<13>1 - - - - - - forged";

/// The fields of a CEF message, by the format's own rules.
std::vector<std::string> CefHeader(const std::string& line) {
  std::vector<std::string> fields{""};
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\' && i + 1 < line.size() && fields.size() < 8) {
      fields.back() += line[++i];
    } else if (line[i] == '|' && fields.size() < 8) {
      fields.emplace_back();
    } else {
      fields.back() += line[i];
    }
  }
  return fields;
}

TEST(Format, TheEndOfAnOperationIsASpan) {
  TestLog log;
  log.Call();
  op::Evidence outcome;
  outcome.type = op::EventType::call_outcome;
  outcome.at = 1'795'200'003'000'000'000;
  outcome.session = 0;
  outcome.intent = 1;
  outcome.duration_us = 1500;
  log.Append(outcome);
  outcome.ok = false;
  outcome.code = "tool-error";
  log.Append(outcome);
  log.Publish();
  Spool spool = *Spool::Open(log.dir.path());
  size_t spans = 0;
  for (uint64_t i = 0; i < spool.size(); ++i) {
    const Event event = *spool.Read(i);
    const Facts facts(event);
    const std::string text = Render(StyleOf(Format::span), event);
    const bool ends = facts.event == "call.outcome" || facts.event == "call.denied";
    EXPECT_EQ(text.empty(), !ends) << facts.event;
    if (text.empty()) continue;
    ++spans;
    const auto document = json::Document::Parse(text);
    ASSERT_TRUE(document.has_value()) << text;
    const json::Value span = document->root();
    EXPECT_TRUE(IsTraceId(span["traceId"].string().value_or("")));
    EXPECT_EQ(span["spanId"].string()->size(), 16u);
    EXPECT_EQ(span["kind"].integer(), 2);
    EXPECT_LE(*span["startTimeUnixNano"].string(), *span["endTimeUnixNano"].string());
    std::map<std::string, std::string> attributes;
    for (json::Value a = span["attributes"].first(); a; a = a.next())
      attributes[std::string(*a["key"].string())] = a["value"]["stringValue"].string().value_or("");
    EXPECT_EQ(attributes["mcp.method.name"], "tools/call");
    EXPECT_EQ(attributes["gen_ai.operation.name"], "execute_tool");
    EXPECT_FALSE(attributes.contains("gen_ai.tool.call.arguments"));
    EXPECT_EQ(attributes.contains("error.type"), bool(span["status"]));
  }
  EXPECT_EQ(spans, 2u);
}

TEST(Format, EveryEventSaysWhereItIsInTheLog) {
  TestLog log;
  log.Call();
  log.Publish();
  Spool spool = *Spool::Open(log.dir.path());
  const std::string leaf = *spool.LeafOf(1);
  EXPECT_EQ(leaf.size(), 44u);
  for (const Format format : kFormats) {
    const std::string line = Render(StyleOf(format), *spool.Read(1));
    EXPECT_THAT(line, HasSubstr("gate.example.com/test")) << FormatName(format);
    if (format == Format::cef) {
      EXPECT_THAT(line, HasSubstr("externalId=gate.example.com/test:1 "));
      EXPECT_THAT(line, HasSubstr("cs1=" + leaf.substr(0, 43) + "\\="));
    } else {
      EXPECT_THAT(line, HasSubstr(json::Quote(leaf)));
      EXPECT_TRUE(json::Document::Parse(line).has_value()) << line;
    }
  }
}

TEST(Format, OcsfNamesWhoWhatAndTheDecision) {
  TestLog log;
  log.Call();
  const std::string line = RenderLast(log, StyleOf(Format::ocsf));
  const auto document = *json::Document::Parse(line);
  const json::Value o = document.root();
  EXPECT_EQ(o["class_uid"].integer(), 6003);
  EXPECT_EQ(o["type_uid"].integer(), 600399);
  EXPECT_EQ(o["metadata"]["uid"].string(), "gate.example.com/test:1");
  EXPECT_EQ(o["actor"]["user"]["uid"].string(), "agent-1");
  EXPECT_EQ(o["actor"]["user"]["type_id"].integer(), 4);
  EXPECT_EQ(o["src_endpoint"]["ip"].string(), "10.0.0.7");
  EXPECT_EQ(o["api"]["operation"].string(), "tools/call refund_order");
  EXPECT_EQ(o["api"]["request"]["data"]["id"].string(), "o_1");
  EXPECT_EQ(o["action_id"].integer(), 1);
  EXPECT_EQ(o["time"].integer(), 1'795'200'001'000);
}

TEST(Format, NothingInAnEntryEndsItsLineOrItsField) {
  for (const Format format : kFormats) {
    TestLog log;
    op::Evidence e = ledger::TestIntent(0, kForged, json::Quote(kForged));
    e.connection = e.method = e.detail = e.code = kForged;
    e.rules = {kForged};
    log.Append(e);
    for (const size_t limit : {size_t(0), size_t(2'500)}) {
      const std::string line = RenderLast(log, StyleOf(format, limit));
      for (const char* end : {"\n", "\r", "\x01", "\x1b", "\x7f", "\xc2\x85", "\xe2\x80\xa8"})
        EXPECT_THAT(line, Not(HasSubstr(end))) << FormatName(format);
      if (format != Format::cef) {
        EXPECT_TRUE(json::Document::Parse(line).has_value()) << line;
        continue;
      }
      const auto header = CefHeader(line);
      ASSERT_EQ(header.size(), 8u);
      EXPECT_EQ(header[4], "call.intent");
      EXPECT_EQ(header[6], "2");
      // A field begins behind a space and ends at a bare '='.
      const std::regex field(R"((^| )([A-Za-z0-9]+)=)");
      std::vector<std::string> names;
      for (std::sregex_iterator m(header[7].begin(), header[7].end(), field), none; m != none; ++m)
        names.push_back((*m)[2]);
      EXPECT_EQ(std::count(names.begin(), names.end(), "act"), 1);
      EXPECT_THAT(line, Not(HasSubstr(" act=allow = ")));
    }
  }
}

TEST(Format, WhatIsNoEntryIsAnEventAllTheSame) {
  TestLog log;
  for (const std::string& bytes :
       {std::string("no json"), std::string("{\"v\":1,\"e\":\"x\xff\"}"), std::string("\n\nCEF:0|"),
        std::string(60'000, '['), std::string("{\"v\":2,\"e\":\"log.start\",\"t\":1}")}) {
    log.Append(bytes);
    for (const Format format : kFormats) {
      const std::string line = RenderLast(log, StyleOf(format, 2'500));
      EXPECT_THAT(line, HasSubstr("unreadable"));
      EXPECT_THAT(line, Not(HasSubstr("\n")));
      EXPECT_LT(line.size(), 2'500u);
    }
  }
}

TEST(Format, AnEventOfALaterVersionIsTold) {
  TestLog log;
  log.Append(
      R"({"v":1,"e":"moon.landed","t":1795200001000000000,"who":7,"i":"x","mask":3,"um":[1]})");
  for (const Format format : kFormats)
    EXPECT_THAT(RenderLast(log, StyleOf(format)), HasSubstr("moon.landed"));
  const std::string line = RenderLast(log, StyleOf(Format::ocsf));
  const auto document = *json::Document::Parse(line);
  EXPECT_EQ(document.root()["class_uid"].integer(), 0);
}

TEST(Format, ALongEntryIsCutAndSaysSo) {
  TestLog log;
  log.Call(json::Quote(std::string(14'000, '"')));
  for (const Format format : kFormats) {
    const std::string line = RenderLast(log, StyleOf(format, 7'000));
    EXPECT_LE(line.size(), 7'000u) << FormatName(format);
    EXPECT_THAT(line, HasSubstr(format == Format::ocsf  ? "\"is_truncated\":true"
                                : format == Format::cef ? "cs6=true"
                                                        : "\"cut\":true"));
    EXPECT_THAT(line, HasSubstr("gate.example.com/test")) << FormatName(format);
  }
}

TEST(Format, TheBareFormFitsWhateverStandsInTheEntry) {
  TestLog log;
  std::string name(3'000, '\\');
  log.Append("{\"v\":1,\"e\":" + json::Quote(name) + ",\"t\":1,\"c\":" + json::Quote(name) +
             ",\"m\":" + json::Quote(name) + ",\"r\":" + json::Quote(name) + "}");
  for (const Format format : kFormats) {
    const std::string line = RenderLast(log, StyleOf(format, 2'000));
    EXPECT_LE(line.size(), 2'000u) << FormatName(format) << line;
  }
}

TEST(Format, AnOutcomeNamesWhatItsIntentSaid) {
  TestLog log;
  log.Call();
  op::Evidence outcome;
  outcome.type = op::EventType::call_outcome;
  outcome.at = 1'795'200'002'000'000'000;
  outcome.session = 0;
  outcome.intent = 1;
  outcome.duration_us = 2'500;
  outcome.masked = {{"pan", "/a", 2}, {"pan", "/b", 1}};
  log.Append(outcome);
  const std::string line = RenderLast(log, StyleOf(Format::ocsf));
  const auto document = *json::Document::Parse(line);
  const json::Value o = document.root();
  EXPECT_EQ(o["api"]["operation"].string(), "tools/call refund_order");
  EXPECT_EQ(o["status_id"].integer(), 1);
  EXPECT_EQ(o["duration"].integer(), 2);
  EXPECT_EQ(o["unmapped"]["masked"]["pan"].integer(), 3);
  EXPECT_EQ(o["unmapped"]["intent"].integer(), 1);
}

}  // namespace
}  // namespace sallyport::exporting
