#include "config/fields.h"

#include <algorithm>
#include <cstdlib>

#include "config/units.h"

namespace sallyport::config {

void Context::Error(Mark at, std::string_view code, std::string message, std::string hint) {
  problems.push_back(
      {file, at.line, at.column, code, Severity::error, std::move(message), std::move(hint)});
}

void Context::Warn(Mark at, std::string_view code, std::string message, std::string hint) {
  problems.push_back(
      {file, at.line, at.column, code, Severity::warning, std::move(message), std::move(hint)});
}

void Context::NotActedOn(std::string_view what) {
  std::string note(what);
  note += ": understood, not acted on in this version";
  if (std::ranges::find(notes, note) == notes.end()) notes.push_back(std::move(note));
}

std::filesystem::path Context::Resolve(const std::string& path) const {
  return (dir / std::filesystem::path(path)).lexically_normal();
}

std::string_view Nearest(std::string_view text, const std::vector<std::string_view>& names) {
  std::string_view best;
  size_t least = text.size() <= 3 ? 2 : text.size() / 2 + 1;  // further away is another word
  for (auto name : names) {
    if (auto d = EditDistance(text, name); d < least) least = d, best = name;
  }
  return best;
}

std::string Suggest(std::string_view text, const std::vector<std::string_view>& names) {
  if (auto best = Nearest(text, names); !best.empty())
    return "did you mean \"" + std::string(best) + "\"?";
  std::string all;
  for (auto name : names) all.append(all.empty() ? "" : ", ").append(name);
  return all.empty() ? "" : "known here: " + all;
}

Fields::Fields(Context& context, const Node& node, std::string where)
    : context_(context), node_(node), where_(std::move(where)) {
  if (!node.is(Node::Kind::map) && !node.is(Node::Kind::null)) {
    context_.Error(node.mark, kCfgWrongType,
                   where_ + " must be a map, not " + std::string(KindName(node.kind)),
                   "write { key: value }");
  }
}

const Node::Member* Fields::Find(std::string_view key) const {
  auto at = std::ranges::find(node_.members, key, &Node::Member::key);
  return at == node_.members.end() ? nullptr : &*at;
}

const Node* Fields::Get(std::string_view key) {
  known_.push_back(key);
  const auto* member = Find(key);
  return member == nullptr || member->value.is(Node::Kind::null) ? nullptr : &member->value;
}

const Node* Fields::Require(std::string_view key, std::string hint) {
  const Node* node = Get(key);
  if (node == nullptr) {
    context_.Error(MarkOf(key), kCfgMissingKey, where_ + " needs \"" + std::string(key) + "\"",
                   std::move(hint));
  }
  return node;
}

Mark Fields::MarkOf(std::string_view key) const {
  const auto* member = Find(key);
  return member == nullptr ? node_.mark : member->mark;
}

Mark Fields::ValueMark(std::string_view key) const {
  const auto* member = Find(key);
  return member == nullptr ? node_.mark : member->value.mark;
}

const Node* Fields::GetScalar(std::string_view key, std::string_view want) {
  const Node* node = Get(key);
  if (node == nullptr || node->is(Node::Kind::scalar)) return node;
  context_.Error(node->mark, kCfgWrongType,
                 where_ + "." + std::string(key) + " must be " + std::string(want) + ", not " +
                     std::string(KindName(node->kind)));
  return nullptr;
}

std::optional<std::string> Fields::Text(std::string_view key) {
  const Node* node = GetScalar(key, "text");
  if (node == nullptr) return std::nullopt;
  if (node->text.empty()) {
    context_.Error(node->mark, kCfgBadValue, where_ + "." + std::string(key) + " is empty",
                   "leave the key out, or write a value");
    return std::nullopt;
  }
  return node->text;
}

std::string Fields::RequiredText(std::string_view key, std::string hint) {
  if (Require(key, std::move(hint)) == nullptr) return {};
  return Text(key).value_or("");
}

std::optional<bool> Fields::Bool(std::string_view key) {
  const Node* node = GetScalar(key, "true or false");
  if (node == nullptr) return std::nullopt;
  if (!node->quoted && (node->text == "true" || node->text == "false")) return node->text == "true";
  context_.Error(node->mark, kCfgWrongType,
                 where_ + "." + std::string(key) + " must be true or false",
                 "write true or false without quotes");
  return std::nullopt;
}

std::optional<uint64_t> Fields::Count(std::string_view key, uint64_t least, uint64_t most) {
  const Node* node = GetScalar(key, "a whole number");
  if (node == nullptr) return std::nullopt;
  auto value = ParseCount(node->text);
  if (!value || node->quoted) {
    context_.Error(node->mark, kCfgWrongType,
                   where_ + "." + std::string(key) + " must be a whole number",
                   "write digits only, without quotes");
    return std::nullopt;
  }
  if (*value >= least && *value <= most) return value;
  context_.Error(node->mark, kCfgBadValue, where_ + "." + std::string(key) + " is out of bounds",
                 "write a number from " + std::to_string(least) + " to " + std::to_string(most));
  return std::nullopt;
}

std::optional<uint64_t> Fields::Size(std::string_view key, uint64_t least, uint64_t most) {
  const Node* node = GetScalar(key, "a size");
  if (node == nullptr) return std::nullopt;
  auto value = ParseSize(node->text);
  if (!value) {
    context_.Error(node->mark, kCfgBadValue, where_ + "." + std::string(key) + " is not a size",
                   "write a number of bytes or with a unit, such as 4MiB or 512KiB");
    return std::nullopt;
  }
  if (*value >= least && *value <= most) return value;
  context_.Error(
      node->mark, kCfgBadValue, where_ + "." + std::string(key) + " is out of bounds",
      "write a size from " + std::to_string(least) + " to " + std::to_string(most) + " bytes");
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> Fields::Duration(std::string_view key,
                                                          std::chrono::milliseconds least,
                                                          std::chrono::milliseconds most) {
  const Node* node = GetScalar(key, "a duration");
  if (node == nullptr) return std::nullopt;
  auto value = ParseDuration(node->text);
  if (!value) {
    context_.Error(node->mark, kCfgBadValue, where_ + "." + std::string(key) + " is not a duration",
                   "write a number with a unit: 100ms, 30s, 15m, 4h, 7d, 13mo");
    return std::nullopt;
  }
  if (*value >= least && *value <= most) return value;
  context_.Error(node->mark, kCfgBadValue, where_ + "." + std::string(key) + " is out of bounds",
                 "write a duration from " + std::to_string(least.count()) + "ms to " +
                     std::to_string(most.count()) + "ms");
  return std::nullopt;
}

std::optional<std::string> Fields::Choice(std::string_view key,
                                          std::vector<std::string_view> choices) {
  const Node* node = GetScalar(key, "one word");
  if (node == nullptr) return std::nullopt;
  if (std::ranges::find(choices, node->text) != choices.end()) return node->text;
  std::string all;
  for (auto c : choices) all.append(all.empty() ? "" : ", ").append(c);
  context_.Error(node->mark, kCfgBadValue,
                 where_ + "." + std::string(key) + " cannot be \"" + node->text + "\"",
                 "write one of " + all);
  return std::nullopt;
}

std::optional<std::filesystem::path> Fields::Path(std::string_view key) {
  auto text = Text(key);
  if (!text) return std::nullopt;
  return context_.Resolve(*text);
}

std::optional<secrets::Ref> Fields::Secret(std::string_view key) {
  const Node* node = Get(key);
  if (node == nullptr) return std::nullopt;
  return ReadSecret(context_, *node, where_ + "." + std::string(key));
}

std::vector<std::string> Fields::Texts(std::string_view key) {
  std::vector<std::string> out;
  for (const Node& item : List(key)) {
    if (item.is(Node::Kind::scalar) && !item.text.empty()) {
      out.push_back(item.text);
    } else {
      context_.Error(item.mark, kCfgWrongType,
                     "an element of " + where_ + "." + std::string(key) + " must be text, not " +
                         std::string(item.is(Node::Kind::scalar) ? "empty" : KindName(item.kind)));
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> Fields::TextMap(std::string_view key) {
  std::vector<std::pair<std::string, std::string>> out;
  const Node* node = Get(key);
  if (node == nullptr) return out;
  if (!node->is(Node::Kind::map)) {
    context_.Error(node->mark, kCfgWrongType, where_ + "." + std::string(key) + " must be a map",
                   "write { name: value }");
    return out;
  }
  for (const auto& member : node->members) {
    if (member.value.is(Node::Kind::scalar)) {
      out.emplace_back(member.key, member.value.text);
    } else {
      context_.Error(member.value.mark, kCfgWrongType,
                     where_ + "." + std::string(key) + "." + member.key + " must be a plain value");
    }
  }
  return out;
}

const std::vector<Node>& Fields::List(std::string_view key) {
  static const std::vector<Node> kNone;
  const Node* node = Get(key);
  if (node == nullptr) return kNone;
  if (node->is(Node::Kind::sequence)) return node->items;
  context_.Error(
      node->mark, kCfgWrongType,
      where_ + "." + std::string(key) + " must be a list, not " + std::string(KindName(node->kind)),
      "write [ … ]");
  return kNone;
}

void Fields::Done() {
  for (const auto& member : node_.members) {
    if (std::ranges::find(known_, member.key) != known_.end()) continue;
    std::vector<std::string_view> open;  // a key that is already there was hardly meant
    for (auto key : known_) {
      if (Find(key) == nullptr && std::ranges::find(open, key) == open.end()) open.push_back(key);
    }
    context_.Error(member.mark, kCfgUnknownKey, "unknown key \"" + member.key + "\" in " + where_,
                   Suggest(member.key, open.empty() ? known_ : open));
  }
}

namespace {

void WarnIfMissing(Context& context, const Node& node, const secrets::Ref& ref,
                   const std::string& where) {
  std::string_view what;
  if (ref.kind == secrets::Ref::Kind::env) {
    const char* value = std::getenv(ref.name.c_str());
    if (value == nullptr || *value == '\0') what = "the variable is not set";
  } else if (ref.kind == secrets::Ref::Kind::file) {
    std::error_code error;
    if (!std::filesystem::exists(ref.name, error)) what = "the file is not there";
  } else if (ref.kind == secrets::Ref::Kind::credential) {
    const char* dir = std::getenv("CREDENTIALS_DIRECTORY");
    std::error_code error;
    if (dir == nullptr || !std::filesystem::exists(std::filesystem::path(dir) / ref.name, error)) {
      what = "systemd has not passed this credential";
    }
  }
  if (what.empty()) return;
  context.Warn(node.mark, kCfgSecretMissing, where + ": " + std::string(what) + " here and now",
               "it has to be there when the gate starts");
}

/// A path of Vault's API, without the version in front.
bool IsVaultPath(std::string_view path) {
  const auto fits = [](char c) {
    return c > ' ' && c < 0x7f && !std::string_view("?#%\\").contains(c);
  };
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == ".." || !std::ranges::all_of(part, fits))
      return false;
    at = end + 1;
  }
  return !path.starts_with("v1/");
}

std::optional<secrets::Ref> ReadRemote(Context& context, const Node& node, const std::string& where,
                                       bool vault) {
  if (!node.is(Node::Kind::map)) {
    context.Error(node.mark, kCfgWrongType, where + " must be a map",
                  vault ? "write { path: secret/data/NAME, field: NAME }" : "write { id: NAME }");
    return std::nullopt;
  }
  Fields fields(context, node, where);
  secrets::Ref ref;
  ref.kind = vault ? secrets::Ref::Kind::vault : secrets::Ref::Kind::aws_secret;
  if (vault) {
    ref.name = fields.RequiredText("path", "write the path of the API, such as secret/data/NAME");
    ref.field = fields.RequiredText("field", "name the member of the secret");
    if (!ref.name.empty() && !IsVaultPath(ref.name)) {
      context.Error(fields.ValueMark("path"), kCfgBadValue,
                    where + ".path is no path of Vault's API",
                    "write MOUNT/data/NAME (KV version 2) or MOUNT/NAME (version 1)");
    }
  } else {
    ref.name = fields.RequiredText("id", "write the secret's name or ARN");
    ref.field = fields.Text("field").value_or("");
    ref.region = fields.Text("region").value_or("");
  }
  fields.Done();
  context.remote.push_back({node.mark, where, ref.kind});
  return ref;
}

}  // namespace

std::optional<secrets::Ref> ReadSecret(Context& context, const Node& node,
                                       const std::string& where) {
  static const std::vector<std::string_view> kKinds{"env", "file", "credential", "vault",
                                                    "aws_secret"};
  if (node.is(Node::Kind::scalar)) {
    context.Error(node.mark, kCfgInlineSecret, where + " holds a secret in plain text",
                  "write a reference: { env: NAME }, { file: PATH } or { credential: NAME }; and "
                  "change the secret");
    return std::nullopt;
  }
  if (!node.is(Node::Kind::map) || node.members.size() != 1) {
    context.Error(node.mark, kCfgWrongType, where + " must be a reference with exactly one key",
                  "write { env: NAME }, { file: PATH } or { credential: NAME }");
    return std::nullopt;
  }
  const auto& member = node.members[0];
  if (std::ranges::find(kKinds, member.key) == kKinds.end()) {
    context.Error(member.mark, kCfgUnknownKey,
                  "unknown kind of secret \"" + member.key + "\" in " + where,
                  Suggest(member.key, kKinds));
    return std::nullopt;
  }
  if (member.key == "vault" || member.key == "aws_secret")
    return ReadRemote(context, member.value, where + "." + member.key, member.key == "vault");
  if (!member.value.is(Node::Kind::scalar) || member.value.text.empty()) {
    context.Error(member.value.mark, kCfgWrongType, where + "." + member.key + " must be text", "");
    return std::nullopt;
  }
  auto ref = secrets::ParseRef(member.key, member.value.text);
  if (!ref) {
    context.Error(member.value.mark, kCfgBadValue, where + ": " + ref.error().detail);
    return std::nullopt;
  }
  if (ref->kind == secrets::Ref::Kind::file) ref->name = context.Resolve(ref->name).string();
  if (context.look_at_secrets) WarnIfMissing(context, node, *ref, where);
  return *ref;
}

}  // namespace sallyport::config
