#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "approval/request.h"
#include "base/clock.h"
#include "base/fetch.h"
#include "base/result.h"
#include "base/secret.h"

namespace sallyport::approval {

/// One place that is told when something waits: `approvals[].notify[].webhook`.
struct Webhook {
  enum class Format : uint8_t { json, slack };
  std::string name;  // "leads-one/1": for the log; the URL may itself be a secret
  std::string flow;
  Format format = Format::json;
  Secret url;
  Secret key;                                // of the signature; empty: unsigned
  std::vector<std::string> allow_addresses;  // as FetchRequest
  bool allow_loopback_http = false;
  std::string ca_file;
};

/// What is posted: what waits and where to decide, never arguments and never a way to decide. A
/// message says that something waits; the decision is taken on the page alone.
std::string WebhookBody(Webhook::Format format, const Request& request, std::string_view url);

/// The value of X-Sallyport-Signature: "t=<seconds>,v1=<hex HMAC-SHA-256 over "<seconds>.<body>">".
/// A receiver checks it, and refuses times more than five minutes off. docs/approvals.md.
std::string WebhookSignature(const Secret& key, int64_t seconds, std::string_view body);

/// Tells webhooks about requests. One thread per webhook, so that one that hangs holds up neither
/// another one nor, ever, a request: Tell only puts something into a queue.
///
/// A delivery counts when the answer is 2xx. Anything else is tried again after 1, 4, 16 and 64 s,
/// until the request is no longer pending or has run out: then it has failed. Thread-safe.
class Webhooks {
 public:
  using Fetch = std::function<Result<FetchResponse>(const FetchRequest&)>;
  struct Options {
    std::vector<Webhook> hooks;
    Fetch fetch;
    size_t queue = 256;  // per webhook; beyond it a message is dropped, and recorded as failed
    std::chrono::milliseconds first_wait{1000};
    unsigned tries = 5;
    const Clock* clock = nullptr;
    std::function<std::string(const std::string& id)> url_of;
    /// Whether it still waits for a vote.
    std::function<bool(const std::string& id)> pending;
    /// What became of a message, once each; called on the webhook's thread.
    std::function<void(const std::string& id, const std::string& name, bool ok)> notified;
  };

  explicit Webhooks(Options options);
  ~Webhooks();  // ends attempts that are under way; what is queued is forgotten
  Webhooks(const Webhooks&) = delete;

  /// To be called with every change of a request: the first one, pending and without votes, is told
  /// to the webhooks of its flow. Never blocks.
  void Tell(const Request& request);
  size_t queued() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sallyport::approval
