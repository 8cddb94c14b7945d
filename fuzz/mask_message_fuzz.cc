// An upstream's answer: never a crash; what is let through is JSON, and masking it again changes
// nothing. The first line of the input is read as a tool definition, the rest as the result of that
// tool.
#include <cstdlib>
#include <string_view>
#include <vector>

#include "mcp/mask_message.h"

using namespace sallyport;

namespace {

mcp::MaskRules Rules() {
  static const std::vector<mask::DetectorSpec> specs = {
      {.name = "pan", .kind = mask::DetectorKind::pan},
      {.name = "sad", .kind = mask::DetectorKind::sad, .action = mask::Action::block}};
  static const std::vector<config::ContentRule> content = {
      {"image/*", config::OpaqueAction::pass}, {"audio/*", config::OpaqueAction::strip}};
  static const auto masker = *mask::Masker::Make(specs, Secret("0123456789abcdef"));
  return {masker, &content, true, 4096};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto check = [](bool holds) {
    if (!holds) std::abort();
  };
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  mcp::ToolDefinition tool;
  if (line != std::string_view::npos) {
    const auto definition = json::Document::Parse(text.substr(0, line));
    if (definition) tool = mcp::ReadToolDefinition(definition->root());
  }
  const std::string_view result = line == std::string_view::npos ? text : text.substr(line + 1);
  const auto valid = json::Document::Parse(result);
  const auto masked = mcp::MaskResult(Rules(), std::string(result), &tool);
  if (!masked || !valid) return 0;
  check(json::Document::Parse(masked->json).has_value());
  const auto again = mcp::MaskResult(Rules(), masked->json, &tool);
  // A masked number can stand where only base64 may: then the second pass refuses it, and nothing leaks.
  check(!again || again->json == masked->json);
  check(mcp::RecordOf(Rules(), *masked).has_value());
  return 0;
}
