#pragma once

#include <memory>

#include "mcp/upstream_peer.h"
#include "mcp/upstream_stdio_channel.h"

namespace sallyport::mcp {

/// The pause before a process is started again: doubles with each one that died young, forgets
/// after one that lived for a minute.
class RestartPause {
 public:
  explicit RestartPause(std::chrono::milliseconds first) : first_(first) {}
  void Started() { started_ = std::chrono::steady_clock::now(); }
  void Died();
  Task<> Wait() const;

 private:
  std::chrono::milliseconds first_;
  int deaths_ = 0;
  std::chrono::steady_clock::time_point started_{}, not_before_{};
};

/// What the processes of one stdio upstream share on one shard.
class StdioHost {
 public:
  explicit StdioHost(StdioUpstreamOptions options);

  const StdioUpstreamOptions& options() const { return options_; }
  /// A new process. limit_exceeded, upstream_unreachable.
  Result<std::shared_ptr<StdioChannel>> Start(StdioChannel::Use use);
  /// The process of the modern server, started if there is none.
  Task<std::shared_ptr<StdioChannel>> Shared();
  void CloseShared();
  const std::shared_ptr<StdioChannel>& shared() const { return shared_; }

  /// Called when a process is started in place of one that died: it may be another server now.
  std::function<void()> on_restart;

 private:
  StdioUpstreamOptions options_;
  std::vector<std::weak_ptr<StdioChannel>> started_;
  std::shared_ptr<StdioChannel> shared_;
  RestartPause pause_;
  Turn turn_;
};

/// One session with a server of the session eras, in a process of its own.
class StdioSession final : public UpstreamSession {
 public:
  StdioSession(std::shared_ptr<StdioHost> host, ClientFace face);
  ~StdioSession() override { Close(); }

  Task<> Ensure() override;
  const Initialized& server() const override { return server_; }
  Task<UpstreamAnswer> Call(UpstreamRequest request, UpstreamEvents& events) override;
  Task<> Notify(std::string method, std::string params) override;
  Task<> Listen(std::string filter, UpstreamEvents& events) override;
  void Close() override;
  void TimedOut(std::chrono::milliseconds limit) override;

 private:
  Task<> Initialize();

  std::shared_ptr<StdioHost> host_;
  ClientFace face_;
  Turn turn_;
  RestartPause pause_;
  std::shared_ptr<StdioChannel> channel_;
  bool ready_ = false, closed_ = false;
  Initialized server_;
  std::string log_level_;
};

/// Modern MCP over the shared process.
class StdioModern final : public ModernTransport {
 public:
  explicit StdioModern(std::shared_ptr<StdioHost> host) : host_(std::move(host)) {}
  Task<UpstreamAnswer> Ask(ModernRequest request, UpstreamEvents& events) override;
  void TimedOut(std::chrono::milliseconds limit) override;

 private:
  std::shared_ptr<StdioHost> host_;
};

}  // namespace sallyport::mcp
