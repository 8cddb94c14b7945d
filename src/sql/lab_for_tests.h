#pragma once

#include <memory>

#include "sql/catalog.h"

namespace sallyport::sql {

/// The catalog of a small shop: payments (card_number, cvv classified) with a child, a partitioned
/// table, views, and functions of several kinds.
inline std::shared_ptr<const Catalog> LabCatalog(uint64_t epoch = 1) {
  Catalog::Content content;
  content.epoch = epoch;
  auto column = [](const char* name, int16_t number, uint32_t type, const char* type_name,
                   SourceMask mask = SourceMask::none) {
    return CatalogColumn{.name = name,
                         .number = number,
                         .type = type,
                         .type_name = type_name,
                         .mask = mask,
                         .detector = mask == SourceMask::none   ? ""
                                     : mask == SourceMask::null ? "sad"
                                                                : "pan"};
  };
  constexpr uint32_t kInt = 23, kText = 25, kNumeric = 1700, kTime = 1184, kJson = 3802;
  auto pan = SourceMask::last4;
  std::vector<CatalogColumn> payments = {
      column("id", 1, kInt, "integer"),
      column("customer_id", 2, kInt, "integer"),
      column("card_number", 3, kText, "text", pan),
      column("cardholder", 4, kText, "text"),
      column("cvv", 5, kText, "text", SourceMask::null),
      column("expiry", 6, kText, "text"),
      column("amount", 7, kNumeric, "numeric(12,2)"),
      column("status", 8, kText, "text"),
      column("meta", 9, kJson, "jsonb"),
      column("created_at", 10, kTime, "timestamp with time zone"),
  };
  uint32_t oid = 16400;
  auto add = [&](const char* name, std::vector<CatalogColumn> columns, char kind = 'r') {
    content.relations.push_back({.oid = oid++,
                                 .schema = "public",
                                 .name = name,
                                 .kind = kind,
                                 .columns = std::move(columns)});
    return &content.relations.back();
  };
  content.relations.reserve(32);
  add("payments", payments);
  add("customers", {column("id", 1, kInt, "integer"), column("name", 2, kText, "text"),
                    column("email", 3, kText, "text"), column("score", 4, kInt, "integer")});
  add("refunds", {column("id", 1, kInt, "integer"), column("card_number", 2, kText, "text", pan),
                  column("amount", 3, kNumeric, "numeric(12,2)")});
  add("notes", {column("id", 1, kInt, "integer"), column("body", 2, kText, "text"),
                column("raw", 3, 17, "bytea"), column("tags", 4, 1009, "text[]"),
                column("doc", 5, kJson, "jsonb")});
  add("ledger", {column("id", 1, 20, "bigint"), column("pan", 2, 20, "bigint"),
                 column("n", 3, kNumeric, "numeric")});
  auto* child = add("payments_2024", payments);
  child->columns.push_back(column("extra1", 11, kInt, "integer"));
  child->parents = {16400};
  for (auto& c : child->columns) c.mask = SourceMask::none, c.detector.clear();
  add("dropcol", {column("b", 2, kInt, "integer"), column("card_number", 3, kText, "text", pan)});
  add("v_rename",
      {column("k", 1, kInt, "integer"), column("ref", 2, kText, "text", pan),
       column("amount", 3, kNumeric, "numeric(12,2)")},
      'v');
  auto* derived =
      add("v_expr",
          {column("id", 1, kInt, "integer"), column("r", 2, kText, "text", SourceMask::null)}, 'v');
  derived->columns[1].derived = true;
  add("cards_num", {column("id", 1, kInt, "integer"), column("pan", 2, 20, "bigint", pan)});
  std::vector<CatalogColumn> part = {column("id", 1, kInt, "integer"),
                                     column("card_number", 2, kText, "text", pan),
                                     column("region", 3, kText, "text")};
  uint32_t parent = add("payments_part", part, 'p')->oid;
  add("payments_eu", part)->parents = {parent};
  add("mv_pay", {column("id", 1, kInt, "integer"), column("c", 2, kText, "text", pan)}, 'm');
  add("lseq", {column("last_value", 1, 20, "bigint")}, 'S');
  auto function = [&](const char* name, const char* language, bool touches) {
    content.functions.push_back(
        {.schema = "public", .name = name, .language = language, .touches_classified = touches});
  };
  function("get_card", "sql", true);
  function("get_card_imm", "plpgsql", true);
  function("all_pay", "sql", true);
  function("run_sql", "plpgsql", true);
  function("noisy", "plpgsql", true);
  function("cur", "plpgsql", true);
  function("pr", "plpgsql", true);
  function("fee", "sql", false);
  return std::make_shared<const Catalog>(std::move(content));
}

}  // namespace sallyport::sql
