#include "mcp/pins.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/verbs.h"

namespace sallyport::app {
namespace {

/// Prints the accepted and the waiting names of the pin file.
int Show(const std::filesystem::path& file, bool as_json) {
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const nlohmann::json pins = nlohmann::json::parse(text, nullptr, false);
  if (!pins.is_object()) {
    std::fprintf(stderr, "sallyport pins: nothing is pinned yet in %s\n", file.c_str());
    return kFailed;
  }
  if (as_json) {
    std::printf("%s\n", pins.dump().c_str());
    return kOk;
  }
  for (const char* section : {"tools", "waiting"}) {
    const auto part = pins.find(section);
    if (part == pins.end() || !part->is_object()) continue;
    for (const auto& [name, pin] : part->items()) {
      const auto why = pin.find("why");
      const bool waits = why != pin.end() && why->is_string() && !why->get<std::string>().empty();
      std::printf("%-10s %s%s\n", std::string(section) == "tools" ? "accepted" : "waiting",
                  name.c_str(), waits ? (" (" + why->get<std::string>() + ")").c_str() : "");
    }
  }
  return kOk;
}

}  // namespace

int RunPins(const PinsOptions& options) {
  int exit_code = kOk;
  const Result<config::Root> root = LoadOrExplain(options.config, exit_code);
  if (!root) return exit_code;
  const std::filesystem::path state = root->server.data_dir / "state";
  if (!options.accept) return Show(state / ("pins-" + options.connection + ".json"), options.json);
  const auto accepted = mcp::Pins::Accept(state, options.connection, {});
  if (!accepted) {
    std::fprintf(stderr, "sallyport pins: %s\n", accepted.error().detail.c_str());
    return kFailed;
  }
  for (const std::string& tool : *accepted) std::printf("accepted %s\n", tool.c_str());
  return kOk;
}

}  // namespace sallyport::app
