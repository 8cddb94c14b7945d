#include "app/policy_versions.h"

#include <cstdio>

#include "app/exit_code.h"
#include "app/read_spool.h"
#include "config/load_change.h"
#include "ledger/entry.h"
#include "ledger/object_writer.h"
#include "ledger/reader.h"
#include "ledger/render.h"
#include "mask/seal.h"
#include "policy/rules.h"

namespace sallyport::app {
namespace {

constexpr size_t kFacts = 4096;
constexpr const char* kNotStated = "not stated";

std::string Stated(const std::string& text) { return text.empty() ? kNotStated : text; }

/// One version as it was adopted; the same again says nothing new.
struct Version {
  uint64_t index = 0;
  Nanos at = 0;
  std::string version, author, approver, ticket;
  int64_t rules = 0;

  bool Same(const Version& other) const {
    return version == other.version && author == other.author && approver == other.approver &&
           ticket == other.ticket;
  }
};

/// Of logs that were written before versions were entries, the rules alone are known.
std::optional<Version> ReadVersion(uint64_t index, std::string_view bytes) {
  if (bytes.find("policy.adopted") == std::string_view::npos &&
      bytes.find("config.loaded") == std::string_view::npos)
    return std::nullopt;
  const auto entry = ledger::DecodeEntry(bytes);
  if (!entry || (entry->event != "policy.adopted" && entry->event != "config.loaded"))
    return std::nullopt;
  const json::Value root = entry->document.root();
  const auto text = [](json::Value value) { return std::string(value.string().value_or("")); };
  const json::Value facts = root["facts"];
  return Version{.index = index,
                 .at = entry->at,
                 .version = text(root["p"]),
                 .author = Stated(text(facts["author"])),
                 .approver = Stated(text(facts["approver"])),
                 .ticket = Stated(text(facts["ticket"])),
                 .rules = root["count"].integer().value_or(0)};
}

Result<std::vector<Version>> ReadVersions(const std::string& data_dir) {
  SALLYPORT_TRY(ledger::LogReader log, ledger::LogReader::Open(data_dir));
  std::vector<Version> all;
  SALLYPORT_CHECK(
      log.ForEach(0, log.size(), [&](uint64_t index, std::string_view bytes) -> Result<bool> {
        auto version = ReadVersion(index, bytes);
        if (!version) return true;
        // A start writes config.loaded and then policy.adopted, which says more.
        if (!all.empty() && all.back().version == version->version &&
            all.back().author == kNotStated && all.back().index + 1 == index)
          all.pop_back();
        if (all.empty() || !all.back().Same(*version)) all.push_back(*std::move(version));
        return true;
      }));
  return all;
}

void Print(const Version& version, bool json) {
  if (!json) {
    const std::string line = std::to_string(version.index) + "  " +
                             FormatUtc(version.at).substr(0, 19) + "Z  " + version.version + "  " +
                             std::to_string(version.rules) + " rules  author: " + version.author +
                             "  approver: " + version.approver + "  ticket: " + version.ticket;
    std::printf("%s\n", ledger::Printable(line).c_str());
    return;
  }
  std::string out;
  ledger::ObjectWriter object(out);
  object.Number("index", version.index);
  object.Text("time", FormatUtc(version.at));
  object.Text("policy_version", version.version);
  object.Number("rules", version.rules);
  object.Text("author", version.author);
  object.Text("approver", version.approver);
  object.Text("ticket", version.ticket);
  object.Close();
  std::printf("%s\n", out.c_str());
}

}  // namespace

Result<> AdoptPolicy(const config::Root& root, const mask::Masker& masker, gate::Gate& gate) {
  SALLYPORT_TRY(const config::Change change, config::ChangeOf(root));
  std::string json = R"({"author":)" + json::Quote(Stated(change.author)) + R"(,"approver":)" +
                     json::Quote(Stated(change.approver)) + R"(,"ticket":)" +
                     json::Quote(Stated(change.ticket)) + "}";
  std::vector<op::MaskCount> counts;
  SALLYPORT_TRY(op::Payload facts, mask::Seal::Json(masker, json, {}, kFacts, counts));
  op::Evidence evidence;
  evidence.type = op::EventType::policy_adopted;
  evidence.policy_version = gate.rules()->version();
  evidence.count = gate.rules()->size();
  if (facts.complete) evidence.facts = std::move(facts.text);
  return gate.Record(std::move(evidence));
}

int RunPolicyLog(const PolicyLogOptions& options) {
  const auto versions = ReadVersions(options.data_dir);
  if (!versions) {
    std::fprintf(stderr, "sallyport policy log: %s (%s)\n", versions.error().detail.c_str(),
                 std::string(ReasonCode(versions.error().code)).c_str());
    return kFailed;
  }
  (void)NoteReading(options.data_dir, "policy log", "");  // a copy can be read too
  for (const Version& version : *versions) Print(version, options.json);
  return kOk;
}

}  // namespace sallyport::app
