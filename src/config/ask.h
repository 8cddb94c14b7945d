#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "config/schema.h"
#include "json/document.h"
#include "op/operation.h"
#include "op/session.h"

namespace sallyport::config {

/// A made-up request, for policy tests and `policy explain`: an operation and all the bytes it
/// views. `operation()` is valid as long as this lives; `root` has to live longer.
class Ask {
 public:
  /// From {"connection": C, "tool": T, "args": {…}}; instead of tool: "prompt" with args, or
  /// "resource". config_invalid: not such an object, or a connection that is not configured.
  static Result<std::unique_ptr<Ask>> Call(const Root& root, std::string call_json);
  /// A statement on the wire of a connection.
  static Result<std::unique_ptr<Ask>> Sql(const Root& root, std::string connection,
                                          std::string text);

  const op::Operation& operation() const { return operation_; }

 private:
  Ask() = default;
  Result<> SetConnection(const Root& root, std::string_view name);
  Result<> ReadSqlArguments();

  std::string text_;
  json::Document document_;
  std::string connection_;
  std::string resource_;
  const Connection* configured_ = nullptr;
  op::Operation operation_;
};

/// Who asks, in one word: "agent:agent-refunds", "user:ana@example.com", with any number of
/// ",group:NAME" behind it. "user:" names are the display name and the subject at once; an agent
/// gets the owner that the configuration gives it. config_invalid for anything else, and for an
/// agent that is not configured.
Result<op::Principal> ReadIdentity(const Root& root, std::string_view text);

}  // namespace sallyport::config
