#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/task.h"
#include "pg/server.h"
#include "sql/catalog.h"

// What a database's own catalog says, before anything is classified; internal to catalog_*.cc.

namespace sallyport::pg {

/// A value of a column, by number.
struct ColumnOf {
  uint32_t relation = 0;
  int16_t column = 0;
  auto operator<=>(const ColumnOf&) const = default;
};

struct DatabaseFunction {
  uint32_t oid = 0;
  sql::CatalogFunction function;
  std::string body;  // sql: one or more statements; plpgsql: its source; empty: not known
};

struct DatabaseView {
  uint32_t oid = 0;
  std::string definition;  // pg_get_viewdef under an empty search_path
};

struct DatabaseCatalog {
  std::vector<sql::CatalogRelation> relations;  // of all schemas; columns in order of their number
  std::unordered_map<uint32_t, size_t> by_oid;
  std::unordered_set<uint32_t> text_types;  // of type category S, domains over such included
  std::vector<DatabaseView> views;          // not PostgreSQL's own
  std::vector<DatabaseFunction> functions;  // not PostgreSQL's own
  struct Generated {
    ColumnOf column;
    ColumnOf from;          // a column of the same row,
    uint32_t function = 0;  // or a function that is not PostgreSQL's own
  };
  std::vector<Generated> generated;
  struct Operator {
    std::string name;
    uint32_t function = 0;
  };
  std::vector<Operator> operators;  // not PostgreSQL's own
  struct Cast {
    uint32_t source = 0, target = 0, function = 0;
    std::string source_name, target_name;
    bool implicit = false;  // also where nobody writes it
  };
  std::vector<Cast> casts;
  /// What a foreign table and its columns are called where they are; only what differs.
  struct Foreign {
    std::string schema, table;
    std::map<int16_t, std::string> columns;
  };
  std::unordered_map<uint32_t, Foreign> foreign;
  /// Relations whose INSTEAD rules answer from another relation (RETURNING): relation → read.
  std::vector<std::pair<uint32_t, uint32_t>> rules;
  /// What the use of a relation runs by itself: a function, or a query over another relation.
  struct Action {
    uint32_t relation = 0;
    uint32_t function = 0, read = 0;
    int16_t column = 0;    // whose default it is
    bool answers = false;  // a rule whose rows the client gets
  };
  std::vector<Action> actions;
  std::string digest;  // SHA-256 of all that was read
};

/// Reads it in a transaction of its own, or as the transaction that `server` is in sees it; that
/// one goes on as it was. upstream_protocol in one that has failed.
Task<DatabaseCatalog> ReadDatabase(Server& server);

}  // namespace sallyport::pg
