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

}  // namespace sallyport::mcp
