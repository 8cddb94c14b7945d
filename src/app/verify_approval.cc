#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <openssl/sha.h>

#include "app/exit_code.h"
#include "app/read_spool.h"
#include "app/verbs.h"
#include "approval/passkey.h"
#include "base/bytes.h"
#include "ledger/entry.h"
#include "ledger/reader.h"
#include "ledger/search.h"

namespace sallyport::app {
namespace {

/// What was found about one decision, in the order in which it was looked at.
struct Checks {
  nlohmann::ordered_json facts = nlohmann::ordered_json::object();
  std::string bad;  // why it does not hold; empty: it does

  bool Fail(std::string why) {
    bad = std::move(why);
    return false;
  }
};

std::string Text(json::Value value) { return std::string(value.string().value_or("")); }

std::string Sha256Hex(std::string_view text) {
  uint8_t hash[SHA256_DIGEST_LENGTH];
  SHA256(AsBytes(text).data(), text.size(), hash);
  return HexEncode(hash);
}

/// The entry that says whose key it is has to name this key and this person.
bool CheckOwner(ledger::LogReader& log, const approval::CheckedProof& proof, json::Value voter,
                Checks& checks) {
  const auto bytes = log.Read(proof.registered);
  const auto entry =
      bytes ? ledger::DecodeEntry(*bytes) : Result<ledger::Entry>(Fail(Errc::not_found));
  if (!entry || entry->event != "passkey.registered")
    return checks.Fail("entry " + std::to_string(proof.registered) + " registers no passkey");
  const json::Value about = entry->document.root()["ap"];
  if (Text(about["sig"]["public_key"]) != proof.public_key ||
      Text(about["sig"]["credential"]) != proof.credential)
    return checks.Fail("the key is not the one that was registered");
  if (Text(about["by"]["iss"]) != Text(voter["iss"]) ||
      Text(about["by"]["sub"]) != Text(voter["sub"]))
    return checks.Fail("the key was registered by somebody else");
  return true;
}

/// The key must not have been removed before. A removal that could not be done is taken back by an
/// entry with `ok` false that names the same key.
bool CheckNotRemoved(const std::string& dir, ledger::LogReader& log,
                     const approval::CheckedProof& proof, uint64_t decision, Checks& checks) {
  const auto found = ledger::Search(dir, {.event = "passkey.removed", .limit = 1'000'000});
  if (!found) return checks.Fail(found.error().detail);
  std::map<uint64_t, bool> removals;  // index → done
  for (const ledger::Found& at : *found) {
    if (at.index >= decision || at.json.find(proof.credential) == std::string::npos) continue;
    const auto bytes = log.Read(at.index);
    const auto entry =
        bytes ? ledger::DecodeEntry(*bytes) : Result<ledger::Entry>(Fail(Errc::not_found));
    if (!entry) return checks.Fail("entry " + std::to_string(at.index) + " cannot be read");
    const json::Value root = entry->document.root();
    if (Text(root["ap"]["sig"]["credential"]) == proof.credential)
      removals[at.index] = root["ok"].boolean().value_or(true);
  }
  if (removals.empty() || !removals.rbegin()->second) return true;
  return checks.Fail("the key was removed before, in entry " +
                     std::to_string(removals.rbegin()->first));
}

/// The request that the digest is of: what exactly was decided about.
bool CheckRequest(const std::string& dir, ledger::LogReader& log, const std::string& id,
                  const std::string& digest, Checks& checks) {
  const auto found = ledger::Search(dir, {.event = "approval.requested", .limit = 1'000'000});
  if (!found) return checks.Fail(found.error().detail);
  for (const ledger::Found& at : *found) {
    if (at.json.find(id) == std::string::npos) continue;
    const auto bytes = log.Read(at.index);
    if (!bytes) continue;
    const auto entry = ledger::DecodeEntry(*bytes);
    if (!entry || Text(entry->document.root()["a"]) != id) continue;
    const json::Value about = entry->document.root()["ap"];
    if (Text(about["dg"]) != digest) return checks.Fail("the request has another digest");
    if (Sha256Hex(about["bind"].raw()) != digest)
      return checks.Fail("the digest is not that of what was asked for");
    checks.facts["requested_in"] = at.index;
    checks.facts["binding"] = nlohmann::ordered_json::parse(about["bind"].raw(), nullptr, false);
    return true;
  }
  return checks.Fail("the log has no request " + id);
}

bool Check(const std::string& dir, uint64_t index, Checks& checks) {
  auto log = ledger::LogReader::Open(dir);
  if (!log) return checks.Fail(log.error().detail);
  const auto bytes = log->Read(index);
  if (!bytes) return checks.Fail("there is no such entry");
  const auto entry = ledger::DecodeEntry(*bytes);
  if (!entry) return checks.Fail("the entry cannot be read");
  const json::Value root = entry->document.root(), about = root["ap"];
  if (entry->event != "approval.decided")
    return checks.Fail("the entry is a " + entry->event + ", no approval.decided");
  if (root["ok"].boolean() == false) return checks.Fail("the entry says that a vote was refused");
  const std::string digest = Text(about["dg"]), vote = Text(about["vote"]), id = Text(root["a"]);
  checks.facts["approval"] = id;
  checks.facts["decision"] = vote;
  checks.facts["digest"] = digest;
  checks.facts["by"] = {{"issuer", Text(about["by"]["iss"])},
                        {"subject", Text(about["by"]["sub"])},
                        {"name", Text(about["by"]["name"])}};
  if (!about["sig"]) return checks.Fail("the decision was made without a passkey");
  const auto proof = approval::CheckProof(about["sig"].raw(), digest, vote == "approve");
  if (!proof) return checks.Fail(proof.error().detail);
  checks.facts["origin"] = proof->origin;
  checks.facts["credential"] = proof->credential;
  checks.facts["registered_in"] = proof->registered;
  return CheckOwner(*log, *proof, about["by"], checks) &&
         CheckNotRemoved(dir, *log, *proof, index, checks) &&
         CheckRequest(dir, *log, id, digest, checks);
}

}  // namespace

int RunAuditVerifyApproval(const AuditVerifyApprovalOptions& options) {
  const std::string dir = DataDirOrDefault(options.data_dir);
  Checks checks;
  const bool good = Check(dir, options.index, checks);
  (void)NoteReading(dir, "audit verify-approval", std::to_string(options.index));
  if (options.json) {
    nlohmann::ordered_json out{{"index", options.index}, {"ok", good}};
    if (!good) out["problem"] = checks.bad;
    out.update(checks.facts);
    std::printf("%s\n",
                out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
    return good ? kOk : kNegative;
  }
  if (!good) {
    std::printf("entry %llu: NOT proven: %s\n", static_cast<unsigned long long>(options.index),
                checks.bad.c_str());
    return kNegative;
  }
  const auto text = [&](const char* name) { return checks.facts[name].get<std::string>(); };
  std::printf(
      "entry %llu: proven\n  %s of %s\n  by %s (%s, %s)\n  with a passkey on %s, registered in "
      "entry "
      "%llu\n  over the digest %s of entry %llu\n",
      static_cast<unsigned long long>(options.index), text("decision").c_str(),
      text("approval").c_str(), checks.facts["by"]["name"].get<std::string>().c_str(),
      checks.facts["by"]["subject"].get<std::string>().c_str(),
      checks.facts["by"]["issuer"].get<std::string>().c_str(), text("origin").c_str(),
      static_cast<unsigned long long>(checks.facts["registered_in"].get<uint64_t>()),
      text("digest").c_str(),
      static_cast<unsigned long long>(checks.facts["requested_in"].get<uint64_t>()));
  std::printf(
      "That the entries stand in the log unchanged is what `sallyport audit verify` proves.\n");
  return kOk;
}

}  // namespace sallyport::app
