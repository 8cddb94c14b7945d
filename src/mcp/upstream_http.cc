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
  Task<std::optional<UpstreamFace>> ProbeModern() override { return mcp::ProbeModern(modern_); }
  Task<UpstreamFace> ProbeSession(Revision wanted) override {
    ClientFace nobody;
    nobody.revision = wanted;
    const auto session = std::make_shared<HttpSession>(wire_, std::move(nobody));
    const auto opened = co_await session->Ensure();
    session->Close();
    if (!opened) co_return std::unexpected(opened.error());
    co_return session->server().face;
  }

  std::shared_ptr<HttpWire> wire_;
  HttpModern modern_;
};

class HttpUpstream final : public McpUpstream {
 public:
  explicit HttpUpstream(HttpUpstreamOptions options)
      : wire_(std::make_shared<HttpWire>(std::move(options))),
        parts_{std::make_shared<HttpEras>(wire_), std::make_shared<HttpModern>(wire_),
               [wire = wire_](const ClientFace& face) {
                 return std::make_shared<HttpSession>(wire, face);
               },
               std::make_shared<size_t>(0), wire_->options().call_timeout} {}

  Task<UpstreamFace> Describe(const gate::Permit&, Revision wanted, bool fresh) override {
    return parts_.eras->Describe(wanted, fresh);
  }
  std::unique_ptr<UpstreamPeer> Open(ClientFace client) override {
    return std::make_unique<BridgedPeer>(parts_, std::move(client));
  }
  size_t peers() const override { return *parts_.count; }

 private:
  std::shared_ptr<HttpWire> wire_;
  BridgedPeer::Parts parts_;
};

}  // namespace

std::unique_ptr<McpUpstream> MakeHttpUpstream(HttpUpstreamOptions options) {
  return std::make_unique<HttpUpstream>(std::move(options));
}

}  // namespace sallyport::mcp
