#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/document.h"

namespace sallyport::mcp {

/// One JSON-RPC 2.0 message of a client, as views into the text it was read from.
struct ClientMessage {
  enum class Kind : uint8_t { request, notification, response };
  Kind kind = Kind::notification;
  std::string_view
      id;  // as it stands in the text, so it is given back byte for byte; empty if none
  std::string_view method;  // decoded; of requests and notifications
  json::Value params;       // an object, or missing
  json::Value result, error;
};

/// A body and what was read from it. Never moves, so that the views stay valid.
struct Incoming {
  std::string text;
  std::string traceparent;  // header of the request, as it came
  json::Document document;
  Incoming() = default;
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;
};

/// Takes one message apart. request_malformed if it is none: no object, a wrong version, an id that
/// is no string and no integer, params that are no object (MCP knows no positional parameters), or
/// a mixture of request and response.
Result<ClientMessage> ReadClientMessage(json::Value value);

/// `{"jsonrpc":"2.0","id":…,"result":…}`.
std::string ResultMessage(std::string_view raw_id, std::string_view result);
/// `{"jsonrpc":"2.0","id":…,"error":…}`; without an id if `raw_id` is empty.
std::string ErrorMessage(std::string_view raw_id, std::string_view error);
/// `{"code":…,"message":…,"data":…}`; `data` is JSON text or empty.
std::string ErrorObject(int code, std::string_view message, std::string_view data = {});
/// A notification, or with `raw_id` a request.
std::string MethodMessage(std::string_view raw_id, std::string_view method,
                          std::string_view params);

}  // namespace sallyport::mcp
