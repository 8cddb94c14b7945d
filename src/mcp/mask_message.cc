#include "mcp/mask_message.h"

#include <algorithm>

#include "json/document.h"
#include "mask/seal.h"
#include "mcp/fit_schema.h"
#include "mcp/opaque_content.h"

namespace sallyport::mcp {
namespace {

using mask::NumberPolicy;

std::unexpected<Error> Blocked() {
  return Fail(Errc::sad_refused, "the message holds sensitive authentication data");
}

/// Envelope fields have no content; a number in them must stay a number. What an upstream put into
/// any field is masked, whatever the field is called.
const mask::JsonOptions& ResultOptions() {
  static const mask::JsonOptions options{
      .number_rules = {{"/ttlMs", NumberPolicy::surrogate},
                       {"/pollIntervalMs", NumberPolicy::surrogate}}};
  return options;
}

const mask::JsonOptions& ErrorOptions() {
  static const mask::JsonOptions options{.keep = {"/code"}};
  return options;
}

const mask::JsonOptions& ParamsOptions() {
  static const mask::JsonOptions options{.number_rules = {{"/progress", NumberPolicy::surrogate},
                                                          {"/total", NumberPolicy::surrogate}}};
  return options;
}

/// What readers could take in different ways (names twice, bytes that are no UTF-8, endless
/// nesting) goes to nobody, whether or not it holds anything to mask.
Result<> CheckStrict(std::string_view json) {
  const auto read = json::Document::Check(json, {.max_bytes = 64u << 20, .max_nodes = 1u << 22});
  if (read) return {};
  return Fail(Errc::upstream_protocol, "the message cannot be read: " + read.error().detail);
}

/// The message with the values in clear that the client may see; empty where there are none, or
/// where the rest cannot be masked as the tool's schema wants it.
std::string Shown(const MaskRules& rules, std::string_view json, const mask::JsonOptions& options,
                  const ToolDefinition* tool, std::string_view below, mask::Clear& clear) {
  const mask::Clear::Mark before = clear.Remember();
  std::string out;
  const auto shown = rules.masker->RevealJson(json, options, clear, out);
  if (!shown || !*shown) return {};
  if (tool == nullptr || !tool->schema) return out;
  auto fitted = FitToSchema(*rules.masker, *tool->schema, json, std::move(out), below);
  if (fitted) return std::move(*fitted);
  clear.Forget(before);
  return {};
}

Result<MaskedMessage> Mask(const MaskRules& rules, std::string json, const mask::JsonOptions& base,
                           std::vector<std::string> own, const ToolDefinition* tool,
                           std::string_view below, mask::Clear* clear) {
  SALLYPORT_CHECK(CheckStrict(json));
  MaskedMessage out;
  std::vector<std::string> opaque;
  if (MayHoldOpaque(json)) {
    SALLYPORT_CHECK(TreatOpaque(rules, json, opaque, out.counts));
  }
  if (!rules.masker->MayContain(json)) {
    out.json = std::move(json);
    return out;
  }
  mask::JsonOptions options = base;
  std::ranges::move(opaque, std::back_inserter(options.keep));
  std::ranges::move(own, std::back_inserter(options.keep));
  if (tool != nullptr) {
    for (const auto& [pattern, policy] : tool->numbers)
      options.number_rules.emplace_back(std::string(below) + pattern, policy);
  }
  mask::Tally tally;
  SALLYPORT_TRY(const bool changed, rules.masker->MaskJson(json, options, out.json, tally));
  if (tally.blocked) return Blocked();
  if (changed && clear != nullptr) out.shown = Shown(rules, json, options, tool, below, *clear);
  if (!changed) {
    out.json = std::move(json);
  } else if (tool != nullptr && tool->schema) {
    SALLYPORT_TRY(out.json,
                  FitToSchema(*rules.masker, *tool->schema, json, std::move(out.json), below));
  }
  mask::Seal::Count(tally, out.counts);
  return out;
}

}  // namespace

Result<MaskedMessage> MaskResult(const MaskRules& rules, std::string json,
                                 const ToolDefinition* tool, std::string_view below,
                                 std::vector<std::string> own, mask::Clear* clear) {
  return Mask(rules, std::move(json), ResultOptions(), std::move(own), tool, below, clear);
}

Result<MaskedMessage> MaskError(const MaskRules& rules, std::string json) {
  return Mask(rules, std::move(json), ErrorOptions(), {}, nullptr, {}, nullptr);
}

Result<MaskedMessage> MaskParams(const MaskRules& rules, std::string json,
                                 std::vector<std::string> own) {
  return Mask(rules, std::move(json), ParamsOptions(), std::move(own), nullptr, {}, nullptr);
}

std::string MaskPlain(const MaskRules& rules, std::string_view text) {
  std::string out;
  mask::Tally tally;
  return rules.masker->MaskText(text, {}, out, tally) ? out : std::string(text);
}

Result<RecordedText> MaskForRecord(const MaskRules& rules, std::string_view json) {
  RecordedText out;
  if (!rules.masker->MayContain(json)) {
    SALLYPORT_TRY(out.payload,
                  mask::Seal::Json(*rules.masker, json, {}, rules.record_bytes, out.counts));
    return out;
  }
  std::string masked;
  mask::Tally tally;
  SALLYPORT_TRY(const bool changed, rules.masker->MaskJson(json, {}, masked, tally));
  out.blocked = tally.blocked;
  mask::Seal::Count(tally, out.counts);
  std::vector<op::MaskCount> again;
  SALLYPORT_TRY(out.payload,
                mask::Seal::Json(*rules.masker, changed ? std::string_view(masked) : json, {},
                                 rules.record_bytes, again));
  return out;
}

Result<op::Payload> RecordOf(const MaskRules& rules, const MaskedMessage& message) {
  std::vector<op::MaskCount> again;
  return mask::Seal::Json(*rules.masker, message.json, {}, rules.record_bytes, again);
}

bool HoldsSecret(const MaskRules& rules, std::string_view text) {
  if (!rules.masker->MayContain(text)) return false;
  std::vector<mask::Finding> findings;
  rules.masker->FindText(text, {}, findings);
  return !findings.empty();
}

}  // namespace sallyport::mcp
