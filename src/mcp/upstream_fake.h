#pragma once

// For tests only: an HTTP client whose server is a function, and a runner for coroutines.

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "mcp/envelope.h"
#include "mcp/upstream.h"
#include "net/event.h"
#include "net/http_client.h"

namespace sallyport::mcp {

struct FakeRequest {
  std::string method, target, body;
  net::Headers headers;
  std::string Header(std::string_view name) const {
    return std::string(headers.Find(name).value_or(""));
  }
};

/// One scripted response. `pieces` are read one by one; then comes the clean end, or what `then`
/// says.
struct FakeResponse {
  int status = 200;
  net::Headers headers;
  std::deque<std::string> pieces;
  std::optional<Errc> then;  // e.g. upstream_closed
  bool hang = false;         // after the pieces nothing comes
};

inline FakeResponse Json(std::string body, int status = 200) {
  return {status, {{"Content-Type", "application/json"}}, {std::move(body)}, {}, false};
}
inline FakeResponse Events(std::deque<std::string> pieces) {
  return {
      200, {{"Content-Type", "text/event-stream; charset=utf-8"}}, std::move(pieces), {}, false};
}
inline FakeResponse Status(int status) { return {status, {}, {}, {}, false}; }
inline std::string Data(std::string_view json) { return "data: " + std::string(json) + "\n\n"; }

class FakeHttpClient final : public net::HttpClient {
 public:
  using Server = std::function<Result<FakeResponse>(const FakeRequest&)>;
  explicit FakeHttpClient(Server server) : server_(std::move(server)) {}

  Task<std::unique_ptr<net::HttpResponse>> Send(const net::Origin&, std::string method,
                                                std::string target, net::Headers headers,
                                                std::string body) override {
    seen.push_back({std::move(method), std::move(target), std::move(body), std::move(headers)});
    SALLYPORT_CO_TRY(FakeResponse response, server_(seen.back()));
    co_return std::make_unique<Response>(*this, std::move(response));
  }
  size_t connections() const override { return open; }

  std::deque<FakeRequest> seen;
  size_t open = 0;       // responses not read to their end
  size_t abandoned = 0;  // dropped before their end: what a server sees as a closed stream

 private:
  class Response final : public net::HttpResponse {
   public:
    Response(FakeHttpClient& client, FakeResponse script)
        : client_(client), script_(std::move(script)) {
      ++client_.open;
    }
    ~Response() override {
      if (!ended_) ++client_.abandoned;
      --client_.open;
    }
    int status() const override { return script_.status; }
    const net::Headers& headers() const override { return script_.headers; }
    Task<std::optional<std::string>> Read() override {
      if (!script_.pieces.empty()) {
        std::string piece = std::move(script_.pieces.front());
        script_.pieces.pop_front();
        co_return std::optional<std::string>(std::move(piece));
      }
      if (script_.hang) {
        net::Event never(co_await net::ThisExecutor());
        SALLYPORT_CO_CHECK(co_await never.Wait(std::chrono::hours(1)));
      }
      if (script_.then) co_return Fail(*script_.then, "scripted");
      ended_ = true;
      co_return std::nullopt;
    }
    void Cancel() override { script_.then = Errc::cancelled; }

   private:
    FakeHttpClient& client_;
    FakeResponse script_;
    bool ended_ = false;
  };
  Server server_;
};

/// Keeps what it gets, and answers from a script.
class FakeEvents final : public UpstreamEvents {
 public:
  Task<> OnNotification(std::string message) override {
    notifications.push_back(std::move(message));
    if (refuse) co_return Fail(*refuse, "refused by the test");
    if (on_notification) on_notification();
    co_return Result<>();
  }
  Task<UpstreamAnswer> OnRequest(std::string method, std::string params) override {
    requests.emplace_back(std::move(method), std::move(params));
    co_return answer;
  }
  std::vector<std::string> notifications;
  std::vector<std::pair<std::string, std::string>> requests;
  UpstreamAnswer answer{false, R"({"action":"accept","content":{"n":1}})"};
  std::optional<Errc> refuse;
  std::function<void()> on_notification;
};

/// Runs `task` on `io` to its end.
template <class T>
Result<T> Await(boost::asio::io_context& io, Task<T> task) {
  std::optional<Result<T>> out;
  boost::asio::co_spawn(io, std::move(task), [&out](std::exception_ptr e, Result<T> r) {
    if (e) std::rethrow_exception(e);
    out.emplace(std::move(r));
  });
  io.restart();
  while (!out && io.run_one() > 0) {
  }
  if (!out) return Fail(Errc::internal, "the task never ended");
  return std::move(*out);
}

/// The upstream asks for a permit as proof and never looks into it; a gate with a ledger is not
/// needed to test what goes over the wire, so this is storage that stands for one.
inline const gate::Permit& StandInPermit() {
  alignas(gate::Permit) static std::byte storage[sizeof(gate::Permit)] = {};
  return *std::launder(reinterpret_cast<const gate::Permit*>(storage));
}

/// The id of a JSON-RPC message as it stands in the text.
inline std::string IdOf(std::string_view text) {
  const auto m = ReadMessage(text);
  return m ? std::string(m->id) : std::string();
}
inline std::string MethodOf(std::string_view text) {
  const auto m = ReadMessage(text);
  return m ? m->method : std::string();
}

}  // namespace sallyport::mcp
