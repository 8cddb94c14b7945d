#include "net/http_client.h"

#include <boost/asio/post.hpp>
#include <charconv>
#include <utility>

#include "net/http_chunks.h"
#include "net/http_head.h"
#include "net/http_pool.h"

namespace sallyport::net {

namespace asio = boost::asio;

namespace {

/// A response on its connection, which goes back to the pool as soon as the last byte of the body
/// was read.
class Response final : public HttpResponse {
 public:
  Response(std::shared_ptr<PooledConnection> connection, ResponseHead head, ClientLimits limits)
      : connection_(std::move(connection)),
        head_(std::move(head)),
        limits_(limits),
        left_(head_.framing.length) {
    if (head_.framing.kind == Framing::Kind::none) Finish();
  }
  ~Response() override { Cancel(); }

  int status() const override { return head_.status; }
  const Headers& headers() const override { return head_.headers; }

  Task<std::optional<std::string>> Read() override {
    std::string piece;
    for (;;) {
      if (finished_) co_return std::optional<std::string>();
      if (cancelled_) co_return Fail(Errc::cancelled);
      SALLYPORT_CO_CHECK(Take(piece));
      if (!piece.empty()) co_return std::optional<std::string>(std::move(piece));
      if (finished_) continue;
      // Held here: Cancel() lets go of it while we wait.
      const std::shared_ptr<PooledConnection> connection = connection_;
      const Stream::Got got = co_await connection->stream().More(std::chrono::steady_clock::now() +
                                                                 limits_.read_timeout);
      if (cancelled_) co_return Fail(Errc::cancelled);
      if (got == Stream::Got::data) continue;
      if (got == Stream::Got::ended && head_.framing.kind == Framing::Kind::until_close &&
          connection->stream().ended_cleanly()) {
        finished_ = true;
        continue;
      }
      Cancel();
      if (got == Stream::Got::timeout)
        co_return Fail(Errc::upstream_timeout, "the body of a response");
      co_return Fail(Errc::upstream_closed, "in the body of a response");
    }
  }

  void Cancel() override {
    if (!connection_) return;
    cancelled_ = !finished_;
    std::exchange(connection_, nullptr)->Close();
  }

 private:
  /// Moves what has arrived of the body into `piece`.
  Result<> Take(std::string& piece) {
    Stream& stream = connection_->stream();
    const std::string_view data = stream.data();
    if (head_.framing.kind == Framing::Kind::chunked) {
      const auto used = chunks_.Feed(data, piece, ~uint64_t(0));
      if (!used) {
        Cancel();
        return Fail(Errc::upstream_protocol, std::string(chunks_.refusal().detail));
      }
      stream.Consume(*used);
      if (chunks_.done()) Finish();
      return {};
    }
    const bool counted = head_.framing.kind == Framing::Kind::length;
    const size_t n = counted ? size_t(std::min<uint64_t>(left_, data.size())) : data.size();
    piece.assign(data.substr(0, n));
    stream.Consume(n);
    if (counted && (left_ -= n) == 0) Finish();
    return {};
  }

  void Finish() {
    finished_ = true;
    auto connection = std::exchange(connection_, nullptr);
    if (head_.keep_alive) {
      PooledConnection::Keep(std::move(connection));
    } else {
      connection->Close();
    }
  }

  std::shared_ptr<PooledConnection> connection_;  // null once it was given back or closed
  const ResponseHead head_;
  const ClientLimits limits_;
  uint64_t left_;
  ChunkReader chunks_{ChunkReader::Strictness::ignore_extras};
  bool finished_ = false, cancelled_ = false;
};

/// Request line and fields, with those that only the client may set.
Result<std::string> BuildHead(const Origin& origin, const std::string& method,
                              const std::string& target, const Headers& headers, size_t body_size) {
  std::string head;
  head.reserve(512);
  if (!IsToken(method) || target.empty() ||
      target.find_first_of(std::string_view(" \r\n\t\0", 5)) != target.npos)
    return Fail(Errc::internal, "a malformed request line");
  head.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: ");
  const bool v6 = origin.host.find(':') != origin.host.npos;
  if (v6) head += '[';
  head += origin.host;
  if (v6) head += ']';
  char digits[24];
  const auto append = [&](auto number) {
    head.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
  };
  if (origin.port != (origin.tls ? 443 : 80)) {
    head += ':';
    append(origin.port);
  }
  head += "\r\n";
  for (const auto& [name, value] : headers.fields()) {
    if (!IsToken(name) || !IsFieldValue(value))
      return Fail(Errc::internal, "a malformed request field");
    if (SameName(name, "host") || SameName(name, "content-length") ||
        SameName(name, "connection") || SameName(name, "transfer-encoding"))
      return Fail(Errc::internal, "a request field that the client sets: " + name);
    head.append(name).append(": ").append(value).append("\r\n");
  }
  if (body_size > 0 || (method != "GET" && method != "HEAD" && method != "DELETE")) {
    head += "Content-Length: ";
    append(body_size);
    head += "\r\n";
  }
  head += "\r\n";
  return head;
}

struct CloseIdle {
  explicit CloseIdle(std::shared_ptr<HttpPool> p) : pool(std::move(p)) {}
  ~CloseIdle() { pool->CloseIdle(); }
  const std::shared_ptr<HttpPool> pool;
};

class Client final : public HttpClient {
 public:
  Client(asio::any_io_executor executor, Options options)
      : pool_(std::make_shared<HttpPool>(Loop::Of(executor), options.limits,
                                         MakeClientContext(options.ca_file))) {}
  ~Client() override {
    // On the shard, whether the function runs or dies with the loop.
    asio::post(pool_->loop().context(), [last = std::make_unique<CloseIdle>(pool_)] {});
  }

  Task<std::unique_ptr<HttpResponse>> Send(const Origin& origin, std::string method,
                                           std::string target, Headers headers,
                                           std::string body) override {
    const std::shared_ptr<HttpPool> pool = pool_;
    SALLYPORT_CO_TRY(const std::string head,
                     BuildHead(origin, method, target, headers, body.size()));
    for (bool fresh = false;; fresh = true) {
      SALLYPORT_CO_TRY(std::shared_ptr<PooledConnection> connection,
                       co_await pool->Acquire(origin, fresh));
      Stream& stream = connection->stream();
      Pieces pieces(head, body);
      const Stream::Sent sent = stream.Start(pieces);
      if (sent == Stream::Sent::failed && connection->reused()) {
        connection->Close();
        continue;  // the upstream closed it meanwhile: nothing of the request was taken
      }
      Result<> written;
      if (sent == Stream::Sent::failed) written = Fail(Errc::io_failed);
      if (sent == Stream::Sent::part)
        written = co_await stream.Finish(pieces, pool->limits().head_timeout);
      // An upstream may answer before it has read all, and close: its answer is worth more than our
      // error.
      auto response = co_await ReadHead(std::move(connection), pool->limits(), method == "HEAD");
      if (!written && !response)
        co_return Fail(Errc::upstream_closed, "while the request was written");
      co_return response;
    }
  }
  size_t connections() const override { return pool_->connections(); }

 private:
  static Task<std::unique_ptr<HttpResponse>> ReadHead(std::shared_ptr<PooledConnection> connection,
                                                      ClientLimits limits, bool to_head) {
    Stream& stream = connection->stream();
    const TimePoint until = std::chrono::steady_clock::now() + limits.head_timeout;
    HeadScanner scanner;
    for (;;) {
      const auto found = scanner.Find(stream.data());
      if (!found) co_return Fail(Errc::upstream_protocol, std::string(found.error().detail));
      if (*found > 0) {
        auto head = ParseResponseHead(stream.data().substr(0, *found), to_head);
        if (!head) co_return Fail(Errc::upstream_protocol, std::string(head.error().detail));
        stream.Consume(*found);
        scanner.Reset();
        if (head->status == 101)
          co_return Fail(Errc::upstream_protocol, "a change of protocol that nobody asked for");
        if (head->status < 200) continue;
        co_return std::make_unique<Response>(std::move(connection), std::move(*head), limits);
      }
      if (stream.data().size() >= limits.header_bytes)
        co_return Fail(Errc::upstream_protocol, "a head too large");
      const Stream::Got got = co_await stream.More(until);
      if (got == Stream::Got::timeout)
        co_return Fail(Errc::upstream_timeout, "the head of a response");
      if (got == Stream::Got::ended)
        co_return Fail(Errc::upstream_closed, "before the head of a response");
    }
  }

  const std::shared_ptr<HttpPool> pool_;
};

}  // namespace

Task<std::string> HttpResponse::ReadAll(uint64_t limit) {
  std::string all;
  for (;;) {
    SALLYPORT_CO_TRY(std::optional<std::string> piece, co_await Read());
    if (!piece) co_return all;
    if (piece->size() > limit - all.size()) {
      Cancel();
      co_return Fail(Errc::upstream_too_large);
    }
    if (all.empty()) {
      all = std::move(*piece);
    } else {
      all += *piece;
    }
  }
}

std::unique_ptr<HttpClient> HttpClient::Make(asio::any_io_executor executor, Options options) {
  return std::make_unique<Client>(std::move(executor), std::move(options));
}

}  // namespace sallyport::net
