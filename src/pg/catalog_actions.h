#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>

#include "pg/catalog_queries.h"

// Internal to catalog_*.cc.

namespace sallyport::pg {

/// What runs by itself when a relation is used, and may read something classified: triggers, rules,
/// row policies, defaults, checks, expressions of indexes. Its errors and notices then say what
/// nobody asked for, so they are withheld as for a classified relation.
///
/// A function in SQL was read whole. One in plpgsql is taken to be harmless if no name of a
/// classified relation, or of a function that may read one, stands in its text, and if it puts no
/// statement together as it runs. Any other may read everything.
class ActionReader {
 public:
  /// `database`: with its columns and functions classified. It has to outlive this.
  explicit ActionReader(DatabaseCatalog& database);

  bool May(uint32_t function) const { return touching_.contains(function); }
  /// Sets `classified` of relations whose use runs such code, and `readable_by_rules_only` of those
  /// of which a rule answers with the rows of a query.
  void MarkRelations();

 private:
  struct Names {
    std::set<std::string, std::less<>> words, others;  // in lower case; what is no single word
    void Add(std::string_view name);
    bool In(std::string_view text) const;
  };
  static bool Dynamic(std::string_view text);
  void Touches(const DatabaseFunction& function);
  void Active(uint32_t relation);
  bool Round();
  bool Reads(const DatabaseCatalog::Action& action) const;

  DatabaseCatalog& database_;
  Names names_, active_names_;  // the second: of relations that are in active_
  std::unordered_set<uint32_t> touching_, active_;
};

}  // namespace sallyport::pg
