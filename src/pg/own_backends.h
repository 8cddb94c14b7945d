#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace sallyport::pg {

/// The sessions at database servers that this process itself has, as their servers name them: what
/// else is there came another way (pg/bypass.h). One for the process, because two connections may
/// lead to one server. Thread-safe.
class OwnBackends {
 public:
  static OwnBackends& OfProcess();

  /// A session from `local_port` (0: a Unix socket) begins to log in; its process id is told by
  /// Named(). It is known until the token dies, and 10 seconds longer: a server takes its time to
  /// end what its client has left.
  std::shared_ptr<void> Begin(uint16_t local_port);
  static void Named(const std::shared_ptr<void>& token, uint32_t pid);

  /// What a server says of a session. `port`: of its client, 0 for a Unix socket. A session that
  /// still logs in is known by its port alone. `exact` false: somebody between here and the server
  /// translates addresses, so that the port says nothing.
  bool Knows(uint32_t pid, uint16_t port, bool exact) const;
  /// Whether a session is logging in that only its process id could tell, which is not known yet.
  bool Beginning() const;

 private:
  OwnBackends();
  struct State;
  struct Token;
  const std::shared_ptr<State> state_;
};

}  // namespace sallyport::pg
