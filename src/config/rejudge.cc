#include "config/rejudge.h"

#include <algorithm>

#include "config/sql_arguments.h"
#include "policy/explain.h"
#include "policy/unmask.h"
#include "sql/classify.h"
#include "sql/shape.h"

namespace sallyport::config {
namespace {

using op::Verdict;

constexpr size_t kMostKnown = 50'000, kMostShapes = 10'000, kLongKey = 4'096;
constexpr size_t kMostPlaces = 64;  // mask::Tally lists no more

using Path = std::vector<std::string>;

/// A JSON pointer (RFC 6901), or an argument path of a rule ("a.b", "/a.b/c").
Path SplitAt(std::string_view text, char separator, bool escapes) {
  Path out;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    std::string part(text.substr(begin, end - begin));
    for (size_t at = 0; escapes && (at = part.find('~', at)) != std::string::npos; ++at)
      part.replace(at, 2, part.substr(at, 2) == "~1" ? "/" : "~");
    out.push_back(std::move(part));
    begin = end + 1;
  }
  return out;
}
Path OfPointer(std::string_view pointer) {
  return pointer.empty() ? Path() : SplitAt(pointer.substr(1), '/', true);
}
Path OfRule(std::string_view path) {
  return path.starts_with('/') ? SplitAt(path.substr(1), '/', false) : SplitAt(path, '.', false);
}

json::Value At(json::Value value, const Path& path) {
  for (const std::string& step : path) {
    if (value.is(json::Kind::array)) {
      const bool index =
          !step.empty() && std::ranges::all_of(step, [](char c) { return c >= '0' && c <= '9'; });
      value = index && step.size() < 9 ? value.at(std::stoul(step)) : json::Value();
    } else {
      value = value[step];
    }
  }
  return value;
}

/// One stands at the other or around it.
bool Overlap(const Path& a, const Path& b) {
  const size_t n = std::min(a.size(), b.size());
  return std::equal(a.begin(), a.begin() + std::ptrdiff_t(n), b.begin());
}

/// Places of texts that may be what masking left.
void CollectMasked(json::Value value, Path& at, std::vector<Path>& out) {
  if (const auto text = value.string()) {
    for (const std::string_view trace : {"*", "pan_", "removed]"}) {
      if (text->find(trace) == std::string_view::npos) continue;
      out.push_back(at);
      break;
    }
    return;
  }
  size_t n = 0;
  for (auto v = value.first(); v; v = v.next(), ++n) {
    at.push_back(value.is(json::Kind::array) ? std::to_string(n) : std::string(v.key()));
    CollectMasked(v, at, out);
    at.pop_back();
  }
}

/// A number in SQL that was masked is no number any more: this is one again, of another value.
std::string WithNumbers(std::string_view text) {
  std::string out(text);
  for (size_t i = 0; i < out.size(); ++i) {
    size_t end = i;
    while (end < out.size() && out[end] == '*') ++end;
    if (end - i >= 4)
      std::fill(out.begin() + std::ptrdiff_t(i), out.begin() + std::ptrdiff_t(end), '9');
    i = std::max(i, end);
  }
  return out;
}

/// SET, SHOW and RESET of a setting of the gateway itself never get as far as the rules.
bool IsOwnSetting(std::string_view text) {
  std::string head(text.substr(0, 64));
  std::ranges::transform(head, head.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return head.find("sallyport.") != std::string::npos &&
         (head.starts_with("set") || head.starts_with("show") || head.starts_with("reset"));
}

/// A step of the extended protocol that no approval is asked for (gate/gate.cc).
bool IsWhole(const RecordedCall& call) {
  return !call.caller->postgres || (call.method != "parse" && call.method != "execute");
}

}  // namespace

struct Rejudge::Question {
  const op::Principal* who = nullptr;
  op::Operation operation;
  json::Value other_arguments;  // what may have been the arguments instead
  bool ambiguous = false;
  bool carries_sql = false;  // in its arguments, as the configuration says
  bool cut = false;          // some of the arguments are not in the log
  bool masked = false;
  bool anywhere = false;      // and nobody knows where
  std::vector<Path> touched;  // arguments that were masked
};

Result<std::unique_ptr<Rejudge>> Rejudge::Make(const Root& root, VerbOf verb_of) {
  std::unique_ptr<Rejudge> out(new Rejudge(root, std::move(verb_of)));
  SALLYPORT_TRY(out->rules_, policy::RuleSet::Compile(root.policies));
  for (const policy::RuleSpec& rule : root.policies.rules) out->specs_[rule.id] = &rule;
  for (const Connection& connection : root.connections) {
    out->connections_[connection.name] = &connection;
    if (!connection.mcp) continue;
    for (const SqlArgument& argument : connection.mcp->sql_arguments) {
      SALLYPORT_TRY(auto tool, policy::Glob::Make(argument.tool));
      auto path = SplitSqlPath(argument.path);
      if (!path) return Fail(Errc::config_invalid, "sql_arguments of " + connection.name);
      out->sql_rules_[&connection].push_back({std::move(tool), *std::move(path)});
    }
  }
  return out;
}

const Judgement& Rejudge::Of(const RecordedCall& call) {
  key_.clear();
  for (const std::string_view part :
       {call.connection, call.method, call.resource, call.masked.raw(), call.unmask.raw()}) {
    key_ += part;
    key_ += '\n';
  }
  key_ += std::to_string(call.caller == nullptr ? 0 : call.caller->id);
  key_ += call.request.raw();
  if (const auto at = known_.find(key_); at != known_.end()) return at->second;
  ++judged_anew_;
  if (known_.size() >= kMostKnown) known_.clear();
  if (key_.size() > kLongKey) key_ = "\n";  // one place for all of them
  return known_.insert_or_assign(key_, Judge(call)).first->second;
}

/// Reads a text as Classify does; texts that differ in literals only are read once.
op::SqlText Rejudge::Read(std::string_view text) {
  static thread_local sql::Shape shape;
  if (!shape.Read(text)) return sql::Classify(text);
  if (const auto at = shapes_.find(shape.key()); at != shapes_.end()) return at->second;
  op::SqlText read = sql::Classify(text);
  if (shapes_.size() >= kMostShapes) shapes_.clear();
  return shapes_.emplace(shape.key(), std::move(read)).first->second;
}

void Rejudge::ReadTool(const RecordedCall& call, const Connection& connection, Question& question) {
  op::Operation& operation = question.operation;
  const auto rules = sql_rules_.find(&connection);
  if (rules == sql_rules_.end() || operation.verb != op::Verb::tool_call) return;
  for (const SqlRule& rule : rules->second) {
    if (!rule.tool.Matches(call.resource)) continue;
    question.carries_sql = true;
    const SqlReader read = [&](std::string_view text) {
      op::SqlText found = Read(text);
      return found.known.complete || !question.masked ? found : Read(WithNumbers(text));
    };
    ReadSqlAt(operation.arguments, rule.path, read, operation.sql);
  }
}

/// The statement of a PostgreSQL session. Returns why it cannot be judged.
std::string_view Rejudge::ReadStatement(const RecordedCall& call, Question& question) {
  op::Operation& operation = question.operation;
  if (!call.request) {  // of a message that is no statement
    operation.sql.push_back({.statements = {}, .known = {}, .worst = op::Effect::admin});
    return {};
  }
  const json::Value recorded = call.request["json"];
  const auto text = recorded["sql"].string();
  if (!text || recorded["cut"]) return "statement-cut";
  if (IsOwnSetting(*text)) return "setting-of-the-gateway";
  static const sql::SessionNames kNames;
  sql::AnalysisPtr analysis = analyzer_.Analyze(*text, nullptr, kNames);
  if (!analysis->text.known.complete && question.masked) {
    analysis = analyzer_.Analyze(WithNumbers(*text), nullptr, kNames);
    if (!analysis->text.known.complete) return "masked-value";
  }
  for (const op::SqlStatement& statement : analysis->text.statements) {
    if (statement.kind == "EXECUTE" || statement.kind == "FETCH") return "name-of-the-session";
  }
  operation.sql.push_back(analysis->text);
  operation.effect = analysis->text.worst;
  return {};
}

op::Decision Rejudge::Decide(const Question& question, const op::Operation& operation) const {
  return rules_->Decide(*question.who, operation);
}

/// Whether a part of the arguments that is not in the log could say otherwise. A denial that rests
/// on none of them stands.
std::string_view Rejudge::DoubtOfArguments(const Question& question,
                                           const op::Decision& decision) const {
  if (!question.cut && !question.masked) return {};
  const auto depends = [&](const policy::RuleSpec& rule) {
    if (question.cut) return !rule.args.empty() || rule.sql.has_value() || question.carries_sql;
    return std::ranges::any_of(rule.args, [&](const policy::ArgMatcher& condition) {
      using Test = policy::ArgMatcher::Test;
      if (condition.test == Test::absent || condition.test == Test::present) return false;
      const Path path = OfRule(condition.path);
      return question.anywhere || std::ranges::any_of(question.touched, [&](const Path& at) {
               return Overlap(at, path);
             });
    });
  };
  const policy::Explanation all = policy::Explain(*rules_, *question.who, question.operation);
  bool doubt = question.who->grant && decision.effect != Verdict::deny;
  for (const policy::RuleTrace& trace : all.rules) {
    if (trace.step == "who" || trace.step == "connection" || trace.step == "name") continue;
    const bool open = depends(*specs_.at(trace.rule));
    doubt |= open;
    if (!open && trace.matched && trace.effect == Verdict::deny) return {};
  }
  const bool unread = std::ranges::any_of(
      question.operation.sql, [](const op::SqlText& text) { return !text.known.complete; });
  if (question.masked && unread && question.carries_sql) doubt = true;
  if (!doubt) return {};
  return question.cut ? "arguments-cut" : "masked-value";
}

/// Why what the log holds is not enough to be sure of `decision`.
std::string_view Rejudge::Doubt(const RecordedCall& call, const Question& question,
                                const op::Decision& decision, bool& assumed_public) const {
  if (const std::string_view why = DoubtOfArguments(question, decision); !why.empty()) return why;
  const auto otherwise = [&](const op::Operation& operation) {
    return Decide(question, operation).effect != decision.effect;
  };
  op::Operation other = question.operation;
  if (question.ambiguous) {
    other.arguments = question.other_arguments;
    if (question.carries_sql || otherwise(other)) return "answers-beside-arguments";
    other = question.operation;
  }
  if (question.who->grant && other.verb == op::Verb::tool_call) {
    // Whether a tool writes is said by its server, which is not asked here.
    for (const op::Effect effect : {op::Effect::read, op::Effect::write}) {
      other.effect = effect;
      if (otherwise(other)) return "effect-not-recorded";
    }
  }
  if (!call.caller->postgres) return {};
  // The gateway knew the catalog of the database: which columns * stands for, and whose functions
  // and relations are meant.
  const auto each = [&](auto change) {
    other.sql = question.operation.sql;
    for (op::SqlText& text : other.sql) {
      for (op::SqlStatement& statement : text.statements) change(statement);
    }
    return otherwise(other);
  };
  if (each([](op::SqlStatement& s) { s.columns.clear(), s.star = false; }))
    return "columns-not-recorded";
  const auto bare = [](const std::string& name) { return name.find('.') == std::string::npos; };
  if (each([&](op::SqlStatement& s) {
        for (auto* names : {&s.functions, &s.risky}) {
          for (std::string& name : *names) {
            if (bare(name) && std::ranges::find(s.risky, name) != s.risky.end())
              name = "public." + name;
          }
        }
      }))
    return "functions-not-recorded";
  assumed_public = each([&](op::SqlStatement& s) {
    for (op::RelationUse& use : s.relations) {
      if (bare(use.name) && !use.name.starts_with("pg_"))
        use.name = "\"another schema\"." + use.name;
    }
  });
  return {};
}

/// What comes behind the rules in the gate, as far as it needs no state.
Judgement Rejudge::Settle(const RecordedCall& call, const Question& question,
                          op::Decision decision) const {
  Judgement out;
  const auto unknown = [&](std::string_view why) {
    out.unknown = why;
    return out;
  };
  if (decision.effect == Verdict::deny && decision.reason == Errc::identity_incomplete &&
      call.caller->groups_cut)
    return unknown("groups-not-recorded");
  if (const auto why = Doubt(call, question, decision, out.assumed_public); !why.empty())
    return unknown(why);
  if (call.unmask["det"] && decision.effect != Verdict::deny && IsWhole(call)) {
    op::UnmaskAsk ask;
    for (auto name = call.unmask["det"].first(); name; name = name.next())
      ask.detectors.emplace_back(name.string().value_or(""));
    const bool may = policy::FindUnmaskGrant(root_.masking.unmask, *question.who, ask) != nullptr &&
                     !policy::UnmaskPerson(*question.who).empty();
    decision.effect = may ? Verdict::approve : Verdict::deny;
    decision.reason = may ? Errc::approval_required : Errc::unmask_denied;
    decision.why =
        may ? "values are asked for in clear" : "no grant shows these values to this caller";
  }
  if (decision.effect != Verdict::deny && decision.obligations.step_up.any())
    return unknown("sign-in-not-recorded");
  if (decision.effect == Verdict::approve && !IsWhole(call)) decision.effect = Verdict::allow;
  out.verdict = decision.effect;
  out.reason = decision.reason;
  out.rules = std::move(decision.rules);
  out.why = std::move(decision.why);
  return out;
}

Judgement Rejudge::Judge(const RecordedCall& call) {
  if (call.caller == nullptr) return {.unknown = "session-not-recorded"};
  if (!call.caller->unknown.empty()) return {.unknown = call.caller->unknown};
  const auto at = connections_.find(call.connection);
  if (at == connections_.end() || at->second->postgres.has_value() != call.caller->postgres) {
    return {.verdict = Verdict::deny,
            .reason = Errc::connection_unknown,
            .why = "the configuration has no such connection"};
  }
  Question question{.who = &call.caller->who};
  op::Operation& operation = question.operation;
  operation.connection = call.connection;
  operation.labels = &at->second->labels;
  operation.method = call.method;
  operation.resource = call.resource;
  question.masked = call.masked.size() > 0;
  if (call.caller->postgres) {
    operation.verb = op::Verb::sql;
    if (const auto why = ReadStatement(call, question); !why.empty()) return {.unknown = why};
    question.masked = false;  // no rule looks at parameters, nor at literals
    return Settle(call, question, Decide(question, operation));
  }
  const auto verb = verb_of_(call.method);
  if (!verb) return {.unknown = "method-unknown"};
  operation.verb = *verb;
  const json::Value recorded = call.request["json"];
  question.cut = bool(call.request) && !recorded;
  operation.arguments = recorded;
  Path prefix;
  if (recorded["inputResponses"]) {
    // Answers to the server's questions are kept beside the arguments. A tool may have an argument
    // of that name all the same.
    question.ambiguous = true;
    question.other_arguments = recorded;
    operation.arguments = recorded["arguments"];
    prefix = {"arguments"};
  }
  if (question.masked) {
    question.anywhere = call.masked.size() >= kMostPlaces;
    for (auto place = call.masked.first(); place; place = place.next()) {
      const Path path = OfPointer(place["p"].string().value_or("*"));
      question.anywhere |= path.empty() || !At(recorded, path);
      question.touched.push_back(path);
    }
    Path root;
    CollectMasked(recorded, root, question.touched);
    for (Path& path : question.touched) {
      if (prefix.empty() || path.empty() || path.front() != prefix.front()) continue;
      path.erase(path.begin());
    }
  }
  ReadTool(call, *at->second, question);
  operation.effect = op::Effect::write;
  return Settle(call, question, Decide(question, operation));
}

}  // namespace sallyport::config
