#include "app/read_spool.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <pwd.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include "base/ids.h"
#include "mask/seal.h"

namespace sallyport::app {
namespace {

namespace fs = std::filesystem;
constexpr size_t kNoteBytes = 8192;
constexpr size_t kFactBytes = 4000;
/// What a note may become: nothing that the gateway itself sees or decides.
constexpr op::EventType kFindings[] = {op::EventType::scan_made, op::EventType::drill_made,
                                       op::EventType::delivery_reported, op::EventType::key_created,
                                       op::EventType::recording_exported};

std::string ReaderName() {
  std::string name = "uid " + std::to_string(getuid());
  if (const passwd* user = getpwuid(getuid()); user != nullptr)
    name = std::string(user->pw_name) + ", " + name;
  return name;
}

/// Text that may stand in the log: these notes come from a directory others may write to.
std::string Plain(const nlohmann::json& note, const char* key, const mask::Masker& masker) {
  const auto it = note.find(key);
  if (it == note.end() || !it->is_string()) return "?";
  std::string text = it->get<std::string>().substr(0, 80);
  std::erase_if(text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; });
  std::string masked;
  mask::Tally tally;
  return masker.MaskText(text, {}, masked, tally) ? masked : text;
}

Result<> Leave(const fs::path& data_dir, nlohmann::json note) {
  const fs::path spool = data_dir / "reads";
  if (!fs::is_directory(spool)) return {};
  const fs::path temporary = spool / ("." + NewHandle(9)), final = spool / (NewHandle(9) + ".json");
  note["reader"] = ReaderName();
  std::ofstream out(temporary);
  out << note.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  out.close();
  std::error_code error;
  if (out) fs::rename(temporary, final, error);
  if (!out || error) {
    fs::remove(temporary, error);
    return Fail(Errc::io_failed, "this reading cannot be noted in " + spool.string() +
                                     ": reading the log needs the right to write there");
  }
  return {};
}

op::Evidence EvidenceOf(const nlohmann::json& note, const mask::Masker& masker) {
  op::Evidence evidence;
  evidence.type = op::EventType::evidence_read;
  if (!note.is_object()) {
    evidence.detail = "unreadable note";
    return evidence;
  }
  evidence.method = Plain(note, "command", masker);
  evidence.resource = Plain(note, "subject", masker);
  evidence.detail = Plain(note, "reader", masker);
  const std::string event = Plain(note, "event", masker);
  for (const op::EventType type : kFindings) {
    if (event != op::EventName(type)) continue;
    evidence.type = type;
    evidence.method.clear();
    if (const auto ok = note.find("ok"); ok != note.end() && ok->is_boolean()) evidence.ok = *ok;
    const auto facts = note.find("facts");
    if (facts == note.end() || !facts->is_object()) continue;
    auto sealed = mask::Seal::Json(masker, facts->dump(), {}, kFactBytes, evidence.masked);
    if (sealed && sealed->complete) evidence.facts = std::move(sealed->text);
  }
  return evidence;
}

}  // namespace

Result<> NoteReading(const fs::path& data_dir, const std::string& command,
                     const std::string& subject) {
  return Leave(data_dir, {{"command", command}, {"subject", subject}});
}

Result<> NoteFinding(const fs::path& data_dir, op::EventType type, const std::string& resource,
                     bool ok, const std::string& facts) {
  nlohmann::json note{
      {"event", std::string(op::EventName(type))}, {"subject", resource}, {"ok", ok}};
  const nlohmann::json read = nlohmann::json::parse(facts, nullptr, false);
  if (read.is_object() && facts.size() <= kFactBytes) note["facts"] = read;
  return Leave(data_dir, std::move(note));
}

void TakeReadings(const fs::path& data_dir, const mask::Masker& masker, gate::Gate& gate) {
  std::error_code error;
  std::vector<fs::path> notes;
  for (const auto& file : fs::directory_iterator(data_dir / "reads", error)) {
    if (file.path().extension() == ".json") notes.push_back(file.path());
    if (notes.size() == 256) break;
  }
  std::sort(notes.begin(), notes.end());
  for (const fs::path& path : notes) {
    std::string text(kNoteBytes, '\0');
    std::ifstream in(path);
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(in.gcount()));
    const nlohmann::json note = nlohmann::json::parse(text, nullptr, false);
    op::Evidence evidence = EvidenceOf(note, masker);
    if (!gate.Record(std::move(evidence))) return;  // stays until it can be recorded
    fs::remove(path, error);
  }
}

}  // namespace sallyport::app
