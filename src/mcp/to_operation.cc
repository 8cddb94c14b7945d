#include "mcp/to_operation.h"

#include <algorithm>
#include <array>

#include "config/sql_arguments.h"

namespace sallyport::mcp {
namespace {

using op::Verb;

enum class Era : uint8_t { both, session, modern };

struct MethodRow {
  std::string_view method;
  Verb verb;
  Era era;
};

constexpr std::array kMethods = {
    MethodRow{"tools/call", Verb::tool_call, Era::both},
    MethodRow{"tools/list", Verb::list, Era::both},
    MethodRow{"prompts/get", Verb::prompt_get, Era::both},
    MethodRow{"prompts/list", Verb::list, Era::both},
    MethodRow{"resources/read", Verb::resource_read, Era::both},
    MethodRow{"resources/list", Verb::list, Era::both},
    MethodRow{"resources/templates/list", Verb::list, Era::both},
    MethodRow{"completion/complete", Verb::completion, Era::both},
    MethodRow{"server/discover", Verb::protocol, Era::modern},
    MethodRow{"subscriptions/listen", Verb::list, Era::modern},
    MethodRow{"tasks/update", Verb::protocol, Era::modern},
    MethodRow{"tasks/get", Verb::protocol, Era::both},
    MethodRow{"tasks/cancel", Verb::protocol, Era::both},
    MethodRow{"initialize", Verb::protocol, Era::session},
    MethodRow{"ping", Verb::protocol, Era::session},
    MethodRow{"logging/setLevel", Verb::protocol, Era::session},
    MethodRow{"resources/subscribe", Verb::resource_subscribe, Era::session},
    MethodRow{"resources/unsubscribe", Verb::resource_subscribe, Era::session},
    MethodRow{"tasks/list", Verb::protocol, Era::session},
    MethodRow{"tasks/result", Verb::protocol, Era::session},
};

std::string_view Text(json::Value v) { return v.string().value_or(std::string_view()); }

std::string_view ResourceOf(const ClientMessage& m) {
  if (m.method == "tools/call" || m.method == "prompts/get") return Text(m.params["name"]);
  if (m.method.starts_with("resources/") && !m.method.ends_with("/list"))
    return Text(m.params["uri"]);
  if (m.method == "completion/complete") {
    const json::Value ref = m.params["ref"];
    return ref["name"] ? Text(ref["name"]) : Text(ref["uri"]);
  }
  return {};
}

op::Effect EffectOfTool(const Connection& connection, const op::Operation& operation,
                        const ToolDefinition* definition) {
  bool reads = connection.ReadOnly(operation.resource);
  if (!operation.sql.empty()) {
    reads = true;
    op::Effect worst = op::Effect::read;
    for (const op::SqlText& text : operation.sql) {
      worst = std::max(worst, text.known.complete ? text.worst : op::Effect::admin);
    }
    if (worst > op::Effect::read) return worst;
  }
  if (definition != nullptr && definition->destructive) return op::Effect::write;
  return reads ? op::Effect::read : op::Effect::write;
}

op::Effect EffectOf(const Connection& connection, const op::Operation& operation,
                    const ToolDefinition* definition) {
  switch (operation.verb) {
    case Verb::protocol:
      return op::Effect::none;
    case Verb::list:
    case Verb::prompt_get:
    case Verb::resource_read:
    case Verb::resource_subscribe:
    case Verb::completion:
      return op::Effect::read;
    case Verb::tool_call:
    case Verb::sql:
      return EffectOfTool(connection, operation, definition);
  }
  return op::Effect::write;
}

/// Approvers look at what is kept of arguments.
constexpr size_t kArgumentBytes = 48 << 10;

/// What the log keeps of the request: its arguments and the answers it brings to earlier questions.
Result<> Record(const ClientMessage& message, const MaskRules& rules, op::Operation& operation) {
  const json::Value responses = message.params["inputResponses"];
  std::string both;
  std::string_view text = operation.arguments.raw();
  if (responses) {
    both = "{";
    if (operation.arguments) both.append(R"("arguments":)").append(text) += ',';
    both.append(R"("inputResponses":)").append(responses.raw()) += '}';
    text = both;
  }
  if (text.empty()) return {};
  MaskRules own = rules;
  own.record_bytes = std::min(rules.record_bytes, kArgumentBytes);
  SALLYPORT_TRY(RecordedText recorded, MaskForRecord(own, text));
  if (recorded.blocked)
    return Fail(Errc::sad_refused, "the arguments hold sensitive authentication data");
  operation.recorded_arguments = std::move(recorded.payload.text);
  operation.argument_bytes = recorded.payload.total_bytes;
  operation.recorded_complete = recorded.payload.complete;
  operation.masked = std::move(recorded.counts);
  return {};
}

}  // namespace

std::optional<Verb> VerbOf(std::string_view method, bool modern) {
  for (const MethodRow& row : kMethods) {
    if (row.method != method) continue;
    if (row.era == Era::both || (row.era == Era::modern) == modern) return row.verb;
    return std::nullopt;
  }
  return std::nullopt;
}

Result<op::Operation> ToOperation(const Connection& connection, const ClientMessage& message,
                                  Verb verb, const MaskRules& rules,
                                  const ToolDefinition* definition) {
  op::Operation operation;
  operation.verb = verb;
  operation.method = message.method;
  operation.connection = connection.name;
  operation.labels = &connection.labels;
  operation.resource = ResourceOf(message);
  if (HoldsSecret(rules, operation.resource)) {
    return Fail(Errc::mask_failed, "a name or URI with a card number in it cannot be written down");
  }
  operation.arguments = message.params[verb == Verb::completion ? "argument" : "arguments"];
  operation.exact_answers = message.params["inputResponses"];
  if (verb == Verb::tool_call) {
    for (const Connection::SqlRule& rule : connection.sql) {
      if (rule.tool.Matches(operation.resource))
        config::ReadSqlAt(operation.arguments, rule.path, operation.sql);
    }
  }
  operation.effect = EffectOf(connection, operation, definition);
  SALLYPORT_CHECK(Record(message, rules, operation));
  return operation;
}

}  // namespace sallyport::mcp
