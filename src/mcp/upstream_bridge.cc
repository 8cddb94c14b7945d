#include "mcp/upstream_bridge.h"

#include <algorithm>
#include <array>

#include "json/document.h"
#include "mcp/envelope.h"
#include "mcp/member_scan.h"

namespace sallyport::mcp {
namespace {

constexpr std::string_view kOwnInfo = R"({"name":"sallyport","version":"0.1.0"})";

bool IsModernMeta(std::string_view key) {
  return key == kMetaProtocolVersion || key == kMetaClientCapabilities || key == kMetaClientInfo ||
         key == kMetaLogLevel;
}

/// Writes one JSON object member by member.
class ObjectText {
 public:
  explicit ObjectText(std::string& out) : out_(out) { out_ += '{'; }
  void Raw(std::string_view member) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += member;
  }
  void Add(std::string_view key, std::string_view value) {
    Raw({});
    out_ += '"';
    out_.append(key).append("\":").append(value);
  }
  void End() { out_ += '}'; }
  bool empty() const { return first_; }

 private:
  std::string& out_;
  bool first_ = true;
};

std::unexpected<Error> NoObject() { return Fail(Errc::request_malformed, "params is no object"); }

std::string_view MemberText(std::string_view object, const MemberScan& scan) {
  return object.substr(scan.begin(), scan.end() - scan.begin());
}

bool IsCacheable(std::string_view method) {
  constexpr std::array<std::string_view, 6> kCacheable = {
      "tools/list",     "prompts/list",   "resources/list", "resources/templates/list",
      "resources/read", "server/discover"};
  return std::find(kCacheable.begin(), kCacheable.end(), method) != kCacheable.end();
}

std::string TextOf(json::Value value, std::string_view otherwise) {
  return std::string(value.is(json::Kind::object) ? value.raw() : otherwise);
}

}  // namespace

Result<std::string> ModernParams(std::string_view params, const ClientFace& face,
                                 const ModernExtras& extras) {
  if (params.empty()) params = "{}";
  std::string out;
  out.reserve(params.size() + face.capabilities.size() + face.info.size() +
              extras.input_responses.size() + extras.request_state.size() + 256);
  ObjectText object(out);
  object.Add("_meta", {});
  {
    ObjectText meta(out);
    meta.Add(kMetaProtocolVersion, json::Quote(RevisionName(Revision::r2026_07_28)));
    meta.Add(kMetaClientCapabilities, face.capabilities.empty() ? "{}" : face.capabilities);
    if (!face.info.empty()) meta.Add(kMetaClientInfo, face.info);
    if (!extras.log_level.empty()) meta.Add(kMetaLogLevel, extras.log_level);
    const std::string_view theirs = FindMember(params, "_meta");
    if (!theirs.empty()) {
      MemberScan scan(theirs);
      while (scan.Next()) {
        if (!IsModernMeta(scan.key())) meta.Raw(MemberText(theirs, scan));
      }
      if (!scan.ok()) return NoObject();
    }
    meta.End();
  }
  MemberScan scan(params);
  while (scan.Next()) {
    if (scan.key() == "_meta" || scan.key() == "inputResponses" || scan.key() == "requestState")
      continue;
    object.Raw(MemberText(params, scan));
  }
  if (!scan.ok()) return NoObject();
  if (!extras.input_responses.empty()) object.Add("inputResponses", extras.input_responses);
  if (!extras.request_state.empty()) object.Add("requestState", extras.request_state);
  object.End();
  return out;
}

Result<std::string> SessionParams(std::string_view params, std::string& log_level) {
  log_level.clear();
  if (params.empty()) return std::string();
  std::string out;
  out.reserve(params.size());
  ObjectText object(out);
  MemberScan scan(params);
  while (scan.Next()) {
    if (scan.key() != "_meta") {
      object.Raw(MemberText(params, scan));
      continue;
    }
    const std::string_view theirs = scan.value();
    std::string kept;
    ObjectText meta(kept);
    MemberScan inner(theirs);
    while (inner.Next()) {
      if (inner.key() == kMetaLogLevel) log_level = inner.value();
      if (!IsModernMeta(inner.key())) meta.Raw(MemberText(theirs, inner));
    }
    if (!inner.ok()) return NoObject();
    meta.End();
    if (!meta.empty()) object.Add("_meta", kept);
  }
  if (!scan.ok()) return NoObject();
  object.End();
  return out;
}

void CompleteResult(std::string& result, std::string_view method) {
  bool type = false, ttl = false, scope = false, any = false;
  MemberScan scan(result);
  while (scan.Next()) {
    any = true;
    type |= scan.key() == "resultType";
    ttl |= scan.key() == "ttlMs";
    scope |= scan.key() == "cacheScope";
  }
  if (!scan.ok()) return;  // read strictly, and refused, by whoever masks it
  const bool cacheable = IsCacheable(method);
  std::string add;
  if (!type) add += R"("resultType":"complete",)";
  if (cacheable && !ttl) add += R"("ttlMs":0,)";
  if (cacheable && !scope) add += R"("cacheScope":"private",)";
  if (add.empty()) return;
  if (!any) add.pop_back();
  result.insert(result.find('{') + 1, add);
}

Result<std::string> WithProgressToken(std::string_view params, std::string_view token,
                                      std::string& original) {
  original.clear();
  const std::string_view meta = FindMember(params, "_meta");
  if (meta.empty()) return std::string(params);
  MemberScan scan(meta);
  while (scan.Next()) {
    if (scan.key() != "progressToken") continue;
    const auto from = static_cast<size_t>(scan.value().data() - params.data());
    original = scan.value();
    std::string out(params);
    out.replace(from, original.size(), token);
    return out;
  }
  if (!scan.ok()) return NoObject();
  return std::string(params);
}

std::string WithTraceparent(std::string_view params, std::string_view traceparent) {
  const std::string member = R"("traceparent":)" + json::Quote(traceparent);
  if (params.empty()) return R"({"_meta":{)" + member + "}}";
  std::string out(params);
  const auto insert = [&out](std::string_view object, size_t at, std::string text) {
    MemberScan scan(object);
    if (scan.Next()) text += ',';
    out.insert(at, text);
    return out;
  };
  const std::string_view meta = FindMember(params, "_meta");
  if (meta.empty()) return insert(params, params.find('{') + 1, R"("_meta":{)" + member + "}");
  if (!meta.starts_with('{')) return out;
  const auto at = static_cast<size_t>(meta.data() - params.data());
  MemberScan scan(meta);
  while (scan.Next()) {
    if (scan.key() != "traceparent") continue;
    return out.replace(static_cast<size_t>(scan.value().data() - params.data()),
                       scan.value().size(), json::Quote(traceparent));
  }
  return insert(meta, at + 1, member);
}

std::string InitializeParams(Revision revision, const ClientFace& face) {
  std::string out;
  ObjectText object(out);
  object.Add("protocolVersion", json::Quote(RevisionName(revision)));
  object.Add("capabilities", face.capabilities.empty() ? "{}" : face.capabilities);
  object.Add("clientInfo", face.info.empty() ? kOwnInfo : face.info);
  object.End();
  return out;
}

Result<UpstreamFace> ReadDiscover(std::string_view result) {
  const auto doc = json::Document::Parse(result);
  if (!doc)
    return Fail(Errc::upstream_protocol, "answer to server/discover: " + doc.error().detail);
  const json::Value root = doc->root();
  const json::Value versions = root["supportedVersions"];
  if (!versions.is(json::Kind::array) || !root["capabilities"].is(json::Kind::object)) {
    return Fail(Errc::upstream_protocol,
                "answer to server/discover without versions or capabilities");
  }
  UpstreamFace face;
  for (auto v = versions.first(); v; v = v.next()) {
    const auto known = ParseRevision(v.string().value_or(std::string_view()));
    if (known) face.revisions.push_back(*known);
  }
  std::sort(face.revisions.begin(), face.revisions.end());
  face.revisions.erase(std::unique(face.revisions.begin(), face.revisions.end()),
                       face.revisions.end());
  face.capabilities = TextOf(root["capabilities"], "{}");
  const json::Value info = root["_meta"][kMetaServerInfo];
  face.info = TextOf(info ? info : root["serverInfo"], "{}");
  face.instructions = root["instructions"].string().value_or(std::string_view());
  return face;
}

Result<Initialized> ReadInitialize(std::string_view result) {
  const auto doc = json::Document::Parse(result);
  if (!doc) return Fail(Errc::upstream_protocol, "answer to initialize: " + doc.error().detail);
  const json::Value root = doc->root();
  const auto version = root["protocolVersion"].string();
  if (!version || !root["capabilities"].is(json::Kind::object)) {
    return Fail(Errc::upstream_protocol, "answer to initialize without version or capabilities");
  }
  Initialized done;
  if (const auto known = ParseRevision(*version); known && !IsModern(*known)) {
    done.revision = *known;
  } else if (*version == "2024-11-05") {
    // Spoken over the newer transport by older SDKs; its messages are those of 2025-03-26.
    done.revision = Revision::r2025_03_26;
  } else {
    return Fail(Errc::upstream_protocol,
                "initialize was answered with a revision that is not spoken here");
  }
  done.version = *version;
  done.face.revisions = {done.revision};
  done.face.capabilities = TextOf(root["capabilities"], "{}");
  done.face.info = TextOf(root["serverInfo"], "{}");
  done.face.instructions = root["instructions"].string().value_or(std::string_view());
  return done;
}

}  // namespace sallyport::mcp
