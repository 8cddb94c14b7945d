#include "mcp/call.h"
#include "mcp/json_edit.h"
#include "policy/rules.h"

namespace sallyport::mcp {
namespace {

struct ListKind {
  std::string_view method, member, name;
  op::Verb verb;
};

constexpr ListKind kKinds[] = {
    {"prompts/list", "prompts", "name", op::Verb::prompt_get},
    {"resources/list", "resources", "uri", op::Verb::resource_read},
    {"resources/templates/list", "resourceTemplates", "uriTemplate", op::Verb::resource_read},
};

}  // namespace

Result<std::string> KeepPrivate(std::string result) {
  const auto doc = json::Document::Parse(result, {.max_bytes = 64u << 20});
  if (!doc) return Fail(Errc::upstream_protocol, "an answer that cannot be read");
  if (!doc->root()["contents"]) return result;  // a question, not yet an answer
  JsonEdit edit(result);
  SetMember(edit, doc->root(), "cacheScope", R"("private")");
  if (!doc->root()["ttlMs"]) edit.Add(doc->root(), "ttlMs", "0");
  return edit.Apply();
}

Result<std::string> FilterList(const Call& call, std::string result) {
  const auto doc = json::Document::Parse(result, {.max_bytes = 64u << 20});
  if (!doc) return Fail(Errc::upstream_protocol, "a list that cannot be read");
  const Connection& connection = *call.place.connection;
  const auto rules = call.front.options.gate.rules();
  JsonEdit edit(result);
  for (const ListKind& kind : kKinds) {
    if (call.message.method != kind.method) continue;
    const json::Value list = doc->root()[kind.member];
    if (!list.is(json::Kind::array))
      return Fail(Errc::upstream_protocol, "a list without its entries");
    std::string kept = "[";
    size_t count = 0;
    for (json::Value v = list.first(); v; v = v.next()) {
      const auto name = v[kind.name].string();
      if (!name ||
          !rules->Visible(call.session->who, connection.name, connection.labels, kind.verb, *name))
        continue;
      if (count++ > 0) kept += ',';
      kept.append(v.raw());
    }
    if (count != list.size()) edit.Replace(list, kept + ']');
  }
  // What one caller may see must not be served to another out of a cache.
  if (call.modern()) {
    SetMember(edit, doc->root(), "cacheScope", R"("private")");
    if (!doc->root()["ttlMs"]) edit.Add(doc->root(), "ttlMs", "0");
  }
  return edit.Apply();
}

}  // namespace sallyport::mcp
