#include "app/user_accounts.h"

#include "app/keys.h"
#include "mask/seal.h"
#include "net/fetch.h"
#include "obs/log.h"
#include "state/sealer.h"

namespace sallyport::app {
namespace {

using credential::LinkEvent;

constexpr size_t kWords = 1024;  // recorded of the server's name, which the upstream may have given
constexpr size_t kMark = 16;

op::EventType TypeOf(LinkEvent::Kind kind) {
  switch (kind) {
    case LinkEvent::Kind::linked:
      return op::EventType::upstream_linked;
    case LinkEvent::Kind::unlinked:
      return op::EventType::upstream_unlinked;
    case LinkEvent::Kind::refresh_failed:
      break;
  }
  return op::EventType::upstream_refresh_failed;
}

Result<> Record(gate::Gate& gate, const mask::Masker& masker, const LinkEvent& event) {
  std::vector<op::MaskCount> counts;
  op::AccessEvidence access;
  access.whom = event.who;
  access.by = event.by;
  if (!event.server.empty())
    access.why = mask::Seal::Text(masker, event.server, kWords, counts).text;
  op::Evidence evidence;
  evidence.type = TypeOf(event.kind);
  evidence.address = event.address;
  evidence.connection = event.connection;
  evidence.method = "user_oauth";
  evidence.ok = event.ok;
  if (!event.ok) evidence.reason = event.reason;
  evidence.access = &access;
  evidence.detail = event.detail;
  auto recorded = gate.Record(std::move(evidence));
  if (!recorded)
    obs::Log(obs::Level::error, "credential.not_recorded", {{"connection", event.connection}});
  return recorded;
}

}  // namespace

Result<std::shared_ptr<credential::UserOauth>> MakeUserOauth(const std::string& connection,
                                                             const config::McpHttp& http,
                                                             const Accounts& accounts) {
  SALLYPORT_TRY(const Secret key, KeyFile(accounts.state_dir / "state.key"));
  SALLYPORT_TRY(state::Sealer sealer, state::Sealer::Make(key));
  SALLYPORT_TRY(auto links, credential::UserLinks::Load(connection, accounts.state, sealer));
  return std::make_shared<credential::UserOauth>(credential::UserOauth::Options{
      .connection = connection,
      .config = http.auth.user_oauth,
      .upstream = http.url,
      .public_url = accounts.public_url,
      .links = std::move(links),
      .mark =
          [sealer](const op::Principal& who) {
            return sealer.Digest("upstream-link-for", who.issuer + '\n' + who.subject)
                .substr(0, kMark);
          },
      .record = [&gate = accounts.gate, masker = accounts.masker](
                    const LinkEvent& event) { return Record(gate, *masker, event); },
      .fetch = net::FetchUrl,
      .clock = SystemClock()});
}

Result<> KeepOnlyAccounts(const config::Root& root, state::Writer& state) {
  std::vector<std::string> names;
  for (const config::Connection& connection : root.connections) {
    const auto* http =
        connection.mcp ? std::get_if<config::McpHttp>(&connection.mcp->upstream) : nullptr;
    if (http != nullptr && http->auth.kind == config::UpstreamAuth::Kind::user_oauth)
      names.push_back(connection.name);
  }
  const auto kept = credential::UserLinks::KeepOnly(names, state);
  // Without such connections a state that is damaged is none of this section's business.
  return names.empty() ? Result<>() : kept;
}

}  // namespace sallyport::app
