#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "saml/verdict.h"

namespace sallyport::saml {

/// The gateway's side of src/saml/worker.h: each question gets a process of its own, which is gone
/// when the call returns. Calls block for some ten milliseconds and at most `limit`; thread-safe.
/// The process has to ignore SIGPIPE, as every server of ours does.
///
/// A process that cannot be started, dies, hangs, or answers with anything but what the question
/// asks for: internal. Nothing of it counts then.
class Verifier {
 public:
  struct Options {
    /// The worker; argv[0] is a path. The default is this program itself with its hidden verb.
    std::vector<std::string> command{"/proc/self/exe", "saml-worker"};
    std::chrono::milliseconds limit{5000};
    uint64_t memory_limit = uint64_t{4} << 30;  // of address space; a use of 100 MiB is refused
                                                // long before by the bounds of the documents
  };
  Verifier() = default;
  explicit Verifier(Options options) : options_(std::move(options)) {}

  /// Errors as VerifyResponse.
  Result<Assertion> Check(std::string_view xml, const Expected& expected) const;
  /// Errors as ReadLogout; `message` is deflated if `expected.signed_beside`.
  Result<Logout> CheckLogout(std::string_view message, const LogoutExpected& expected) const;
  /// Errors as ReadMetadata (saml/metadata.h).
  Result<Metadata> Read(std::string_view xml, Nanos now) const;

 private:
  Result<std::string> Ask(std::string question) const;
  Options options_;
};

}  // namespace sallyport::saml
