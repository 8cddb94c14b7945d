#pragma once

#include <string_view>

#include "op/operation.h"

namespace sallyport::sql {

/// What calling a function may do, judged by its name as written ("lower", "pg_catalog.lower",
/// "billing.purge"). Case-sensitive, as the parser has folded it.
struct FunctionRisk {
  bool risky = true;                     // has side effects, or is not known to have none
  op::Effect effect = op::Effect::read;  // the least that has to be assumed
};

/// Names of PostgreSQL 15 itself are known; everything else is risky with effect `read`: nobody can
/// say what it does, so a rule has to name it.
FunctionRisk RiskOfFunction(std::string_view name);

/// Whether a parameter may be SET by somebody who may read: it changes how answers look or how long
/// a statement may take, not what it may do or which objects it means. Case-insensitive.
bool IsHarmlessParameter(std::string_view name);

}  // namespace sallyport::sql
