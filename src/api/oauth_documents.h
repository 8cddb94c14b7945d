#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "api/workers.h"
#include "base/clock.h"
#include "base/fetch.h"
#include "base/task.h"
#include "oauth/client.h"
#include "oauth/config.h"

namespace sallyport::api {

/// Client ID metadata documents: a client whose id is an https URL is what stands there
/// (draft-ietf-oauth-client-id-metadata-document). Fetched for people who are signed in, and from
/// hosts that the configuration trusts, only; no redirect is followed, no address inside is asked
/// (net::FetchUrl), 64 KiB and five seconds at most. What was read is kept as long as the answer
/// says, a minute to a day; what failed, half a minute. Bounded; thread-safe.
class OauthDocuments {
 public:
  OauthDocuments(const oauth::Config& config, const Clock& clock);
  ~OauthDocuments();
  OauthDocuments(const OauthDocuments&) = delete;

  /// Ends what is being fetched, and the threads.
  void Stop();

  /// Whether `client_id` is a URL at all.
  static bool IsUrl(std::string_view client_id);
  /// request_malformed: no URL of a document; not_found: on a host that is not trusted.
  Result<> Check(std::string_view client_id) const;
  /// What is kept of it; not_found: nothing is, or too old. Others: why it could not be had.
  Result<oauth::Client> Find(std::string_view client_id) const;
  /// Sees to it that Find has something to say.
  Task<> Prepare(std::string client_id);

 private:
  struct Known {
    Result<oauth::Client> client;
    Nanos until = 0;
  };
  bool Trusts(std::string_view host) const;
  void Keep(const std::string& client_id, Result<oauth::Client> client, Nanos lasts);

  const oauth::Config& config_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Known, std::less<>> known_;
  size_t fetching_ = 0;
  Workers workers_;
};

/// The client of a fetched document; errors say what is wrong with it.
Result<oauth::Client> ReadDocument(const std::string& client_id, const FetchResponse& response);

/// How long a response may be kept: Cache-Control's max-age within a minute and a day; an hour if
/// it says nothing.
std::chrono::seconds KeptFor(const FetchResponse& response);

}  // namespace sallyport::api
