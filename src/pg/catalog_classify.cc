#include "pg/catalog_classify.h"

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <optional>
#include <set>

#include "net/event.h"
#include "pg/catalog_actions.h"
#include "policy/glob.h"
#include "sql/analyze.h"

namespace sallyport::pg {
namespace {

using sql::CatalogColumn;
using sql::CatalogRelation;
using sql::SourceMask;

/// Relations of PostgreSQL itself that show values, statements or secrets of others: samples of
/// columns, texts of other sessions, contents of large objects, passwords. Definitions that may
/// quote a value (pg_attrdef, pg_constraint, pg_index, pg_proc, …) are not among them: every client
/// reads those, and sql/reach knows the columns.
constexpr std::array<std::string_view, 15> kValuesOfOthers{"pg_statistic",
                                                           "pg_stats",
                                                           "pg_statistic_ext_data",
                                                           "pg_stats_ext",
                                                           "pg_stats_ext_exprs",
                                                           "pg_stat_activity",
                                                           "pg_stat_replication",
                                                           "pg_stat_subscription",
                                                           "pg_largeobject",
                                                           "pg_authid",
                                                           "pg_shadow",
                                                           "pg_user_mapping",
                                                           "pg_user_mappings",
                                                           "pg_hba_file_rules",
                                                           "pg_file_settings"};

bool ShowsOthers(const CatalogRelation& relation) {
  // TOAST tables hold the long values of their tables, pg_stat_statements is an extension's.
  if (relation.kind == 't' || relation.name == "pg_stat_statements") return true;
  return relation.schema == "pg_catalog" &&
         std::ranges::find(kValuesOfOthers, relation.name) != kValuesOfOthers.end();
}

bool IsSystem(std::string_view schema) {
  return schema == "pg_catalog" || schema == "information_schema" || schema.starts_with("pg_toast");
}

struct Pattern {
  policy::Glob schema, table, column;
  std::string detector;
  SourceMask mask;

  /// It names one column of one table, and nothing that may or may not be there.
  bool exact() const { return schema.literal() && table.literal() && column.literal(); }
};

Result<std::vector<Pattern>> ReadPatterns(const std::vector<ClassifiedColumn>& classified) {
  std::vector<Pattern> patterns;
  for (const ClassifiedColumn& entry : classified) {
    if (entry.relation != 0) continue;
    const std::string_view text = entry.pattern;
    const size_t first = text.find('.'), last = text.rfind('.');
    if (first == std::string_view::npos || first == last || text.find('.', first + 1) != last)
      return Fail(Errc::config_invalid, "a classified column is not schema.table.column");
    SALLYPORT_TRY(auto schema, policy::Glob::Make(text.substr(0, first)));
    SALLYPORT_TRY(auto table, policy::Glob::Make(text.substr(first + 1, last - first - 1)));
    SALLYPORT_TRY(auto column, policy::Glob::Make(text.substr(last + 1)));
    patterns.push_back(
        {std::move(schema), std::move(table), std::move(column), entry.detector, entry.mask});
  }
  return patterns;
}

/// Marks grow: the stronger mask stays, with its detector. True if the column changed.
bool Mark(CatalogColumn& column, SourceMask mask, const std::string& detector, bool derived) {
  if (mask <= column.mask) return false;
  column.mask = mask;
  if (!detector.empty()) column.detector = detector;
  column.derived |= derived;
  return true;
}

/// Reading thousands of definitions takes a while: others get their turn in between.
class Turns {
 public:
  boost::asio::awaitable<void> Give() {
    const auto now = std::chrono::steady_clock::now();
    if (now - began_ < kTurn) co_return;
    co_await boost::asio::post(co_await net::ThisExecutor(), boost::asio::use_awaitable);
    began_ = std::chrono::steady_clock::now();
  }

 private:
  static constexpr std::chrono::milliseconds kTurn{2};
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

class Classifier {
 public:
  Classifier(DatabaseCatalog& database, std::vector<Pattern> patterns,
             const std::vector<ClassifiedColumn>& classified)
      : database_(database), patterns_(std::move(patterns)), classified_(classified) {}

  boost::asio::awaitable<sql::Catalog::Content> Run();

 private:
  CatalogRelation* Find(uint32_t oid) {
    const auto at = database_.by_oid.find(oid);
    return at == database_.by_oid.end() ? nullptr : &database_.relations[at->second];
  }
  CatalogColumn* Find(const ColumnOf& at) {
    CatalogRelation* relation = Find(at.relation);
    if (relation == nullptr) return nullptr;
    const auto found = std::ranges::find(relation->columns, at.column, &CatalogColumn::number);
    return found == relation->columns.end() ? nullptr : &*found;
  }
  bool MarkAll(CatalogRelation& relation);
  /// A column of it was found to be that before, whatever it is called now.
  bool Known(const CatalogRelation& relation, const std::string& detector) const {
    return std::ranges::any_of(classified_, [&](const ClassifiedColumn& known) {
      return known.relation == relation.oid && known.detector == detector;
    });
  }

  bool MarkTyped(CatalogColumn& column, SourceMask mask, const std::string& detector);

  bool ByConfiguration();
  bool ByHeirs();
  bool ByForeignNames();
  bool ByGenerated();
  bool ByDefaults();
  bool ByRules();
  bool ByTables();  // all of the above but the configuration, to the end
  bool ByView(const DatabaseView& view, const sql::Catalog& so_far);
  boost::asio::awaitable<bool> Round();
  bool Reads(const DatabaseFunction& function, const std::shared_ptr<const sql::Catalog>& so_far);
  void NameAmbiguous();
  void MergeFunctions();
  sql::HiddenCalls Hidden() const;
  sql::Catalog::Content Snapshot() const;

  DatabaseCatalog& database_;
  const std::vector<Pattern> patterns_;
  const std::vector<ClassifiedColumn>& classified_;
  std::vector<sql::CatalogFunction> merged_;  // one per name
  std::set<std::string> schemas_;
  Turns turns_;
  std::set<std::string> ambiguous_;  // names of relations that stand in several schemas
};

bool Classifier::MarkAll(CatalogRelation& relation) {
  bool changed = false;
  for (CatalogColumn& column : relation.columns)
    changed |= Mark(column, SourceMask::null, classified_.front().detector, true);
  return changed;
}

/// What is no text has no masked form.
bool Classifier::MarkTyped(CatalogColumn& column, SourceMask mask, const std::string& detector) {
  const bool text = database_.text_types.contains(column.type);
  return Mark(column, text ? mask : SourceMask::null, detector, false);
}

bool Classifier::ByConfiguration() {
  bool any = false;
  for (CatalogRelation& relation : database_.relations) {
    if (IsSystem(relation.schema) || relation.kind == 'S') continue;
    const auto foreign = database_.foreign.find(relation.oid);
    for (const Pattern& pattern : patterns_) {
      const auto names = [&](const std::string& schema, const std::string& table) {
        return pattern.schema.Matches(schema) && pattern.table.Matches(table);
      };
      const bool here = names(relation.schema, relation.name);
      bool there = false;
      if (foreign != database_.foreign.end()) {
        const auto& remote = foreign->second;
        there = names(remote.schema.empty() ? relation.schema : remote.schema,
                      remote.table.empty() ? relation.name : remote.table);
      }
      if (!here && !there) continue;
      bool found = Known(relation, pattern.detector);
      for (CatalogColumn& column : relation.columns) {
        bool named = pattern.column.Matches(column.name);
        if (there && !named) {
          const auto& remote = foreign->second.columns;
          const auto name = remote.find(column.number);
          named = name != remote.end() && pattern.column.Matches(name->second);
        }
        if (!named) continue;
        found = true;
        any |= MarkTyped(column, pattern.mask, pattern.detector);
      }
      // Its column has gone, or has another name by now: which one, nobody can say.
      if (!found && here && pattern.exact()) any |= MarkAll(relation);
    }
  }
  for (const ClassifiedColumn& found : classified_) {
    if (found.relation == 0) continue;
    CatalogColumn* column = Find(ColumnOf{found.relation, found.column});
    if (column == nullptr) continue;
    if (!found.pattern.empty()) {
      const CatalogRelation& relation = *Find(found.relation);
      if (relation.schema + "." + relation.name + "." + column->name != found.pattern) continue;
    }
    any |= MarkTyped(*column, found.mask, found.detector);
  }
  return any;
}

/// A row of a child is read through its parents, and a column of a parent is one of its children.
bool Classifier::ByHeirs() {
  bool changed = false;
  for (CatalogRelation& child : database_.relations) {
    for (const uint32_t oid : child.parents) {
      CatalogRelation* parent = Find(oid);
      if (parent == nullptr) continue;
      for (CatalogColumn& below : child.columns) {
        const auto above = std::ranges::find(parent->columns, below.name, &CatalogColumn::name);
        if (above == parent->columns.end()) continue;
        changed |= Mark(below, above->mask, above->detector, above->derived);
        changed |= Mark(*above, below.mask, below.detector, below.derived);
      }
    }
  }
  return changed;
}

/// A foreign table of the name of a classified one is taken for the same table, elsewhere.
bool Classifier::ByForeignNames() {
  bool changed = false;
  for (CatalogRelation& foreign : database_.relations) {
    if (foreign.kind != 'f') continue;
    const auto options = database_.foreign.find(foreign.oid);
    const bool renamed = options != database_.foreign.end();
    const std::string& table =
        renamed && !options->second.table.empty() ? options->second.table : foreign.name;
    for (const CatalogRelation& other : database_.relations) {
      if (other.oid == foreign.oid || other.name != table) continue;
      for (CatalogColumn& column : foreign.columns) {
        std::string name = column.name;
        if (renamed) {
          const auto at = options->second.columns.find(column.number);
          if (at != options->second.columns.end()) name = at->second;
        }
        const CatalogColumn* same = other.Find(name);
        if (same != nullptr && same->classified())
          changed |= Mark(column, same->mask, same->detector, same->derived);
      }
    }
  }
  return changed;
}

bool Classifier::ByGenerated() {
  bool changed = false;
  for (const auto& generated : database_.generated) {
    CatalogColumn* column = Find(generated.column);
    if (column == nullptr || column->mask == SourceMask::null) continue;
    bool reads = false;
    std::string detector = classified_.front().detector;
    if (generated.function != 0) {
      for (const auto& function : database_.functions)
        reads |= function.oid == generated.function && function.function.touches_classified;
    } else if (const CatalogColumn* from = Find(generated.from)) {
      reads = from->classified();
      detector = from->detector;
    }
    if (reads) changed |= Mark(*column, SourceMask::null, detector, true);
  }
  return changed;
}

/// What a default computes from a classified column is stored where nobody classified it.
bool Classifier::ByDefaults() {
  const ActionReader reader(database_);
  bool changed = false;
  for (const auto& action : database_.actions) {
    CatalogColumn* column = action.column == 0 ? nullptr : Find({action.relation, action.column});
    if (column != nullptr && reader.May(action.function))
      changed |= Mark(*column, SourceMask::null, classified_.front().detector, true);
  }
  return changed;
}

bool Classifier::ByRules() {
  bool changed = false;
  for (const auto& [relation, read] : database_.rules) {
    CatalogRelation* answering = Find(relation);
    const CatalogRelation* from = Find(read);
    if (answering != nullptr && from != nullptr &&
        std::ranges::any_of(from->columns, &CatalogColumn::classified))
      changed |= MarkAll(*answering);
  }
  return changed;
}

bool Classifier::ByTables() {
  bool any = false;
  for (bool changed = true; changed; any |= changed) {
    changed = ByHeirs();
    changed |= ByForeignNames();
    changed |= ByGenerated();
    changed |= ByRules();
  }
  return any;
}

bool Classifier::ByView(const DatabaseView& view, const sql::Catalog& so_far) {
  CatalogRelation* relation = Find(view.oid);
  if (relation == nullptr) return false;
  std::vector<CatalogColumn> columns = relation->columns;
  for (CatalogColumn& column : columns) column.mask = SourceMask::none, column.derived = false;
  if (!sql::ClassifyView(view.definition, so_far, {"pg_catalog"}, columns))
    return MarkAll(*relation);
  bool changed = false;
  for (size_t i = 0; i < columns.size(); ++i) {
    const CatalogColumn& now = columns[i];
    changed |= Mark(relation->columns[i], now.mask, now.detector, now.derived);
  }
  return changed;
}

/// Whether a function may read something classified: unless its body, read whole, does not.
bool Classifier::Reads(const DatabaseFunction& function,
                       const std::shared_ptr<const sql::Catalog>& so_far) {
  if (function.function.language != "sql" || function.body.empty()) return true;
  const op::SqlText text = sql::Classify(function.body, {.max_bytes = 1u << 20});
  if (!text.known.complete) return true;
  for (const auto& statement : text.statements) {
    for (const auto& used : statement.relations) {
      // A bare name means what the caller's search_path makes of it.
      if (used.name.find('.') == std::string::npos && ambiguous_.contains(used.name)) return true;
    }
  }
  sql::SessionNames names;
  names.search_path = {"pg_catalog"};
  names.search_path.insert(names.search_path.end(), schemas_.begin(), schemas_.end());
  sql::Analyzer analyzer({.limits = {.max_bytes = 1u << 20}, .cache_entries = 1});
  const auto analysis = analyzer.Analyze(function.body, so_far, names);
  return analysis->route != sql::Route::as_is || analysis->classified || !analysis->names.empty();
}

/// Follows everything once, as far as is known by now. True if that made more known.
boost::asio::awaitable<bool> Classifier::Round() {
  ByTables();
  MergeFunctions();
  const auto so_far = std::make_shared<const sql::Catalog>(Snapshot());
  bool changed = false;
  for (const DatabaseView& view : database_.views) {
    co_await turns_.Give();
    changed |= ByView(view, *so_far);
  }
  for (DatabaseFunction& function : database_.functions) {
    if (function.function.touches_classified) continue;
    co_await turns_.Give();
    if (!Reads(function, so_far)) continue;
    function.function.touches_classified = true;
    changed = true;
  }
  changed |= ByDefaults();
  co_return changed;
}

void Classifier::NameAmbiguous() {
  std::set<std::string> seen;
  for (const CatalogRelation& relation : database_.relations) {
    if (!IsSystem(relation.schema)) schemas_.insert(relation.schema);
    if (!seen.insert(relation.name).second) ambiguous_.insert(relation.name);
  }
  for (const DatabaseFunction& function : database_.functions)
    schemas_.insert(function.function.schema);
  schemas_.erase("pg_catalog");
}

/// Overloads are judged together, by the worst of them.
void Classifier::MergeFunctions() {
  std::map<std::pair<std::string, std::string>, size_t> known;
  merged_.clear();
  for (const DatabaseFunction& each : database_.functions) {
    const auto& function = each.function;
    const auto [at, is_new] = known.try_emplace({function.schema, function.name}, merged_.size());
    if (is_new) {
      merged_.push_back(function);
      continue;
    }
    sql::CatalogFunction& all = merged_[at->second];
    if (all.language != function.language) all.language.clear();
    // 'i' < 's' < 'v'
    all.volatility = std::max(all.volatility, function.volatility);
    all.security_definer |= function.security_definer;
    all.touches_classified |= function.touches_classified;
  }
}

/// What functions that may read classified columns stand behind.
sql::HiddenCalls Classifier::Hidden() const {
  std::set<uint32_t> reading, own;
  for (const DatabaseFunction& function : database_.functions) {
    const std::string& language = function.function.language;
    if (language == "c" || language == "internal") continue;
    own.insert(function.oid);
    if (function.function.touches_classified) reading.insert(function.oid);
  }
  sql::HiddenCalls hidden;
  for (const auto& each : database_.operators) {
    if (own.contains(each.function)) hidden.own_operators.insert(each.name);
    if (reading.contains(each.function)) hidden.operators.insert(each.name);
  }
  for (const auto& cast : database_.casts) {
    if (own.contains(cast.function)) hidden.own_types.insert({cast.source_name, cast.target_name});
    if (!reading.contains(cast.function)) continue;
    hidden.types.insert({cast.source_name, cast.target_name});
    if (cast.implicit) hidden.implicit.insert({cast.source, cast.target});
  }
  return hidden;
}

sql::Catalog::Content Classifier::Snapshot() const {
  return {.relations = database_.relations, .functions = merged_, .hidden = Hidden(), .epoch = 0};
}

boost::asio::awaitable<sql::Catalog::Content> Classifier::Run() {
  for (CatalogRelation& relation : database_.relations)
    relation.readable_by_rules_only = ShowsOthers(relation);
  // Where nothing is classified, nothing touches it.
  const bool any = ByConfiguration();
  for (DatabaseFunction& function : database_.functions)
    function.function.touches_classified = any && function.function.language != "sql";
  MergeFunctions();
  if (!any) co_return Snapshot();
  NameAmbiguous();
  while (co_await Round()) {
  }
  ActionReader(database_).MarkRelations();
  // The masks of its children are a relation's own by now, where they have the column in common.
  for (bool changed = true; changed;) {
    changed = false;
    for (CatalogRelation& relation : database_.relations) {
      relation.classified |= std::ranges::any_of(relation.columns, &CatalogColumn::classified);
      if (!relation.classified) continue;
      for (const uint32_t oid : relation.parents) {
        CatalogRelation* parent = Find(oid);
        if (parent == nullptr || parent->classified) continue;
        parent->classified = changed = true;
      }
    }
  }
  co_return Snapshot();
}

}  // namespace

Task<sql::Catalog::Content> ClassifyDatabase(DatabaseCatalog database,
                                             std::vector<ClassifiedColumn> classified) {
  SALLYPORT_CO_TRY(auto patterns, ReadPatterns(classified));
  Classifier classifier(database, std::move(patterns), classified);
  co_return co_await classifier.Run();
}

}  // namespace sallyport::pg
