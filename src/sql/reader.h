#pragma once

#include <deque>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "json/document.h"
#include "sql/reading.h"

namespace sallyport::sql {

/// What names mean while one text is read.
struct ReaderContext {
  const Catalog& catalog;
  const std::vector<std::string>& search_path;
  /// Relations that earlier statements of the same text create ("name", without schema).
  std::unordered_set<std::string>& created;
  /// Parts of the text that were put in by a rewriting: what they name is masked there.
  const std::vector<Span>* generated = nullptr;
};

/// Where in a statement a value stands.
struct Spot {
  Mention::Place place = Mention::Place::expression;
  uint32_t index = 0;    // of a column of the answer
  bool unnamed = false;  // it has no AS
};

/// Resolves what one statement touches: every relation, every column that could be a classified
/// one, and every function that could show more than its arguments. Where a name could mean two
/// things, both are taken. Recursion is as deep as the parse tree, which its reader bounds.
class Reader {
 public:
  Reader(const ReaderContext& context, Reading& out) : context_(context), out_(out) {}

  /// {"SelectStmt": {…}} as node and body.
  void Top(std::string_view node, json::Value body);

 private:
  struct CteNode {
    std::string_view name;
    const Rows* rows;
    const CteNode* next;
  };
  /// What a name in FROM stands for.
  struct Item {
    std::string_view alias;
    int32_t use = -1;                           // in out_.uses
    const CatalogRelation* relation = nullptr;  // columns from here …
    std::vector<std::string_view> renames;      // … the first ones under these names,
    const Rows* derived = nullptr;              // or from here; neither: nobody knows
    bool excluded = false;                      // the row that an INSERT proposes
    bool join = false;                          // an alias over the items [first, end)
    size_t first = 0, end = 0;
    std::string_view catalog_name{};  // of PostgreSQL's own catalog, when it is not in ours
  };
  struct Level {
    const Level* outer = nullptr;
    const CteNode* ctes = nullptr;
    std::vector<Item> items;
    bool merges = false;  // NATURAL or USING: `*` has another order
  };
  /// Values that the server's own definitions quote may be used here: nothing of them is shown.
  bool quiet_ = false;
  std::string_view pinned_setting_;
  enum class Match : uint8_t { no, maybe, yes };

  // reader_statements.cc, reader_changes.cc
  Rows Query(std::string_view node, json::Value body, const Level& outer, bool top);
  Rows Select(json::Value body, const Level& outer, bool top);
  Rows Arms(json::Value body, Level& level);
  void Targets(json::Value list, Level& level, bool top, Rows& rows);
  void SortBy(json::Value list, Level& level, const Rows& rows, bool top);
  void OutputNamed(json::Value node, const Rows& rows, bool top);
  Rows Insert(json::Value body, const Level& outer, bool top);
  Rows Update(json::Value body, const Level& outer, bool top);
  Rows Delete(json::Value body, const Level& outer, bool top);
  void Merge(json::Value body, const Level& outer);
  Rows Returning(json::Value list, Level& level, bool top);
  void Copy(json::Value body, const Level& outer);
  void Other(std::string_view node, json::Value body);
  void Definition(std::string_view node, json::Value body);
  void Created(json::Value range_var, json::Value statement);
  uint32_t Target(json::Value range_var, Level& level);
  void Written(json::Value list, uint32_t use, bool existing, Level& level);

  // reader_from.cc
  void With(json::Value clause, Level& level);
  Rows Recursive(json::Value body, Level& level, std::string_view name, json::Value aliases);
  void From(json::Value item, Level& level);
  void FromRelation(json::Value range_var, Level& level, bool sampled);
  void FromJoin(json::Value join, Level& level);
  void FromFunction(json::Value function, Level& level);
  uint32_t AddUse(json::Value range_var, Use::Role role);
  const CatalogRelation* Resolve(json::Value range_var, bool fresh);
  const Rows* Keep(Rows rows);
  std::vector<std::string_view> NamesOf(const Item& item) const;

  // reader.cc, reader_names.cc, reader_functions.cc
  void Expr(json::Value value, Level& level, Spot spot = {});
  void Members(json::Value object, Level& level, Spot spot,
               std::initializer_list<std::string_view> except = {});
  Lineage Value(json::Value value, Level& level, Spot spot);
  Lineage Column(json::Value reference, Level& level, Spot spot, bool bare);
  Lineage Unqualified(std::string_view name, const Level& level, Spot spot, size_t location,
                      bool bare);
  void Star(json::Value reference, std::string_view qualifier, const Level& level, Spot spot,
            Rows* rows);
  bool StarOf(const Item& item, const Level& level, Spot& spot, size_t location, Rows* rows);
  Match Find(const Item& item, std::string_view name, int32_t& column) const;
  const Item* FindItem(std::string_view alias, const Level& level, const Level** where) const;
  Lineage Touch(const Item& item, int32_t column, std::string_view name, Spot spot, size_t location,
                bool bare);
  void WholeRow(const Item& item, const Level& level, Spot spot, size_t location);
  void AddColumn(const CatalogRelation& relation, std::string_view column);
  void Carry(json::Value value, Level& level, Spot spot);
  bool IsPlainWord(json::Value value);
  void Function(json::Value call, Level& level, Spot spot, bool bare, bool carries = false);
  void Called(std::string_view schema, std::string_view name);
  bool IsColumnSomewhere(std::string_view name, const Level& level) const;
  void Operator(json::Value names);
  void Operator(std::string_view name);
  void Cast(json::Value type_name);
  void Cast(std::string_view type);
  void OwnCall(std::string_view what, std::string_view name);
  void RefuseHidden(std::string_view what, std::string_view name);
  void SetConfig(json::Value arguments);
  std::string_view PinnedSetting(json::Value select) const;
  bool Exhausted();
  void Refuse(Errc code, std::string detail);
  void RefuseRaw();
  bool IsGenerated(size_t location) const;
  void RefuseValues(std::string_view relation);

  const ReaderContext& context_;
  Reading& out_;
  Lineage flow_;  // of what was read since somebody reset it
  size_t work_ = 0;
  std::deque<Rows> rows_;
  std::deque<CteNode> ctes_;
};

/// Names out of a parse tree.
inline std::string_view TextOf(json::Value value) { return value.string().value_or(""); }
inline std::string_view NameOf(json::Value node) { return TextOf(node["String"]["sval"]); }
/// The name of an output column that has no AS, as far as it is simple; empty: not known here.
inline std::string_view FigureName(json::Value value) {
  if (auto fields = value["ColumnRef"]["fields"]) return NameOf(fields.at(fields.size() - 1));
  if (auto name = value["FuncCall"]["funcname"]) return NameOf(name.at(name.size() - 1));
  return {};
}
inline size_t LocationOf(json::Value node) {
  auto at = node["location"].integer().value_or(0);
  return at < 0 ? 0 : static_cast<size_t>(at);
}

}  // namespace sallyport::sql
