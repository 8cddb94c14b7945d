#pragma once

#include <memory>

#include "mcp/upstream_http_wire.h"
#include "mcp/upstream_modern.h"

namespace sallyport::mcp {

/// Modern MCP over HTTP: one POST, one answer; no state. Destroying a running Ask closes the
/// connection, which is how this era cancels.
class HttpModern final : public ModernTransport {
 public:
  explicit HttpModern(std::shared_ptr<HttpWire> wire) : wire_(std::move(wire)) {}

  Task<UpstreamAnswer> Ask(ModernRequest request, UpstreamEvents& events) override;

 private:
  std::shared_ptr<HttpWire> wire_;
};

/// server/discover. Without a value: the server is not of this era and wants `initialize`.
/// upstream_protocol when it is modern, but not in a revision that is spoken here.
Task<std::optional<UpstreamFace>> ProbeModern(std::shared_ptr<HttpWire> wire);

}  // namespace sallyport::mcp
