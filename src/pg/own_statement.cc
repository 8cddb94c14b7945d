#include "pg/own_statement.h"

#include <algorithm>
#include <vector>

#include "mask/seal.h"

namespace sallyport::pg {
namespace {

constexpr size_t kMaxText = 4096;  // of the whole statement
constexpr size_t kMaxReason = 1000;
constexpr size_t kMaxDetectors = 16;
constexpr size_t kMaxName = 64;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
char Lower(char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; }
bool IsNameByte(char c) {
  c = Lower(c);
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

/// Takes the words of a text one by one.
class Words {
 public:
  explicit Words(std::string_view text) : rest_(text) { Skip(); }

  bool Take(std::string_view word) {
    if (rest_.size() < word.size()) return false;
    for (size_t i = 0; i < word.size(); ++i) {
      if (Lower(rest_[i]) != word[i]) return false;
    }
    const bool whole =
        word.size() == rest_.size() || !IsNameByte(word.back()) || !IsNameByte(rest_[word.size()]);
    if (!whole) return false;
    rest_.remove_prefix(word.size());
    Skip();
    return true;
  }
  /// A string constant in single quotes, or a bare name.
  std::optional<std::string> Value() {
    std::string value;
    if (rest_.starts_with('\'')) {
      for (size_t i = 1; i < rest_.size(); ++i) {
        if (rest_[i] != '\'') {
          value += rest_[i];
        } else if (i + 1 < rest_.size() && rest_[i + 1] == '\'') {
          value += rest_[i++];
        } else {
          rest_.remove_prefix(i + 1);
          Skip();
          return value;
        }
      }
      return std::nullopt;
    }
    while (!rest_.empty() && IsNameByte(rest_.front())) {
      value += Lower(rest_.front());
      rest_.remove_prefix(1);
    }
    Skip();
    return value.empty() ? std::nullopt : std::optional(value);
  }
  bool AtEnd() {
    while (rest_.starts_with(';')) {
      rest_.remove_prefix(1);
      Skip();
    }
    return rest_.empty();
  }

 private:
  void Skip() {
    while (!rest_.empty() && IsSpace(rest_.front())) rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

std::vector<std::string> NamesIn(std::string_view list) {
  std::vector<std::string> names(1);
  for (const char c : list) {
    if (c == ',')
      names.emplace_back();
    else if (!IsSpace(c))
      names.back() += c;
  }
  std::ranges::sort(names);
  const auto twice = std::ranges::unique(names);
  names.erase(twice.begin(), twice.end());
  return names;
}

std::string Quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += c;
    out += c;
  }
  return out += '\'';
}

}  // namespace

std::optional<OwnStatement> ReadOwnStatement(std::string_view text) {
  if (text.size() > kMaxText) return std::nullopt;
  Words words(text);
  OwnStatement own;
  if (words.Take("set")) {
    own.verb = OwnStatement::Verb::set;
    (void)words.Take("session");
  } else if (words.Take("reset")) {
    own.verb = OwnStatement::Verb::reset;
  } else if (!words.Take("show")) {
    return std::nullopt;
  }
  if (words.Take("sallyport.unmask_reason"))
    own.reason = true;
  else if (!words.Take("sallyport.unmask"))
    return std::nullopt;
  if (own.verb == OwnStatement::Verb::set) {
    if (!words.Take("=") && !words.Take("to")) return std::nullopt;
    if (words.Take("default")) {
      own.verb = OwnStatement::Verb::reset;
    } else {
      auto value = words.Value();
      if (!value) return std::nullopt;
      own.value = std::move(*value);
    }
  }
  return words.AtEnd() ? std::optional(std::move(own)) : std::nullopt;
}

Result<> UnmaskSetting::Check(const OwnStatement& own) const {
  if (own.verb != OwnStatement::Verb::set || own.value.empty()) return {};
  if (own.reason) {
    if (own.value.size() <= kMaxReason) return {};
    return Fail(Errc::request_malformed, "sallyport.unmask_reason: up to 1000 bytes");
  }
  const std::vector<std::string> names = NamesIn(own.value);
  const bool fits =
      names.size() <= kMaxDetectors && std::ranges::all_of(names, [](const auto& n) {
        return !n.empty() && n.size() <= kMaxName && std::ranges::all_of(n, IsNameByte);
      });
  if (fits) return {};
  return Fail(Errc::request_malformed,
              "sallyport.unmask: names of masking.detectors with commas between them");
}

void UnmaskSetting::Apply(const OwnStatement& own, const mask::Masker& masker) {
  if (own.verb == OwnStatement::Verb::show) return;
  if (own.reason) {
    std::vector<op::MaskCount> counts;
    reason_ = own.value.empty() ? MaskedText()
                                : mask::Seal::Text(masker, own.value, kMaxReason, counts).text;
  } else if (own.value.empty()) {
    ask_.reset();
  } else {
    ask_.emplace();
    ask_->detectors = NamesIn(own.value);
  }
  if (ask_) ask_->reason = reason_;
}

std::string UnmaskSetting::Stand(const OwnStatement& own) const {
  // Sets the parameter to what it is.
  if (own.verb != OwnStatement::Verb::show) return "SET DateStyle FROM CURRENT";
  std::string value;
  if (own.reason) {
    value = reason_.get();
  } else if (ask_) {
    for (const std::string& name : ask_->detectors) value += (value.empty() ? "" : ",") + name;
  }
  return "SELECT " + Quoted(value) + "::pg_catalog.text AS \"sallyport." +
         (own.reason ? "unmask_reason\"" : "unmask\"");
}

}  // namespace sallyport::pg
