#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "config/schema.h"
#include "mcp/pins.h"
#include "mcp/tool_definition.h"
#include "mcp/upstream.h"

namespace sallyport::mcp {

/// One tool as the upstream announces it.
struct Tool {
  ToolDefinition definition;
  std::string json;          // as it came
  bool quarantined = false;  // its definition is not the accepted one
};

/// A whole tool list, as it was at one moment. Immutable.
struct ToolTable {
  std::vector<Tool> tools;  // in the upstream's order
  std::map<std::string, size_t, std::less<>> by_name;
  std::string frame;     // the first page's result without tools and cursor
  bool unknown = false;  // the upstream has no tools/list: nothing can be said of any tool
  std::chrono::steady_clock::time_point fetched;

  const Tool* Find(std::string_view name) const;
};
using ToolTablePtr = std::shared_ptr<const ToolTable>;

/// The tools of one connection, for all shards. Thread-safe.
class Catalog {
 public:
  Catalog(const config::Connection& connection, const std::filesystem::path& state_dir);

  /// The last table, or null. Old after `kFresh`, and as soon as the upstream says that its list
  /// changed.
  ToolTablePtr Fresh(std::chrono::steady_clock::time_point now) const;
  ToolTablePtr last() const { return table_.load(); }
  void Invalidate() { stale_.store(true); }
  /// Whether somebody may accept a changed definition (`pin_tools: review`); if not, it is refused
  /// until the upstream shows the accepted one again.
  bool TakesChanges() const { return mode_ != config::PinTools::deny; }
  /// To be called before a list is fetched: an announcement that comes meanwhile makes the table
  /// stale again.
  void BeginFetch() { stale_.store(false); }

  /// Makes a table of the pages and judges it by the pins; `changes` get what is to be recorded.
  /// upstream_protocol if a page is no tools/list result. A pin file that cannot be used
  /// quarantines all.
  Result<ToolTablePtr> Publish(const std::vector<std::string>& pages,
                               std::chrono::steady_clock::time_point now,
                               std::vector<PinChange>& changes);
  /// Whether the server's instructions may be shown, judged by the pins.
  bool ShowsInstructions(std::string_view text, std::vector<PinChange>& changes);
  /// The upstream has no tools/list.
  ToolTablePtr PublishUnknown(std::chrono::steady_clock::time_point now);

  static constexpr std::chrono::seconds kFresh{60};

 private:
  const config::PinTools mode_;
  std::mutex mutex_;  // guards pins_
  Pins pins_;
  std::atomic<ToolTablePtr> table_;
  std::atomic<bool> stale_{false};
};

}  // namespace sallyport::mcp
