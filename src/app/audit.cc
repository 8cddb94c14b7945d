#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "app/exit_code.h"
#include "app/keys.h"
#include "app/proofs.h"
#include "app/read_spool.h"
#include "app/recorded.h"
#include "app/verbs.h"
#include "base/clock.h"
#include "ledger/checkpoint.h"
#include "ledger/index.h"
#include "ledger/proof.h"
#include "ledger/render.h"
#include "ledger/search.h"
#include "ledger/verify.h"
#include "witness/policy.h"

namespace sallyport::app {
namespace {

int Sorry(const char* command, const Error& error) {
  std::fprintf(stderr, "sallyport audit %s: %s (%s)\n", command, error.detail.c_str(),
               std::string(ReasonCode(error.code)).c_str());
  return kFailed;
}

std::string Short(const ledger::Found& found) {
  const auto document = json::Document::Parse(found.json);
  if (!document) return found.json;
  const json::Value root = document->root();
  const auto text = [](json::Value v) { return std::string(v.string().value_or("")); };
  const json::Value who = root["session"]["who"];
  std::string line = std::to_string(found.index) + "  " + text(root["time"]).substr(0, 23) + "Z  " +
                     text(root["event"]);
  line.resize(std::max<size_t>(line.size(), 54), ' ');
  std::string name = text(who["agent"]);
  if (name.empty()) name = text(who["name"]);
  if (name.empty()) name = text(root["from"]["address"]);
  for (const std::string& part : {name, text(root["connection"]), text(root["method"]),
                                  text(root["resource"]), text(root["decision"]["verdict"]),
                                  text(root["decision"]["reason"]), text(root["detail"])}) {
    if (!part.empty()) line += "  " + part;
  }
  return line;
}

Result<witness::Policy> ReadPolicy(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in.is_open()) return Fail(Errc::not_found, "cannot be read");
  return witness::Policy::Parse(text);
}

/// The policy's key for this log; the one that the log names itself where the policy knows none,
/// which is then found out.
std::string KeyOf(const witness::Policy& policy, const std::string& data_dir) {
  std::ifstream in(data_dir + "/log/vkey", std::ios::binary);
  std::string key;
  std::getline(in, key);
  const std::string known = policy.LogKey(key.substr(0, key.find('+')));
  return known.empty() ? key : known;
}

/// Holds the cosigned head against the policy; what is missing is a problem of the log.
void CheckWitnesses(const witness::Policy& policy, ledger::VerifyReport& report) {
  const auto problem = [&](std::string what) {
    report.quorum = false;
    report.problems.push_back({"log/checkpoint.cosigned", std::nullopt, std::move(what)});
  };
  if (report.cosigned.empty()) return problem("is not there: no witness has cosigned this log");
  const auto verdict = policy.Check(report.cosigned);
  if (!verdict) return problem(verdict.error().detail);
  for (const auto& [witness, at] : verdict->cosigned)
    report.cosigned_by.emplace_back(witness, FormatUtc(Nanos(at) * 1'000'000'000));
  if (!verdict->quorum) return problem("is not cosigned by a quorum of the policy");
  report.quorum = true;
}

}  // namespace

void PrintEntry(const ledger::Found& found, bool as_json) {
  std::printf("%s\n", (as_json ? found.json : ledger::Printable(Short(found))).c_str());
}

int RunAuditVerify(const AuditVerifyOptions& options) {
  std::optional<std::string> key, older;
  std::optional<witness::Policy> policy;
  if (!options.policy.empty()) {
    auto read = ReadPolicy(options.policy);
    if (!read) {
      std::fprintf(stderr, "sallyport audit verify: --policy %s: %s\n", options.policy.c_str(),
                   read.error().detail.c_str());
      return kUsage;
    }
    policy = std::move(*read);
    if (options.key.empty()) key = KeyOf(*policy, options.data_dir);
  }
  if (!options.key.empty()) {
    key = options.key;
    if (const auto readable = ledger::NoteVerifier::Make(*key); !readable) {
      std::fprintf(stderr, "sallyport audit verify: --key: %s\n", readable.error().detail.c_str());
      return kUsage;
    }
  }
  if (!options.checkpoint.empty()) {
    std::ifstream in(options.checkpoint, std::ios::binary);
    older.emplace(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    if (!in.is_open() || older->empty()) {
      std::fprintf(stderr, "sallyport audit verify: cannot read the checkpoint %s\n",
                   options.checkpoint.c_str());
      return kFailed;
    }
  }
  auto check = RecordingCheck::Open(options.data_dir, {options.config, options.kek});
  if (!check) return Sorry("verify", check.error());
  auto report = ledger::VerifyDataDir(
      options.data_dir, key, older,
      [&](uint64_t index, std::string_view entry) { check->Visit(index, entry); });
  if (report.found) check->Finish(report);
  if (policy && report.found) CheckWitnesses(*policy, report);
  (void)NoteReading(options.data_dir, "audit verify",
                    "");  // a proof needs no right to write: a copy verifies too
  std::printf("%s\n", (options.json ? report.Json() : report.Text()).c_str());
  if (!report.found) return kFailed;
  return report.ok() ? kOk : kNegative;
}

int RunAuditProve(const AuditProveOptions& options) {
  const std::string dir = DataDirOrDefault(options.data_dir);
  const auto proof = ledger::Prove(dir, options.index);
  if (!proof) return Sorry("prove", proof.error());
  if (const auto noted = NoteReading(dir, "audit prove", std::to_string(options.index)); !noted) {
    return Sorry("prove", noted.error());
  }
  if (options.out.empty()) {
    std::fputs(proof->c_str(), stdout);
    return kOk;
  }
  std::ofstream out(options.out, std::ios::binary);
  out << *proof;
  return out.flush() ? kOk : Sorry("prove", Error(Errc::io_failed, "cannot write " + options.out));
}

int RunAuditTail(const AuditTailOptions& options) {
  const std::string dir = DataDirOrDefault(options.data_dir);
  if (const auto noted = NoteReading(dir, "audit tail", ""); !noted)
    return Sorry("tail", noted.error());
  auto recorded = Recorded::Open(dir, {options.config, options.kek});
  if (!recorded) return Sorry("tail", recorded.error());
  const auto done =
      ledger::Tail(dir, options.lines, options.follow, [&](const ledger::Found* found) {
        if (found != nullptr) {
          ledger::Found shown = *found;
          if (options.json) recorded->Fill(shown.json);
          PrintEntry(shown, options.json);
        }
        return std::fflush(stdout) == 0;
      });
  return done ? kOk : Sorry("tail", done.error());
}

}  // namespace sallyport::app
