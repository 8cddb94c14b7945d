#include <array>

#include "mcp/upstream.h"

namespace sallyport::mcp {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"2025-03-26", "2025-06-18", "2025-11-25",
                                                    "2026-07-28"};

}  // namespace

std::string_view RevisionName(Revision r) { return kNames[static_cast<size_t>(r)]; }

std::optional<Revision> ParseRevision(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Revision>(i);
  }
  return std::nullopt;
}

}  // namespace sallyport::mcp
