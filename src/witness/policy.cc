#include "witness/policy.h"

#include <algorithm>

#include "ledger/lines.h"
#include "ledger/note.h"

namespace sallyport::witness {
namespace {

constexpr std::string_view kNone = "none";

std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words;
  while (!line.empty()) {
    const size_t begin = line.find_first_not_of(" \t");
    if (begin == line.npos) break;
    const size_t end = std::min(line.find_first_of(" \t", begin), line.size());
    words.emplace_back(line.substr(begin, end - begin));
    line.remove_prefix(end);
  }
  return words;
}

std::unexpected<Error> Bad(std::string why) { return Fail(Errc::config_invalid, std::move(why)); }

}  // namespace

Result<Policy> Policy::Parse(std::string_view text) {
  Policy policy;
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (const auto read = policy.ReadLine(line); !read)
      return Bad("line " + std::to_string(number) + ": " + read.error().detail);
  }
  if (policy.quorum_.empty()) return Bad("there is no quorum line");
  if (policy.logs_.empty()) return Bad("there is no log line");
  return policy;
}

Result<> Policy::ReadLine(std::string_view line) {
  for (const char c : line) {
    if ((uint8_t(c) < 0x20 && c != '\t') || c == 0x7f) return Bad("a control character");
  }
  const std::vector<std::string> words = Words(line);
  if (words.empty() || words[0].starts_with('#')) return {};
  const std::string& what = words[0];
  const auto known = [this](const std::string& name) {
    return witnesses_.contains(name) || groups_.contains(name);
  };
  if (what == "log") {
    if (words.size() < 2 || words.size() > 3) return Bad("write log VKEY [URL]");
    SALLYPORT_TRY(ledger::NoteVerifier log, ledger::NoteVerifier::Make(words[1]));
    for (const auto& other : logs_) {
      if (other.vkey() == log.vkey()) return Bad("the log's key stands there twice");
    }
    logs_.push_back(std::move(log));
    return {};
  }
  if (what == "witness") {
    if (words.size() < 3 || words.size() > 4) return Bad("write witness NAME VKEY [URL]");
    if (words[1] == kNone || known(words[1])) return Bad("the name " + words[1] + " is taken");
    SALLYPORT_TRY(ledger::CosignatureVerifier key, ledger::CosignatureVerifier::Make(words[2]));
    for (const auto& [name, other] : witnesses_) {
      if (other.vkey() == key.vkey()) return Bad("the key is " + name + "'s already");
    }
    witnesses_.emplace(words[1], std::move(key));
    return {};
  }
  if (what == "group") {
    if (words.size() < 4) return Bad("write group NAME all|any|K MEMBER...");
    if (words[1] == kNone || known(words[1])) return Bad("the name " + words[1] + " is taken");
    Group group{.members = {words.begin() + 3, words.end()}};
    for (const std::string& member : group.members) {
      if (!known(member)) return Bad("nothing above is called " + member);
      if (!used_.emplace(member, true).second) return Bad(member + " is a member twice");
    }
    const auto need = words[2] == "all"   ? std::optional<uint64_t>(group.members.size())
                      : words[2] == "any" ? std::optional<uint64_t>(1)
                                          : ledger::ParseDecimal(words[2]);
    if (!need || *need == 0 || *need > group.members.size())
      return Bad("of " + std::to_string(group.members.size()) + " members, " + words[2] +
                 " cannot be needed");
    group.need = *need;
    groups_.emplace(words[1], std::move(group));
    return {};
  }
  if (what == "quorum") {
    if (words.size() != 2) return Bad("write quorum NAME, or quorum none");
    if (!quorum_.empty()) return Bad("there is a quorum line already");
    if (words[1] != kNone && !known(words[1])) return Bad("nothing above is called " + words[1]);
    quorum_ = words[1];
    return {};
  }
  return Bad("\"" + what + "\" is not log, witness, group or quorum");
}

Result<Policy::Verdict> Policy::Check(std::string_view note) const {
  SALLYPORT_TRY(const ledger::Note parsed, ledger::ParseNote(note));
  std::optional<Verdict> verdict;
  for (const ledger::NoteVerifier& log : logs_) {
    if (std::ranges::none_of(parsed.signatures, [&](const auto& s) { return log.IsOf(s); }))
      continue;
    SALLYPORT_TRY(ledger::Checkpoint checkpoint, log.OpenCheckpoint(note));
    verdict = Verdict{.checkpoint = std::move(checkpoint), .log = log.vkey()};
    break;
  }
  if (!verdict) return Fail(Errc::token_signature_invalid, "no log of the policy has signed this");
  std::map<std::string, bool> cosigned;
  for (const auto& [name, witness] : witnesses_) {
    const Result<uint64_t> at = witness.Open(parsed);
    if (!at && at.error().code == Errc::not_found) continue;
    if (!at) return std::unexpected(at.error());
    cosigned[name] = true;
    verdict->cosigned.push_back({witness.name(), *at});
  }
  verdict->quorum = quorum_ == kNone || Met(quorum_, cosigned);
  return *std::move(verdict);
}

bool Policy::Met(const std::string& name, const std::map<std::string, bool>& cosigned) const {
  const auto group = groups_.find(name);
  if (group == groups_.end()) return cosigned.contains(name);
  const auto met = std::ranges::count_if(
      group->second.members, [&](const std::string& member) { return Met(member, cosigned); });
  return size_t(met) >= group->second.need;
}

std::string Policy::LogKey(std::string_view origin) const {
  for (const auto& log : logs_) {
    if (log.name() == origin) return log.vkey();
  }
  return {};
}

}  // namespace sallyport::witness
