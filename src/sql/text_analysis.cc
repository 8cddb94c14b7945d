#include "sql/text_analysis.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "sql/judge.h"
#include "sql/parse.h"
#include "sql/reader.h"
#include "sql/resolve.h"
#include "sql/rewrite.h"
#include "sql/tree.h"

namespace sallyport::sql {
namespace {

using op::Effect;

constexpr size_t kMaxStatements = 1000;
constexpr size_t kMaxAdded = 256 << 10;  // bytes that a rewriting may add

Judged Unreadable(std::string detail) {
  auto analysis = std::make_shared<Analysis>();
  analysis->text.known = {.complete = false, .reason = "sql-unparsable"};
  analysis->text.worst = Effect::admin;
  analysis->route = Route::refused;
  analysis->refusal = Error(Errc::sql_unparsable, std::move(detail));
  analysis->classified = true;
  return {.analysis = std::move(analysis)};
}

/// Reads the statements of one text in order.
class TextJudge {
 public:
  TextJudge(const Catalog& catalog, const SessionNames& names, const Analyzer::Options& options,
            bool alone)
      : catalog_(catalog), names_(names), options_(options), alone_(alone) {}

  /// False: it cannot be read.
  bool Add(json::Value raw);
  Judged Finish(std::string_view text);

 private:
  void Take(op::SqlStatement statement) {
    out_->text.worst = std::max(out_->text.worst, statement.effect);
    out_->text.statements.push_back(std::move(statement));
  }
  void Refuse(Error error) {
    if (out_->route != Route::refused || out_->refusal.detail.empty())
      out_->refusal = std::move(error);
    out_->route = Route::refused;
  }
  void Merge(Verdict verdict);
  Result<> Rewrite(std::string_view text);
  void Describe(std::string_view node, json::Value body, const op::SqlStatement& statement);
  bool Named(std::string_view node, json::Value body, op::SqlStatement& statement);
  void Behind(std::string_view name, NameEffect::What what, bool shows);
  AnalysisPtr Inner(const op::SqlStatement& statement, const Verdict& verdict,
                    bool returns_rows) const;

  const Catalog& catalog_;
  const SessionNames& names_;
  const Analyzer::Options& options_;
  std::shared_ptr<Analysis> out_ = std::make_shared<Analysis>();
  std::unordered_set<std::string> created_;
  std::unordered_map<std::string, AnalysisPtr> local_;
  std::deque<Reading> readings_;  // of the statements that are rewritten
  Judged result_{.literal_sensitive = false};
  bool started_ = false;
  bool alone_;  // the text has no other statement
};

void TextJudge::Merge(Verdict verdict) {
  out_->classified |= verdict.classified;
  if (verdict.route == Route::refused) return Refuse(std::move(verdict.refusal));
  if (out_->route == Route::refused) return;
  out_->route = std::max(out_->route, verdict.route);
  if (!verdict.outputs.empty()) out_->outputs = std::move(verdict.outputs);
}

void TextJudge::Describe(std::string_view node, json::Value body,
                         const op::SqlStatement& statement) {
  auto& out = *out_;
  if (out.statements == 1) {
    out.kind = node == "PrepareStmt"         ? "PREPARE"
               : node == "DeclareCursorStmt" ? "DECLARE"
                                             : statement.kind;
  }
  bool definition = statement.effect >= Effect::ddl && node != "VariableSetStmt" &&
                    node != "DiscardStmt" && node != "ExecuteStmt" && node != "TruncateStmt";
  out.changes_catalog |= definition;
  out.transaction_control |= node == "TransactionStmt";
  if (node == "CopyStmt") {
    bool from = body["is_from"].boolean().value_or(false);
    bool client = !body["filename"] && !body["is_program"].boolean().value_or(false);
    out.copy_in |= from && client;
    out.copy_out |= !from && client;
  }
  out.returns_rows |= (node == "SelectStmt" && !body["intoClause"]) || node == "ExplainStmt" ||
                      node == "VariableShowStmt" || node == "FetchStmt" || node == "CallStmt" ||
                      body["returningList"];
}

AnalysisPtr TextJudge::Inner(const op::SqlStatement& statement, const Verdict& verdict,
                             bool returns_rows) const {
  auto inner = std::make_shared<Analysis>();
  inner->text.statements = {statement};
  inner->text.worst = statement.effect;
  inner->route = verdict.route;
  inner->refusal = verdict.refusal;
  inner->classified = verdict.classified;
  inner->statements = 1;
  inner->kind = statement.kind;
  inner->returns_rows = returns_rows;
  inner->changes_catalog = statement.effect >= Effect::ddl;
  return inner;
}

void TextJudge::Behind(std::string_view name, NameEffect::What what, bool shows) {
  result_.cacheable = false;
  AnalysisPtr inner;
  if (auto at = local_.find(std::string(name)); at != local_.end()) {
    inner = at->second;
  } else {
    inner = names_.Lookup(name);
  }
  out_->names.push_back({.what = what, .name = std::string(name), .inner = inner});
  if (!shows) return;
  if (!inner) {
    // What a function has opened it could have returned: it was judged when it was called.
    const bool of_a_function = what == NameEffect::What::fetch && !names_.Knows(name);
    if (of_a_function && !catalog_.classifies_anything()) return;
    return Refuse({Errc::sql_not_maskable,
                   "it is not known what this prepared statement or cursor stands for: the session "
                   "has not made it, or it is not sure that it was made"});
  }
  if (inner->route == Route::refused) return Refuse(inner->refusal);
  for (const auto& statement : inner->text.statements) Take(statement);
  out_->classified |= inner->classified;
  out_->changes_catalog |= inner->changes_catalog;
  out_->returns_rows |= inner->returns_rows;
  if (!inner->text.known.complete) out_->text.known = inner->text.known;
  if (inner->route != Route::by_origin) return;
  if (!alone_ && !inner->outputs.empty()) {
    return Refuse(
        {Errc::sql_not_maskable,
         "the result of " + std::string(name) +
             " is masked on its way, which needs it to be the only statement of the text"});
  }
  Merge({.route = Route::by_origin, .outputs = inner->outputs});
}

/// Statements about names of the session. True: `statement` is not judged by its own kind.
bool TextJudge::Named(std::string_view node, json::Value body, op::SqlStatement& statement) {
  using What = NameEffect::What;
  auto name = [&](std::string_view key) { return std::string(TextOf(body[key])); };
  if (node == "ExecuteStmt") {
    size_t before = out_->text.statements.size();
    Behind(TextOf(body["name"]), What::execute, true);
    // What its arguments call counts with it.
    auto& all = out_->text.statements;
    if (before < all.size()) {
      auto add = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
      add(all[before].functions, statement.functions);
      add(all[before].risky, statement.risky);
      return true;
    }
    return false;
  }
  if (node == "FetchStmt") {
    bool move = body["ismove"].boolean().value_or(false);
    size_t before = out_->text.statements.size();
    Behind(TextOf(body["portalname"]), What::fetch, !move);
    return before < out_->text.statements.size();
  }
  if (node == "DeallocateStmt") {
    out_->names.push_back(
        {body["name"] ? What::deallocate : What::deallocate_all, name("name"), {}});
  } else if (node == "ClosePortalStmt") {
    out_->names.push_back(
        {body["portalname"] ? What::close : What::close_all, name("portalname"), {}});
  } else if (node == "DiscardStmt" && TextOf(body["target"]) == "DISCARD_ALL") {
    out_->names.push_back({What::discard_all, {}, {}});
  }
  return false;
}

bool TextJudge::Add(json::Value raw) {
  auto node = raw["stmt"];
  auto body = node.first();
  auto kind = body.key();
  // What is prepared is judged as if it ran: whoever runs it later names it only.
  bool behind = kind == "PrepareStmt" || kind == "DeclareCursorStmt";
  auto statement = ReadStatement(behind ? body["query"] : node);
  if (!statement) return false;
  if (!started_) {
    started_ = true;
    out_->route = Route::as_is;
    out_->text.worst = Effect::none;
  }
  ++out_->statements;
  Reading reading;
  ReaderContext context{catalog_, names_.search_path, created_};
  if (!catalog_.content().relations.empty() || catalog_.classifies_anything())
    Reader(context, reading).Top(kind, body);
  result_.literal_sensitive |= reading.literal_sensitive;
  ResolveNames(*statement, reading, catalog_, names_.search_path);
  Describe(kind, body, *statement);
  auto verdict = Judge(kind, body, reading, catalog_, options_.source_only, alone_);
  out_->catalog_stale |= reading.unknown_names;
  if (kind == "VariableSetStmt") {
    if (auto error = RefusedSetting(body, catalog_); !error.detail.empty())
      verdict = {.route = Route::refused, .refusal = std::move(error)};
  }
  if (behind) {
    bool prepare = kind == "PrepareStmt";
    auto name = std::string(TextOf(body[prepare ? "name" : "portalname"]));
    auto query = body["query"].first();
    auto inner = Inner(*statement, verdict, query.key() == "SelectStmt" || query["returningList"]);
    local_[name] = inner;
    out_->names.push_back(
        {prepare ? NameEffect::What::prepare : NameEffect::What::declare, name, inner});
  }
  if (verdict.route == Route::rewritten) readings_.push_back(std::move(reading));
  bool replaced = Named(kind, body, *statement);
  if (out_->route != Route::refused && verdict.route == Route::refused)
    out_->missing = std::move(reading.missing);
  Merge(std::move(verdict));
  if (!replaced) Take(std::move(*statement));
  return true;
}

/// The text must mean what was meant: it is read again, and no classified column may stand in it
/// but inside the masks that were put in.
Result<> Check(std::string_view sql, const std::vector<Span>& generated, const Catalog& catalog,
               const SessionNames& names, const Limits& limits, size_t statements) {
  Limits wider{.max_bytes = sql.size(), .max_depth = limits.max_depth + 50};
  auto tree = ParseTree::Make(sql, wider);
  auto failed = [] {
    return Fail(Errc::sql_not_maskable,
                "what the statement became with masked values could not be verified");
  };
  if (!tree || tree->statements().size() != statements) return failed();
  std::unordered_set<std::string> created;
  ReaderContext context{catalog, names.search_path, created, &generated};
  for (auto raw = tree->statements().first(); raw; raw = raw.next()) {
    Reading reading;
    auto body = raw["stmt"].first();
    Reader(context, reading).Top(body.key(), body);
    if (reading.refusal || !reading.mentions.empty()) return failed();
    for (const auto& use : reading.uses) {
      bool bare = use.relation && use.relation->classified && use.role == Use::Role::source &&
                  !Holds(generated, use.location);
      if (bare && reading.unknown_names) return failed();
    }
  }
  return {};
}

Result<> TextJudge::Rewrite(std::string_view text) {
  std::vector<const Reading*> readings;
  for (const auto& reading : readings_) readings.push_back(&reading);
  SALLYPORT_TRY(auto splices, PlanSplices(text, readings));
  size_t added = 0;
  for (const auto& splice : splices) added += splice.text.size();
  if (added > kMaxAdded) {
    return Fail(Errc::sql_not_maskable,
                "the text uses classified columns in too many places: send it in parts");
  }
  std::vector<Span> generated;
  auto sql = ApplySplices(text, splices, generated);
  SALLYPORT_CHECK(Check(sql, generated, catalog_, names_, options_.limits, out_->statements));
  out_->sql = std::move(sql);
  result_.splices = std::move(splices);
  return {};
}

Judged TextJudge::Finish(std::string_view text) {
  if (out_->route == Route::rewritten) {
    out_->outputs.clear();
    if (auto done = Rewrite(text); !done) Refuse(std::move(done).error());
  }
  if (!started_) {
    out_->route = Route::as_is;
    out_->text.worst = Effect::none;
  }
  result_.analysis = std::move(out_);
  return std::move(result_);
}

}  // namespace

Judged JudgeText(std::string_view text, const Catalog& catalog, const SessionNames& names,
                 const Analyzer::Options& options) {
  if (text.size() > options.limits.max_bytes) {
    return Unreadable("the text is longer than " + std::to_string(options.limits.max_bytes) +
                      " bytes");
  }
  auto tree = ParseTree::Make(text, options.limits);
  if (!tree) {
    return Unreadable(
        IsText(text)
            ? "the text is not SQL that PostgreSQL's grammar reads, or is nested too deeply"
            : "the text is not UTF-8, or holds a zero byte");
  }
  auto statements = tree->statements();
  if (statements.size() > kMaxStatements) return Unreadable("the text has too many statements");
  TextJudge judge(catalog, names, options, statements.size() == 1);
  for (auto raw = statements.first(); raw; raw = raw.next()) {
    if (!judge.Add(raw)) return Unreadable("a statement names too many things to be judged");
  }
  return judge.Finish(text);
}

}  // namespace sallyport::sql
