#include <algorithm>
#include <array>

#include "config/sections.h"

namespace sallyport::config {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

seconds In(std::optional<std::chrono::milliseconds> value, seconds otherwise) {
  return value ? std::chrono::duration_cast<seconds>(*value) : otherwise;
}

void ReadSsfPoll(Context& context, const Node& node, identity::SignalConfig::Ssf& ssf,
                 const std::string& where) {
  Fields fields(context, node, where);
  identity::SignalConfig::Ssf::Poll poll;
  poll.endpoint = fields.RequiredText("endpoint", "write the stream's endpoint_url");
  if (!poll.endpoint.empty()) CheckUrl(fields, "endpoint", poll.endpoint, false);
  if (fields.Require("token", "write where the stream's access token is: token: { file: PATH }"))
    poll.token = fields.Secret("token").value_or(secrets::Ref{});
  poll.every = In(fields.Duration("every", 1s, 1h), poll.every);
  fields.Done();
  ssf.poll = std::move(poll);
}

void ReadSsf(Context& context, const Node& node, identity::SignalConfig& out, const Root& root,
             const std::string& where) {
  Fields fields(context, node, where);
  identity::SignalConfig::Ssf ssf;
  ssf.issuer = fields.RequiredText("issuer", "write iss as the transmitter's events have it");
  if (!ssf.issuer.empty()) CheckUrl(fields, "issuer", ssf.issuer, false);
  if (auto uri = fields.Text("jwks_uri")) {
    ssf.jwks_uri = *uri;
    CheckUrl(fields, "jwks_uri", ssf.jwks_uri, false);
  }
  const Node* audience = fields.Get("audience");
  if (audience != nullptr && audience->is(Node::Kind::sequence)) {
    ssf.audiences = fields.Texts("audience");
  } else if (auto text = fields.Text("audience")) {
    ssf.audiences = {*text};
  }
  if (ssf.audiences.empty() && !root.server.public_url.empty())
    ssf.audiences = {root.server.public_url};
  if (ssf.audiences.empty()) {
    context.Error(node.mark, kCfgMissingKey, where + ".audience is missing",
                  "write aud as the transmitter's events have it");
  }
  ssf.push = fields.Bool("push").value_or(true);
  if (auto token = fields.Secret("push_token")) ssf.push_token = *token;
  if (const Node* poll = fields.Get("poll")) ReadSsfPoll(context, *poll, ssf, where + ".poll");
  if (!ssf.push && !ssf.poll) {
    context.Error(node.mark, kCfgConflict, where + " neither takes events nor fetches them",
                  "remove push: false, or add poll");
  }
  fields.Done();
  out.ssf = std::move(ssf);
}

void ReadPoll(Context& context, const Node& node, identity::SignalConfig& out,
              const std::string& where) {
  Fields fields(context, node, where);
  identity::SignalConfig::Poll poll;
  poll.every = In(fields.Duration("every", 5s, 1h), poll.every);
  poll.unreachable_for = In(fields.Duration("unreachable_for", 10s, 24h), poll.unreachable_for);
  fields.Done();
  out.poll = poll;
}

}  // namespace

void ReadSignals(Fields& fields, const identity::ProviderConfig* oidc, bool people, Root& root) {
  Context& context = fields.context();
  const Node* ssf = fields.Get("ssf");
  const Node* poll = fields.Get("poll");
  identity::SignalConfig out;
  const auto sends = fields.Texts("sends");
  out.email_subjects = fields.Bool("email_subjects").value_or(false);
  static const std::vector<std::string_view> kSends{"backchannel-logout",
                                                    "global-token-revocation"};
  for (const std::string& what : sends) {
    if (what == kSends[0]) out.sends_backchannel_logout = true;
    if (what == kSends[1]) out.sends_revocation = true;
    if (std::ranges::find(kSends, what) == kSends.end())
      context.Error(fields.ValueMark("sends"), kCfgUnknownName,
                    fields.where() + ".sends: there is no \"" + what + "\"", Suggest(what, kSends));
  }
  if (oidc == nullptr) {
    if (ssf != nullptr || poll != nullptr || !sends.empty() || out.email_subjects)
      context.Error(fields.MarkOf(ssf != nullptr    ? "ssf"
                                  : poll != nullptr ? "poll"
                                  : !sends.empty()  ? "sends"
                                                    : "email_subjects"),
                    kCfgConflict, fields.where() + ": this is read of OIDC providers only",
                    "remove it, or configure the provider's OIDC side");
    return;
  }
  out.provider = oidc->name;
  const std::string where = "identity.providers." + oidc->name;
  if (ssf != nullptr) ReadSsf(context, *ssf, out, root, where + ".ssf");
  if (poll != nullptr) {
    ReadPoll(context, *poll, out, where + ".poll");
    if (!people)
      context.Error(fields.MarkOf("poll"), kCfgConflict,
                    where + ".poll: nobody signs in at this provider, so nobody can be asked about",
                    "add oidc.client_id, or remove poll");
  }
  root.signals.push_back(std::move(out));
}

}  // namespace sallyport::config
