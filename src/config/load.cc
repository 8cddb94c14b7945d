#include "config/load.h"

#include <algorithm>
#include <fstream>
#include <tuple>

#include "config/load_change.h"
#include "config/sections.h"
#include "config/units.h"
#include "policy/check.h"

namespace sallyport::config {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

void CheckVersion(Fields& top) {
  const Node* version = top.Require("version", "write version: 1 as the first line");
  if (version == nullptr) return;
  if (!version->is(Node::Kind::scalar) || version->text != "1") {
    top.context().Error(version->mark, kCfgVersion, "this version of the format is not known",
                        "write version: 1");
  }
}

const Node& OrNull(const Node* node) {
  static const Node kNull;
  return node == nullptr ? kNull : *node;
}

Root ReadRoot(Context& context, const Node& node) {
  Root root;
  Places places;
  Fields top(context, node, "the configuration");
  CheckVersion(top);
  if (const Node* server =
          top.Require("server", "add server: { public_url: …, listen: …, data_dir: … }")) {
    ReadServer(context, *server, root);
  }
  ReadIdentity(context, OrNull(top.Get("identity")), root, places);
  ReadConnections(context, top.List("connections"), root);
  ReadMasking(context, top.Get("masking"), root, places);
  ReadApprovals(context, top.List("approvals"), root, places);
  ReadSessions(context, OrNull(top.Get("sessions")), root);
  ReadRecording(context, OrNull(top.Get("recording")));
  ReadPolicies(context, top.List("policies"), root, places);
  ReadEvidence(context, top.Get("evidence"), root);
  ReadExports(context, top.List("exports"), root);
  ReadReview(context, OrNull(top.Get("review")), root, places);
  ReadIntegrity(context, OrNull(top.Get("integrity")), root);
  if (const Node* keys = top.Get("issuer_keys")) ReadIssuerKeys(context, *keys, root);
  if (const Node* change = top.Get("change")) ReadChange(context, *change);
  ReadStores(context, top.Get("vault"), top.Get("aws_secrets"), root);
  top.Done();
  CheckAcross(context, root, places);
  return root;
}

}  // namespace

bool CheckName(Context& context, Mark mark, const std::string& what, const std::string& name,
               std::map<std::string, Mark>& seen) {
  if (name.empty()) return false;  // reported as missing already
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (name.size() > 63 || !std::ranges::all_of(name, allowed)) {
    context.Error(mark, kCfgBadValue, what + " name \"" + name + "\" cannot be used",
                  "write at most 63 letters, digits, '.', '_' and '-'");
    return false;
  }
  auto [first, fresh] = seen.try_emplace(name, mark);
  if (fresh) return true;
  context.Error(mark, kCfgDuplicateName, what + " \"" + name + "\" is defined twice",
                "the first is in line " + std::to_string(first->second.line));
  return false;
}

void CheckUrl(Fields& fields, std::string_view key, const std::string& text, bool plain_allowed) {
  if (text.empty()) return;
  std::string where = fields.where() + "." + std::string(key);
  auto url = ParseUrl(text);
  if (!url) {
    fields.context().Error(fields.ValueMark(key), kCfgBadValue,
                           where + " is not a URL that can be called",
                           "write https://HOST/PATH without user name or fragment");
    return;
  }
  if (url->https || url->loopback) return;
  if (plain_allowed) {
    fields.context().Warn(fields.ValueMark(key), kCfgInsecure,
                          where + " is plain HTTP to another machine",
                          "use https: what travels there can be read on the way (PCI DSS 4.2.1)");
  } else {
    fields.context().Error(fields.ValueMark(key), kCfgInsecure,
                           where + " is plain HTTP to another machine", "write https://");
  }
}

std::vector<std::string> ReadWho(Fields& fields, std::string_view key, bool any_allowed,
                                 Places& places) {
  std::vector<std::string> out;
  std::string where = fields.where() + "." + std::string(key);
  for (const Node& item : fields.List(key)) {
    bool valid = item.is(Node::Kind::scalar) && policy::IsWho(item.text) &&
                 (any_allowed || item.text != "any");
    if (!valid) {
      fields.context().Error(item.mark, kCfgBadValue,
                             item.is(Node::Kind::scalar)
                                 ? "\"" + item.text + "\" in " + where + " names no kind of caller"
                                 : "an element of " + where + " must be text",
                             any_allowed ? "write any, group:NAME, user:NAME or agent:NAME"
                                         : "write group:NAME, user:NAME or agent:NAME");
      continue;
    }
    if (item.text.starts_with("agent:"))
      places.agents.push_back({item.mark, where, item.text.substr(6)});
    out.push_back(item.text);
  }
  return out;
}

std::optional<std::string> ReadTextFile(const std::filesystem::path& path, size_t max_bytes,
                                        std::vector<Problem>& problems) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    problems.push_back(
        {path.string(), 0, 0, kCfgFile, Severity::error, "this is a directory", "name a file"});
    return std::nullopt;
  }
  std::ifstream in(path, std::ios::binary);
  std::string text(max_bytes + 1, '\0');
  if (!in) {
    problems.push_back({path.string(), 0, 0, kCfgFile, Severity::error, "the file cannot be read",
                        "check that it is there and readable for this user"});
    return std::nullopt;
  }
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > max_bytes) {
    problems.push_back({path.string(), 0, 0, kCfgTooLarge, Severity::error,
                        "the file is larger than " + std::to_string(max_bytes) + " bytes", ""});
    return std::nullopt;
  }
  return text;
}

LoadResult LoadText(std::string_view text, const std::filesystem::path& path,
                    const LoadOptions& options) {
  LoadResult result;
  Context context;
  context.file = path.string();
  std::error_code error;
  context.dir = std::filesystem::absolute(path, error).parent_path();
  context.look_at_secrets = options.look_at_secrets;
  context.saml_metadata = options.saml_metadata;
  context.issuer_token = options.issuer_token;
  Node tree = ReadYaml(text, context.file, context.problems, {.max_bytes = kMaxBytes});
  // What stands behind a syntax error was not read: it would only be reported as missing.
  bool whole = std::ranges::none_of(context.problems,
                                    [](const Problem& p) { return p.code != kCfgDuplicateKey; });
  if (whole && !tree.is(Node::Kind::map)) {
    context.Error({1, 1}, kCfgWrongType,
                  "the configuration must be a map, not " + std::string(KindName(tree.kind)),
                  "begin with version: 1");
  } else if (whole) {
    Root root = ReadRoot(context, tree);
    root.file = path;
    root.notes = context.notes;
    if (!HasErrors(context.problems)) result.root = std::move(root);
  }
  std::ranges::sort(context.problems, [](const Problem& a, const Problem& b) {
    return std::tie(a.line, a.column, a.message) < std::tie(b.line, b.column, b.message);
  });
  result.problems = std::move(context.problems);
  result.notes = std::move(context.notes);
  return result;
}

LoadResult LoadFile(const std::filesystem::path& path, const LoadOptions& options) {
  std::vector<Problem> problems;
  auto text = ReadTextFile(path, kMaxBytes, problems);
  if (!text) return {.problems = std::move(problems)};
  return LoadText(*text, path, options);
}

}  // namespace sallyport::config
