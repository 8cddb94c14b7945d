#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/problem.h"
#include "config/yaml.h"
#include "credential/config.h"
#include "secrets/source.h"

namespace sallyport::config {

/// What all sections of one load share: where problems go, and where relative paths start.
struct Context {
  std::string file;
  std::filesystem::path dir;
  bool look_at_secrets = true;  // warn of references that lead nowhere now
  std::function<Result<>(std::string_view)> saml_metadata;  // LoadOptions
  std::function<Result<>(const credential::Pkcs11Config&)> issuer_token;
  std::vector<Problem> problems;
  std::vector<std::string> notes;
  /// References to stores that have a section of their own.
  struct Remote {
    Mark mark;
    std::string where;
    secrets::Ref::Kind kind;
  };
  std::vector<Remote> remote;
  /// Agents and providers that are named where Places is not at hand. An empty provider: there has
  /// to be one only.
  struct Named {
    Mark mark;
    std::string where, name;
    bool agent = false;
  };
  std::vector<Named> named;

  void Error(Mark at, std::string_view code, std::string message, std::string hint = {});
  void Warn(Mark at, std::string_view code, std::string message, std::string hint = {});
  /// "what: understood, not acted on in this version".
  void NotActedOn(std::string_view what);
  std::filesystem::path Resolve(const std::string& path) const;
};

/// The members of one map while it is read: each getter says by its call which keys are known, and
/// Done() reports the others with the nearest known one. A value of the wrong type is reported and
/// then counts as not there, so that one run finds every problem.
class Fields {
 public:
  /// `where` names the map for people: "server.tls", "policies[2] \"no-export\"".
  Fields(Context& context, const Node& node, std::string where);

  const Node* Get(std::string_view key);                        // nullptr: not there, or null
  const Node* Require(std::string_view key, std::string hint);  // reports when not there
  Mark MarkOf(std::string_view key) const;                      // of the key, or of the map
  Mark ValueMark(std::string_view key) const;                   // of the value, or of the map

  std::optional<std::string> Text(std::string_view key);
  std::string RequiredText(std::string_view key, std::string hint);
  std::optional<bool> Bool(std::string_view key);
  std::optional<uint64_t> Count(std::string_view key, uint64_t least, uint64_t most);
  std::optional<uint64_t> Size(std::string_view key, uint64_t least, uint64_t most);
  std::optional<std::chrono::milliseconds> Duration(std::string_view key,
                                                    std::chrono::milliseconds least,
                                                    std::chrono::milliseconds most);
  std::optional<std::string> Choice(std::string_view key, std::vector<std::string_view> choices);
  std::optional<std::filesystem::path> Path(std::string_view key);
  std::optional<secrets::Ref> Secret(std::string_view key);
  std::vector<std::string> Texts(std::string_view key);  // a list of plain values
  /// The members of a map of plain values.
  std::vector<std::pair<std::string, std::string>> TextMap(std::string_view key);
  /// The elements of a list; a map or value there is reported.
  const std::vector<Node>& List(std::string_view key);

  void Done();

  Context& context() { return context_; }
  const std::string& where() const { return where_; }

 private:
  const Node::Member* Find(std::string_view key) const;
  const Node* GetScalar(std::string_view key, std::string_view want);

  Context& context_;
  const Node& node_;
  std::string where_;
  std::vector<std::string_view> known_;
};

/// A secret reference: a map with exactly one of env, file, credential, vault, aws_secret.
std::optional<secrets::Ref> ReadSecret(Context& context, const Node& node,
                                       const std::string& where);

/// One of `names` that a person may have meant by `text`, or empty.
std::string_view Nearest(std::string_view text, const std::vector<std::string_view>& names);

/// "did you mean \"x\"?", or the list of all.
std::string Suggest(std::string_view text, const std::vector<std::string_view>& names);

/// Largest value of each unit, for bounds that only guard against nonsense.
inline constexpr std::chrono::milliseconds kAnyDuration{int64_t{100} * 365 * 86'400'000};
inline constexpr uint64_t kAnySize = uint64_t{1} << 40;

}  // namespace sallyport::config
