#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "mcp/upstream.h"
#include "mcp/upstream_bridge.h"
#include "mcp/upstream_call.h"
#include "mcp/upstream_modern.h"

namespace sallyport::mcp {

/// Counts a message of the upstream `name` that belonged to no request.
void CountStray(std::string_view name);

/// What a transport does for a server of the session eras: one session on behalf of one caller.
class UpstreamSession {
 public:
  virtual ~UpstreamSession() = default;
  /// Starts it and says `initialize` if that has not been done, or has been lost.
  virtual Task<> Ensure() = 0;
  /// What the server said to `initialize`.
  virtual const Initialized& server() const = 0;
  virtual Task<UpstreamAnswer> Call(UpstreamRequest request, UpstreamEvents& events) = 0;
  virtual Task<> Notify(std::string method, std::string params) = 0;
  virtual Task<> Listen(std::string filter, UpstreamEvents& events) = 0;
  virtual void Close() = 0;
  /// A call has not been answered within `limit`.
  virtual void TimedOut(std::chrono::milliseconds limit) { static_cast<void>(limit); }
};

/// Subscribes to the resources that a modern client's filter names: in the session eras one by one.
Task<> SubscribeTo(UpstreamSession& session, std::string filter);

/// Which eras one server speaks, as far as that has been asked: a property of the server, so its
/// peers share it. One shard; outlives what runs on it.
class UpstreamEras {
 public:
  UpstreamEras(boost::asio::any_io_executor executor, std::chrono::milliseconds limit)
      : limit_(limit), turn_(std::move(executor)) {}
  virtual ~UpstreamEras() = default;

  /// The server as a client of `wanted` should see it.
  /// `caller` is on whose behalf it is asked, if it is asked.
  Task<UpstreamFace> Describe(Revision wanted, bool fresh,
                              std::shared_ptr<const op::Session> caller);

  enum class Era : uint8_t { modern, session };
  /// Which era to speak with it on behalf of a client of `wanted`, if that is known already.
  std::optional<Era> EraFor(Revision wanted) const;

  /// A session was opened without having been asked for here.
  void Learn(const UpstreamFace& session_face);
  /// `initialize` was refused for good.
  void LearnNoSession(Error why);
  void Forget();

 protected:
  /// server/discover; no value: not of this era, try `initialize`.
  virtual Task<std::optional<UpstreamFace>> ProbeModern(
      std::shared_ptr<const op::Session> caller) = 0;
  /// `initialize`, and the end of that session. upstream_protocol: not of these eras.
  virtual Task<UpstreamFace> ProbeSession(Revision wanted,
                                          std::shared_ptr<const op::Session> caller) = 0;

 private:
  const UpstreamFace* Known(Revision wanted) const;
  Task<UpstreamAnswer> Probe(Revision wanted, std::shared_ptr<const op::Session> caller);
  Task<bool> TryModern(std::shared_ptr<const op::Session> caller);
  Task<bool> TrySession(Revision wanted, std::shared_ptr<const op::Session> caller);

  std::chrono::milliseconds limit_;
  Turn turn_;
  CallTable probes_;
  std::optional<UpstreamFace> modern_, session_;
  bool no_modern_ = false, no_session_ = false;
  Error session_error_{Errc::upstream_protocol,
                       "upstream answers neither server/discover nor initialize"};
};

/// What the peers of one upstream are made of.
struct PeerParts {
  boost::asio::any_io_executor executor;
  std::shared_ptr<UpstreamEras> eras;
  std::shared_ptr<ModernTransport> modern;
  std::function<std::shared_ptr<UpstreamSession>(const ClientFace&)> open_session;
  std::shared_ptr<size_t> count;  // of peers, kept up to date
  std::chrono::milliseconds call_timeout;
};

/// A peer over any transport: chooses the era, limits and cancels calls. A peer may be destroyed
/// while calls run; they end with `cancelled`.
std::unique_ptr<UpstreamPeer> MakePeer(PeerParts parts, ClientFace client);

/// An McpUpstream over any transport.
class BridgedUpstream : public McpUpstream {
 public:
  explicit BridgedUpstream(PeerParts parts) : parts_(std::move(parts)) {}

  Task<UpstreamFace> Describe(const gate::Permit& permit, Revision wanted, bool fresh) override;
  std::unique_ptr<UpstreamPeer> Open(ClientFace client) override {
    return MakePeer(parts_, std::move(client));
  }
  size_t peers() const override { return *parts_.count; }

 protected:
  const PeerParts& parts() const { return parts_; }

 private:
  PeerParts parts_;
};

}  // namespace sallyport::mcp
