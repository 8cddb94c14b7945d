#include "mcp/unmask.h"

#include <algorithm>

#include "mask/seal.h"
#include "mcp/member_scan.h"

namespace sallyport::mcp {
namespace {

constexpr size_t kMaxDetectors = 16;
constexpr size_t kMaxName = 64;
constexpr size_t kMaxReason = 1000;

std::unexpected<Error> Malformed(const char* what) {
  return Fail(Errc::request_malformed, std::string(kUnmaskMeta) + ": " + what);
}

}  // namespace

Result<std::optional<op::UnmaskAsk>> ReadUnmask(const ClientMessage& message,
                                                const MaskRules& rules) {
  const json::Value asked = message.params["_meta"][kUnmaskMeta];
  if (!asked) return std::nullopt;
  if (message.method != "tools/call") return Malformed("only tools/call shows values in clear");
  if (!asked.is(json::Kind::object)) return Malformed("not an object");
  op::UnmaskAsk ask;
  for (json::Value v = asked.first(); v; v = v.next()) {
    if (v.key() == "reason") {
      const auto text = v.string();
      if (!text || text->size() > kMaxReason) return Malformed("reason: up to 1000 bytes of text");
      std::vector<op::MaskCount> counts;
      ask.reason = mask::Seal::Text(*rules.masker, *text, kMaxReason, counts).text;
    } else if (v.key() == "detectors" && v.is(json::Kind::array)) {
      for (json::Value d = v.first(); d; d = d.next()) {
        const auto name = d.string();
        if (!name || name->empty() || name->size() > kMaxName)
          return Malformed("detectors: names of masking.detectors");
        ask.detectors.emplace_back(*name);
      }
    } else {
      return Malformed("detectors (a list) and reason, nothing else");
    }
  }
  std::ranges::sort(ask.detectors);
  const auto twice = std::ranges::unique(ask.detectors);
  ask.detectors.erase(twice.begin(), twice.end());
  if (ask.detectors.empty() || ask.detectors.size() > kMaxDetectors)
    return Malformed("detectors: 1 to 16 names");
  return ask;
}

std::string WithoutUnmask(std::string_view params) {
  const std::string_view meta = FindMember(params, "_meta");
  if (FindMember(meta, kUnmaskMeta).empty()) return std::string(params);
  std::string kept = "{";
  MemberScan scan(meta);
  while (scan.Next()) {
    if (scan.key() == kUnmaskMeta) continue;
    if (kept.size() > 1) kept += ',';
    kept.append(meta.substr(scan.begin(), scan.end() - scan.begin()));
  }
  kept += '}';
  std::string out(params);
  out.replace(static_cast<size_t>(meta.data() - params.data()), meta.size(), kept);
  return out;
}

}  // namespace sallyport::mcp
