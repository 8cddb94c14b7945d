#include "api/router.h"

#include <algorithm>
#include <utility>

namespace sallyport::api {
namespace {

constexpr size_t kMostParam = 128;

std::string_view TakeSegment(std::string_view& rest) {
  rest.remove_prefix(1);  // '/'
  const std::string_view segment = rest.substr(0, rest.find('/'));
  rest.remove_prefix(segment.size());
  return segment;
}

bool Plain(std::string_view segment) {
  return !segment.empty() && segment.size() <= kMostParam &&
         std::ranges::all_of(segment, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

bool Fits(std::string_view pattern, std::string_view path,
          std::vector<std::pair<std::string_view, std::string>>& params) {
  params.clear();
  while (!pattern.empty() && !path.empty()) {
    if (pattern.front() != '/' || path.front() != '/') return false;
    const std::string_view want = TakeSegment(pattern), got = TakeSegment(path);
    if (want.starts_with(':')) {
      if (!Plain(got)) return false;
      params.emplace_back(want.substr(1), got);
    } else if (want != got) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

}  // namespace

Router::Match Router::Find(std::string_view method, std::string_view path) const {
  Match match;
  std::vector<std::pair<std::string_view, std::string>> params;
  for (const Route& route : routes_) {
    if (!Fits(route.path, path, params)) continue;
    match.known = true;
    if (route.method != method && !(route.method == "GET" && method == "HEAD")) continue;
    match.route = &route;
    match.params = std::move(params);
    return match;
  }
  return match;
}

}  // namespace sallyport::api
