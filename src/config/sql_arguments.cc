#include "config/sql_arguments.h"

#include <algorithm>
#include <span>

#include "config/units.h"
#include "sql/classify.h"

namespace sallyport::config {
namespace {

void AddUnread(std::vector<op::SqlText>& out) {
  out.push_back({.known = {.complete = false, .reason = "sql-unparsable"}});
}

void ReadAt(json::Value value, std::span<const std::string> path, const SqlReader& read,
            std::vector<op::SqlText>& out) {
  if (!value) return;
  if (path.empty()) {
    if (value.is(json::Kind::array)) {  // some tools take a list of statements
      for (auto v = value.first(); v; v = v.next()) ReadAt(v, path, read, out);
    } else if (auto text = value.string()) {
      out.push_back(read(*text));
    } else {
      AddUnread(out);
    }
    return;
  }
  const std::string& step = path.front();
  const auto index = ParseCount(step);
  if (value.is(json::Kind::object) && step != "*" && (!index || value[step])) {
    ReadAt(value[step], path.subspan(1), read, out);
  } else if (value.is(json::Kind::array) && step == "*") {
    for (auto v = value.first(); v; v = v.next()) ReadAt(v, path.subspan(1), read, out);
  } else if (value.is(json::Kind::array) && index) {
    ReadAt(value.at(*index), path.subspan(1), read, out);
  } else if (!value.is(json::Kind::null)) {
    AddUnread(out);  // of another shape than the path: nobody knows what the tool makes of it
  }
}

}  // namespace

std::optional<std::vector<std::string>> SplitSqlPath(std::string_view path) {
  if (!path.starts_with("$.")) return std::nullopt;
  path.remove_prefix(1);
  std::vector<std::string> steps;
  while (!path.empty()) {
    size_t end = 0;
    if (path[0] == '.') {
      end = std::min(path.find_first_of(".[", 1), path.size());
      auto name = path.substr(1, end - 1);
      if (name.empty() || name.find_first_of("*?@()]'\" ") != std::string_view::npos)
        return std::nullopt;
      steps.emplace_back(name);
    } else if (path[0] == '[') {
      end = path.find(']');
      if (end == std::string_view::npos) return std::nullopt;
      auto index = path.substr(1, end++ - 1);
      if (index != "*" && (!ParseCount(index) || index.size() > 5)) return std::nullopt;
      steps.emplace_back(index);
    } else {
      return std::nullopt;
    }
    path.remove_prefix(end);
  }
  return steps;
}

void ReadSqlAt(json::Value arguments, const std::vector<std::string>& path,
               std::vector<op::SqlText>& out) {
  static const SqlReader kClassify = [](std::string_view text) { return sql::Classify(text); };
  ReadAt(arguments, path, kClassify, out);
}

void ReadSqlAt(json::Value arguments, const std::vector<std::string>& path, const SqlReader& read,
               std::vector<op::SqlText>& out) {
  ReadAt(arguments, path, read, out);
}

}  // namespace sallyport::config
