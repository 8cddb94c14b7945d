// The quick way through an upstream's message agrees with the strict JSON reader on every text that
// the strict one accepts, and what the era bridge splices together is JSON again.

#include <cstdint>
#include <cstdlib>
#include <string>

#include "json/document.h"
#include "mcp/envelope.h"
#include "mcp/member_scan.h"
#include "mcp/upstream_bridge.h"

namespace {

using namespace sallyport;
using namespace sallyport::mcp;

void Check(bool holds) {
  if (!holds) std::abort();
}

void ScanAgrees(std::string_view text, json::Value root) {
  const bool object = root.is(json::Kind::object);
  MemberScan scan(text, object ? '{' : '[');
  auto member = root.first();
  while (scan.Next()) {
    Check(bool(member));
    Check(scan.value() == member.raw());
    if (object) Check(scan.key() == member.key());
    member = member.next();
  }
  Check(scan.ok() && !member);
}

bool IsObject(std::string_view text) {
  const auto doc = json::Document::Parse(text);
  return doc && doc->root().is(json::Kind::object);
}

void BridgeKeepsJson(const std::string& params) {
  ClientFace face;
  face.info = R"({"name":"x","version":"1"})";
  if (const auto modern = ModernParams(params, face, {R"("info")", R"({"k":{}})", R"("s")"})) {
    // Members that the client sent twice under different spellings are refused before they come
    // here.
    const auto doc = json::Document::Parse(*modern);
    Check(doc || doc.error().code == Errc::request_duplicate_key ||
          doc.error().code == Errc::request_too_deep);
    if (doc) {
      Check(doc->root()["_meta"][kMetaProtocolVersion].string() == "2026-07-28");
      Check(doc->root()["_meta"][kMetaLogLevel].string() == "info");
      Check(doc->root()["requestState"].string() == "s");
    }
  }
  std::string level;
  if (const auto session = SessionParams(params, level)) {
    Check(IsObject(*session));
    const auto doc = json::Document::Parse(*session);
    Check(!doc->root()["_meta"][kMetaProtocolVersion]);
  }
  std::string original;
  if (const auto other = WithProgressToken(params, "77", original)) {
    Check(IsObject(*other));
    if (!original.empty()) {
      const auto doc = json::Document::Parse(*other);
      Check(doc->root()["_meta"]["progressToken"].raw() == "77");
      std::string again;
      const auto back = WithProgressToken(*other, original, again);
      Check(back && *back == params && again == "77");
    }
  }
  std::string result = params;
  CompleteResult(result, "tools/list");
  const auto doc = json::Document::Parse(result);
  Check(doc && doc->root()["resultType"] && doc->root()["ttlMs"] && doc->root()["cacheScope"]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  std::string copy = text;
  if (const auto message = ReadMessage(text)) {
    Check(message->body.empty() || message->body.front() == '{');
    const auto again = ReadMessage(copy);
    const std::string body(again->body);
    if (!again->body.empty()) {
      KeepOnly(copy, again->body);
      Check(copy == body);
    }
  }
  const std::string header = HeaderValue(text);
  Check(IsPlainHeaderValue(header));
  const auto doc = json::Document::Parse(text, {1 << 20, 32, 1 << 16});
  if (!doc) return 0;
  if (!doc->root().is(json::Kind::object) && !doc->root().is(json::Kind::array)) return 0;
  ScanAgrees(text, doc->root());
  if (doc->root().is(json::Kind::object)) BridgeKeepsJson(text);
  return 0;
}
