#pragma once

#include <string>
#include <string_view>

#include "sql/catalog.h"

namespace sallyport::sql {

/// `name` in double quotes.
std::string QuoteIdentifier(std::string_view name);

/// SQL that computes the masked form of `column` from `reference` (quoted as needed), with the type
/// of the column. Of text, digits in the last four (and first six) positions stay where it has the
/// shape of a card number: 13 to 19 digits, with spaces or dashes; of everything else nothing stays
/// but the number of characters. Other types have no masked form: NULL. It names functions with
/// their schema, so no search path changes what it means.
std::string MaskExpression(const CatalogColumn& column, std::string_view reference);

/// (SELECT "a", <masked> AS "b", … FROM [ONLY] "schema"."relation"): all columns of `relation`
/// under their names, in their order; or those at the positions `only_columns`.
std::string MaskedRelation(const CatalogRelation& relation, bool only,
                           const std::vector<uint32_t>* only_columns = nullptr);

}  // namespace sallyport::sql
