#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gate/gate.h"
#include "pg/own_statement.h"
#include "pg/row_mask.h"
#include "sql/analyze.h"

namespace sallyport::pg {

/// One text judged against one catalog, and what was decided about it. Shared by the statements,
/// portals and requests that run it; touched by the session's shard only.
struct Judged {
  std::string text;   // as the client wrote it
  std::string trace;  // trace id that a comment in it names
  sql::AnalysisPtr analysis;
  std::shared_ptr<const sql::Catalog> catalog;
  std::shared_ptr<const op::SqlText> statement;  // of the analysis, for the policy
  std::shared_ptr<gate::Memo> memo;              // of all texts with this analysis
  /// The mask of the rows it gives, for the shape and the detectors it was made for.
  ShapePtr shape;
  std::shared_ptr<const mask::Masker> masker;
  std::shared_ptr<const RowMask> mask;
  /// {"sql":text} for the log, where the detectors find nothing in it.
  op::Payload sealed;
  std::shared_ptr<const mask::Masker> sealed_by;
  std::optional<OwnStatement> own;  // about the gateway itself: something else is sent instead
};
using JudgedPtr = std::shared_ptr<Judged>;

/// What one name takes of the memory that a session may use for them; given back with the name.
class Weight {
 public:
  Weight() = default;
  Weight(std::shared_ptr<size_t> sum, size_t bytes) : sum_(std::move(sum)), bytes_(bytes) {
    *sum_ += bytes_;
  }
  Weight(Weight&& other) noexcept = default;
  Weight& operator=(Weight&& other) noexcept {
    std::swap(sum_, other.sum_), std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Weight() {
    if (sum_) *sum_ -= bytes_;
  }

 private:
  std::shared_ptr<size_t> sum_;
  size_t bytes_ = 0;
};

/// A prepared statement of the session, of the protocol or of SQL.
struct Statement {
  std::string name;
  JudgedPtr judged;                  // its text: of a PREPARE, the whole of it
  sql::AnalysisPtr analysis;         // of the statement behind the name
  std::vector<uint32_t> parameters;  // type OIDs, as far as they are known
  ShapePtr shape;                    // from a Describe, in text formats
  uint64_t described_in = 0;         // group of messages in which a Describe of it was sent
  bool of_sql = false;
  /// A text of several statements failed on the way: nobody knows what the name stands for.
  bool unsure = false;
  Weight weight;
};
using StatementPtr = std::shared_ptr<Statement>;

/// A portal of the protocol, or a cursor of SQL.
struct Portal {
  std::string name;
  StatementPtr statement;  // null for a cursor of SQL
  sql::AnalysisPtr analysis;
  JudgedPtr judged;
  std::vector<int16_t> formats;  // of the results, from Bind
  ShapePtr shape;
  uint64_t described_in = 0;
  std::optional<gate::Permit> permit;  // of the Bind, until the first Execute takes it
  bool may_outlive = false;            // declared WITH HOLD, as far as the text says
  bool of_sql = false;
  bool unsure = false;
  uint64_t released = 0;  // rows of it that the client has got
  Weight weight;
};
using PortalPtr = std::shared_ptr<Portal>;

/// The names of a session as the server knows them: prepared statements and portals of the
/// protocol and of SQL are one name space each (PostgreSQL 15, prepare.c, portalmem.c).
///
/// What was sent but not answered yet is kept apart, because a statement that fails leaves the
/// earlier meaning of a name: inside one group (up to a Sync) an earlier failure makes the server
/// skip the rest, so the newest meaning holds for what follows in it; across groups a look-up has
/// to wait for the answers (see Settled).
class Names : public sql::SessionNames {
 public:
  static constexpr size_t kMost = 10'000;         // of each; beyond it new ones are refused
  static constexpr size_t kMostBytes = 16 << 20;  // of their texts and what is known about them

  // ---- what the client's messages say (in the order they are sent)

  void Prepare(StatementPtr statement) { sent_statements_[statement->name] = std::move(statement); }
  void Bind(PortalPtr portal) { sent_portals_[portal->name] = std::move(portal); }
  /// A Close: later messages of the group must not find the name.
  void CloseStatement(const std::string& name) { sent_statements_[name] = nullptr; }
  void ClosePortal(const std::string& name) { sent_portals_[name] = nullptr; }
  /// A Sync was sent, or the unanswered part of the group was taken back.
  void EndGroup() { sent_statements_.clear(), sent_portals_.clear(); }

  /// What this group says of the name; nullptr: that it is closed; nullopt: nothing.
  std::optional<StatementPtr> SentStatement(std::string_view name) const;
  std::optional<PortalPtr> SentPortal(std::string_view name) const;
  /// What the name stands for when the next message arrives at the server, if that is not an error
  /// and nothing of earlier groups is unanswered. Null: nothing.
  StatementPtr FindStatement(std::string_view name) const;
  PortalPtr FindPortal(std::string_view name) const;

  // ---- what the server's answers say (in the order they come)

  void Prepared(StatementPtr statement) { Put(statements_, std::move(statement)); }
  void Bound(PortalPtr portal) { Put(portals_, std::move(portal)); }
  void ClosedStatement(const std::string& name) { statements_.erase(name); }
  void ClosedPortal(const std::string& name) { portals_.erase(name); }
  /// A simple Query destroys the unnamed statement and portal.
  void SimpleQuery() { statements_.erase(""), portals_.erase(""); }
  /// ReadyForQuery outside a transaction: only cursors WITH HOLD are left.
  void TransactionEnded();
  /// A text did what it does to names.
  void Apply(const JudgedPtr& judged);
  /// It failed half-way: what it names can be used no more until it is defined again.
  void Doubt(const JudgedPtr& judged);

  /// Rows of a text that fetches from cursors were released.
  void Released(const Judged& judged, uint64_t rows);
  /// Most rows that any cursor has given that the text fetches from.
  uint64_t ReleasedBefore(const sql::Analysis& analysis) const;

  /// Whether a text that names (or that prepares by itself) something more finds room.
  bool RoomFor(const sql::Analysis& analysis, size_t text_bytes, bool itself) const;
  Weight Weigh(const sql::Analysis& analysis, size_t text_bytes) const {
    return {bytes_, kFixedBytes + text_bytes + analysis.sql.size()};
  }
  size_t size() const { return statements_.size() + portals_.size(); }

  /// For the analyzer: EXECUTE and FETCH of a name.
  sql::AnalysisPtr Lookup(std::string_view name) const override;
  bool Knows(std::string_view name) const override;

 private:
  template <class Map, class Ptr>
  static void Put(Map& map, Ptr entry) {
    std::string name = entry->name;
    map[std::move(name)] = std::move(entry);
  }
  void ApplyOne(const sql::NameEffect& effect, const JudgedPtr& judged, bool unsure);

  static constexpr size_t kFixedBytes = 1024;                    // beside its texts
  std::shared_ptr<size_t> bytes_ = std::make_shared<size_t>(0);  // outlived by what it counts
  std::map<std::string, StatementPtr, std::less<>> statements_, sent_statements_;
  std::map<std::string, PortalPtr, std::less<>> portals_, sent_portals_;
};

}  // namespace sallyport::pg
