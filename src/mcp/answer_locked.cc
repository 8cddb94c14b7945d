#include "mcp/answer_http.h"
#include "mcp/bearer.h"
#include "mcp/client_message.h"

namespace sallyport::mcp {

boost::asio::awaitable<void> AnswerLocked(Front& front, net::HttpExchange& exchange,
                                          std::string_view connection, const Error& error) {
  const net::HttpRequest& request = exchange.request();
  const auto recorded = RecordRefused(front, op::EventType::auth_failure, connection,
                                      request.address, nullptr, {}, error);
  const Error& told = recorded ? error : recorded.error();
  if (request.method != "POST") co_return co_await SendError(exchange, told);
  const auto document = json::Document::Parse(request.body, {.max_depth = 64});
  const auto message =
      document ? ReadClientMessage(document->root()) : Fail(Errc::request_malformed);
  if (!message || message->kind != ClientMessage::Kind::request)
    co_return co_await SendError(exchange, told);
  const bool modern =
      request.headers.Find("MCP-Protocol-Version") == RevisionName(Revision::r2026_07_28);
  WireAnswer answer = ToWire(told, {.method = message->method, .name = {}, .modern = modern});
  if (!modern) answer.status = 200;  // others hide the answer from clients
  co_await Send(exchange, std::move(answer), message->id);
}

}  // namespace sallyport::mcp
