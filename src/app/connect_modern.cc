// MCP 2026-07-28: one POST for each request. What a client of stdio does not send, the headers, is
// made here from what it says.
#include "app/connect_bridge.h"
#include "mcp/envelope.h"
#include "mcp/member_scan.h"
#include "mcp/upstream_bridge.h"

namespace sallyport::app {
namespace {

constexpr std::chrono::milliseconds kFirstPause(1'000), kLongestPause(30'000);
constexpr int64_t kHeaderMismatch = -32020;
constexpr size_t kTools = 10'000;

/// The code of an error object.
std::optional<int64_t> CodeOf(std::string_view error) {
  const auto read = json::Document::Parse(error);
  return read ? read->root()["code"].integer() : std::nullopt;
}

}  // namespace

net::Headers ConnectBridge::ModernHeaders(const mcp::ClientMessage& message) const {
  net::Headers headers = mcp::PostHeaders();
  const auto version = message.params["_meta"][mcp::kMetaProtocolVersion].string();
  if (version && mcp::IsPlainHeaderValue(*version))
    headers.Add("MCP-Protocol-Version", std::string(*version));
  if (mcp::IsPlainHeaderValue(message.method))
    headers.Add("Mcp-Method", std::string(message.method));
  if (const auto name = mcp::NameSource(message).string())
    headers.Add("Mcp-Name", mcp::HeaderValue(*name));
  if (message.method == "tools/call") {
    const auto tool = tools_.find(message.params["name"].string().value_or(""));
    if (tool != tools_.end()) {
      for (auto& [name, value] : mcp::MirrorParams(tool->second, message.params["arguments"]))
        headers.Add(std::move(name), std::move(value));
    }
  }
  return headers;
}

void ConnectBridge::LearnTools(std::string_view result) {
  const auto read = json::Document::Parse(result, {.max_bytes = 64u << 20});
  if (!read) return;
  for (auto tool = read->root()["tools"].first(); tool; tool = tool.next()) {
    mcp::ToolDefinition definition = mcp::ReadToolDefinition(tool);
    if (definition.name.empty()) continue;
    if (definition.headers.empty()) {
      tools_.erase(definition.name);
    } else if (tools_.size() < kTools) {
      const std::string name = definition.name;
      tools_.insert_or_assign(name, std::move(definition));
    }
  }
}

Task<> ConnectBridge::FetchTools(const Message& call) {
  const std::string meta(call.read.params["_meta"].raw());
  const std::string list = mcp::RequestText(1, "tools/list", R"({"_meta":)" + meta + "}");
  net::Headers headers = ModernHeaders(call.read);
  for (const auto& [name, value] : net::Headers(headers).fields()) {
    if (name.starts_with("Mcp-")) headers.Remove(name);
  }
  headers.Add("Mcp-Method", "tools/list");
  SALLYPORT_CO_TRY(const auto reply, co_await gate_.Send("POST", std::move(headers), list));
  while (reply->status() == 200) {
    SALLYPORT_CO_TRY(auto text, co_await reply->Next());
    if (!text) break;
    const auto read = mcp::ReadMessage(*text);
    if (!read || read->kind != mcp::UpstreamMessage::Kind::result) continue;
    LearnTools(read->body);
    break;
  }
  co_return Result<>();
}

/// One POST and its answer; false where it should be sent anew.
Task<bool> ConnectBridge::TryModern(const Message& message, bool last) {
  const std::string id(message.read.id);
  const bool listens = message.read.method == "subscriptions/listen";
  SALLYPORT_CO_TRY(const auto reply,
                   co_await gate_.Send("POST", ModernHeaders(message.read), message.text));
  if (reply->status() != 200 && message.read.method != "tools/call") {
    SALLYPORT_CO_CHECK(co_await Finish(*reply, id));
    co_return true;
  }
  const bool readable =
      reply->form() == mcp::HttpReply::Form::json || reply->form() == mcp::HttpReply::Form::events;
  while (readable && reply->status() != 401) {
    auto text = co_await reply->Next();
    if (!text) {
      const bool broke =
          text.error().code == Errc::upstream_closed || text.error().code == Errc::upstream_timeout;
      if (listens && broke) co_return false;
      if (!broke) co_return std::unexpected(text.error());
      co_return Fail(Errc::upstream_closed,
                     "the connection broke before the answer; the call may have run");
    }
    if (!*text) {
      if (listens) co_return false;
      break;
    }
    const auto read = mcp::ReadMessage(**text);
    using Kind = mcp::UpstreamMessage::Kind;
    // Who checks headers has not run the call.
    if (!last && read && read->kind == Kind::error && reply->status() == 400 &&
        CodeOf(read->body) == kHeaderMismatch)
      co_return false;
    if (read && read->kind == Kind::result && message.read.method == "tools/list")
      LearnTools(read->body);
    if (Deliver(std::move(**text), id)) co_return true;
  }
  RefuseStatus(id, *reply);
  co_return true;
}

Task<> ConnectBridge::AskModern(const Message& message) {
  if (message.read.method == "subscriptions/listen") {
    // It asks for nothing but to be told: it can be sent as often as the stream breaks.
    auto pause = kFirstPause;
    while (!closing_) {
      const auto begun = std::chrono::steady_clock::now();
      const auto done = co_await TryModern(message, true);
      if (done && *done) co_return Result<>();
      const bool down = !done && done.error().code == Errc::upstream_unreachable;
      if (!done && !down) co_return std::unexpected(done.error());
      if (std::chrono::steady_clock::now() - begun > kLongestPause) pause = kFirstPause;
      SALLYPORT_CO_CHECK(co_await net::Sleep(pause));
      pause = std::min(pause * 2, kLongestPause);
    }
    co_return Result<>();
  }
  const bool call = message.read.method == "tools/call";
  SALLYPORT_CO_TRY(const bool done, co_await TryModern(message, !call));
  if (done) co_return Result<>();
  SALLYPORT_CO_CHECK(co_await FetchTools(message));
  SALLYPORT_CO_TRY([[maybe_unused]] const bool again, co_await TryModern(message, true));
  co_return Result<>();
}

}  // namespace sallyport::app
