#include "app/recorded.h"

#include <algorithm>
#include <limits>

#include "app/recordings.h"
#include "config/load.h"
#include "json/document.h"
#include "ledger/file.h"

namespace sallyport::app {
namespace fs = std::filesystem;
namespace {

using json::Value;

/// The blob that a payload names, by its short (entry) or long (shown) member names.
op::Blob BlobOf(const Value& v, bool shown) {
  const auto text = [&](const char* a, const char* b) {
    return std::string(v[shown ? b : a].string().value_or(""));
  };
  const auto number = [&](const char* a, const char* b) {
    return uint64_t(std::max<int64_t>(v[shown ? b : a].integer().value_or(0), 0));
  };
  return {.recording = text("f", "file"),
          .offset = number("o", "offset"),
          .length = number("l", "length"),
          .chunks = uint32_t(std::min<uint64_t>(number("n", "chunks"), ~0u)),
          .sha256 = text("h", "sha256"),
          .key = text("k", "key")};
}

std::string OriginOfLog(const fs::path& data_dir) {
  const auto key = ledger::ReadFile(data_dir / "log" / "vkey", 4096);
  return key ? key->substr(0, key->find('+')) : std::string();
}

Result<std::vector<recording::Key>> ReadKeys(const KeysAt& at) {
  std::vector<recording::Key> keys;
  if (!at.kek.empty()) {
    SALLYPORT_TRY(const Secret text,
                  secrets::Resolve({.kind = secrets::Ref::Kind::file, .name = at.kek}));
    SALLYPORT_TRY(auto key, recording::Key::Read(text));
    keys.push_back(std::move(key));
  }
  if (!at.config.empty()) {
    const config::LoadResult loaded = config::LoadFile(at.config, {.look_at_secrets = false});
    if (!loaded.root)
      return Fail(Errc::config_invalid, "see `sallyport validate " + at.config + "`");
    SALLYPORT_TRY(const auto section, config::RecordingsOf(*loaded.root));
    SALLYPORT_TRY(auto more, KeksOf(section.keks));
    std::ranges::move(more, std::back_inserter(keys));
  }
  return keys;
}

constexpr json::Limits kLine{.max_bytes = 256 << 20, .max_depth = 520, .max_nodes = 1u << 26};

}  // namespace

Recorded::Recorded(fs::path data_dir, std::string origin, std::vector<recording::Key> keks)
    : data_dir_(std::move(data_dir)),
      origin_(std::move(origin)),
      reader_(data_dir_ / "recordings", origin_, std::move(keks)) {}

Result<Recorded> Recorded::Open(const fs::path& data_dir, const KeysAt& keys) {
  SALLYPORT_TRY(auto keks, ReadKeys(keys));
  if (keys.kek.empty() && keys.config.empty()) {  // as the gateway has it, where we may read that
    const auto path = ledger::ReadFile(data_dir / "recordings" / kKekPath, 4096);
    if (auto known = path ? ReadKeys({.config = {}, .kek = *path}) : keks; known)
      keks = std::move(*known);
  }
  return Recorded(data_dir, OriginOfLog(data_dir), std::move(keks));
}

Error Recorded::Judge(const op::Blob& blob, Error error) {
  if (error.code != Errc::recording_damaged && error.code != Errc::recording_destroyed)
    return error;
  if (!destroyed_) {
    destroyed_.emplace();
    ledger::SearchCriteria criteria;
    criteria.event = "key.destroyed";
    criteria.limit = std::numeric_limits<uint64_t>::max();
    if (const auto found = ledger::Search(data_dir_, criteria)) {
      for (const ledger::Found& entry : *found) {
        const auto document = json::Document::Parse(entry.json, kLine);
        if (document) destroyed_->emplace(document->root()["resource"].string().value_or(""));
      }
    }
  }
  const std::string day = recording::DayOfRecording(blob.recording).value_or("");
  if (destroyed_->contains(day) || destroyed_->contains(day + "/" + blob.key))
    return Error(Errc::recording_destroyed, "its key was destroyed");
  if (error.code == Errc::recording_destroyed)
    return Error(Errc::recording_damaged,
                 "its key is gone, and no entry says that it was destroyed");
  return error;
}

void Recorded::Fill(std::string& line) {
  if (line.find("\"recording\":{") == line.npos) return;
  std::vector<std::pair<size_t, std::string>> edits;  // in order
  {
    const auto document = json::Document::Parse(line, kLine);
    if (!document) return;
    for (const char* const side : {"request", "result"}) {
      const Value named = document->root()[side]["recording"];
      if (!named) continue;
      const op::Blob blob = BlobOf(named, true);
      const size_t end = named.offset() + named.raw().size();
      auto opened = reader_.Open(blob);
      if (opened) {
        std::string text;
        if (opened->json) {
          text = ",\"json\":" + opened->text;
          std::ranges::replace_if(text, [](char c) { return c == '\n' || c == '\r'; }, ' ');
        } else {
          json::AppendString(text = ",\"text\":", opened->text);
        }
        edits.emplace_back(end, std::move(text));
        continue;
      }
      const Error error = Judge(blob, opened.error());
      std::string why = ",\"sealed\":true";
      if (error.code == Errc::recording_destroyed) why = ",\"destroyed\":true";
      if (error.code == Errc::recording_damaged) {
        ++damaged_;
        json::AppendString(why = ",\"damaged\":", error.detail);
      }
      edits.emplace_back(end - 1, std::move(why));
    }
  }
  for (auto edit = edits.rbegin(); edit != edits.rend(); ++edit)
    line.insert(edit->first, edit->second);
}

void Recorded::Fill(std::vector<ledger::Found>& found) {
  for (ledger::Found& entry : found) Fill(entry.json);
}

std::vector<op::Blob> Recorded::BlobsOf(std::string_view entry) {
  std::vector<op::Blob> blobs;
  if (entry.find("\"blob\":{") == entry.npos) return blobs;
  const auto document = json::Document::Parse(entry, kLine);
  if (!document) return blobs;
  for (const char* const side : {"req", "res"}) {
    if (const Value blob = document->root()[side]["blob"]) blobs.push_back(BlobOf(blob, false));
  }
  return blobs;
}

Result<Recorded::Sealed> Recorded::Take(const op::Blob& blob) {
  const auto take = [&]() -> Result<Sealed> {
    Sealed out;
    SALLYPORT_TRY(out.bytes, reader_.Bytes(blob));
    SALLYPORT_TRY(out.key, reader_.SessionKey(blob));
    SALLYPORT_TRY(const auto opened, reader_.Open(blob));
    out.session = opened.session;
    return out;
  };
  auto taken = take();
  if (taken) return taken;
  const Error error = Judge(blob, taken.error());
  if (error.code == Errc::recording_damaged) ++damaged_;
  return std::unexpected(error);
}

Result<RecordingCheck> RecordingCheck::Open(const fs::path& data_dir, const KeysAt& keys) {
  SALLYPORT_TRY(auto keks, ReadKeys(keys));
  return RecordingCheck(
      recording::Reader(data_dir / "recordings", OriginOfLog(data_dir), std::move(keks)));
}

void RecordingCheck::Visit(uint64_t index, std::string_view entry) {
  if (entry.find("\"e\":\"key.destroyed\"") != entry.npos) {
    const auto document = json::Document::Parse(entry, kLine);
    if (document && document->root()["e"].string() == "key.destroyed")
      destroyed_.emplace(document->root()["r"].string().value_or(""));
    return;
  }
  for (const op::Blob& blob : Recorded::BlobsOf(entry)) {
    ++checked_;
    bytes_ += blob.length;
    const std::string day = recording::DayOfRecording(blob.recording).value_or("");
    const auto wrong = [&](const std::string& by, const std::string& what) {
      Wrong& w = wrong_[{day, by}];
      if (w.count++ == 0) w.index = index, w.what = what;
    };
    const auto bytes = reader_.Bytes(blob);
    if (!bytes) {
      wrong("", bytes.error().detail);
      continue;
    }
    const auto record = reader_.Record(blob);
    if (!record || record->destroyed) {
      wrong(blob.key, record ? "its key is gone, and no entry says that it was destroyed"
                             : record.error().detail);
      continue;
    }
    if (!reader_.can_open()) continue;
    if (const auto opened = reader_.Open(blob); !opened) wrong(blob.key, opened.error().detail);
  }
}

void RecordingCheck::Finish(ledger::VerifyReport& report) {
  for (const auto& [where, wrong] : wrong_) {
    const auto& [day, key] = where;
    if (destroyed_.contains(day) || (!key.empty() && destroyed_.contains(day + "/" + key)))
      continue;
    std::string what = wrong.what;
    if (wrong.count > 1) what += ", and " + std::to_string(wrong.count - 1) + " more like it";
    report.problems.push_back({"recordings/" + day, wrong.index, std::move(what)});
  }
  report.recordings = checked_;
  report.recording_bytes = bytes_;
}

}  // namespace sallyport::app
