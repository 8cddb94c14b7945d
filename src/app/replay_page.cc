#include "app/replay_page.h"

#include <nlohmann/json.hpp>
#include <set>

#include "api/assets.h"
#include "base/bytes.h"
#include "ledger/file.h"
#include "ledger/proof.h"
#include "ledger/replay.h"

namespace sallyport::app {
namespace {

std::string Digest(std::string_view text) { return Base64Encode(ledger::Sha256(text)); }

void Fill(std::string& text, std::string_view name, std::string_view value) {
  for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + value.size()))
    text.replace(at, name.size(), value);
}

/// A recording that the browser opens itself, or why it cannot.
nlohmann::json Sealed(Recorded& recorded, const op::Blob& blob) {
  const auto taken = recorded.Take(blob);
  if (taken) {
    return {{"bytes", Base64Encode(AsBytes(taken->bytes))},
            {"session", taken->session},
            {"key", Base64Encode(taken->key.bytes())}};
  }
  const Error& error = taken.error();
  return {{"why", error.code == Errc::recording_destroyed ? "its key was destroyed"
                  : error.code == Errc::recording_damaged ? "DAMAGED: " + error.detail
                                                          : "sealed: no key was at hand"}};
}

/// What web/replay.js reads; nothing in it can end the element that it stands in.
Result<std::string> Evidence(const std::filesystem::path& data_dir, const std::string& session,
                             Recorded& recorded) {
  SALLYPORT_TRY(const std::vector<ledger::Found> events, ledger::ReplaySession(data_dir, session));
  std::set<uint64_t> indexes;  // also those that say who is behind an event of another session
  for (const ledger::Found& event : events) {
    indexes.insert(event.index);
    const auto shown = nlohmann::json::parse(event.json, nullptr, false);
    if (shown.is_object() && shown.contains("session") && shown["session"].contains("index"))
      indexes.insert(shown["session"]["index"].get<uint64_t>());
  }
  SALLYPORT_TRY(const ledger::ProvenEntries proven,
                ledger::ProveAll(data_dir, {indexes.begin(), indexes.end()}));
  nlohmann::json out{{"session", session}, {"key", proven.vkey}, {"note", proven.note}};
  if (const auto policy = ledger::ReadFile(data_dir / "witness" / "policy", 64 << 10); policy)
    out["policy"] = *policy;
  nlohmann::json& list = out["entries"] = nlohmann::json::array();
  for (const auto& one : proven.entries) {
    nlohmann::json proof = nlohmann::json::array();
    for (const ledger::Hash& hash : one.proof) proof.push_back(Base64Encode(hash));
    list.push_back({{"index", one.index},
                    {"entry", Base64Encode(AsBytes(one.entry))},
                    {"proof", std::move(proof)}});
  }
  nlohmann::json& recordings = out["recordings"] = nlohmann::json::object();
  for (const auto& one : proven.entries) {
    for (const op::Blob& blob : Recorded::BlobsOf(one.entry))
      recordings[blob.sha256] = Sealed(recorded, blob);
  }
  std::string text = out.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  Fill(text, "<", "\\u003c");
  return text;
}

}  // namespace

Result<std::string> ReplayPage(const std::filesystem::path& data_dir, const std::string& session,
                               Recorded& recorded) {
  SALLYPORT_TRY(const std::string evidence, Evidence(data_dir, session, recorded));
  std::string page(api::Asset("replay.html").value_or(""));
  std::string script(api::Asset("replay.js").value_or(""));
  const std::string style(api::Asset("replay.css").value_or(""));
  constexpr std::string_view kShell = "<div id=\"shell\">", kEnd = "</div>\n<script";
  const size_t begin = page.find(kShell);
  const size_t end = page.find(kEnd);
  if (begin == page.npos || end == page.npos) return Fail(Errc::internal, "the page has no shell");
  Fill(script, "@STYLE_HASH@", Digest(style));
  Fill(script, "@SHELL_HASH@", Digest(page.substr(begin, end + 6 - begin)));
  Fill(script, "@EVIDENCE_HASH@", Digest(evidence));
  Fill(page, "@STYLE_HASH@", Digest(style));
  Fill(page, "@SCRIPT_HASH@", Digest(script));
  Fill(page, "@STYLE@", style);
  Fill(page, "@EVIDENCE@", evidence);
  Fill(page, "@SCRIPT@", script);
  return page;
}

}  // namespace sallyport::app
