#pragma once

#include <set>
#include <string>

#include "mcp/upstream.h"
#include "mcp/upstream_call.h"

namespace sallyport::mcp {

/// One request to a modern server, with params that are complete.
struct ModernRequest {
  std::string method;
  std::string params;
  std::vector<std::pair<std::string, std::string>> headers;  // Mcp-Param-*
  std::string name;                                          // source of Mcp-Name
  const op::Session* caller = nullptr;                       // outlives the request; null: nobody's
};

/// What a transport does for a modern server: one request, its notifications, one answer.
class ModernTransport {
 public:
  virtual ~ModernTransport() = default;
  virtual Task<UpstreamAnswer> Ask(ModernRequest request, UpstreamEvents& events) = 0;
  /// A call has not been answered within `limit`.
  virtual void TimedOut(std::chrono::milliseconds limit) { static_cast<void>(limit); }
};

/// The conversation of one caller with a modern server, over any transport: passes the requests of
/// modern clients on, and plays the session for the others (`_meta` made, input rounds resolved,
/// log level and subscriptions remembered). One shard.
class ModernTalk {
 public:
  /// Both must outlive the talk and its calls.
  ModernTalk(ModernTransport& transport, const ClientFace& face)
      : transport_(transport), face_(face) {}

  Task<UpstreamAnswer> Call(UpstreamRequest request, UpstreamEvents& events);
  /// subscriptions/listen with `filter` (its `notifications` object; empty: all list changes).
  /// Opened again when a session client subscribes to a resource, and when the stream was silent
  /// for too long. Ends with the server's answer or an error.
  Task<UpstreamAnswer> Listen(std::string filter, UpstreamEvents& events);

 private:
  Task<UpstreamAnswer> CallForSession(UpstreamRequest request, UpstreamEvents& events);
  bool AnswerHere(const UpstreamRequest& request, UpstreamAnswer& answer);
  std::string Filter(std::string_view filter) const;

  ModernTransport& transport_;
  const ClientFace& face_;
  std::string log_level_;             // JSON string text
  std::set<std::string> subscribed_;  // URIs of a session client, as JSON string texts
  bool reopen_ = false;
  CallTable listens_;
};

/// For requests of our own: notifications are ignored, requests of the server refused.
class NoEvents final : public UpstreamEvents {
 public:
  Task<> OnNotification(std::string message) override;
  Task<UpstreamAnswer> OnRequest(std::string method, std::string params) override;
};

/// server/discover over any transport. Without a value: the server is not of this era and wants
/// `initialize`. upstream_protocol when it is modern, but not in a revision that is spoken here.
Task<std::optional<UpstreamFace>> ProbeModern(ModernTransport& transport,
                                              std::shared_ptr<const op::Session> caller);

}  // namespace sallyport::mcp
