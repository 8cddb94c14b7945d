#include "app/audit_search.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "app/exit_code.h"
#include "app/moment.h"
#include "app/proofs.h"
#include "app/read_spool.h"
#include "app/recorded.h"
#include "app/verbs.h"
#include "base/bytes.h"
#include "ledger/entry.h"
#include "ledger/index.h"
#include "ledger/proof.h"
#include "ledger/search.h"
#include "ledger/sql_words.h"
#include "sql/classify.h"

namespace sallyport::app {
namespace {

using ledger::Found;

int Sorry(const Error& error) {
  std::fprintf(stderr, "sallyport audit search: %s (%s)\n", error.detail.c_str(),
               std::string(ReasonCode(error.code)).c_str());
  return kFailed;
}

/// A name as people write it: "orders", "public.orders", "\"Order Lines\"".
struct TableName {
  std::string schema, name;

  static TableName Of(std::string_view text) {
    bool quoted = false;
    size_t dot = std::string_view::npos;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '"') quoted = !quoted;
      if (text[i] == '.' && !quoted) dot = i;
    }
    if (dot == std::string_view::npos) return {{}, Plain(text)};
    return {Plain(text.substr(0, dot)), Plain(text.substr(dot + 1))};
  }
  static std::string Plain(std::string_view part) {
    std::string out;
    for (const char c : part) {
      if (c != '"') out += c;
    }
    return out;
  }
  /// A name without a schema is one of `public`, or of any where nobody asks for a schema.
  bool Is(const TableName& used) const {
    if (used.name != name) return false;
    if (schema.empty() || schema == used.schema) return true;
    return used.schema.empty() && schema == "public";
  }
};

enum class Names { yes, no, unread };

/// Whether SQL in a recorded request names the table.
class TableSearch {
 public:
  TableSearch(ledger::LogReader& log, std::string_view table)
      : log_(log), table_(TableName::Of(table)), words_(ledger::WordsOfName(table)) {}

  Result<Names> Look(uint64_t index) {
    SALLYPORT_TRY(const std::string bytes, log_.Read(index));
    const Result<ledger::Entry> entry = ledger::DecodeEntry(bytes);
    if (!entry) return Names::no;
    const json::Value root = entry->document.root();
    if (root["req"]) return InRequest(root["req"]);
    const auto intent = root["i"].integer();
    if (!intent || *intent < 0 || uint64_t(*intent) >= log_.size()) return Names::no;
    return Look(uint64_t(*intent));
  }

 private:
  Names InRequest(json::Value request) {
    if (const Names found = InValue(request["json"]); found != Names::no) return found;
    return request["cut"] || request["blob"] ? Names::unread : Names::no;
  }
  Names InValue(json::Value value) {
    if (const auto text = value.string()) return InText(*text);
    Names all = Names::no;
    for (auto v = value.first(); v; v = v.next()) {
      const Names one = InValue(v);
      if (one == Names::yes) return one;
      if (one == Names::unread) all = one;
    }
    return all;
  }
  Names InText(std::string_view text) {
    if (!ledger::MayBeSql(text)) return Names::no;
    const op::SqlText read = sql::Classify(text);
    for (const op::SqlStatement& statement : read.statements) {
      for (const op::RelationUse& use : statement.relations) {
        if (table_.Is(TableName::Of(use.name))) return Names::yes;
      }
    }
    if (read.known.complete) return Names::no;
    // Nobody can read it, a masked number may be the reason: its words decide.
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const bool all = std::ranges::all_of(
        words_, [&](const std::string& word) { return lower.find(word) != std::string::npos; });
    return all ? Names::yes : Names::no;
  }

  ledger::LogReader& log_;
  const TableName table_;
  const std::set<std::string> words_;
};

struct Results {
  std::vector<Found> found;
  uint64_t matched = 0;
  uint64_t unread = 0;  // may name the table: their SQL is not in the log
};

Result<Results> FindTable(const std::string& dir, ledger::SearchCriteria criteria) {
  const uint64_t limit = criteria.limit;
  criteria.limit = UINT64_MAX;
  SALLYPORT_TRY(ledger::LogReader log, ledger::LogReader::Open(dir));
  SALLYPORT_TRY(ledger::SearchIndex index, ledger::SearchIndex::Open(dir));
  SALLYPORT_CHECK(index.Update(log));
  SALLYPORT_TRY(const std::vector<uint64_t> candidates, index.Find(criteria));
  TableSearch search(log, criteria.table);
  std::vector<uint64_t> hits;
  Results out;
  for (const uint64_t i : candidates) {
    SALLYPORT_TRY(const Names names, search.Look(i));
    if (names == Names::yes) hits.push_back(i);
    if (names == Names::unread) ++out.unread;
  }
  out.matched = hits.size();
  if (hits.size() > limit) hits.erase(hits.begin(), hits.end() - std::ptrdiff_t(limit));
  SALLYPORT_TRY(out.found, ledger::ShowEntries(dir, hits));
  return out;
}

/// The proofs of what was found. What was written a moment ago is covered by the next head.
Result<ledger::ProvenEntries> ProveFound(const std::string& dir, const std::vector<Found>& found) {
  std::vector<uint64_t> indexes;
  for (const Found& entry : found) indexes.push_back(entry.index);
  for (int attempt = 0;; ++attempt) {
    auto proven = ledger::ProveAll(dir, indexes);
    if (proven || proven.error().code != Errc::not_found || attempt == 20) return proven;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

/// The line of an entry with the name of its proof in it.
std::string WithProof(std::string json, const std::string& dir, uint64_t index,
                      const ledger::Checkpoint& head) {
  json.pop_back();
  return json + R"(,"proof":{"file":)" +
         json::Quote(
             (std::filesystem::path(dir) / (std::to_string(index) + ".tlog-proof")).string()) +
         R"(,"size":)" + std::to_string(head.size) + R"(,"root":)" +
         json::Quote(Base64Encode(head.root)) + "}}";
}

Result<> Prove(const std::string& dir, const std::string& to, std::vector<Found>& found) {
  SALLYPORT_TRY(const ledger::ProvenEntries proven, ProveFound(dir, found));
  SALLYPORT_TRY(const ledger::Checkpoint head, ledger::PeekCheckpoint(proven.note));
  SALLYPORT_CHECK(WriteProofs(proven, to));
  for (Found& entry : found) entry.json = WithProof(std::move(entry.json), to, entry.index, head);
  std::fprintf(stderr, "proven under one checkpoint of %s, %llu entries: %s\n", head.origin.c_str(),
               static_cast<unsigned long long>(head.size), to.c_str());
  return {};
}

Result<Results> Find(const std::string& dir, const ledger::SearchCriteria& criteria) {
  if (!criteria.table.empty()) return FindTable(dir, criteria);
  Results out;
  SALLYPORT_TRY(out.found, ledger::Search(dir, criteria, &out.matched));
  return out;
}

void Say(const Results& results, bool json) {
  if (results.unread > 0) {
    std::fprintf(stderr,
                 "%llu more may name the table: their SQL is not in the log, or not as a whole\n",
                 static_cast<unsigned long long>(results.unread));
  }
  if (results.matched > results.found.size()) {
    std::fprintf(stderr, "%llu entries match, the newest %zu are shown (--limit)\n",
                 static_cast<unsigned long long>(results.matched), results.found.size());
  } else if (!json) {
    std::fprintf(stderr, "%zu entries\n", results.found.size());
  }
}

}  // namespace

int RunAuditSearch(const AuditSearchOptions& options) { return RunAuditSearch(options, {}); }

int RunAuditSearch(const AuditSearchOptions& options, const SearchMore& more) {
  const std::string dir = DataDirOrDefault(options.data_dir);
  ledger::SearchCriteria criteria{
      .person = options.person,
      .agent = options.agent,
      .connection = options.connection,
      .table = more.table,
      .card = {},
      .tool = options.tool,
      .decision = options.decision.empty() ? options.reason : options.decision,
      .session = options.session,
      .trace = {},
      .event = options.event,
      .limit = options.limit};
  const auto from = MomentOption("audit search", options.from);
  const auto to = MomentOption("audit search", options.to);
  if (!from || !to) return kUsage;
  criteria.from = *from, criteria.to = *to;
  if (!more.table.empty() && ledger::WordsOfName(more.table).empty()) {
    std::fprintf(stderr, "sallyport audit search: --table %s is no name of a table\n",
                 more.table.c_str());
    return kUsage;
  }
  auto recorded = Recorded::Open(dir, {options.config, options.kek});
  if (!recorded) return Sorry(recorded.error());
  auto results = Find(dir, criteria);
  if (!results) return Sorry(results.error());
  if (const auto noted = NoteReading(dir, "audit search", ""); !noted) return Sorry(noted.error());
  if (!more.prove.empty() && !results->found.empty()) {
    if (const auto proven = Prove(dir, more.prove, results->found); !proven)
      return Sorry(proven.error());
  }
  if (options.json) recorded->Fill(results->found);
  for (const Found& entry : results->found) PrintEntry(entry, options.json);
  Say(*results, options.json);
  return recorded->damaged() > 0 ? kNegative : kOk;
}

}  // namespace sallyport::app
