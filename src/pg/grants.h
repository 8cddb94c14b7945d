#pragma once

#include <vector>

#include "pg/credentials.h"
#include "policy/rules.h"
#include "sql/catalog.h"

namespace sallyport::pg {

/// The privileges that a session needs for what its rules could let through, and no more: the
/// second layer of masking (docs/postgres.md). Columns that no rule shows, and those that are
/// replaced by NULL wherever they are named (sensitive authentication data), are not granted to be
/// read at all, so that the database itself refuses them whatever we overlooked.
///
/// Kinds that need more than a privilege on a relation (DDL, TRUNCATE, COPY to a file) are given
/// nothing. PCI DSS 7.2.2, 7.2.5: least privilege.
std::vector<Grant> GrantsFor(const std::vector<policy::SqlScope>& reach,
                             const sql::Catalog& catalog);

}  // namespace sallyport::pg
