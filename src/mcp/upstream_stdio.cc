#include "mcp/upstream_stdio.h"

#include "mcp/upstream_stdio_session.h"

namespace sallyport::mcp {
namespace {

class StdioEras final : public UpstreamEras {
 public:
  explicit StdioEras(std::shared_ptr<StdioHost> host)
      : UpstreamEras(host->options().executor, host->options().describe_timeout),
        host_(std::move(host)),
        modern_(host_) {}

 private:
  Task<std::optional<UpstreamFace>> ProbeModern(std::shared_ptr<const op::Session>) override {
    auto face = co_await Discover();
    // Silence, and a process that dies of the question, are answers of servers that are older than
    // it.
    if (!face && (face.error().code == Errc::upstream_timeout ||
                  face.error().code == Errc::upstream_closed)) {
      face = std::nullopt;
    }
    if (!face || !*face) host_->CloseShared();
    co_return face;
  }

  Task<std::optional<UpstreamFace>> Discover() {
    std::optional<UpstreamFace> found;
    const auto asked =
        co_await probes_.Run(probes_.Take(), host_->options().probe_timeout, Ask(found));
    if (!asked) co_return std::unexpected(asked.error());
    co_return found;
  }
  Task<UpstreamAnswer> Ask(std::optional<UpstreamFace>& found) {
    SALLYPORT_CO_TRY(found, co_await mcp::ProbeModern(modern_, nullptr));
    co_return UpstreamAnswer{};
  }

  Task<UpstreamFace> ProbeSession(Revision wanted, std::shared_ptr<const op::Session>) override {
    ClientFace nobody;
    nobody.revision = wanted;
    StdioSession session(host_, std::move(nobody));
    SALLYPORT_CO_CHECK(co_await session.Ensure());
    co_return session.server().face;
  }

  std::shared_ptr<StdioHost> host_;
  StdioModern modern_;
  CallTable probes_;
};

class StdioUpstream final : public BridgedUpstream {
 public:
  StdioUpstream(std::shared_ptr<StdioHost> host, PeerParts parts)
      : BridgedUpstream(std::move(parts)), host_(std::move(host)) {
    host_->on_restart = [eras = std::weak_ptr(this->parts().eras)] {
      if (const auto known = eras.lock()) known->Forget();
    };
  }
  ~StdioUpstream() override { host_->CloseShared(); }

 private:
  std::shared_ptr<StdioHost> host_;
};

}  // namespace

std::unique_ptr<McpUpstream> MakeStdioUpstream(StdioUpstreamOptions options) {
  const auto host = std::make_shared<StdioHost>(std::move(options));
  PeerParts parts;
  parts.executor = host->options().executor;
  parts.eras = std::make_shared<StdioEras>(host);
  parts.modern = std::make_shared<StdioModern>(host);
  parts.open_session = [host](const ClientFace& face) {
    return std::make_shared<StdioSession>(host, face);
  };
  parts.count = std::make_shared<size_t>(0);
  parts.call_timeout = host->options().call_timeout;
  return std::make_unique<StdioUpstream>(host, std::move(parts));
}

}  // namespace sallyport::mcp
