#include "mcp/pins.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/verbs.h"

namespace sallyport::app {
namespace {

/// Prints the accepted names of the pin file and those that are `held` ("waiting").
int Show(const std::filesystem::path& file, std::string_view held, bool as_json) {
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
  for (const std::string section : {"tools", "instructions", "waiting", "instructions_waiting"}) {
    const auto part = pins.find(section);
    if (part == pins.end() || !part->is_object()) continue;
    for (const auto& [name, pin] : part->items()) {
      std::string line(section.ends_with("waiting") ? held : "accepted");
      line.resize(std::max<size_t>(line.size(), 10), ' ');
      line +=
          section.starts_with("instructions") ? " instructions " + name.substr(0, 16) : ' ' + name;
      const auto why = pin.find("why");
      if (why != pin.end() && why->is_string() && !why->get<std::string>().empty())
        line += " (" + why->get<std::string>() + ')';
      std::printf("%s\n", line.c_str());
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
  const auto connection =
      std::ranges::find(root->connections, options.connection, &config::Connection::name);
  if (connection == root->connections.end() || !connection->mcp) {
    std::fprintf(stderr, "sallyport pins: there is no MCP connection \"%s\"\n",
                 options.connection.c_str());
    return kUsage;
  }
  const bool denies = connection->mcp->pin_tools == config::PinTools::deny;
  if (!options.accept) {
    return Show(state / ("pins-" + options.connection + ".json"), denies ? "denied" : "waiting",
                options.json);
  }
  if (denies) {
    std::fprintf(stderr,
                 "sallyport pins: connection \"%s\" denies changes (pin_tools: deny). Have the "
                 "server offer the accepted definitions again, or set pin_tools: review first.\n",
                 options.connection.c_str());
    return kNegative;
  }
  const auto accepted = mcp::Pins::Accept(state, options.connection, {});
  if (!accepted) {
    std::fprintf(stderr, "sallyport pins: %s\n", accepted.error().detail.c_str());
    return kFailed;
  }
  for (const std::string& tool : *accepted) std::printf("accepted %s\n", tool.c_str());
  return kOk;
}

}  // namespace sallyport::app
