#include "mcp/upstream_http_wire.h"

#include "mcp/member_scan.h"
#include "mcp/upstream_peer.h"
#include "net/event.h"

namespace sallyport::mcp {
namespace {

constexpr std::chrono::milliseconds kSkipLimit(250);
constexpr size_t kBatchLimit =
    1000;  // messages: an array of empty elements costs more than its bytes

bool SameMediaType(std::string_view value, std::string_view type) {
  value = value.substr(0, value.find(';'));
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  return net::SameName(value, type);
}

HttpReply::Form FormOf(const net::Headers& headers) {
  const auto type = headers.Find("content-type");
  if (!type) return HttpReply::Form::none;
  if (SameMediaType(*type, "application/json")) return HttpReply::Form::json;
  if (SameMediaType(*type, "text/event-stream")) return HttpReply::Form::events;
  return HttpReply::Form::other;
}

Result<> CheckStatus(int status) {
  const std::string number = std::to_string(status);
  if (status == 401 || status == 403) {
    return Fail(Errc::upstream_protocol,
                "upstream refused the gateway's credential (HTTP " + number + ")");
  }
  if (status >= 300 && status < 400) {
    return Fail(Errc::upstream_protocol, "upstream answered with a redirect (HTTP " + number + ")");
  }
  if (status == 429 || status == 502 || status == 503 || status == 504) {
    return Fail(Errc::upstream_unreachable, "upstream answered with HTTP " + number);
  }
  return {};
}

}  // namespace

HttpReply::HttpReply(std::unique_ptr<net::HttpResponse> response, uint64_t message_bytes)
    : response_(std::move(response)),
      message_bytes_(message_bytes),
      form_(FormOf(response_->headers())),
      parser_(message_bytes) {}

Result<> HttpReply::SplitBatch(std::string text) {
  if (!TrimJson(text).starts_with('[')) {
    ready_.push_back(std::move(text));
    return {};
  }
  MemberScan scan(text, '[');
  while (scan.Next()) {
    if (ready_.size() >= kBatchLimit)
      return Fail(Errc::upstream_too_large, "batch of the upstream");
    ready_.emplace_back(scan.value());
  }
  if (!scan.ok()) return Fail(Errc::upstream_protocol, "answer is no JSON");
  return {};
}

Task<std::optional<std::string>> HttpReply::Next() {
  while (ready_.empty()) {
    if (done_) co_return std::nullopt;
    if (form_ == Form::json) {
      done_ = true;
      SALLYPORT_CO_TRY(std::string body, co_await response_->ReadAll(message_bytes_));
      SALLYPORT_CO_CHECK(SplitBatch(std::move(body)));
      continue;
    }
    if (form_ != Form::events) {
      co_return Fail(Errc::upstream_protocol,
                     "content type of the answer is neither JSON nor an event stream");
    }
    SALLYPORT_CO_TRY(auto bytes, co_await response_->Read());
    if (!bytes) {
      done_ = true;
      continue;
    }
    std::vector<SseEvent> events;
    SALLYPORT_CO_CHECK(parser_.Feed(*bytes, events));
    for (auto& event : events) {
      if (event.data.empty() || (!event.type.empty() && event.type != "message")) continue;
      SALLYPORT_CO_CHECK(SplitBatch(std::move(event.data)));
    }
  }
  std::string message = std::move(ready_.front());
  ready_.pop_front();
  co_return std::optional<std::string>(std::move(message));
}

Task<> HttpReply::Skip() {
  for (int pieces = 0; pieces < 4 && !done_; ++pieces) {
    SALLYPORT_CO_TRY(const auto bytes, co_await response_->Read());
    done_ = !bytes;
  }
  co_return Result<>();
}

void ReadToEnd(const boost::asio::any_io_executor& executor, std::unique_ptr<HttpReply> reply) {
  if (reply->form() != HttpReply::Form::events) return;
  const std::shared_ptr<HttpReply> shared = std::move(reply);
  net::Spawn(executor, [](std::shared_ptr<HttpReply> r) -> boost::asio::awaitable<void> {
    static_cast<void>(co_await r->Skip());
  }(shared));
  net::Spawn(executor, [](std::weak_ptr<HttpReply> r) -> boost::asio::awaitable<void> {
    static_cast<void>(co_await net::Sleep(kSkipLimit));
    if (const auto open = r.lock()) open->Cancel();
  }(shared));
}

HttpWire::HttpWire(HttpUpstreamOptions options) : options_(std::move(options)) {
  if (options_.owned_client) options_.client = options_.owned_client.get();
}

void HttpWire::Stray() { CountStray(options_.name); }

Task<std::unique_ptr<HttpReply>> HttpWire::Send(std::string method, net::Headers headers,
                                                std::string body, const op::Session* caller) {
  if (closed_) co_return Fail(Errc::upstream_closed, "upstream is closed");
  if (options_.live_credential)
    co_return co_await SendLive(std::move(method), std::move(headers), std::move(body), caller);
  if (options_.credential) options_.credential(headers);
  SALLYPORT_CO_TRY(auto response, co_await options_.client->Send(
                                      options_.url.origin, std::move(method), options_.url.target,
                                      std::move(headers), std::move(body)));
  SALLYPORT_CO_CHECK(CheckStatus(response->status()));
  co_return std::make_unique<HttpReply>(std::move(response), options_.message_bytes);
}

/// Twice at most. Between the two stands a 401 or 403: whoever checks credentials has refused the
/// request, so it has not been executed.
Task<std::unique_ptr<HttpReply>> HttpWire::SendLive(std::string method, net::Headers headers,
                                                    std::string body, const op::Session* caller) {
  const std::shared_ptr<credential::Credential> credential = options_.live_credential;
  const credential::Outgoing request{method, options_.url, body, caller};
  for (bool again = false;; again = true) {
    net::Headers sent = headers;
    SALLYPORT_CO_TRY(const auto used, co_await credential->Apply(request, sent));
    if (closed_) co_return Fail(Errc::upstream_closed, "upstream is closed");
    SALLYPORT_CO_TRY(auto response,
                     co_await options_.client->Send(options_.url.origin, method,
                                                    options_.url.target, std::move(sent), body));
    const int status = response->status();
    if (!again && (status == 401 || status == 403) &&
        credential->Refused(request, used, status, response->headers()))
      continue;
    if (status == 401 || status == 403) {
      if (auto error = credential->Explain(request, used, status, response->headers()))
        co_return std::unexpected(std::move(*error));
    }
    SALLYPORT_CO_CHECK(CheckStatus(status));
    co_return std::make_unique<HttpReply>(std::move(response), options_.message_bytes);
  }
}

Task<std::unique_ptr<HttpReply>> HttpWire::Post(net::Headers headers, std::string body,
                                                const op::Session* caller) {
  return Send("POST", std::move(headers), std::move(body), caller);
}

Task<std::unique_ptr<HttpReply>> HttpWire::Get(net::Headers headers, const op::Session* caller) {
  headers.Add("Accept", "text/event-stream");
  return Send("GET", std::move(headers), {}, caller);
}

Task<> HttpWire::Delete(net::Headers headers, std::shared_ptr<const op::Session> caller) {
  SALLYPORT_CO_TRY(auto reply, co_await Send("DELETE", std::move(headers), {}, caller.get()));
  co_return Result<>();
}

net::Headers PostHeaders() {
  return {{"Content-Type", "application/json"}, {"Accept", "application/json, text/event-stream"}};
}

std::unexpected<Error> UnexpectedStatus(int status) {
  return Fail(Errc::upstream_protocol, "upstream answered with HTTP " + std::to_string(status));
}

}  // namespace sallyport::mcp
