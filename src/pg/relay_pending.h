#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "gate/gate.h"
#include "pg/names.h"

namespace sallyport::pg {

/// A request that was (or is about to be) sent to the server and has not been answered. The server
/// answers in the order of the requests, so a queue of these says what each answer belongs to.
struct Pending {
  enum class Kind : uint8_t {
    query,
    parse,
    bind,
    describe_statement,
    describe_portal,
    execute,
    close_statement,
    close_portal,
    sync,
    copy_end,  // CopyDone or CopyFail: no answer of its own
  };
  Kind kind = Kind::sync;
  bool swallow = false;  // a request of ours: the answer is not for the client
  bool refused =
      false;  // stands in place of a refused one: its error becomes `denial`, if there is one
  bool covered = false;    // a Parse whose intent is recorded with the Bind behind it
  bool sql_names = false;  // its text changes names of statements or cursors
  bool of_query = false;   // of a Query that is sent as Parse, Bind, …, Sync
  bool limited = false;    // its rows are counted
  uint64_t group = 0;
  size_t offset = 0;  // where it begins in the batch that is being put together
  std::string name;
  std::string denial;  // a whole ErrorResponse
  JudgedPtr judged;
  StatementPtr statement;
  PortalPtr portal;
  std::optional<gate::Permit> permit;
  std::unique_ptr<mask::Clear> clear;  // what its rows may show in clear, with a licence for it
  Errc denied = Errc::internal;

  bool ControlsTransaction() const {
    return judged != nullptr && judged->analysis->transaction_control;
  }
  bool TouchesStatements() const {
    return kind == Kind::parse || kind == Kind::close_statement || sql_names;
  }
  bool TouchesPortals() const {
    return kind == Kind::bind || kind == Kind::close_portal || kind == Kind::query || sql_names;
  }
};

}  // namespace sallyport::pg
