#include "sql/mask_expression.h"

namespace sallyport::sql {
namespace {

/// Types whose values are text: text, varchar, bpchar, name. citext comes with an extension.
bool IsText(const CatalogColumn& column) {
  return column.type == 25 || column.type == 1043 || column.type == 1042 || column.type == 19 ||
         column.type_name == "citext" || column.type_name.ends_with(".citext");
}

std::string Stars(const std::string& text) {
  return "pg_catalog.translate(" + text + ", '0123456789', '**********')";
}

std::string Shown(SourceMask mask, const std::string& v) {
  static constexpr std::string_view kThen = " OPERATOR(pg_catalog.||) ";
  std::string last = "pg_catalog.\"right\"(" + v + ", 4)";
  if (mask == SourceMask::last4) {
    return Stars("pg_catalog.\"left\"(" + v + ", -4)").append(kThen) + last;
  }
  if (mask == SourceMask::first6_last4) {
    std::string first = "pg_catalog.\"left\"(" + v + ", 6)";
    std::string middle = "pg_catalog.substr(pg_catalog.\"left\"(" + v + ", -4), 7)";
    return first.append(kThen) + Stars(middle).append(kThen) + last;
  }
  return Stars(v);
}

}  // namespace

std::string QuoteIdentifier(std::string_view name) {
  std::string out = "\"";
  for (char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out += '"';
}

std::string MaskExpression(const CatalogColumn& column, std::string_view reference) {
  std::string type = column.type_name.empty() ? "pg_catalog.text" : column.type_name;
  if (column.mask == SourceMask::none) return std::string(reference);
  if (column.mask == SourceMask::null || column.derived || !IsText(column)) return "NULL::" + type;
  std::string v = std::string(reference) + "::pg_catalog.text";
  std::string digits = "pg_catalog.length(pg_catalog.translate(" + v + ", ' -', ''))";
  std::string card = digits + " OPERATOR(pg_catalog.>=) 13 AND " + digits +
                     " OPERATOR(pg_catalog.<=) 19 AND pg_catalog.translate(" + v +
                     ", '0123456789 -', '') OPERATOR(pg_catalog.=) ''";
  return "(CASE WHEN " + card + " THEN " + Shown(column.mask, v) +
         " ELSE pg_catalog.repeat('*', pg_catalog.length(" + v + ")) END)::" + type;
}

std::string MaskedRelation(const CatalogRelation& relation, bool only,
                           const std::vector<uint32_t>* only_columns) {
  std::string out = "(SELECT ";
  bool first = true;
  auto add = [&](const CatalogColumn& column) {
    if (!first) out += ", ";
    first = false;
    auto name = QuoteIdentifier(column.name);
    if (column.classified()) {
      out += MaskExpression(column, name) + " AS " + name;
    } else {
      out += name;
    }
  };
  if (only_columns) {
    for (uint32_t i : *only_columns) add(relation.columns[i]);
  } else {
    for (const auto& column : relation.columns) add(column);
  }
  out += only ? " FROM ONLY " : " FROM ";
  return out + QuoteIdentifier(relation.schema) + "." + QuoteIdentifier(relation.name) + ")";
}

}  // namespace sallyport::sql
