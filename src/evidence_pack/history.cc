#include "evidence_pack/history.h"

#include <algorithm>
#include <array>

#include "ledger/object_writer.h"

namespace sallyport::evidence_pack {
namespace {

constexpr size_t kMostText = 400;

std::string Str(json::Value v) { return std::string(v.string().value_or("")); }

std::string Joined(json::Value list) {
  std::string out;
  for (json::Value v = list.first(); v; v = v.next()) {
    if (!out.empty()) out += ' ';
    out += v.string().value_or("");
  }
  return out;
}

bool IsWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
}

std::string Upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'a' && c <= 'z' ? char(c - 32) : c;
  return out;
}

/// Words of SQL, without comments and quoted texts; ";" where a statement ends.
class Words {
 public:
  explicit Words(std::string_view sql) : sql_(sql) {}

  std::string Next() {
    while (at_ < sql_.size()) {
      const char c = sql_[at_];
      if (c == ';') {
        ++at_;
        return ";";
      }
      if (c == '\'' || c == '"') {
        PassQuoted(c);
      } else if (c == '-' && Is("--")) {
        at_ = std::min(sql_.find('\n', at_), sql_.size());
      } else if (c == '/' && Is("/*")) {
        const size_t end = sql_.find("*/", at_ + 2);
        at_ = end == std::string_view::npos ? sql_.size() : end + 2;
      } else if (c == '$' && PassDollar()) {
        continue;
      } else if (IsWord(c)) {
        const size_t begin = at_;
        while (at_ < sql_.size() && IsWord(sql_[at_])) ++at_;
        return Upper(sql_.substr(begin, at_ - begin));
      } else {
        ++at_;
      }
    }
    return {};
  }

 private:
  bool Is(std::string_view what) const { return sql_.substr(at_).starts_with(what); }
  void PassQuoted(char quote) {
    const size_t end = sql_.find(quote, at_ + 1);
    at_ = end == std::string_view::npos ? sql_.size() : end + 1;
  }
  bool PassDollar() {
    size_t end = at_ + 1;
    while (end < sql_.size() && IsWord(sql_[end])) ++end;
    if (end >= sql_.size() || sql_[end] != '$') {
      ++at_;
      return true;
    }
    const std::string_view tag = sql_.substr(at_, end + 1 - at_);
    const size_t close = sql_.find(tag, end + 1);
    at_ = close == std::string_view::npos ? sql_.size() : close + tag.size();
    return true;
  }

  std::string_view sql_;
  size_t at_ = 0;
};

Statement ClassOfWords(const std::string& first, const std::string& second,
                       const std::string& third) {
  static constexpr std::array kObjects{"CREATE",  "ALTER",    "DROP",    "TRUNCATE",
                                       "COMMENT", "REINDEX",  "CLUSTER", "VACUUM",
                                       "IMPORT",  "SECURITY", "REFRESH"};
  static constexpr std::array kChanges{"INSERT", "UPDATE", "DELETE", "MERGE"};
  static constexpr std::array kAccounts{"ROLE", "USER", "GROUP"};
  if (first == "GRANT" || first == "REVOKE" || first == "REASSIGN") return Statement::credential;
  if (first == "COPY") return Statement::copy;
  if (std::ranges::find(kObjects, first) != kObjects.end()) {
    const bool account = std::ranges::find(kAccounts, second) != kAccounts.end() ||
                         (second == "DEFAULT" && third == "PRIVILEGES");
    return account ? Statement::credential : Statement::object;
  }
  if (std::ranges::find(kChanges, first) != kChanges.end()) return Statement::change;
  return Statement::query;
}

int Rank(Statement s) {
  switch (s) {
    case Statement::none:
      return 0;
    case Statement::query:
      return 1;
    case Statement::change:
      return 2;
    case Statement::copy:
      return 3;
    case Statement::object:
      return 4;
    case Statement::credential:
      return 5;
    case Statement::unread:
      return 6;
  }
  return 0;
}

}  // namespace

Statement ClassOf(std::string_view sql) {
  Words words(sql);
  Statement worst = Statement::none;
  for (std::string word = words.Next(); !word.empty();) {
    if (word == ";") {
      word = words.Next();
      continue;
    }
    const std::string second = words.Next();
    const std::string third = second.empty() || second == ";" ? "" : words.Next();
    const Statement found = ClassOfWords(word, second, third);
    if (Rank(found) > Rank(worst)) worst = found;
    word = second == ";" ? second : third;
    while (!word.empty() && word != ";") {
      // A CTE or EXPLAIN ANALYZE that changes data says so by its word.
      if (Rank(worst) < 2 && (word == "INSERT" || word == "UPDATE" || word == "DELETE"))
        worst = Statement::change;
      word = words.Next();
    }
  }
  return worst;
}

const Person* History::Whom(json::Value who) {
  if (!who.is(json::Kind::object)) return nullptr;
  const std::tuple key{Str(who["iss"]), Str(who["sub"]), Str(who["agent"])};
  const auto found = by_name_.find(key);
  Person* person = found == by_name_.end() ? nullptr : found->second;
  if (person == nullptr) {
    person = &people_.emplace_back();
    person->issuer = std::get<0>(key);
    person->subject = std::get<1>(key);
    person->agent = std::get<2>(key);
    by_name_.emplace(key, person);
  }
  for (const auto& [member, value] :
       {std::pair(&Person::name, "name"), std::pair(&Person::owner, "owner"),
        std::pair(&Person::client, "client"), std::pair(&Person::token_class, "class"),
        std::pair(&Person::provider, "idp")}) {
    if (const auto text = who[value].string()) person->*member = *text;
  }
  for (json::Value g = who["groups"].first(); g; g = g.next()) {
    if (person->groups.size() < 1000) person->groups.insert(Str(g));
  }
  if (who["partial"].boolean().value_or(false) || who["groups_cut"]) person->groups_partial = true;
  return person;
}

void History::Open(uint64_t index, const json::Value& root) {
  Stay& stay = stays_[index];
  stay.who = Whom(root["who"]);
  stay.id = Str(root["sid"]);
  stay.address = Str(root["from"]);
  stay.connection = Str(root["c"]);
  stay.front_end = Str(root["fe"]);
}

Call History::MakeCall(const Record& record) const {
  Call call;
  call.index = record.index;
  call.leaf = *record.leaf;
  call.at = record.at;
  if (record.stay != nullptr) {
    call.who = record.stay->who;
    call.session = record.stay->id;
    call.address = record.stay->address;
    call.front_end = record.stay->front_end;
  }
  call.connection = record.Text("c");
  if (call.connection.empty() && record.stay != nullptr) call.connection = record.stay->connection;
  call.method = record.Text("m");
  call.resource = record.Text("r");
  call.decision = record.Text("d");
  call.approval = record.Text("a");
  call.rules = Joined(record.root["rules"]);
  const json::Value request = record.root["req"];
  const auto text = request["json"]["sql"].string();
  if (!text && call.front_end == "postgres" && (request["blob"] || request["cut"])) {
    // A comment in front that is long enough must not hide what comes behind it.
    call.statement = Statement::unread;
    call.text = "its text is not in the entry: too long";
  } else if (text) {
    call.statement = ClassOf(*text);
    if (Rank(call.statement) > 1)
      call.text = std::string(ledger::ObjectWriter::Cut(text->substr(0, kMostText)));
    while (!call.text.empty() && (uint8_t(call.text.back()) & 0x80) != 0) call.text.pop_back();
  } else if (call.front_end == "postgres") {
    call.statement = Statement::query;
  }
  return call;
}

void History::Add(uint64_t index, const ledger::Hash& leaf, std::string_view bytes) {
  const Result<ledger::Entry> entry = ledger::DecodeEntry(bytes);
  if (!entry) {
    ++unreadable_;
    return;
  }
  Record record{.index = index, .leaf = &leaf, .at = entry->at, .event = entry->event};
  record.inside = entry->at >= from_ && entry->at < to_;
  record.root = entry->document.root();
  if (record.Is("auth.success")) Open(index, record.root);
  const auto stay = stays_.find(record.Is("auth.success") ? index
                                : entry->has_session      ? entry->session
                                                          : ~0ull);
  if (stay != stays_.end()) record.stay = &stay->second;
  Call denied;
  if (record.Is("call.intent")) {
    record.call = &(calls_[index] = MakeCall(record));
  } else if (record.Is("call.denied")) {
    denied = MakeCall(record);
    record.call = &denied;
  } else if (record.root["i"]) {
    const auto call = calls_.find(record.Number("i"));
    if (call != calls_.end()) record.call = &call->second;
  }
  visit_(record);
  if (record.Is("call.outcome") || record.Is("call.abandoned")) calls_.erase(record.Number("i"));
  if (record.Is("session.close") && entry->has_session) stays_.erase(entry->session);
}

}  // namespace sallyport::evidence_pack
