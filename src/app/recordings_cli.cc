// `sallyport recordings …`
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <pwd.h>
#include <set>
#include <unistd.h>

#include "app/arguments.h"
#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/keys.h"
#include "app/recorded.h"
#include "app/recording_orders.h"
#include "ledger/replay.h"
#include "recording/age.h"
#include "recording/files.h"

namespace sallyport::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct RecordingsOptions {
  std::string config, what, reason, to, out;
  bool json = false;
};

int Sorry(const std::string& command, const Error& error) {
  std::fprintf(stderr, "sallyport recordings %s: %s (%s)\n", command.c_str(), error.detail.c_str(),
               std::string(ReasonCode(error.code)).c_str());
  if (error.code == Errc::config_invalid) return kUsage;
  return error.code == Errc::recording_unavailable ? kNegative : kFailed;
}

std::string Reader() {
  std::string name = "uid " + std::to_string(getuid());
  if (const passwd* user = getpwuid(getuid()); user != nullptr)
    name = std::string(user->pw_name) + ", " + name;
  return name;
}

Result<config::Root> Load(const std::string& file, int& exit_code) {
  return LoadOrExplain(file, exit_code, {.look_at_secrets = false});
}

uint64_t BytesIn(const fs::path& dir) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(dir, error)) {
    if (file.path().extension() == ".rec") bytes += file.file_size(error);
  }
  return bytes;
}

ordered_json DayLine(const fs::path& recordings, const std::string& day,
                     const std::set<std::string>& holds) {
  const fs::path dir = recordings / day;
  std::set<std::string> sessions, held;
  uint64_t destroyed = 0;
  if (const auto bytes = recording::ReadAll(dir / recording::kSessionKeysName)) {
    for (std::string_view rest = *bytes; rest.size() >= recording::kSessionRecordBytes;
         rest.remove_prefix(recording::kSessionRecordBytes)) {
      const auto one = recording::ReadSessionRecord(rest.substr(0, recording::kSessionRecordBytes));
      if (!one) continue;
      if (one->destroyed) ++destroyed;
      if (!one->destroyed) sessions.insert(one->session);
      if (!one->destroyed && holds.contains(one->session)) held.insert(one->session);
    }
  }
  if (holds.contains(day)) held.insert(day);
  std::string key = "missing";
  if (const auto bytes = recording::ReadAll(dir / recording::kDayKeyName, 4096)) {
    const auto wrapped = recording::ReadDayKey(*bytes);
    key = wrapped ? wrapped->kek_id : "damaged";
  }
  std::error_code error;
  return {{"day", day},
          {"sessions", sessions.size()},
          {"destroyed", destroyed},
          {"bytes", BytesIn(dir)},
          {"kek", key},
          {"held", held},
          {"archived", fs::is_symlink(dir, error)}};
}

int List(const RecordingsOptions& options) {
  int exit_code = kOk;
  const auto root = Load(options.config, exit_code);
  if (!root) return exit_code;
  const fs::path dir = root->server.data_dir / "recordings";
  std::set<std::string> holds;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(dir / "holds", error))
    holds.insert(file.path().filename());
  if (!options.json)
    std::printf("%-12s%10s%11s%15s  %-18s%s\n", "day", "sessions", "destroyed", "bytes",
                "key wrapped by", "held");
  for (const std::string& day : recording::Days(dir)) {
    const ordered_json line = DayLine(dir, day, holds);
    if (options.json) {
      std::printf("%s\n", line.dump().c_str());
      continue;
    }
    std::string held;
    for (const auto& name : line["held"])
      held += (held.empty() ? "" : " ") + name.get<std::string>();
    if (line["archived"].get<bool>()) held += held.empty() ? "(archived)" : " (archived)";
    std::printf("%-12s%10llu%11llu%15llu  %-18s%s\n", day.c_str(),
                line["sessions"].get<unsigned long long>(),
                line["destroyed"].get<unsigned long long>(),
                line["bytes"].get<unsigned long long>(), line["kek"].get<std::string>().c_str(),
                held.c_str());
  }
  return kOk;
}

int Give(const std::string& verb, const RecordingsOptions& options) {
  int exit_code = kOk;
  const auto root = Load(options.config, exit_code);
  if (!root) return exit_code;
  const auto done =
      Order(root->server.data_dir,
            {.verb = verb, .what = options.what, .reason = options.reason, .by = Reader()});
  if (!done) return Sorry(verb, done.error());
  std::printf("%s\n", done->c_str());
  return kOk;
}

int Export(const RecordingsOptions& options) {
  int exit_code = kOk;
  const auto root = Load(options.config, exit_code);
  if (!root) return exit_code;
  const fs::path& data_dir = root->server.data_dir;
  if (const auto to = recording::ReadAgeRecipient(options.to); !to)
    return Sorry("export", Error(to.error().code, "--to: " + to.error().detail));
  auto recorded = Recorded::Open(data_dir, {.config = options.config, .kek = {}});
  if (!recorded) return Sorry("export", recorded.error());
  auto events = ledger::ReplaySession(data_dir, options.what);
  if (!events) return Sorry("export", events.error());
  // First the entry: what leaves the store unrecorded has left it for good.
  const auto noted = Order(
      data_dir,
      {.verb = "exported", .what = options.what, .reason = "to " + options.to, .by = Reader()});
  if (!noted) return Sorry("export", noted.error());
  std::string file;
  const auto append = [&file](std::string_view bytes) -> Result<> {
    file += bytes;
    return {};
  };
  auto writer = recording::AgeWriter::Begin(options.to, append);
  if (!writer) return Sorry("export", writer.error());
  for (ledger::Found& event : *events) {
    recorded->Fill(event.json);
    event.json += '\n';
    if (const auto wrote = writer->Write(event.json); !wrote) return Sorry("export", wrote.error());
    std::string().swap(event.json);
  }
  if (const auto ended = writer->Finish(); !ended) return Sorry("export", ended.error());
  if (const auto wrote = WritePrivate(options.out, file); !wrote)
    return Sorry("export", wrote.error());
  std::printf("%s: %zu entries of %s for %s\n", options.out.c_str(), events->size(),
              options.what.c_str(), options.to.c_str());
  if (recorded->damaged() == 0) return kOk;
  std::fprintf(stderr,
               "sallyport recordings export: %llu recordings are damaged, and it says so "
               "(recording-damaged)\n",
               static_cast<unsigned long long>(recorded->damaged()));
  return kNegative;
}

}  // namespace

void AddRecordingVerbs(CLI::App& root, Chosen& chosen) {
  CLI::App* recordings =
      Command(root, "recordings", "What callers saw: kept, held, destroyed, handed over",
              "sallyport recordings list --config sallyport.yaml");
  recordings->require_subcommand(1);
  static RecordingsOptions options;
  const auto common = [](CLI::App* c) {
    c->add_option("--config", options.config, "configuration file")->required();
  };
  CLI::App* c = Command(*recordings, "list", "The days, their keys, and what is held",
                        "sallyport recordings list --config sallyport.yaml");
  common(c);
  c->add_flag("--json", options.json, "one JSON object a line");
  c->callback([&chosen] { chosen = [] { return List(options); }; });
  const auto order = [&](const char* verb, const char* what, const char* example) {
    CLI::App* one = Command(*recordings, verb, what, example);
    common(one);
    one->add_option("what", options.what, "session (s_…) or day (2026-11-22)")->required();
    one->add_option("--reason", options.reason, "why; stands in the log, masked")->required();
    one->callback([&chosen, verb] { chosen = [verb] { return Give(verb, options); }; });
  };
  order("shred", "Destroys the key of a session or a day: nobody reads it again; proofs stay valid",
        "sallyport recordings shred s_0123456789abcdef --reason 'erasure request 17' --config "
        "sallyport.yaml");
  order("hold", "Keeps a session or a day from being destroyed, by age or by order",
        "sallyport recordings hold 2026-11-22 --reason 'case 2026-4' --config sallyport.yaml");
  order("release", "Ends a hold",
        "sallyport recordings release 2026-11-22 --reason 'case closed' --config sallyport.yaml");
  c = Command(*recordings, "export",
              "A session with what was seen, as a file that only the recipient opens (age)",
              "sallyport recordings export s_0123456789abcdef --to age1… --out session.age "
              "--config sallyport.yaml");
  common(c);
  c->add_option("session", options.what, "session id, s_…")->required();
  c->add_option("--to", options.to, "recipient: an age X25519 public key")->required();
  c->add_option("--out", options.out, "file to write")->required();
  c->callback([&chosen] { chosen = [] { return Export(options); }; });
}

}  // namespace sallyport::app
