#include "credential/auth_challenge.h"

#include <algorithm>
#include <vector>

#include "net/http.h"

namespace sallyport::credential {
namespace {

constexpr size_t kLongestField = 8192, kLongestScope = 1024;

bool IsTokenChar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").contains(c);
}
bool IsSpace(char c) { return c == ' ' || c == '\t'; }

/// Reads a field from left to right; `bad` once it does not follow the grammar.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool bad = false;

  bool done() const { return at_ >= text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  void Skip(bool commas) {
    while (!done() && (IsSpace(peek()) || (commas && peek() == ','))) ++at_;
  }
  std::string_view Token() {
    const size_t begin = at_;
    while (!done() && IsTokenChar(peek())) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  /// Behind a scheme: a token68 of another scheme than ours, up to the next comma.
  void SkipToken68() {
    while (!done() && peek() != ',') ++at_;
  }
  bool Take(char c) {
    if (peek() != c || done()) return false;
    ++at_;
    return true;
  }
  /// A token or a quoted string, decoded.
  std::string Value() {
    if (!Take('"')) {
      const std::string_view token = Token();
      bad |= token.empty();
      return std::string(token);
    }
    std::string out;
    while (!done() && peek() != '"') {
      if (peek() == '\\') ++at_;
      if (done()) break;
      const auto c = static_cast<unsigned char>(peek());
      bad |= (c < 0x20 && c != '\t') || c == 0x7f;
      out += text_[at_++];
    }
    bad |= !Take('"');
    return out;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

std::vector<std::string_view> Split(std::string_view scopes) {
  std::vector<std::string_view> out;
  while (!scopes.empty()) {
    const size_t end = scopes.find(' ');
    if (const auto one = scopes.substr(0, end); !one.empty()) out.push_back(one);
    scopes.remove_prefix(end == scopes.npos ? scopes.size() : end + 1);
  }
  return out;
}

/// Puts a parameter of ours where it belongs; false: it was there already.
bool Keep(std::string_view name, std::string value, BearerChallenge& into, unsigned& seen) {
  const auto put = [&](unsigned bit, std::string& field) {
    if ((seen & bit) != 0) return false;
    seen |= bit;
    field = std::move(value);
    return true;
  };
  if (net::SameName(name, "error")) return put(1, into.error);
  if (net::SameName(name, "scope")) return put(2, into.scope);
  if (net::SameName(name, "resource_metadata")) return put(4, into.resource_metadata);
  return true;
}

}  // namespace

bool IsScope(std::string_view text) {
  if (text.size() > kLongestScope) return false;
  return std::ranges::all_of(text,
                             [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}

bool HoldsScopes(std::string_view held, std::string_view asked) {
  const auto have = Split(held);
  return std::ranges::all_of(Split(asked), [&](std::string_view one) {
    return std::ranges::find(have, one) != have.end();
  });
}

std::string JoinScopes(std::string_view a, std::string_view b) {
  std::string out;
  for (const std::string_view list : {a, b}) {
    for (const std::string_view one : Split(list)) {
      if (HoldsScopes(out, one)) continue;
      if (!out.empty()) out += ' ';
      out += one;
    }
  }
  return out;
}

std::optional<BearerChallenge> ReadBearerChallenge(std::string_view field) {
  if (field.size() > kLongestField) return std::nullopt;
  Scanner scan(field);
  std::optional<BearerChallenge> found;
  bool ours = false;  // the scheme whose parameters come now
  unsigned seen = 0;
  for (scan.Skip(true); !scan.done(); scan.Skip(true)) {
    const std::string_view word = scan.Token();
    if (word.empty()) return std::nullopt;
    scan.Skip(false);
    if (scan.Take('=')) {
      scan.Skip(false);
      if (!ours && scan.peek() != '"' && !IsTokenChar(scan.peek())) {
        scan.SkipToken68();  // the end of a token68
        continue;
      }
      std::string value = scan.Value();
      if (scan.bad) return std::nullopt;
      if (ours && !Keep(word, std::move(value), *found, seen)) return std::nullopt;
      scan.Skip(false);
      if (!scan.done() && scan.peek() != ',') return std::nullopt;
      continue;
    }
    if (!scan.done() && !IsTokenChar(scan.peek()) && scan.peek() != ',') scan.SkipToken68();
    const bool bearer = net::SameName(word, "bearer");
    ours = bearer && !found;
    if (ours) found.emplace();
  }
  if (found && !IsScope(found->scope)) found->scope.clear();
  return found;
}

}  // namespace sallyport::credential
