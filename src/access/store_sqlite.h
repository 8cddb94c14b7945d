#pragma once

#include <memory>

#include "access/store.h"
#include "state/writer.h"

namespace sallyport::access {

/// Brings the tables up to date, before the database is given to its writer.
Result<> PrepareState(state::Database& db);

/// The store in the gate's embedded state: tables `session` and `revocation` (`session_use`:
/// uses.h). `writer` must outlive it.
std::shared_ptr<Store> MakeSqliteStore(state::Writer& writer);

}  // namespace sallyport::access
