#include "mcp/request_binding.h"

#include <openssl/sha.h>

#include "base/bytes.h"
#include "mcp/header_check.h"
#include "mcp/json_edit.h"

namespace sallyport::mcp {
namespace {

/// Length-prefixed, so that no two lists of parts give the same text.
void AppendPart(std::string& out, std::string_view part) {
  out += std::to_string(part.size()) + ':';
  out.append(part);
}

/// What was begun without limits is not for a session with limits, nor the other way round.
void AppendCaller(std::string& out, const op::Principal& who) {
  AppendPart(out, who.issuer);
  AppendPart(out, who.subject);
  AppendPart(out, who.agent);
  if (who.grant) AppendPart(out, who.session);
}

}  // namespace

std::string RequestBinding(const op::Principal& who, std::string_view connection,
                           const ClientMessage& message) {
  const std::string arguments = Canonical(message.params["arguments"]);
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(AsBytes(arguments).data(), arguments.size(), digest);
  std::string out = "request\n";
  AppendCaller(out, who);
  AppendPart(out, connection);
  AppendPart(out, message.method);
  AppendPart(out, NameSource(message).string().value_or(""));
  AppendPart(out, HexEncode(digest));
  return out;
}

std::string TaskBinding(const op::Principal& who, std::string_view connection) {
  std::string out = "task\n";
  AppendCaller(out, who);
  AppendPart(out, connection);
  return out;
}

}  // namespace sallyport::mcp
