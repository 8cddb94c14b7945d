#pragma once

#include <string>
#include <vector>

#include "approval/request.h"
#include "approval/sightings.h"
#include "state/database.h"

namespace sallyport::approval {

/// The desk's tables in the state. Functions for the state::Writer's thread; they keep nothing.
/// Immutable fields of a request stand as JSON in `doc`, its exact arguments sealed in `exact`,
/// which is wiped when the request has come to its end.
namespace store {

struct Loaded {
  Request request;
  std::string key;  // Desk: the same operation of the same caller
};

/// Before the Writer is made.
Result<> Migrate(state::Database& db);

/// Requests that are not over or ended after `since`, oldest first, with their votes. `shown` is
/// without its text: `Loaded` cannot make a MaskedText; see `shown`.
struct Row {
  Loaded loaded;
  std::string shown;          // masked when it was stored, to be masked again
  std::string unmask_reason;  // the same of Request::unmask
};
Result<std::vector<Row>> Load(state::Database& db, Nanos since);
Result<std::vector<Sightings::Row>> LoadPersons(state::Database& db);

Result<> Insert(state::Database& db, const Request& request, std::string_view key,
                std::string_view sealed);
/// Adds the vote. approval_closed unless the request is open.
Result<> AddVote(state::Database& db, const std::string& id, const Vote& vote);
/// Moves the request on. approval_closed unless it is in state `from`.
Result<> Move(state::Database& db, const std::string& id, State from, State to, Nanos at,
              const std::string& why);
Result<std::string> Exact(state::Database& db, const std::string& id);
Result<> PutPerson(state::Database& db, const Sightings::Row& row);
/// Forgets what ended before `before`: the log keeps it.
Result<> Prune(state::Database& db, Nanos before);

}  // namespace store
}  // namespace sallyport::approval
