#include "review/entries.h"

#include <algorithm>

namespace sallyport::review {
namespace {

constexpr Nanos kSlack = Nanos{2} * 3600 * 1'000'000'000;  // that a clock may be set by
constexpr size_t kSessions = 100'000;                      // that are remembered

std::string Text(const json::Value& value) { return std::string(value.string().value_or("")); }

}  // namespace

Entries::Who ReadWho(const json::Value& who) {
  Entries::Who made{Text(who["name"]), Text(who["agent"])};
  if (made.person.empty()) made.person = Text(who["sub"]);
  return made;
}

Result<Entries> Entries::Open(const std::filesystem::path& data_dir) {
  SALLYPORT_TRY(ledger::LogReader log, ledger::LogReader::Open(data_dir));
  SALLYPORT_TRY(ledger::LogReader other, ledger::LogReader::Open(data_dir));
  return Entries(std::move(log), std::move(other));
}

Result<Nanos> Entries::TimeOf(uint64_t index) {
  SALLYPORT_TRY(const std::string bytes, log_.Read(index));
  const auto entry = ledger::DecodeEntry(bytes);
  return entry ? entry->at : 0;
}

/// By halves, as times rise but for steps of the clock.
Result<uint64_t> Entries::FirstAt(Nanos at) {
  uint64_t low = 0, high = log_.size();
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    SALLYPORT_TRY(const Nanos time, TimeOf(middle));
    if (time < at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const Entries::Who* Entries::WhoOf(uint64_t session) {
  if (const auto known = sessions_.find(session); known != sessions_.end()) return &known->second;
  const auto bytes = session < other_.size() ? other_.Read(session) : Fail(Errc::not_found);
  if (!bytes) return nullptr;
  const auto entry = ledger::DecodeEntry(*bytes);
  if (!entry || entry->event != "auth.success") return nullptr;
  if (sessions_.size() >= kSessions) sessions_.clear();
  return &sessions_.emplace(session, ReadWho(entry->document.root()["who"])).first->second;
}

Result<> Entries::ForEach(Nanos from, Nanos to, const std::function<void(const One&)>& visit) {
  SALLYPORT_TRY(const uint64_t first, FirstAt(from - kSlack));
  return log_.ForEach(first, log_.size(),
                      [&](uint64_t index, std::string_view bytes) -> Result<bool> {
                        const auto entry = ledger::DecodeEntry(bytes);
                        if (!entry) return true;  // a verifier's business
                        newest_ = std::max(newest_, entry->at);
                        if (entry->at >= to + kSlack) return false;
                        if (entry->at < from || entry->at >= to) return true;
                        One one{index, &*entry, nullptr};
                        Who opened;
                        if (entry->event == "auth.success") {
                          opened = ReadWho(entry->document.root()["who"]);
                          one.who = &opened;
                        } else if (entry->has_session) {
                          one.who = WhoOf(entry->session);
                        }
                        visit(one);
                        return true;
                      });
}

}  // namespace sallyport::review
