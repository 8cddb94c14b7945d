#include "mcp/catalog.h"

#include <algorithm>

#include "mcp/json_edit.h"

namespace sallyport::mcp {
namespace {

/// The result object without what belongs to the page.
std::string Frame(json::Value result) {
  std::string out = "{";
  for (json::Value v = result.first(); v; v = v.next()) {
    if (v.key() == "tools" || v.key() == "nextCursor") continue;
    if (out.size() > 1) out += ',';
    out.append(v.raw_key()).append(":").append(v.raw());
  }
  return out += '}';
}

}  // namespace

const Tool* ToolTable::Find(std::string_view name) const {
  const auto it = by_name.find(name);
  return it == by_name.end() ? nullptr : &tools[it->second];
}

Catalog::Catalog(const config::Connection& connection, const std::filesystem::path& state_dir)
    : mode_(connection.mcp ? connection.mcp->pin_tools : config::PinTools::off),
      pins_(state_dir, connection.name) {}

ToolTablePtr Catalog::Fresh(std::chrono::steady_clock::time_point now) const {
  if (stale_.load(std::memory_order_relaxed)) return nullptr;
  ToolTablePtr table = table_.load();
  if (table && now - table->fetched > kFresh) return nullptr;
  return table;
}

Result<ToolTablePtr> Catalog::Publish(const std::vector<std::string>& pages,
                                      std::chrono::steady_clock::time_point now,
                                      std::vector<PinChange>& changes) {
  auto table = std::make_shared<ToolTable>();
  table->fetched = now;
  for (const std::string& page : pages) {
    SALLYPORT_TRY(const json::Document doc, json::Document::Parse(page));
    const json::Value tools = doc.root()["tools"];
    if (!tools.is(json::Kind::array))
      return Fail(Errc::upstream_protocol, "tools/list without tools");
    if (table->frame.empty()) table->frame = Frame(doc.root());
    for (json::Value v = tools.first(); v; v = v.next()) {
      ToolDefinition definition = ReadToolDefinition(v);
      if (definition.name.empty() || table->by_name.contains(definition.name))
        continue;  // cannot be called
      table->by_name[definition.name] = table->tools.size();
      table->tools.push_back({std::move(definition), std::string(v.raw()), false});
    }
  }
  if (mode_ != config::PinTools::off) {
    std::vector<const ToolDefinition*> all;
    for (const Tool& tool : table->tools) all.push_back(&tool.definition);
    const std::lock_guard lock(mutex_);
    const auto held = pins_.Judge(all, changes);
    for (Tool& tool : table->tools) {
      tool.quarantined = !held || std::ranges::find(*held, tool.definition.name) != held->end();
    }
  }
  table_.store(table);
  return table;
}

bool Catalog::ShowsInstructions(std::string_view text, std::vector<PinChange>& changes) {
  if (mode_ == config::PinTools::off) return true;
  const std::lock_guard lock(mutex_);
  return pins_.JudgeInstructions(text, changes).value_or(false);
}

ToolTablePtr Catalog::PublishUnknown(std::chrono::steady_clock::time_point now) {
  auto table = std::make_shared<ToolTable>();
  table->unknown = true;
  table->fetched = now;
  table_.store(table);
  return table;
}

}  // namespace sallyport::mcp
