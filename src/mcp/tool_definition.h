#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json/document.h"
#include "mask/masker.h"
#include "mcp/schema_check.h"

namespace sallyport::mcp {

/// A parameter that the client mirrors into the header `Mcp-Param-<header>` (2026-07-28,
/// x-mcp-header).
struct HeaderParam {
  std::string header;
  std::vector<std::string> path;  // keys from the arguments object down
};

/// What the gateway knows about a tool from its definition. The definition comes from an upstream
/// that is not trusted: annotations may raise what is thought of a tool, never lower it.
struct ToolDefinition {
  std::string name;
  std::string digest;       // hex SHA-256 of the whole canonical definition
  std::string body_digest;  // the same without the name: a renamed tool keeps it
  std::vector<HeaderParam> headers;
  std::string header_fault;  // why its x-mcp-header annotations are invalid; empty if they are not
  bool poisoned = false;     // invisible or control characters in a text that a model reads
  bool destructive = false;  // says so of itself (destructiveHint true)
  bool has_output_schema = false;
  /// Which form a masked number must take so that structuredContent keeps to the outputSchema, by
  /// pointer pattern below the result.
  std::vector<std::pair<std::string, mask::NumberPolicy>> numbers;
  /// The outputSchema; null if there is none.
  std::shared_ptr<const SchemaCheck> schema;
};

/// Reads one element of tools/list. The name is empty if it has none.
ToolDefinition ReadToolDefinition(json::Value tool);

/// Hex SHA-256.
std::string TextDigest(std::string_view text);

/// True if `pointer` fits `pattern`, in which a segment `*` stands for any one segment.
bool PointerMatches(std::string_view pattern, std::string_view pointer);

/// True if the text has characters that people do not see but models read: zero-width,
/// bidirectional controls, tags, other control characters.
bool HasInvisible(std::string_view utf8);

}  // namespace sallyport::mcp
