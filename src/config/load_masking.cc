#include <algorithm>
#include <re2/re2.h>

#include "config/sections.h"
#include "policy/glob.h"

namespace sallyport::config {
namespace {

using mask::DetectorKind;

void CheckPattern(Fields& fields, const std::string& pattern) {
  if (pattern.empty()) return;
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  re2::RE2 compiled(pattern, options);
  Mark mark = fields.ValueMark("pattern");
  if (!compiled.ok()) {
    fields.context().Error(
        mark, kCfgBadValue, fields.where() + ".pattern cannot be used: " + compiled.error(),
        "write RE2 syntax; in YAML use single quotes, so that \\ stays as it is");
  } else if (re2::RE2::FullMatch("", compiled)) {
    fields.context().Error(mark, kCfgBadValue,
                           fields.where() + ".pattern also matches nothing at all",
                           "write a pattern that needs at least one character");
  }
}

mask::DetectorSpec ReadDetector(Context& context, const Node& node, size_t index,
                                std::map<std::string, Mark>& names) {
  Fields fields(context, node, "masking.detectors[" + std::to_string(index) + "]");
  mask::DetectorSpec spec;
  spec.name = fields.RequiredText("name", "add name: columns and unmask refer to it");
  CheckName(context, fields.ValueMark("name"), "detector", spec.name, names);
  fields.Require("kind", "write pan, sad or regex");
  auto kind = fields.Choice("kind", {"pan", "sad", "regex"});
  if (kind)
    spec.kind = *kind == "pan"   ? DetectorKind::pan
                : *kind == "sad" ? DetectorKind::sad
                                 : DetectorKind::regex;
  if (auto render = fields.Choice("render", {"last4", "first6-last4", "full", "token"})) {
    spec.render = *render == "last4"          ? mask::Render::last4
                  : *render == "first6-last4" ? mask::Render::first6_last4
                  : *render == "full"         ? mask::Render::full
                                              : mask::Render::token;
    if (kind == "sad") {
      context.Error(fields.ValueMark("render"), kCfgConflict,
                    fields.where() + ": sensitive authentication data is removed, never shown",
                    "remove render (PCI DSS 3.3.1)");
    }
  }
  if (auto action = fields.Choice("action", {"mask", "block"})) {
    spec.action = *action == "block" ? mask::Action::block : mask::Action::mask;
  }
  if (kind == "regex") {
    spec.pattern = fields.RequiredText("pattern", "write a regular expression (RE2)");
    CheckPattern(fields, spec.pattern);
  } else if (fields.Get("pattern") != nullptr) {
    context.Error(fields.MarkOf("pattern"), kCfgConflict,
                  fields.where() + ": only kind regex has a pattern",
                  "remove it, or write kind: regex");
  }
  fields.Done();
  return spec;
}

ClassifiedColumn ReadColumn(Context& context, const Node& node, size_t index, Places& places) {
  Fields fields(context, node, "masking.columns[" + std::to_string(index) + "]");
  auto connection = fields.RequiredText("connection", "name one of connections");
  auto column = fields.RequiredText("column", "write schema.table.column");
  auto detector = fields.RequiredText("detector", "name one of masking.detectors");
  if (!connection.empty())
    places.connections.push_back({fields.ValueMark("connection"), fields.where(), connection});
  if (!detector.empty())
    places.detectors.push_back({fields.ValueMark("detector"), fields.where(), detector});
  if (!column.empty() && (std::ranges::count(column, '.') < 2 || !policy::Glob::Make(column))) {
    context.Error(fields.ValueMark("column"), kCfgBadValue,
                  fields.where() + ".column does not name a column",
                  "write schema.table.column; * stands for any");
  }
  fields.Done();
  return {.connection = connection, .column = column, .detector = detector};
}

/// One entry; adds the detectors that it names to `named`.
policy::UnmaskGrant ReadUnmask(Context& context, const Node& node, size_t index, Places& places,
                               std::vector<Places::Use>& named) {
  using namespace std::chrono_literals;
  policy::UnmaskGrant grant;
  Fields fields(context, node, "masking.unmask[" + std::to_string(index) + "]");
  if (fields.Require("who", "write who: [group:NAME]") != nullptr)
    grant.who = ReadWho(fields, "who", false, places);
  if (const Node* list = fields.Require("detectors", "name some of masking.detectors")) {
    for (const Node& item : fields.List("detectors")) {
      places.detectors.push_back({item.mark, fields.where(), item.text});
      named.push_back(places.detectors.back());
      grant.detectors.push_back(item.text);
    }
    if (grant.detectors.empty())
      context.Error(list->mark, kCfgBadValue, fields.where() + ".detectors is empty",
                    "name some of masking.detectors");
  }
  grant.approval =
      fields.RequiredText("approval", "name one of approvals: unmasking is always approved");
  if (!grant.approval.empty())
    places.approvals.push_back({fields.ValueMark("approval"), fields.where(), grant.approval});
  if (const auto most = fields.Count("max_values", 1, 1'000'000)) grant.max_values = *most;
  if (const auto ttl = fields.Duration("ttl", 1s, 24h)) grant.ttl = *ttl;
  fields.Done();
  return grant;
}

/// Sensitive authentication data is shown to nobody.
void CheckUnmasked(Context& context, const Root& root, const std::vector<Places::Use>& named) {
  for (const Places::Use& use : named) {
    const auto at = std::ranges::find(root.masking.detectors, use.name, &mask::DetectorSpec::name);
    if (at == root.masking.detectors.end() || at->kind != DetectorKind::sad) continue;
    context.Error(use.mark, kCfgConflict,
                  use.where + ": sensitive authentication data is never shown",
                  "remove \"" + use.name + "\" (PCI DSS 3.3.1)");
  }
}

/// Nothing leaves unmasked because a list was short: the two kinds that PCI DSS names are always
/// looked for.
void AddDefaults(std::vector<mask::DetectorSpec>& detectors) {
  auto has = [&](DetectorKind kind) {
    return std::ranges::any_of(detectors,
                               [&](const mask::DetectorSpec& d) { return d.kind == kind; });
  };
  if (!has(DetectorKind::pan)) detectors.push_back({.name = "pan", .kind = DetectorKind::pan});
  if (!has(DetectorKind::sad)) {
    detectors.push_back({.name = "sad", .kind = DetectorKind::sad, .action = mask::Action::block});
  }
}

}  // namespace

void ReadMasking(Context& context, const Node* node, Root& root, Places& places) {
  std::vector<Places::Use> unmasked;
  if (node != nullptr) {
    Fields fields(context, *node, "masking");
    std::map<std::string, Mark> names;
    size_t n = 0;
    for (const Node& item : fields.List("detectors")) {
      root.masking.detectors.push_back(ReadDetector(context, item, n++, names));
    }
    n = 0;
    for (const Node& item : fields.List("columns"))
      root.masking.columns.push_back(ReadColumn(context, item, n++, places));
    n = 0;
    for (const Node& item : fields.List("unmask"))
      root.masking.unmask.push_back(ReadUnmask(context, item, n++, places, unmasked));
    if (const Node* map = fields.Get("pan_map")) {
      Fields f(context, *map, "masking.pan_map");
      if (auto at = f.Count("report_at", 1, 1'000'000)) root.masking.pan_map.report_at = *at;
      if (auto classify = f.Bool("classify")) root.masking.pan_map.classify = *classify;
      f.Done();
    }
    root.masking.token_key = fields.Secret("token_key");
    fields.Done();
  }
  AddDefaults(root.masking.detectors);
  CheckUnmasked(context, root, unmasked);
}

}  // namespace sallyport::config
