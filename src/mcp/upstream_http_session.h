#pragma once

#include <memory>
#include <string>

#include "mcp/upstream_http_wire.h"
#include "mcp/upstream_peer.h"

namespace sallyport::mcp {

/// One session with a server of the session eras over HTTP, on behalf of one caller. `initialize`
/// is done when first needed, and again when the server has forgotten the session (HTTP 404). Use
/// by shared_ptr: what is sent at the end (cancellation, DELETE) outlives the caller.
class HttpSession final : public UpstreamSession, public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(std::shared_ptr<HttpWire> wire, ClientFace face);

  Task<> Ensure() override;
  const Initialized& server() const override { return server_; }
  Task<UpstreamAnswer> Call(UpstreamRequest request, UpstreamEvents& events) override;
  Task<> Notify(std::string method, std::string params) override;
  /// The GET stream, resumed as long as the server lets us. Ends with an error only.
  Task<> Listen(std::string filter, UpstreamEvents& events) override;
  /// DELETE, in the background.
  void Close() override;

 private:
  class CancelNotice;
  struct Asked;  // one request under way

  Task<> Initialize();
  void Forget(uint64_t generation);
  net::Headers SessionHeaders(bool post) const;
  bool Lost(const HttpReply& reply) const;
  Task<UpstreamAnswer> Follow(Asked& asked, std::unique_ptr<HttpReply> reply,
                              UpstreamEvents& events);
  Task<std::unique_ptr<HttpReply>> Resume(const HttpReply& broken);
  Task<std::optional<UpstreamAnswer>> Take(Asked& asked, const HttpReply& reply, std::string text,
                                           UpstreamEvents& events);
  Task<> Answer(std::string raw_id, std::string method, std::string params, UpstreamEvents& events);
  Task<> PostOneWay(std::string body);
  Task<> ReadStream(HttpReply& reply, UpstreamEvents& events);

  std::shared_ptr<HttpWire> wire_;
  ClientFace face_;
  Turn turn_;
  bool ready_ = false, closed_ = false;
  uint64_t generation_ = 0;  // of the session: grows with each initialize
  std::string session_id_;   // empty: the server keeps none
  Initialized server_;
  std::string log_level_;  // set by the wish of a modern client, JSON string text
};

}  // namespace sallyport::mcp
