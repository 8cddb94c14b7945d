#include "mcp/connection.h"

#include <algorithm>

namespace sallyport::mcp {
namespace {

/// "$.a.b" as {"a","b"}; array elements by number or `*`.
Result<std::vector<std::string>> PathSegments(std::string_view path) {
  if (!path.starts_with("$."))
    return Fail(Errc::config_invalid, "sql_arguments: a path begins with \"$.\"");
  path.remove_prefix(2);
  std::vector<std::string> segments;
  while (true) {
    const size_t end = path.find('.');
    std::string segment(path.substr(0, end));
    const size_t bracket = segment.find('[');
    if (bracket != std::string::npos) {
      if (!segment.ends_with(']'))
        return Fail(Errc::config_invalid, "sql_arguments: an open bracket in a path");
      if (bracket > 0) segments.push_back(segment.substr(0, bracket));
      segment = segment.substr(bracket + 1, segment.size() - bracket - 2);
    }
    if (segment.empty())
      return Fail(Errc::config_invalid, "sql_arguments: an empty segment in a path");
    segments.push_back(std::move(segment));
    if (end == std::string_view::npos) return segments;
    path.remove_prefix(end + 1);
  }
}

}  // namespace

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
    SALLYPORT_TRY(auto path, PathSegments(argument.path));
    connection->sql.push_back({std::move(glob), std::move(path)});
  }
  return connection;
}

bool Connection::ReadOnly(std::string_view tool) const {
  return std::ranges::any_of(read_only,
                             [&](const policy::Glob& glob) { return glob.Matches(tool); });
}

}  // namespace sallyport::mcp
