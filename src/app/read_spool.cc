#include "app/read_spool.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <pwd.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include "base/ids.h"

namespace sallyport::app {
namespace {

namespace fs = std::filesystem;
constexpr size_t kNoteBytes = 4096;

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

}  // namespace

Result<> NoteReading(const fs::path& data_dir, const std::string& command,
                     const std::string& subject) {
  const fs::path spool = data_dir / "reads";
  if (!fs::is_directory(spool)) return {};
  const fs::path temporary = spool / ("." + NewHandle(9)), final = spool / (NewHandle(9) + ".json");
  std::ofstream out(temporary);
  out << nlohmann::json{{"command", command}, {"subject", subject}, {"reader", ReaderName()}}
             .dump();
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
    op::Evidence evidence;
    evidence.type = op::EventType::evidence_read;
    if (note.is_object()) {
      evidence.method = Plain(note, "command", masker);
      evidence.resource = Plain(note, "subject", masker);
      evidence.detail = Plain(note, "reader", masker);
    } else {
      evidence.detail = "unreadable note";
    }
    if (!gate.Record(std::move(evidence))) return;  // stays until it can be recorded
    fs::remove(path, error);
  }
}

}  // namespace sallyport::app
