#include "pg/names.h"

#include <algorithm>
#include <cctype>

#include "pg/to_operation.h"

namespace sallyport::pg {
namespace {

using What = sql::NameEffect::What;

bool SaysHold(std::string_view text) {
  static constexpr std::string_view kWord = "hold";
  return std::ranges::search(text, kWord, {}, [](unsigned char c) {
           return std::tolower(c);
         }).begin() != text.end();
}

/// The statement behind a name of SQL, to be judged whenever it is run; its text is the one that
/// made the name.
JudgedPtr Inner(const sql::NameEffect& effect, const Judged& outer) {
  auto judged = std::make_shared<Judged>();
  judged->text = outer.text;
  judged->trace = outer.trace;
  judged->analysis = effect.inner;
  judged->catalog = outer.catalog;
  if (effect.inner) judged->statement = StatementOf(effect.inner);
  judged->memo = std::make_shared<gate::Memo>();
  return judged;
}

template <class Map>
auto Find(const Map& sent, const Map& known, std::string_view name) -> typename Map::mapped_type {
  if (const auto at = sent.find(name); at != sent.end()) return at->second;
  const auto at = known.find(name);
  return at == known.end() ? nullptr : at->second;
}

}  // namespace

std::optional<StatementPtr> Names::SentStatement(std::string_view name) const {
  const auto at = sent_statements_.find(name);
  return at == sent_statements_.end() ? std::nullopt : std::optional(at->second);
}

std::optional<PortalPtr> Names::SentPortal(std::string_view name) const {
  const auto at = sent_portals_.find(name);
  return at == sent_portals_.end() ? std::nullopt : std::optional(at->second);
}

StatementPtr Names::FindStatement(std::string_view name) const {
  return Find(sent_statements_, statements_, name);
}

PortalPtr Names::FindPortal(std::string_view name) const {
  return Find(sent_portals_, portals_, name);
}

sql::AnalysisPtr Names::Lookup(std::string_view name) const {
  // EXECUTE knows statements, FETCH portals; a name that is both is judged as neither.
  const StatementPtr statement = FindStatement(name);
  const PortalPtr portal = FindPortal(name);
  if (statement && portal) return nullptr;
  if (statement) return statement->unsure ? nullptr : statement->analysis;
  if (portal) return portal->unsure ? nullptr : portal->analysis;
  return nullptr;
}

bool Names::Knows(std::string_view name) const {
  return FindStatement(name) != nullptr || FindPortal(name) != nullptr;
}

void Names::TransactionEnded() {
  std::erase_if(portals_, [](const auto& entry) { return !entry.second->may_outlive; });
}

void Names::ApplyOne(const sql::NameEffect& effect, const JudgedPtr& judged, bool unsure) {
  switch (effect.what) {
    case What::prepare: {
      auto statement = std::make_shared<Statement>();
      statement->name = effect.name;
      statement->judged = Inner(effect, *judged);
      statement->analysis = effect.inner;
      statement->of_sql = true;
      statement->unsure = unsure || effect.inner == nullptr;
      statement->weight = Weigh(*judged->analysis, judged->text.size());
      return Prepared(std::move(statement));
    }
    case What::declare: {
      auto portal = std::make_shared<Portal>();
      portal->name = effect.name;
      portal->judged = Inner(effect, *judged);
      portal->analysis = effect.inner;
      portal->of_sql = true;
      portal->may_outlive = SaysHold(judged->text);
      portal->unsure = unsure || effect.inner == nullptr;
      portal->weight = Weigh(*judged->analysis, judged->text.size());
      return Bound(std::move(portal));
    }
    case What::deallocate:
      if (!unsure) ClosedStatement(effect.name);
      return;
    case What::close:
      if (!unsure) ClosedPortal(effect.name);
      return;
    case What::deallocate_all:
      if (!unsure) statements_.clear();
      return;
    case What::close_all:
      if (!unsure) portals_.clear();
      return;
    case What::discard_all:
      if (!unsure) statements_.clear(), portals_.clear();
      return;
    case What::execute:
    case What::fetch:
      return;
  }
}

bool Names::RoomFor(const sql::Analysis& analysis, size_t text_bytes, bool itself) const {
  size_t more = itself ? 1 : 0;
  for (const sql::NameEffect& effect : analysis.names)
    more += effect.what == What::prepare || effect.what == What::declare;
  const size_t known = std::max(statements_.size(), portals_.size());
  return more == 0 ||
         (known + more <= kMost &&
          *bytes_ + more * (kFixedBytes + text_bytes + analysis.sql.size()) <= kMostBytes);
}

void Names::Released(const Judged& judged, uint64_t rows) {
  for (const sql::NameEffect& effect : judged.analysis->names) {
    if (effect.what != What::fetch) continue;
    const auto at = portals_.find(effect.name);
    if (at != portals_.end()) at->second->released += rows;
  }
}

uint64_t Names::ReleasedBefore(const sql::Analysis& analysis) const {
  uint64_t most = 0;
  for (const sql::NameEffect& effect : analysis.names) {
    if (effect.what != What::fetch) continue;
    const auto at = portals_.find(effect.name);
    if (at != portals_.end()) most = std::max(most, at->second->released);
  }
  return most;
}

void Names::Apply(const JudgedPtr& judged) {
  for (const sql::NameEffect& effect : judged->analysis->names) ApplyOne(effect, judged, false);
}

void Names::Doubt(const JudgedPtr& judged) {
  for (const sql::NameEffect& effect : judged->analysis->names) ApplyOne(effect, judged, true);
}

}  // namespace sallyport::pg
