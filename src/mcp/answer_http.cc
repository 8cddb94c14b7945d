#include "mcp/answer_http.h"

#include "mcp/client_message.h"

namespace sallyport::mcp {

boost::asio::awaitable<void> Send(net::HttpExchange& exchange, WireAnswer answer,
                                  std::string_view raw_id) {
  net::Headers headers = std::move(answer.headers);
  headers.Add("Content-Type", "application/json");
  headers.Add("Cache-Control", "no-store");
  std::string body =
      answer.error ? ErrorMessage(raw_id, answer.json) : ResultMessage(raw_id, answer.json);
  (void)co_await exchange.Respond(answer.status, std::move(headers), std::move(body));
}

boost::asio::awaitable<void> SendError(net::HttpExchange& exchange, const Error& error,
                                       std::string_view raw_id) {
  WireAnswer answer = ToWire(error, {});
  if (error.code == Errc::method_not_allowed) answer.headers.Add("Allow", "POST");
  co_await Send(exchange, std::move(answer), raw_id);
}

boost::asio::awaitable<void> SendAccepted(net::HttpExchange& exchange) {
  (void)co_await exchange.Respond(202, {}, {});
}

}  // namespace sallyport::mcp
