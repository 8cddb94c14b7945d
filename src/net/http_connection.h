#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "net/http_head.h"
#include "net/http_response.h"
#include "net/http_server.h"
#include "net/stream.h"

namespace sallyport::net {

/// What the shards of one server share; any thread.
struct ServerShared {
  HttpServer::Options options;
  std::atomic<size_t> connections{0};
  std::atomic<size_t> active{0};
  std::atomic<bool> draining{false};

  std::mutex
      mutex;  // guards the counts, taken at accept and close only where there is such a limit
  std::map<std::string, uint32_t, std::less<>> per_address;

  void Refused(const std::string& address, const Refusal& refusal) const {
    CountRefusal(refusal.status);
    if (options.on_refused)
      options.on_refused(address, refusal.status, refusal.reason, refusal.detail);
  }
};

/// A connection of an HttpServer, from accept to close; touched by its shard only. It lives as long
/// as its coroutine. While linked it is in the list of its shard's listener.
class HttpConnection : public Link, public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(std::shared_ptr<ServerShared> shared, HttpLimits limits,
                 std::shared_ptr<Stream> stream, std::string address, Loop& loop);
  ~HttpConnection();

  /// Serves requests until the connection ends.
  static boost::asio::awaitable<void> Run(std::shared_ptr<HttpConnection> self);

  /// Closes now if idle, else after the running exchange.
  void Drain();
  void Close() { stream_->Close(); }

 private:
  friend class Exchange;
  enum class Next { request, refused, closed };

  boost::asio::awaitable<Next> ReadRequest(HttpRequest& request, Refusal& refusal);
  boost::asio::awaitable<Next> ReadBody(const RequestHead& head, std::string& body,
                                        Refusal& refusal);
  boost::asio::awaitable<bool> Serve(const HttpRequest& request);
  boost::asio::awaitable<void> Refuse(const Refusal& refusal);
  TimePoint In(uint32_t ms) const {
    return std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  }

  const std::shared_ptr<ServerShared> shared_;
  const HttpLimits limits_;
  const std::shared_ptr<Stream> stream_;
  const std::string address_;
  std::shared_ptr<const ClientCertificate> certificate_;
  Loop& loop_;
  HeadScanner scanner_;
  bool idle_ = true;   // nothing of the next request has arrived
  bool first_ = true;  // no request was served yet
  bool keep_ = true;
  bool old_ = false;  // the current request is HTTP/1.0
};

}  // namespace sallyport::net
