#include "app/recording_orders.h"

#include <algorithm>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <system_error>
#include <thread>

#include "base/ids.h"
#include "ledger/entry.h"
#include "mask/seal.h"
#include "obs/log.h"
#include "recording/files.h"

namespace sallyport::app {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;
using recording::SessionRecord;

constexpr size_t kOrderBytes = 8192;
constexpr auto kLook = std::chrono::hours(1);

/// It becomes a file's name.
bool IsSession(const std::string& what) {
  return what.starts_with("s_") && what.size() <= recording::kMaxSessionId &&
         what.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == what.npos;
}

Result<std::vector<SessionRecord>> RecordsOf(const fs::path& dir, const std::string& day) {
  const auto bytes = recording::ReadAll(dir / day / recording::kSessionKeysName);
  if (!bytes && bytes.error().code == Errc::not_found) return std::vector<SessionRecord>{};
  if (!bytes) return std::unexpected(bytes.error());
  std::vector<SessionRecord> out;
  for (std::string_view rest = *bytes; rest.size() >= recording::kSessionRecordBytes;
       rest.remove_prefix(recording::kSessionRecordBytes)) {
    auto record = recording::ReadSessionRecord(rest.substr(0, recording::kSessionRecordBytes));
    if (record) out.push_back(std::move(*record));
  }
  return out;
}

/// Whether some process writes this log.
bool IsRunning(const fs::path& data_dir) {
  const Descriptor lock(::open((data_dir / "lock").c_str(), O_RDWR | O_CLOEXEC));
  return lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0;
}

/// Plain text that may stand in the log: orders come from a directory that others may write to.
std::string PlainName(const json& order, const char* key) {
  const auto it = order.find(key);
  std::string text = it != order.end() && it->is_string() ? it->get<std::string>() : std::string();
  text.resize(std::min<size_t>(text.size(), 80));
  std::erase_if(text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; });
  return text;
}

}  // namespace

Result<std::string> Order(const fs::path& data_dir, const RecordingOrder& order, int seconds) {
  const fs::path dir = data_dir / "recordings" / "orders";
  std::error_code error;
  if (!fs::is_directory(data_dir / "recordings", error))
    return Fail(Errc::not_found, "there are no recordings in " + data_dir.string());
  SALLYPORT_CHECK(recording::MakeDirectory(dir));
  const std::string name = NewHandle(9);
  const fs::path path = dir / (name + ".json"), answer = dir / (name + ".done");
  SALLYPORT_CHECK(recording::WriteSynced(
      path,
      json{{"verb", order.verb}, {"what", order.what}, {"reason", order.reason}, {"by", order.by}}
          .dump()));
  if (!IsRunning(data_dir)) seconds = 0;
  for (int i = 0; i < seconds * 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const auto text = recording::ReadAll(answer, kOrderBytes);
    if (!text) continue;
    fs::remove(answer, error);
    const json said = json::parse(*text, nullptr, false);
    if (!said.is_object()) return Fail(Errc::internal, "the gateway's answer cannot be read");
    const std::string words = said.value("text", "");
    if (said.value("ok", false)) return words;
    return Fail(said.value("missing", false) ? Errc::not_found : Errc::recording_unavailable,
                words);
  }
  const bool keep = order.verb != "exported" && seconds == 0;
  if (!keep) fs::remove(path, error);
  return Fail(Errc::recording_unavailable,
              keep ? "no gateway is running here: it will be done by the next one that starts"
                   : "no gateway took it up, so it was not done");
}

RecordingKeeper::RecordingKeeper(recording::Store& store, const recording::Limits& limits,
                                 ledger::Ledger& ledger, const Clock& clock)
    : store_(store), limits_(limits), ledger_(ledger), clock_(clock) {}

/// Durable when it returns: what is destroyed is not back after a power cut that took the entry.
Result<> RecordingKeeper::Record(op::Evidence evidence) {
  evidence.at = clock_.WallNow();
  SALLYPORT_CHECK(ledger_.AppendStrictBlocking(ledger::EncodeEntry(evidence)));
  return {};
}

Result<> RecordingKeeper::Rewrap() {
  SALLYPORT_TRY(const size_t count, store_.Rewrap());
  if (count == 0) return {};
  op::Evidence evidence;
  evidence.type = op::EventType::key_rotated;
  evidence.resource = recording::KekId(store_.keks().front());
  evidence.count = count;
  evidence.detail = "wraps the keys of so many days from here on";
  return Record(std::move(evidence));
}

void RecordingKeeper::Tick(const mask::Masker& masker) {
  TakeOrders(masker);
  const auto now = clock_.SteadyNow();
  if (now < next_) return;
  next_ = now + kLook;
  if (const Result<> retained = Retain(); !retained)
    obs::Log(obs::Level::error, "recordings.retention", {{"detail", retained.error().detail}});
}

void RecordingKeeper::TakeOrders(const mask::Masker& masker) {
  const fs::path dir = store_.dir() / "orders";
  std::error_code error;
  std::vector<fs::path> paths;
  for (const auto& file : fs::directory_iterator(dir, error)) {
    if (file.path().extension() == ".json") paths.push_back(file.path());
    if (paths.size() == 64) break;
  }
  for (const fs::path& path : paths) {
    const auto text = recording::ReadAll(path, kOrderBytes);
    const json said = text ? json::parse(*text, nullptr, false) : json();
    Result<std::string> done = Fail(Errc::config_invalid, "the order cannot be read");
    if (said.is_object()) {
      std::string words = PlainName(said, "reason");
      if (const auto it = said.find("reason"); it != said.end() && it->is_string())
        words = it->get<std::string>();
      std::vector<op::MaskCount> counts;
      done = Do({.verb = PlainName(said, "verb"),
                 .what = PlainName(said, "what"),
                 .reason = {},
                 .by = PlainName(said, "by")},
                mask::Seal::Text(masker, words, 1000, counts).text);
    }
    const json answer{{"ok", done.has_value()},
                      {"missing", !done && done.error().code == Errc::not_found},
                      {"text", done ? *done : done.error().detail}};
    fs::remove(path, error);
    fs::path to = path;
    (void)recording::WriteSynced(to.replace_extension(".done"), answer.dump());
    if (!done)
      obs::Log(obs::Level::warn, "recordings.order_refused", {{"detail", done.error().detail}});
  }
}

Result<std::string> RecordingKeeper::Do(const RecordingOrder& order, MaskedText reason) {
  if (!IsSession(order.what) && !recording::BeginOfDay(order.what))
    return Fail(Errc::config_invalid, "it is neither a session (s_…) nor a day (2026-11-22)");
  if (order.verb == "shred") return Shred(order, std::move(reason));
  if (order.verb == "hold" || order.verb == "release") return Hold(order, std::move(reason));
  if (order.verb != "exported") return Fail(Errc::config_invalid, "no such order");
  op::AccessEvidence access{.by = order.by, .why = std::move(reason)};
  op::Evidence evidence;
  evidence.type = op::EventType::recording_exported;
  evidence.resource = order.what;
  evidence.access = &access;
  SALLYPORT_CHECK(Record(std::move(evidence)));
  return std::string("recorded");
}

std::set<std::string> RecordingKeeper::Held() const {
  std::set<std::string> held;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(store_.dir() / "holds", error)) {
    std::string name = file.path().filename();
    if (!name.ends_with(".tmp")) held.insert(std::move(name));
  }
  return held;
}

std::string RecordingKeeper::HeldBy(const std::string& day) const {
  const std::set<std::string> held = Held();
  if (held.contains(day)) return day;
  if (held.empty()) return {};
  const auto records = RecordsOf(store_.dir(), day);
  if (!records) return day;  // what cannot be read is not destroyed
  for (const SessionRecord& record : *records) {
    if (!record.destroyed && held.contains(record.session)) return record.session;
  }
  return {};
}

Result<> RecordingKeeper::DestroyDay(const std::string& day, op::Evidence evidence) {
  const auto records = RecordsOf(store_.dir(), day);
  evidence.type = op::EventType::key_destroyed;
  evidence.resource = day;
  evidence.count =
      records ? uint64_t(std::ranges::count(*records, false, &SessionRecord::destroyed)) : 0;
  SALLYPORT_CHECK(Record(std::move(evidence)));
  return store_.DestroyDay(day);
}

Result<std::string> RecordingKeeper::Shred(const RecordingOrder& order, MaskedText reason) {
  op::AccessEvidence access{.by = order.by, .why = std::move(reason)};
  op::Evidence evidence;
  evidence.access = &access;
  evidence.detail = "by order";
  if (!IsSession(order.what)) {
    const auto days = recording::Days(store_.dir());
    if (!std::ranges::binary_search(days, order.what))
      return Fail(Errc::not_found, "there are no recordings of " + order.what);
    if (order.what == recording::DayOf(clock_.WallNow()))
      return Fail(Errc::recording_unavailable,
                  "today's recordings are being written; shred sessions");
    if (const std::string by = HeldBy(order.what); !by.empty())
      return Fail(Errc::recording_unavailable, by + " is held: release it first");
    SALLYPORT_CHECK(DestroyDay(order.what, std::move(evidence)));
    return "destroyed the key of " + order.what;
  }
  const std::set<std::string> held = Held();
  if (held.contains(order.what))
    return Fail(Errc::recording_unavailable, order.what + " is held: release it first");
  access.session = order.what;
  size_t destroyed = 0;
  for (const std::string& day : recording::Days(store_.dir())) {
    SALLYPORT_TRY(const auto records, RecordsOf(store_.dir(), day));
    std::vector<std::string> ids;
    for (const SessionRecord& record : records) {
      if (record.session == order.what && !record.destroyed) ids.push_back(record.id);
    }
    if (ids.empty()) continue;
    if (held.contains(day))
      return Fail(Errc::recording_unavailable, day + " is held: release it first");
    for (const std::string& id : ids) {
      op::Evidence one = evidence;
      one.type = op::EventType::key_destroyed;
      one.resource = day + "/" + id;
      one.count = 1;
      SALLYPORT_CHECK(Record(std::move(one)));
    }
    SALLYPORT_CHECK(store_.DestroySessions(day, ids));
    destroyed += ids.size();
  }
  if (destroyed == 0) return Fail(Errc::not_found, "no key of session " + order.what + " is left");
  return "destroyed " + std::to_string(destroyed) + (destroyed == 1 ? " key" : " keys") + " of " +
         order.what;
}

Result<std::string> RecordingKeeper::Hold(const RecordingOrder& order, MaskedText reason) {
  const fs::path dir = store_.dir() / "holds", file = dir / order.what;
  op::AccessEvidence access{.by = order.by, .why = std::move(reason)};
  op::Evidence evidence;
  evidence.resource = order.what;
  evidence.access = &access;
  if (order.verb == "hold") {
    evidence.type = op::EventType::recording_held;
    SALLYPORT_CHECK(recording::MakeDirectory(dir));
    // First the hold: one that is not recorded yet protects, one that is only recorded does not.
    SALLYPORT_CHECK(recording::WriteSynced(file, "held\n"));
    SALLYPORT_CHECK(Record(std::move(evidence)));
    return order.what + " is held";
  }
  if (!Held().contains(order.what)) return Fail(Errc::not_found, order.what + " is not held");
  evidence.type = op::EventType::recording_released;
  SALLYPORT_CHECK(Record(std::move(evidence)));
  std::error_code error;
  fs::remove(file, error);
  if (error) return Fail(Errc::recording_unavailable, file.string() + ": " + error.message());
  SALLYPORT_CHECK(recording::SyncDirectory(dir));
  return order.what + " is not held any more";
}

Result<> RecordingKeeper::Retain() {
  using std::chrono::duration_cast, std::chrono::nanoseconds, std::chrono::days;
  SALLYPORT_CHECK(store_.FinishMoves());
  const Nanos now = clock_.WallNow(), day_length = duration_cast<nanoseconds>(days(1)).count();
  for (const std::string& day : recording::Days(store_.dir())) {
    const Nanos age = now - (recording::BeginOfDay(day).value_or(now) + day_length);  // of its end
    if (age >= duration_cast<nanoseconds>(limits_.retention).count()) {
      if (!HeldBy(day).empty()) continue;
      op::Evidence evidence;
      evidence.detail = "older than recording.retention";
      SALLYPORT_CHECK(DestroyDay(day, std::move(evidence)));
      obs::Log(obs::Level::info, "recordings.destroyed", {{"day", day}});
    } else if (!limits_.archive.empty() && age >= duration_cast<nanoseconds>(limits_.hot).count()) {
      SALLYPORT_CHECK(store_.Archive(day, limits_.archive));
    }
  }
  return {};
}

}  // namespace sallyport::app
