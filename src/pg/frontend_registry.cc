#include "net/event.h"
#include "pg/frontend_front.h"
#include "pg/session.h"

namespace sallyport::pg {
namespace {

std::string CallerOf(const op::Principal& who) { return who.issuer + '\n' + who.subject; }

std::string StateOf(const Figures& figures) {
  const bool running = figures.running.load(std::memory_order_relaxed);
  switch (figures.state.load(std::memory_order_relaxed)) {
    case 'T':
      return running ? "active in transaction" : "idle in transaction";
    case 'E':
      return "failed transaction";
    default:
      return running ? "active" : "idle";
  }
}

void Sum(ConnectionFigures& sum, const Figures& figures) {
  sum.statements += figures.statements.load(std::memory_order_relaxed);
  sum.refused += figures.refused.load(std::memory_order_relaxed);
  sum.rows += figures.rows.load(std::memory_order_relaxed);
  sum.bytes += figures.bytes.load(std::memory_order_relaxed);
  sum.masked += figures.masked.load(std::memory_order_relaxed);
}

}  // namespace

Result<uint64_t> Registry::Reserve(const op::Principal& who, uint32_t most) {
  const std::lock_guard lock(mutex_);
  const std::string caller = CallerOf(who);
  uint32_t& count = per_caller_[caller];
  if (most > 0 && count >= most)
    return Fail(Errc::limit_exceeded, "you have as many sessions as are allowed");
  ++count;
  const uint64_t id = next_++;
  slots_[id].caller = caller;
  return id;
}

void Registry::Fill(uint64_t id, Entry entry) {
  const std::lock_guard lock(mutex_);
  slots_[id].entry = std::move(entry);
}

void Registry::Remove(uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto at = slots_.find(id);
  if (at == slots_.end()) return;
  if (const Entry& entry = at->second.entry; entry.who && entry.figures)
    Sum(ended_[entry.who->connection], *entry.figures);
  const auto count = per_caller_.find(at->second.caller);
  if (count != per_caller_.end() && --count->second == 0) per_caller_.erase(count);
  slots_.erase(at);
}

std::vector<SessionInfo> Registry::List(
    const std::function<bool(const op::Session&)>& which) const {
  const std::lock_guard lock(mutex_);
  std::vector<SessionInfo> list;
  for (const auto& [id, slot] : slots_) {
    const op::Session* who = slot.entry.who.get();
    if (who == nullptr || (which && !which(*who))) continue;
    SessionInfo info;
    info.id = who->id;
    info.caller = who->who.name.empty() ? who->who.subject : who->who.name;
    info.connection = who->connection;
    info.address = who->from.address;
    info.opened_at = who->opened_at;
    const Figures& figures = *slot.entry.figures;
    info.state = StateOf(figures);
    info.statements = figures.statements.load(std::memory_order_relaxed);
    info.rows = figures.rows.load(std::memory_order_relaxed);
    info.bytes = figures.bytes.load(std::memory_order_relaxed);
    list.push_back(std::move(info));
  }
  return list;
}

std::map<std::string, ConnectionFigures> Registry::Totals() const {
  const std::lock_guard lock(mutex_);
  std::map<std::string, ConnectionFigures> totals = ended_;
  for (const auto& [id, slot] : slots_) {
    if (!slot.entry.who || !slot.entry.figures) continue;
    ConnectionFigures& sum = totals[slot.entry.who->connection];
    ++sum.sessions;
    Sum(sum, *slot.entry.figures);
  }
  return totals;
}

size_t Registry::size() const {
  const std::lock_guard lock(mutex_);
  return slots_.size();
}

size_t Registry::ForEach(const std::function<bool(const op::Session&)>& which,
                         const std::function<void(Session&)>& f) {
  const std::lock_guard lock(mutex_);
  size_t n = 0;
  for (const auto& [id, slot] : slots_) {
    if (!slot.entry.who || !which(*slot.entry.who)) continue;
    ++n;
    net::Post(slot.entry.executor, [weak = slot.entry.session, f] {
      if (const auto session = weak.lock()) f(*session);
    });
  }
  return n;
}

}  // namespace sallyport::pg
