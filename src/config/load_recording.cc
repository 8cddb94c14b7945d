#include "config/load_recording.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "config/yaml.h"

namespace sallyport::config {

using std::chrono::milliseconds;

namespace {

recording::Limits ReadLimits(Context& context, const Node& node) {
  recording::Limits limits;
  Fields fields(context, node, "recording");
  constexpr milliseconds kOneDay{86'400'000};
  const auto retention = fields.Duration("retention", kOneDay, kAnyDuration);
  const auto hot = fields.Duration("hot", kOneDay, kAnyDuration);
  if (retention) limits.retention = *retention;
  limits.hot = hot.value_or(std::min(limits.hot, limits.retention));
  if (limits.hot > limits.retention) {
    context.Error(fields.MarkOf("hot"), kCfgConflict,
                  "recording.hot is longer than recording.retention", "write a shorter time");
  }
  if (retention && *retention < std::chrono::days(365)) {
    context.Warn(fields.ValueMark("retention"), kCfgInsecure,
                 "recording.retention is shorter than 12 months",
                 "PCI DSS 10.5.1 asks for at least 12mo, of which 3mo at hand");
  }
  if (auto archive = fields.Path("archive")) limits.archive = *archive;
  if (auto bytes = fields.Size("max_bytes", 64 << 10, 64 << 20)) limits.max_bytes = *bytes;
  fields.Done();
  return limits;
}

}  // namespace

void ReadRecording(Context& context, const Node& node) { ReadLimits(context, node); }

std::vector<secrets::Ref> ReadEncrypt(Context& context, const Node& node) {
  std::vector<secrets::Ref> keks;
  Fields f(context, node, "evidence.encrypt");
  f.Require("kek", "write kek: { file: PATH }");
  if (auto kek = f.Secret("kek")) keks.push_back(*kek);
  size_t n = 0;
  for (const Node& item : f.List("previous")) {
    const std::string where = "evidence.encrypt.previous[" + std::to_string(n++) + "]";
    auto old = ReadSecret(context, item, where);
    if (!old) continue;
    if (!keks.empty() && *old == keks.front()) {
      context.Error(item.mark, kCfgConflict, where + " is the same reference as kek",
                    "keep the file of the old key under another name");
    }
    keks.push_back(std::move(*old));
  }
  f.Done();
  return keks;
}

Result<Recordings> RecordingsOf(const Root& root) {
  std::ifstream in(root.file, std::ios::binary);
  if (!in) return Recordings{};
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  Context context;
  context.file = root.file.string();
  std::error_code error;
  context.dir = std::filesystem::absolute(root.file, error).parent_path();
  context.look_at_secrets = false;
  const Node tree = ReadYaml(text, context.file, context.problems);
  Recordings out;
  for (const Node::Member& member : tree.members) {
    if (member.key == "recording") out.limits = ReadLimits(context, member.value);
    if (member.key != "evidence") continue;
    for (const Node::Member& one : member.value.members) {
      if (one.key == "encrypt") out.keks = ReadEncrypt(context, one.value);
    }
  }
  const auto wrong = [](const Problem& p) { return p.severity == Severity::error; };
  if (std::ranges::any_of(context.problems, wrong)) {
    return Fail(Errc::config_invalid, "see `sallyport validate " + root.file.string() +
                                          "`: recording or evidence.encrypt has changed");
  }
  return out;
}

}  // namespace sallyport::config
