// The body of a client's POST: never a crash, and what is read has the parts that its kind
// promises.
#include <cstdlib>
#include <string_view>

#include "mcp/client_message.h"
#include "mcp/header_check.h"
#include "mcp/json_edit.h"
#include "mcp/request_binding.h"

using namespace sallyport;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto check = [](bool holds) {
    if (!holds) std::abort();
  };
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto doc = json::Document::Parse(text);
  if (!doc) return 0;
  // The canonical form is JSON again, and its own canonical form.
  const std::string canonical = mcp::Canonical(doc->root());
  const auto again = json::Document::Parse(canonical);
  check(again.has_value() && mcp::Canonical(again->root()) == canonical);
  const auto message = mcp::ReadClientMessage(doc->root());
  if (!message) return 0;
  switch (message->kind) {
    case mcp::ClientMessage::Kind::request:
      check(!message->id.empty() && !message->method.empty());
      break;
    case mcp::ClientMessage::Kind::notification:
      check(message->id.empty() && !message->method.empty());
      break;
    case mcp::ClientMessage::Kind::response:
      check(!message->id.empty() && (message->result || message->error));
      break;
  }
  const std::string answer = mcp::ResultMessage(message->id.empty() ? "1" : message->id, "{}");
  check(json::Document::Parse(answer).has_value());
  const net::Headers headers{{"Mcp-Method", std::string(message->method)}};
  (void)mcp::CheckStandardHeaders(headers, *message);
  check(!mcp::RequestBinding({}, "c", *message).empty());
  return 0;
}
