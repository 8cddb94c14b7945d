#include "config/recorded_call.h"

#include <algorithm>

#include "policy/grant.h"

namespace sallyport::config {
namespace {

std::string_view View(json::Value value) { return value.string().value_or(std::string_view()); }
std::string Text(json::Value value) { return std::string(View(value)); }

/// The event of an entry as the log writes it, without reading the rest; empty where it is written
/// in another way.
std::string_view EventOf(std::string_view bytes) {
  constexpr std::string_view kHead = R"({"v":1,"e":")";
  if (!bytes.starts_with(kHead)) return {};
  bytes.remove_prefix(kHead.size());
  return bytes.substr(0, bytes.find('"'));
}

bool OfInterest(std::string_view event) {
  return event.empty() || event == "call.intent" || event == "call.denied" ||
         event == "auth.success" || event == "session.opened";
}

op::Verdict VerdictOf(std::string_view name) {
  return name == "allow"     ? op::Verdict::allow
         : name == "approve" ? op::Verdict::approve
                             : op::Verdict::deny;
}

}  // namespace

op::Principal RecordedCalls::PrincipalOf(json::Value who, std::string_view& unknown) const {
  op::Principal out{.issuer = Text(who["iss"]),
                    .subject = Text(who["sub"]),
                    .name = Text(who["name"]),
                    .provider = Text(who["idp"]),
                    .client_id = Text(who["client"]),
                    .agent = Text(who["agent"]),
                    .owner = Text(who["owner"]),
                    .token_class = Text(who["class"])};
  for (auto group = who["groups"].first(); group; group = group.next())
    out.groups.push_back(Text(group));
  // Too many to be recorded, or cut by the provider.
  out.groups_complete = !who["partial"].boolean().value_or(false) && !who["groups_cut"];
  const bool agent_gone =
      !out.agent.empty() && std::ranges::find(root_.agents, out.agent,
                                              &identity::AgentConfig::name) == root_.agents.end();
  const bool provider_gone =
      !out.provider.empty() &&
      std::ranges::find(root_.providers, out.provider, &identity::ProviderConfig::name) ==
          root_.providers.end() &&
      std::ranges::find(root_.saml, out.provider, &SamlProvider::name) == root_.saml.end();
  if (agent_gone || provider_gone) unknown = "caller-not-configured";
  return out;
}

void RecordedCalls::Opened(uint64_t index, json::Value root) {
  const std::string_view own = View(root["lg"]), front_end = View(root["fe"]);
  std::string key(front_end);
  key.append("\n").append(own).append("\n").append(root["who"].raw());
  auto [at, fresh] = callers_.try_emplace(std::move(key));
  if (fresh) {
    at->second = std::make_unique<RecordedCaller>();
    RecordedCaller& caller = *at->second;
    caller.id = static_cast<uint32_t>(callers_.size());
    caller.postgres = front_end == "postgres";
    caller.who = PrincipalOf(root["who"], caller.unknown);
    caller.groups_cut = bool(root["who"]["groups_cut"]);
    if (!own.empty()) {
      caller.who.session = own;
      const auto limits = limits_.find(own);
      if (limits == limits_.end()) {
        caller.unknown = "limits-not-recorded";
      } else if (!limits->second.empty()) {
        auto grant = policy::Grant::Parse(limits->second);
        if (grant) caller.who.grant = *std::move(grant);
        if (!grant) caller.unknown = "limits-not-recorded";
      }
    }
  }
  sessions_[index] = at->second.get();
}

void RecordedCalls::Limited(json::Value access) {
  if (const std::string id = Text(access["sid"]); !id.empty()) limits_[id] = Text(access["lim"]);
}

std::optional<RecordedCall> RecordedCalls::Take(uint64_t index, std::string_view bytes, Nanos from,
                                                Nanos to) {
  if (!OfInterest(EventOf(bytes))) return std::nullopt;
  Result<ledger::Entry> entry = ledger::DecodeEntry(bytes);
  if (!entry) return std::nullopt;  // a verifier's business
  entry_ = *std::move(entry);
  const json::Value root = entry_.document.root();
  if (entry_.event == "auth.success") Opened(index, root);
  if (entry_.event == "session.opened") Limited(root["acc"]);
  if (entry_.event != "call.intent" && entry_.event != "call.denied") return std::nullopt;
  if (entry_.at < from || (to != 0 && entry_.at >= to)) return std::nullopt;
  const auto session = entry_.has_session ? sessions_.find(entry_.session) : sessions_.end();
  return RecordedCall{.index = index,
                      .at = entry_.at,
                      .caller = session == sessions_.end() ? nullptr : session->second,
                      .connection = View(root["c"]),
                      .method = View(root["m"]),
                      .resource = View(root["r"]),
                      .policy_version = View(root["p"]),
                      .verdict = VerdictOf(View(root["x"])),
                      .reason = View(root["why"]),
                      .rules = root["rules"],
                      .request = root["req"],
                      .masked = root["mask"],
                      .unmask = root["um"]};
}

}  // namespace sallyport::config
