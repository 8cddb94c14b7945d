#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/schema.h"
#include "mask/clear.h"
#include "mask/masker.h"
#include "mcp/tool_definition.h"
#include "op/evidence.h"

namespace sallyport::mcp {

/// What masking needs to know about a connection. `content` outlives it.
struct MaskRules {
  std::shared_ptr<const mask::Masker> masker;
  const std::vector<config::ContentRule>* content = nullptr;
  bool cde = false;                // labels say scope: cde: what cannot be looked into is refused
  size_t record_bytes = 16 << 10;  // kept of one message
};

/// A message that may leave and be kept.
struct MaskedMessage {
  std::string json;
  std::vector<op::MaskCount> counts;
  /// What the client gets instead, with some values in clear; empty: the same. Never recorded.
  std::string shown = {};
};

// All of these look into every string, key and number of the text, also inside JSON in strings and
// inside base64 text (contents[].blob, content[].data of a text type); text and structuredContent
// get the same rendering, since the same masker sees both. Errors: sad_refused (a detector with
// action `block` fired), content_type_refused (content that cannot be looked into, by the
// connection's content rules, or in which something was found), mask_failed (no JSON, too deep, or
// no masked value fits the tool's outputSchema).

// `own` are pointers to values that the gateway itself has put there (sealed handles, the client's
// own token): they are not looked into.

/// A result object. `tool` (may be null) says what its outputSchema admits; `below` is the pointer
/// to the tool's result if that is not the whole ("/result" in a task). `clear` (may be null) says
/// which values the client may see.
Result<MaskedMessage> MaskResult(const MaskRules& rules, std::string json,
                                 const ToolDefinition* tool = nullptr, std::string_view below = {},
                                 std::vector<std::string> own = {}, mask::Clear* clear = nullptr);
/// An error object: the code, which the caller has found to be a small number, stays; message and
/// data are masked.
Result<MaskedMessage> MaskError(const MaskRules& rules, std::string json);
/// The params of a notification or request of the upstream.
Result<MaskedMessage> MaskParams(const MaskRules& rules, std::string json,
                                 std::vector<std::string> own = {});
/// A plain text, e.g. instructions. Never fails: what is blocked is removed.
std::string MaskPlain(const MaskRules& rules, std::string_view text);

/// The client's own data, for the record only: `blocked` is set when it must not go on.
struct RecordedText {
  op::Payload payload;
  std::vector<op::MaskCount> counts;
  bool blocked = false;
};
Result<RecordedText> MaskForRecord(const MaskRules& rules, std::string_view json);

/// What the log keeps of a message that was masked above.
Result<op::Payload> RecordOf(const MaskRules& rules, const MaskedMessage& message);

/// True if the text holds something that a detector knows: such a text cannot serve as a name or
/// handle.
bool HoldsSecret(const MaskRules& rules, std::string_view text);

}  // namespace sallyport::mcp
