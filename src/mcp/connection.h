#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/schema.h"
#include "mcp/catalog.h"
#include "policy/glob.h"

namespace sallyport::mcp {

/// One configured MCP connection, shared by all shards. Immutable but for the catalog, which is
/// thread-safe.
struct Connection {
  struct SqlRule {
    policy::Glob tool;
    std::vector<std::string> path;  // segments of "$.a.b"
  };

  Connection(const config::Connection& config, const std::filesystem::path& state_dir);
  /// config_invalid: a bad pattern or path.
  static Result<std::unique_ptr<Connection>> Make(const config::Connection& config,
                                                  const std::filesystem::path& state_dir);

  bool ReadOnly(std::string_view tool) const;

  std::string name;
  std::map<std::string, std::string> labels;
  config::Mcp settings;
  bool cde = false;  // labels: scope: cde
  std::vector<policy::Glob> read_only;
  std::vector<SqlRule> sql;
  Catalog catalog;
};

}  // namespace sallyport::mcp
