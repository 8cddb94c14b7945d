#include "config/problem.h"

#include <algorithm>

#include "json/document.h"

namespace sallyport::config {
namespace {

std::string_view Name(Severity severity) {
  return severity == Severity::error ? "error" : "warning";
}

}  // namespace

bool HasErrors(const std::vector<Problem>& problems) {
  return std::ranges::any_of(problems,
                             [](const Problem& p) { return p.severity == Severity::error; });
}

std::string RenderText(const std::vector<Problem>& problems) {
  std::string out;
  for (const auto& p : problems) {
    out += p.file;
    if (p.line > 0) out += ":" + std::to_string(p.line) + ":" + std::to_string(p.column);
    out.append(": ")
        .append(Name(p.severity))
        .append(" ")
        .append(p.code)
        .append(": ")
        .append(p.message);
    if (!p.hint.empty()) out += "; " + p.hint;
    out += "\n";
  }
  return out;
}

std::string RenderJson(const std::vector<Problem>& problems,
                       const std::vector<std::string>& notes) {
  auto errors = std::ranges::count(problems, Severity::error, &Problem::severity);
  std::string out = R"({"v":1,"valid":)";
  out += errors == 0 ? "true" : "false";
  out += R"(,"errors":)" + std::to_string(errors);
  out += R"(,"warnings":)" + std::to_string(std::ssize(problems) - errors) + R"(,"problems":[)";
  for (const auto& p : problems) {
    if (out.back() != '[') out += ",";
    out += R"({"file":)" + json::Quote(p.file) + R"(,"line":)" + std::to_string(p.line);
    out += R"(,"column":)" + std::to_string(p.column) + R"(,"code":)" + json::Quote(p.code);
    out += R"(,"severity":)" + json::Quote(Name(p.severity));
    out += R"(,"message":)" + json::Quote(p.message) + R"(,"hint":)" + json::Quote(p.hint) + "}";
  }
  out += R"(],"notes":[)";
  for (const auto& note : notes) {
    if (out.back() != '[') out += ",";
    out += json::Quote(note);
  }
  return out + "]}\n";
}

}  // namespace sallyport::config
