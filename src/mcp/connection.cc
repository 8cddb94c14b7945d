#include "mcp/connection.h"

#include <algorithm>

#include "config/sql_arguments.h"

namespace sallyport::mcp {
Connection::Connection(const config::Connection& config, const std::filesystem::path& state_dir)
    : name(config.name), labels(config.labels), catalog(config, state_dir) {
  if (config.mcp) settings = *config.mcp;
  const auto scope = labels.find("scope");
  cde = scope != labels.end() && scope->second == "cde";
}

Result<std::unique_ptr<Connection>> Connection::Make(const config::Connection& config,
                                                     const std::filesystem::path& state_dir) {
  auto connection = std::make_unique<Connection>(config, state_dir);
  for (const std::string& pattern : connection->settings.read_only) {
    SALLYPORT_TRY(policy::Glob glob, policy::Glob::Make(pattern));
    connection->read_only.push_back(std::move(glob));
  }
  for (const config::SqlArgument& argument : connection->settings.sql_arguments) {
    SALLYPORT_TRY(policy::Glob glob, policy::Glob::Make(argument.tool));
    auto path = config::SplitSqlPath(argument.path);
    if (!path) return Fail(Errc::config_invalid, "sql_arguments: a path that cannot be read");
    connection->sql.push_back({std::move(glob), std::move(*path)});
  }
  return connection;
}

bool Connection::ReadOnly(std::string_view tool) const {
  return std::ranges::any_of(read_only,
                             [&](const policy::Glob& glob) { return glob.Matches(tool); });
}

}  // namespace sallyport::mcp
