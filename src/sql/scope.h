#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sallyport::sql {

/// What a name in FROM stands for.
struct FromItem {
  std::string alias;       // as columns are qualified with it
  std::string relation;    // "schema.name"; empty: rows of a sub-select, function, CTE or join
  bool unbounded = false;  // all rows of some relation come through
  bool opaque = false;  // an alias over a join, or one that renames columns: nobody can say which
                        // column is meant
};

/// A common table expression that is visible.
struct Cte {
  std::string name;
  bool unbounded = false;
};

/// The names that one query level sees; `outer` are those around it. Lives on the walker's stack.
struct Scope {
  const Scope* outer = nullptr;
  std::vector<FromItem> from;
  std::vector<Cte> ctes;

  const FromItem* FindAlias(std::string_view name) const {
    for (const Scope* s = this; s != nullptr; s = s->outer) {
      for (const auto& item : s->from) {
        if (item.alias == name) return &item;
      }
    }
    return nullptr;
  }
  const Cte* FindCte(std::string_view name) const {
    for (const Scope* s = this; s != nullptr; s = s->outer) {
      for (auto at = s->ctes.rbegin(); at != s->ctes.rend(); ++at) {
        if (at->name == name) return &*at;
      }
    }
    return nullptr;
  }
  bool OuterHasFrom() const {
    for (const Scope* s = outer; s != nullptr; s = s->outer) {
      if (!s->from.empty()) return true;
    }
    return false;
  }
  bool SeesRelation() const {
    for (const Scope* s = this; s != nullptr; s = s->outer) {
      for (const auto& item : s->from) {
        if (!item.relation.empty() || item.opaque) return true;
      }
    }
    return false;
  }
};

}  // namespace sallyport::sql
