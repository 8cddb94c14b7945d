#include "policy/grant.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "json/document.h"
#include "policy/decimal.h"

namespace sallyport::policy {
namespace {

using op::Effect;
using op::Verb;

constexpr std::string_view kKeys =
    "connection, tool, prompt, resource, table, args.PATH, effect, rows, uses";
constexpr uint64_t kMostRows = uint64_t{1} << 40;
constexpr uint64_t kMostUses = 1'000'000;

bool Any(const std::vector<Glob>& globs, std::string_view name) {
  return std::ranges::any_of(globs, [&](const Glob& g) { return g.Matches(name); });
}

std::string Listed(const std::vector<Glob>& globs) {
  std::string out;
  for (const Glob& glob : globs) out += (out.empty() ? "" : " or ") + glob.text();
  return out;
}

std::string_view Sign(ArgMatcher::Test test) {
  switch (test) {
    case ArgMatcher::Test::lt:
      return " < ";
    case ArgMatcher::Test::lte:
      return " <= ";
    case ArgMatcher::Test::gt:
      return " > ";
    case ArgMatcher::Test::gte:
      return " >= ";
    default:
      return " = ";
  }
}

/// What the database itself does not come with: nobody here can say what it reads. It stands with
/// its schema, where the catalog knows it ("public.lower" is not the lower that was meant).
bool SomebodysOwn(std::string_view function) {
  return function.starts_with("operator ") || function.starts_with("cast of ") ||
         function.find('.') != std::string_view::npos;
}

/// Statements that only frame others: nothing of the data comes or goes.
bool OnlyFrames(const op::SqlStatement& statement) {
  return (statement.effect == Effect::none || statement.kind == "SET" ||
          statement.kind == "SHOW") &&
         statement.relations.empty() && statement.functions.empty() && statement.nested.empty();
}

}  // namespace

bool HoldsLongNumber(std::string_view text) {
  size_t digits = 0;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      if (++digits >= 12) return true;
    } else if (c != ' ' && c != '-') {
      digits = 0;
    }
  }
  return false;
}

/// Reads one limit.
class Grant::Reader {
 public:
  Reader(std::string_view text, size_t number) : text_(text), number_(number) {}

  Result<Limit> Read() {
    limit_.text = text_;
    if (text_.size() > kMaxLimitBytes) return Wrong(0, "a limit has at most 512 bytes");
    for (Skip(); at_ < text_.size(); Skip()) SALLYPORT_CHECK(ReadTerm());
    if (first_ == std::string_view::npos)
      return Wrong(0, "a limit without terms; keys are " + std::string(kKeys));
    auto conditions = ArgConditions::Make(limit_.arguments);
    if (!conditions) return Wrong(first_, conditions.error().detail);
    limit_.conditions = std::move(*conditions);
    return std::move(limit_);
  }

 private:
  std::unexpected<Error> Wrong(size_t at, const std::string& what) const {
    return Fail(Errc::request_malformed, "limit " + std::to_string(number_) + ", column " +
                                             std::to_string(at + 1) + ": " + what);
  }
  void Skip() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  Result<> ReadTerm() {
    const size_t begin = at_;
    if (first_ == std::string_view::npos) first_ = begin;
    const size_t sign = text_.find_first_of("=<> ", at_);
    const std::string_view key = text_.substr(at_, sign - at_);
    if (sign == std::string_view::npos || text_[sign] == ' ')
      return Wrong(begin, "write key=value; keys are " + std::string(kKeys));
    ArgMatcher::Test test = ArgMatcher::Test::eq;
    at_ = sign + 1;
    if (text_[sign] != '=') {
      const bool less = text_[sign] == '<';
      const bool equal = at_ < text_.size() && text_[at_] == '=';
      at_ += equal ? 1 : 0;
      test = less ? (equal ? ArgMatcher::Test::lte : ArgMatcher::Test::lt)
                  : (equal ? ArgMatcher::Test::gte : ArgMatcher::Test::gt);
    }
    const size_t value_at = at_;
    SALLYPORT_TRY(const Value value, ReadValue());
    if (value.text.empty() && !value.quoted) return Wrong(value_at, "the value is missing");
    if (HoldsLongNumber(value.text)) {
      return Wrong(value_at,
                   "a number as long as a card number; limits are shown and kept in clear");
    }
    if (key.starts_with("args.")) return AddArgument(begin, key.substr(5), test, value, value_at);
    if (test != ArgMatcher::Test::eq) return Wrong(sign, "only args.PATH is compared; write =");
    return Add(begin, key, value.text, value_at);
  }

  struct Value {
    std::string text;
    bool quoted = false;
  };
  /// A run without blanks, or a JSON string.
  Result<Value> ReadValue() {
    const size_t begin = at_;
    if (at_ == text_.size() || text_[at_] != '"') {
      at_ = std::min(text_.find(' ', at_), text_.size());
      const std::string_view plain = text_.substr(begin, at_ - begin);
      const bool control = std::ranges::any_of(
          plain, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
      if (control) return Wrong(begin, "a control character");
      return Value{std::string(plain), false};
    }
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\' ? 1 : 0;
    at_ = std::min(at_ + 1, text_.size());
    const auto read = json::Document::Parse(text_.substr(begin, at_ - begin));
    const auto text = read ? read->root().string() : std::nullopt;
    if (!text || (at_ < text_.size() && text_[at_] != ' '))
      return Wrong(begin, "text in quotes that does not end, or is not JSON");
    return Value{std::string(*text), true};
  }

  Result<> AddArgument(size_t at, std::string_view path, ArgMatcher::Test test, const Value& value,
                       size_t value_at) {
    const bool literal = !value.quoted && (value.text == "true" || value.text == "false" ||
                                           value.text == "null" || Decimal::Parse(value.text));
    if (test != ArgMatcher::Test::eq && (value.quoted || !Decimal::Parse(value.text)))
      return Wrong(value_at, "write a number behind <, <=, > and >=");
    ArgMatcher matcher{.path = std::string(path),
                       .test = test,
                       .values = {literal ? value.text : json::Quote(value.text)}};
    if (auto made = ArgConditions::Make({matcher}); !made) return Wrong(at, made.error().detail);
    limit_.arguments.push_back(std::move(matcher));
    return {};
  }

  Result<> Add(size_t at, std::string_view key, const std::string& value, size_t value_at) {
    if (key == "rows") return AddNumber(at, value, value_at, kMostRows, limit_.rows);
    if (key == "uses") return AddNumber(at, value, value_at, kMostUses, limit_.uses);
    if (key == "effect") {
      if (limit_.most) return Wrong(at, "effect stands there twice");
      if (value != "read" && value != "write") return Wrong(value_at, "write read or write");
      limit_.most = value == "read" ? Effect::read : Effect::write;
      return {};
    }
    if (key == "table") {
      auto pattern = RelationPattern::Make(value);
      if (!pattern) return Wrong(value_at, pattern.error().detail);
      limit_.tables.push_back(std::move(*pattern));
      limit_.table_texts.push_back(value);
      return {};
    }
    std::vector<Glob>* globs = key == "connection" ? &limit_.connections
                               : key == "tool"     ? &limit_.tools
                               : key == "prompt"   ? &limit_.prompts
                               : key == "resource" ? &limit_.resources
                                                   : nullptr;
    if (globs == nullptr)
      return Wrong(at, "unknown key \"" + std::string(key) + "\"; keys are " + std::string(kKeys));
    auto glob = Glob::Make(value);
    if (!glob) return Wrong(value_at, glob.error().detail);
    globs->push_back(std::move(*glob));
    return {};
  }

  template <class Number>
  Result<> AddNumber(size_t at, const std::string& value, size_t value_at, uint64_t most,
                     Number& out) {
    if (out != 0) return Wrong(at, "the key stands there twice");
    uint64_t number = 0;
    const auto [end, e] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (e != std::errc() || end != value.data() + value.size() || number == 0 || number > most)
      return Wrong(value_at, "write a whole number from 1 to " + std::to_string(most));
    out = static_cast<Number>(number);
    return {};
  }

  const std::string_view text_;
  const size_t number_;
  size_t at_ = 0;
  size_t first_ = std::string_view::npos;
  Limit limit_;
};

Result<std::shared_ptr<const Grant>> Grant::Parse(std::string_view lines) {
  const auto grant = std::make_shared<Grant>();
  for (bool more = true; more;) {
    const size_t end = lines.find('\n');
    more = end != std::string_view::npos;
    const size_t number = grant->limits_.size() + 1;
    if (number > kMaxLimits)
      return Fail(Errc::request_malformed, "a session has at most 16 limits");
    SALLYPORT_TRY(Limit limit, Reader(lines.substr(0, end), number).Read());
    grant->limits_.push_back(std::move(limit));
    if (more) lines.remove_prefix(end + 1);
  }
  return grant;
}

bool Grant::Limit::Names(Verb verb, std::string_view resource) const {
  if (!conditions.empty() && verb != Verb::tool_call && verb != Verb::prompt_get) return false;
  if (!tables.empty() && verb != Verb::tool_call && verb != Verb::sql) return false;
  // The rows of a tool's answer cannot be counted.
  if (rows != 0 && verb != Verb::sql) return false;
  if (tools.empty() && prompts.empty() && resources.empty()) return true;
  switch (verb) {
    case Verb::tool_call:
      return Any(tools, resource);
    case Verb::prompt_get:
      return Any(prompts, resource);
    case Verb::resource_read:
    case Verb::resource_subscribe:
      return Any(resources, resource);
    case Verb::completion:
      return Any(prompts, resource) || Any(resources, resource);
    case Verb::sql:
    case Verb::protocol:
    case Verb::list:
      return false;
  }
  return false;
}

/// Of a limit that names tables: nothing but reading and writing these, through functions that
/// surely touch nothing else.
bool Grant::Limit::CoversSql(const op::SqlStatement& statement) const {
  if (most && statement.effect > *most) return false;
  if (tables.empty()) return true;
  if (statement.effect > Effect::write || !statement.risky.empty()) return false;
  if (std::ranges::any_of(statement.functions, SomebodysOwn)) return false;
  // What any session says; what a name stands for that this session has not made.
  if (statement.kind == "LISTEN" || statement.kind == "FETCH") return false;
  if (statement.relations.empty()) return statement.effect <= Effect::read;
  return std::ranges::all_of(statement.relations, [&](const op::RelationUse& relation) {
    return std::ranges::any_of(
        tables, [&](const RelationPattern& table) { return table.Grants(relation.name); });
  });
}

bool Grant::Limit::Covers(const op::Operation& operation) const {
  if (!connections.empty() && !Any(connections, operation.connection)) return false;
  if (!Names(operation.verb, operation.resource)) return false;
  if (most && operation.effect > *most) return false;
  // As in a rule that allows: an argument of another type is no match.
  if (!conditions.empty() && conditions.Evaluate(operation.arguments) != Fit::yes) return false;
  if (!tables.empty() && operation.sql.empty()) return false;
  return std::ranges::all_of(operation.sql, [&](const op::SqlText& sql) {
    return std::ranges::all_of(sql.statements,
                               [&](const op::SqlStatement& s) { return CoversSql(s); });
  });
}

void Grant::Narrow(const op::Operation& operation, std::string_view session,
                   op::Decision& decision) const {
  for (uint32_t i = 0; i < limits_.size(); ++i) {
    const Limit& limit = limits_[i];
    if (limit.Covers(operation)) decision.limits.push_back({i, limit.uses, limit.rows});
  }
  if (!decision.limits.empty()) return;
  decision = {};
  decision.reason = Errc::grant_exceeded;
  decision.rules = {"grant:" + std::string(session)};
  decision.why = "the session was opened with limits, and none of them covers this";
}

bool Grant::Visible(std::string_view connection, Verb verb, std::string_view resource) const {
  return std::ranges::any_of(limits_, [&](const Limit& limit) {
    return (limit.connections.empty() || Any(limit.connections, connection)) &&
           limit.Names(verb, resource);
  });
}

bool Grant::Mentions(std::string_view connection) const {
  return std::ranges::any_of(limits_, [&](const Limit& limit) {
    return limit.connections.empty() || Any(limit.connections, connection);
  });
}

bool Grant::Counts(const op::Operation& operation) {
  if (operation.verb != Verb::sql) return true;
  const auto frames = [](const op::SqlText& text) {
    return text.known.complete && std::ranges::all_of(text.statements, OnlyFrames);
  };
  if (operation.statement) return !frames(*operation.statement);
  return operation.sql.empty() || !std::ranges::all_of(operation.sql, frames);
}

std::string Grant::Words(size_t i) const {
  const Limit& limit = limits_[i];
  std::string out;
  const auto add = [&](const std::string& words) { out += (out.empty() ? "" : "; ") + words; };
  if (!limit.connections.empty()) add("connection " + Listed(limit.connections));
  if (!limit.tools.empty()) add("tool " + Listed(limit.tools));
  if (!limit.prompts.empty()) add("prompt " + Listed(limit.prompts));
  if (!limit.resources.empty()) add("resource " + Listed(limit.resources));
  std::string named;
  for (const std::string& table : limit.table_texts)
    named += (named.empty() ? "table " : " or ") + table;
  if (!named.empty()) add(named);
  for (const ArgMatcher& argument : limit.arguments)
    add("argument " + argument.path + std::string(Sign(argument.test)) + argument.values[0]);
  if (limit.most) add(*limit.most == Effect::read ? "reading only" : "reading and writing only");
  if (limit.rows != 0) add("at most " + std::to_string(limit.rows) + " rows a result");
  if (limit.uses != 0)
    add(limit.uses == 1 ? "one use" : "at most " + std::to_string(limit.uses) + " uses");
  return out;
}

}  // namespace sallyport::policy
