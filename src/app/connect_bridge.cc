#include "app/connect_bridge.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "ledger/render.h"
#include "mcp/envelope.h"
#include "mcp/upstream_bridge.h"
#include "net/exception.h"

namespace sallyport::app {
namespace {

namespace asio = boost::asio;

constexpr size_t kFlights = 1024;  // requests at the same time
constexpr std::chrono::milliseconds kLastAnswers(1'000), kStep(20), kEndSession(700);
// A cancellation that overtakes its request on another connection would be about nothing.
constexpr std::chrono::milliseconds kSettled(60);

constexpr int kParseError = -32700, kInvalidRequest = -32600, kInternalError = -32603;
constexpr int kUnauthorized = 401, kTooMany = 429;  // the gate's own codes are positive numbers

std::string ErrorData(std::string_view reason, const std::string& login) {
  nlohmann::ordered_json data{{"v", 1}, {"reason", reason}};
  if (!login.empty()) data["login"] = login;
  return nlohmann::ordered_json{{"gateway", std::move(data)}}.dump();
}

/// The reason code that the gate gave with a 401 (RFC 6750: error_description).
std::string ReasonOf(const mcp::HttpReply& reply) {
  const auto challenge = reply.headers().Find("WWW-Authenticate");
  constexpr std::string_view kKey = "error_description=\"";
  const size_t at = challenge ? challenge->find(kKey) : std::string_view::npos;
  if (at == std::string_view::npos) return "token-missing";
  const std::string_view rest = challenge->substr(at + kKey.size());
  return ledger::Printable(std::string(rest.substr(0, rest.find('"'))));
}

}  // namespace

ConnectBridge::ConnectBridge(asio::any_io_executor executor, AtGate gate, std::string connection,
                             std::function<void(size_t)> taken, std::function<void()> client_gone)
    : executor_(executor),
      gate_(executor, std::move(gate), std::move(connection)),
      taken_(std::move(taken)),
      client_gone_(std::move(client_gone)),
      lines_(executor, SIZE_MAX),  // bounded in bytes where they are read
      reopened_(executor) {}

void ConnectBridge::Say(std::string what) {
  if (what == said_) return;
  said_ = std::move(what);
  std::fprintf(stderr, "sallyport connect: %s\n", ledger::Printable(said_).c_str());
}

void ConnectBridge::Emit(std::string message) {
  if (out_.Write(std::move(message)) || closing_) return;
  closing_ = true;
  client_gone_();
}

void ConnectBridge::Answer(std::string_view raw_id, std::string_view error) {
  if (flights_.contains(raw_id)) Emit(mcp::ErrorMessage(raw_id, error));
}

void ConnectBridge::TooLong() {
  Emit(mcp::ErrorMessage("null",
                         mcp::ErrorObject(kInvalidRequest, "the line is longer than 16 MiB")));
}

bool ConnectBridge::Deliver(std::string text, std::string_view raw_id) {
  const auto message = mcp::ReadMessage(text);
  if (!message) {
    Say("the gate sent something that is no JSON-RPC message; it was left out");
    return false;
  }
  const bool answer = message->kind == mcp::UpstreamMessage::Kind::result ||
                      message->kind == mcp::UpstreamMessage::Kind::error;
  if (answer && (message->id.empty() || message->id == "null")) {
    // The gate refused before it read the id.
    if (raw_id.empty()) return false;
    Answer(raw_id, message->body);
    return true;
  }
  if (!answer) {
    Emit(std::move(text));
    return false;
  }
  const bool ours = message->id == raw_id;
  const auto at = flights_.find(message->id);
  if (at == flights_.end()) return ours;  // cancelled, or answered already
  flights_.erase(at);
  Emit(std::move(text));
  return ours;
}

void ConnectBridge::Refuse(std::string_view raw_id, const Error& error) {
  const std::string reason(ReasonCode(error.code));
  const bool sign_in = error.code == Errc::token_missing;
  const bool ours = sign_in || error.code == Errc::config_invalid;
  const std::string what =
      (ours ? "" : "no answer of the gate: ") + ledger::Printable(error.detail);
  Say(what);
  Answer(raw_id, mcp::ErrorObject(sign_in ? kUnauthorized : kInternalError, what,
                                  ErrorData(reason, sign_in ? gate_.LoginCommand() : "")));
}

void ConnectBridge::RefuseStatus(std::string_view raw_id, const mcp::HttpReply& reply) {
  if (reply.status() == 401) {
    const std::string reason = ReasonOf(reply), what = gate_.SignIn(reason);
    Say(what);
    Answer(raw_id, mcp::ErrorObject(kUnauthorized, what, ErrorData(reason, gate_.LoginCommand())));
    return;
  }
  const std::string what = "the gate answered with HTTP " + std::to_string(reply.status());
  Say(what);
  Answer(raw_id, mcp::ErrorObject(kInternalError, what));
}

Task<> ConnectBridge::Finish(mcp::HttpReply& reply, std::string_view raw_id) {
  if (reply.status() != 401 && (reply.form() == mcp::HttpReply::Form::json ||
                                reply.form() == mcp::HttpReply::Form::events)) {
    while (true) {
      SALLYPORT_CO_TRY(auto text, co_await reply.Next());
      if (!text) break;
      if (Deliver(std::move(*text), raw_id)) co_return Result<>();
    }
  }
  RefuseStatus(raw_id, reply);
  co_return Result<>();
}

boost::asio::awaitable<void> ConnectBridge::Run() {
  const auto self = shared_from_this();
  while (!closing_) {
    auto line = co_await lines_.Pop(std::chrono::hours(24));
    if (!line) continue;  // nothing for a day
    if (!*line) break;
    const size_t size = (*line)->size();
    co_await Take(std::move(**line));
    taken_(size);
  }
  // The input has ended. A client that only closed its side still reads.
  const auto until = std::chrono::steady_clock::now() + kLastAnswers;
  while (!flights_.empty() && !closing_ && std::chrono::steady_clock::now() < until)
    (void)co_await net::Sleep(kStep);
}

Task<> ConnectBridge::Close() {
  closing_ = true;
  for (const auto& [id, flight] : flights_) CancelFlight(flight);
  if (session_id_.empty()) co_return Result<>();
  const std::string ended = std::exchange(session_id_, {});
  net::Headers headers{{"Mcp-Session-Id", ended}, {"MCP-Protocol-Version", revision_}};
  const auto done = std::make_shared<net::Event>(executor_);
  net::Spawn(executor_,
             [](std::shared_ptr<ConnectBridge> self, net::Headers send,
                std::shared_ptr<net::Event> event) -> asio::awaitable<void> {
               (void)co_await self->gate_.Send("DELETE", std::move(send), {});
               event->Set();
             }(shared_from_this(), std::move(headers), done));
  co_return co_await done->Wait(kEndSession);
}

boost::asio::awaitable<void> ConnectBridge::Take(std::string line) {
  const auto message = std::make_shared<Message>();
  message->text = std::move(line);
  auto document = json::Document::Parse(message->text, {.max_bytes = kLineLimit});
  if (!document) {
    Emit(mcp::ErrorMessage("null", mcp::ErrorObject(kParseError, document.error().detail)));
    co_return;
  }
  message->document = std::move(*document);
  const json::Value root = message->document.root();
  if (root.is(json::Kind::array)) {  // a batch of 2025-03-26: its answers come one by one
    for (auto item = root.first(); item; item = item.next()) co_await Take(std::string(item.raw()));
    co_return;
  }
  const auto read = mcp::ReadClientMessage(root);
  if (!read) {
    Emit(mcp::ErrorMessage("null", mcp::ErrorObject(kInvalidRequest, read.error().detail)));
    co_return;
  }
  message->read = *read;
  co_await Take(MessagePtr(message));
}

boost::asio::awaitable<void> ConnectBridge::Take(MessagePtr message) {
  using Kind = mcp::ClientMessage::Kind;
  const mcp::ClientMessage& read = message->read;
  if (read.kind == Kind::request) {
    if (read.method == "initialize") {
      // What follows needs the session that comes of it.
      const std::string id(read.id);
      flights_.insert_or_assign(id, std::make_shared<Flight>());
      if (const Result<> done = co_await Initialize(*message); !done) Refuse(id, done.error());
      flights_.erase(id);
      co_return;
    }
    Begin(message, static_cast<bool>(read.params["_meta"][mcp::kMetaProtocolVersion]));
    co_return;
  }
  if (read.kind == Kind::notification && read.method == "notifications/cancelled") {
    const auto at = flights_.find(read.params["requestId"].raw());
    if (at == flights_.end()) co_return;
    const FlightPtr flight = at->second;
    if (flight->modern) {
      CancelFlight(flight);
      co_return;
    }
    const auto age = std::chrono::steady_clock::now() - flight->begun;
    if (age < kSettled)
      (void)co_await net::Sleep(
          std::chrono::duration_cast<std::chrono::milliseconds>(kSettled - age));
    flights_.erase(std::string(at->first));  // an answer that comes now is not wanted
  }
  if (revision_.empty()) co_return;  // 2026-07-28 has nothing else that a client tells
  if (read.method == "notifications/initialized") {
    // The stream of the session belongs behind it.
    if (const Result<> done = co_await PostOneWay(message->text); !done) Refuse({}, done.error());
    net::Spawn(executor_, [](std::shared_ptr<ConnectBridge> self) -> asio::awaitable<void> {
      co_await self->Listen(self->generation_);
    }(shared_from_this()));
    co_return;
  }
  net::Spawn(executor_,
             [](std::shared_ptr<ConnectBridge> self, MessagePtr sent) -> asio::awaitable<void> {
               if (const Result<> done = co_await self->PostOneWay(sent->text); !done)
                 self->Refuse({}, done.error());
             }(shared_from_this(), std::move(message)));
}

void ConnectBridge::Begin(MessagePtr message, bool modern) {
  const std::string id(message->read.id);
  if (flights_.contains(id)) {
    Emit(mcp::ErrorMessage(id, mcp::ErrorObject(kInvalidRequest, "the id is in use")));
    return;
  }
  if (flights_.size() >= kFlights) {
    Emit(mcp::ErrorMessage(id, mcp::ErrorObject(kTooMany, "too many requests at the same time")));
    return;
  }
  const auto flight = std::make_shared<Flight>();
  flight->modern = modern;
  flights_.emplace(id, flight);
  asio::co_spawn(
      executor_, Ask(std::move(message), flight),
      asio::bind_cancellation_slot(flight->signal.slot(), [self = shared_from_this(), flight,
                                                           id](std::exception_ptr failure) {
        const auto at = self->flights_.find(id);
        if (at != self->flights_.end() && at->second == flight) self->flights_.erase(at);
        if (!flight->cancelled) net::ReportException(failure, "connect_request");
      }));
}

boost::asio::awaitable<void> ConnectBridge::Ask(MessagePtr message, FlightPtr flight) {
  const auto self = shared_from_this();
  const Result<> done =
      flight->modern ? co_await AskModern(*message) : co_await AskSession(*message);
  const auto at = flights_.find(message->read.id);
  const bool wanted = !flight->cancelled && at != flights_.end() && at->second == flight;
  if (!done && wanted) Refuse(message->read.id, done.error());
}

void ConnectBridge::CancelFlight(const FlightPtr& flight) {
  if (flight->cancelled) return;
  flight->cancelled = true;
  net::Post(executor_, [flight] { flight->signal.emit(asio::cancellation_type::terminal); });
}

}  // namespace sallyport::app
