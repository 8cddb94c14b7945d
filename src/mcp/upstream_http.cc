#include "mcp/upstream_http.h"

#include "mcp/upstream_http_modern.h"
#include "mcp/upstream_http_session.h"
#include "mcp/upstream_peer.h"

namespace sallyport::mcp {
namespace {

class HttpEras final : public UpstreamEras {
 public:
  explicit HttpEras(std::shared_ptr<HttpWire> wire)
      : UpstreamEras(wire->options().executor, wire->options().describe_timeout),
        wire_(std::move(wire)),
        modern_(wire_) {}

 private:
  Task<std::optional<UpstreamFace>> ProbeModern(
      std::shared_ptr<const op::Session> caller) override {
    return mcp::ProbeModern(modern_, std::move(caller));
  }
  Task<UpstreamFace> ProbeSession(Revision wanted,
                                  std::shared_ptr<const op::Session> caller) override {
    ClientFace nobody;
    nobody.revision = wanted;
    nobody.caller = std::move(caller);
    const auto session = std::make_shared<HttpSession>(wire_, std::move(nobody));
    const auto opened = co_await session->Ensure();
    session->Close();
    if (!opened) co_return std::unexpected(opened.error());
    co_return session->server().face;
  }

  std::shared_ptr<HttpWire> wire_;
  HttpModern modern_;
};

class HttpUpstream final : public BridgedUpstream {
 public:
  HttpUpstream(std::shared_ptr<HttpWire> wire, PeerParts parts)
      : BridgedUpstream(std::move(parts)), wire_(std::move(wire)) {}
  ~HttpUpstream() override { wire_->Close(); }

 private:
  std::shared_ptr<HttpWire> wire_;
};

}  // namespace

std::unique_ptr<McpUpstream> MakeHttpUpstream(HttpUpstreamOptions options) {
  const auto wire = std::make_shared<HttpWire>(std::move(options));
  PeerParts parts;
  parts.executor = wire->options().executor;
  parts.eras = std::make_shared<HttpEras>(wire);
  parts.modern = std::make_shared<HttpModern>(wire);
  parts.open_session = [wire](const ClientFace& face) {
    return std::make_shared<HttpSession>(wire, face);
  };
  parts.count = std::make_shared<size_t>(0);
  parts.call_timeout = wire->options().call_timeout;
  return std::make_unique<HttpUpstream>(wire, std::move(parts));
}

}  // namespace sallyport::mcp
