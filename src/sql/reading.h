#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "sql/catalog.h"

namespace sallyport::sql {

/// Where the values of a column come from.
struct Lineage {
  SourceMask mask = SourceMask::none;
  std::string_view detector;
  bool derived = false;  // computed from a classified column, not a copy of it
  bool raw = false;      // text of the server's own that may quote values: definitions, statements
  bool classified() const { return mask != SourceMask::none; }

  void Merge(const Lineage& other) {
    if (other.classified()) {
      derived |= other.derived || (classified() && (mask != other.mask));
      if (!classified()) detector = other.detector;
      mask = !classified() || mask == other.mask ? other.mask : SourceMask::null;
    }
    raw |= other.raw;
  }
  Lineage Computed() const {
    Lineage out = *this;
    out.derived = classified();
    return out;
  }
};

/// An output column of a query. Names view the parse tree or the catalog; empty: not known.
struct Output {
  std::string_view name;
  Lineage from;
};

struct Rows {
  std::vector<Output> columns;
  bool open = false;  // there may be more columns, or others
};

/// Bytes of a text.
struct Span {
  size_t begin, end;
};

/// Whether `at` lies in one of `spans`, which are in order and do not overlap.
inline bool Holds(const std::vector<Span>& spans, size_t at) {
  auto next = std::ranges::upper_bound(spans, at, {}, &Span::begin);
  return next != spans.begin() && at < std::prev(next)->end;
}

/// One place of a text that names a relation.
struct Use {
  enum class Role : uint8_t {
    source,  // read: FROM, USING, COPY … TO
    target,  // INSERT, UPDATE, DELETE, MERGE, COPY … FROM
    object,  // of DDL and the like
  };
  const CatalogRelation* relation = nullptr;
  Role role = Role::object;
  size_t location = 0;  // of the first byte of its name
  bool only = false;    // ONLY stands before it
  bool aliased = false;
  bool sampled = false;          // TABLESAMPLE
  bool system = false;           // ctid, xmin … of it are named
  bool grouped = false;          // its query has GROUP BY, which may rest on a key
  bool copied = false;           // COPY relation TO
  std::string_view alias;        // as columns are qualified with it
  std::vector<uint32_t> copies;  // of copied: indexes of its columns, in order
};

/// One place of a text where a classified column can be meant.
struct Mention {
  enum class Place : uint8_t {
    output,      // by itself a column of the answer of the only query of the statement
    returning,   // by itself a column of what a change returns
    computed,    // inside an expression of what a change returns
    written,     // assigned in a row that exists
    expression,  // anywhere else
  };
  uint32_t use = 0;
  int32_t column = 0;  // index in the relation; -1: the whole row
  Place place = Place::expression;
  uint32_t index = 0;    // of output and returning: position in the row
  size_t location = 0;   // of the reference in the text
  bool star = false;     // through `*`
  bool unnamed = false;  // by itself a column of an answer, and no AS follows
  bool certain = false;  // the reference means this column and no other
};

/// A column reference that names schema and relation: `schema.relation.column`.
struct Qualified {
  uint32_t use;
  size_t location;
  size_t qualifiers;  // names before the column: 2, or 3 with the database
};

/// What one statement touches, resolved against a catalog. Views the parse tree and the catalog.
struct Reading {
  std::vector<Use> uses;
  std::vector<Mention> mentions;
  std::vector<Qualified> qualified;
  std::vector<size_t> returning_stars;  // locations of those that stand for more than one relation
  Rows rows;                            // of the statement
  std::vector<std::string> columns;     // "schema.table.column", every one that is named
  std::unordered_set<std::string> column_set;
  bool star = false;  // some `*` stands for columns that nobody here knows

  bool plain = true;               // nothing but one SELECT from relations and joins, or one change
  bool writes = false;             // something is stored: in rows, in a new relation
  bool unknown_names = false;      // a relation, column or function that the catalog does not have
  bool literal_sensitive = false;  // another literal could change what is said here
  std::vector<std::string> own_calls;  // "operator @@", "cast of type": somebody's own functions
  std::string_view risky_call;         // a function that does more than compute
  std::optional<Error> refusal;        // whatever the route would be
  std::string missing;  // relation that is not known, where that is why it is refused
};

}  // namespace sallyport::sql
