#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "base/secret.h"

namespace sallyport::app {

/// Which gate, as whom: the options every command has that speaks to a running gate.
struct GateOptions {
  std::string server;      // else SALLYPORT_SERVER, else where `sallyport login` went
  std::string token_file;  // else SALLYPORT_TOKEN, else the session of `sallyport login`
  std::string ca;          // PEM; for a gate with a certificate of one's own
};

/// What the gate answered.
struct GateAnswer {
  int status = 0;
  nlohmann::ordered_json body;  // null where it was no JSON
  bool ok() const { return status >= 200 && status < 300; }
};

/// Speaks to the API of a running gate as a person. Blocks; one thread.
class GateClient {
 public:
  /// token_missing, with what to do, where there is no session and no token file.
  static Result<GateClient> Make(const GateOptions& options);

  /// upstream_unreachable, upstream_timeout.
  Result<GateAnswer> Get(const std::string& path) const;
  Result<GateAnswer> Post(const std::string& path, const nlohmann::ordered_json& body) const;
  const std::string& server() const { return server_; }

 private:
  Result<GateAnswer> Ask(const std::string& method, const std::string& path,
                         std::string body) const;
  std::string server_, ca_;
  Secret token_;
};

/// Says on standard error what went wrong, and gives the exit code for it: kUnreachable when there
/// was no answer or nobody is logged in, kNegative when the gate refused, else kFailed.
int Complain(const char* command, const Error& error);
int Complain(const char* command, const GateAnswer& answer);

}  // namespace sallyport::app
