#include "app/approvals.h"

#include <algorithm>
#include <openssl/evp.h>

#include "access/store_sqlite.h"
#include "app/keys.h"
#include "base/bytes.h"
#include "credential/user_links.h"
#include "mask/seal.h"
#include "net/fetch.h"
#include "oauth/store.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "secrets/source.h"
#include "state/database.h"
#include "state/sealer.h"

namespace sallyport::app {
namespace {

constexpr size_t kShown = 256 << 10;  // of one text that the desk keeps

std::vector<approval::Flow> FlowsOf(const config::Root& root) {
  std::vector<approval::Flow> flows;
  for (const config::Approval& a : root.approvals) {
    flows.push_back({.name = a.name,
                     .approvers = a.approvers,
                     .need = a.need,
                     .reason_required = a.reason_required,
                     .ttl = a.ttl});
  }
  return flows;
}

approval::Persons PersonsOf(const config::Root& root) {
  std::vector<approval::Persons::Person> persons;
  for (const config::Person& person : root.persons) {
    approval::Persons::Person linked{.name = person.name, .accounts = {}};
    for (const config::Person::Account& account : person.accounts) {
      const auto provider =
          std::ranges::find(root.providers, account.provider, &identity::ProviderConfig::name);
      if (provider != root.providers.end())
        linked.accounts.push_back(provider->issuer + "|" + account.subject);
      else
        linked.saml.push_back(account.provider + "|" + account.subject);
    }
    persons.push_back(std::move(linked));
  }
  return approval::Persons(std::move(persons));
}

/// Which secret it is; another member of the same one is another.
std::string SecretOf(const secrets::Ref& ref) {
  return ref.field.empty() ? ref.name : ref.name + '#' + ref.field;
}

/// What stands behind each connection, without its secrets.
std::map<std::string, std::string> TargetsOf(const config::Root& root) {
  std::map<std::string, std::string> targets;
  for (const config::Connection& connection : root.connections) {
    std::string text;
    const auto add = [&](std::string_view part) {
      text.append(std::to_string(part.size())).append(":").append(part);
    };
    if (connection.mcp) {
      if (const auto* http = std::get_if<config::McpHttp>(&connection.mcp->upstream)) {
        add("http"), add(http->url), add(SecretOf(http->auth.secret));
      } else {
        add("stdio");
        for (const std::string& word : std::get<config::McpStdio>(connection.mcp->upstream).command)
          add(word);
      }
    } else if (connection.postgres) {
      const config::Postgres& p = *connection.postgres;
      add("postgres"), add(p.host), add(std::to_string(p.port)), add(p.database);
      add(p.vault_database ? "vault " + p.vault_database->mount + "/" + p.vault_database->role
          : p.jit_role     ? "role of " + p.user
                           : "user " + p.user);
    }
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr);
    targets[connection.name] = HexEncode(ByteView(digest, size)).substr(0, 16);
  }
  return targets;
}

Result<std::unique_ptr<state::Database>> OpenState(const std::filesystem::path& file) {
  SALLYPORT_TRY(auto db, state::Database::Open(file));
  SALLYPORT_CHECK(approval::Desk::Migrate(*db));
  SALLYPORT_CHECK(approval::Passkeys::Migrate(*db));
  SALLYPORT_CHECK(access::PrepareState(*db));
  SALLYPORT_CHECK(oauth::PrepareState(*db));
  SALLYPORT_CHECK(credential::UserLinks::Migrate(*db));
  return db;
}

}  // namespace

Result<std::unique_ptr<Approvals>> Approvals::Open(const config::Root& root, ledger::Ledger& ledger,
                                                   std::shared_ptr<const mask::Masker> masker) {
  std::unique_ptr<Approvals> out(new Approvals);
  out->masker_.store(std::move(masker));
  const std::filesystem::path dir = root.server.data_dir / "state";
  SALLYPORT_TRY(const Secret key, KeyFile(dir / "state.key"));
  SALLYPORT_TRY(state::Sealer sealer, state::Sealer::Make(key));
  auto db = OpenState(dir / "state.db");
  if (!db) obs::Log(obs::Level::error, "state.unavailable", {{"detail", db.error().detail}});
  out->state_ = std::make_unique<state::Writer>(std::move(db));
  out->uses_ = std::make_unique<access::Uses>(*out->state_);
  approval::Desk::Options options{
      .flows = FlowsOf(root),
      .persons = PersonsOf(root),
      .open_per_caller = root.server.limits.approvals_per_caller,
      .filed_per_hour = root.server.limits.approvals_per_hour,
      .targets = TargetsOf(root),
      .public_url = root.server.public_url,
      .mask = [self = out.get()](std::string_view text, bool json) -> op::Payload {
        const auto current = self->masker_.load();
        std::vector<op::MaskCount> counts;
        if (!json) return mask::Seal::Text(*current, text, kShown, counts);
        return mask::Seal::Json(*current, text, {}, kShown, counts).value_or(op::Payload{});
      }};
  out->desk_ = std::make_unique<approval::Desk>(*out->state_, std::move(sealer),
                                                approval::RecordTo(ledger, SystemClock()),
                                                std::move(options));
  out->passkeys_ = std::make_unique<approval::Passkeys>(
      *out->state_, approval::RecordTo(ledger, SystemClock()), root.server.public_url,
      [self = out.get()](std::string_view text) {
        std::vector<op::MaskCount> counts;
        return mask::Seal::Text(*self->masker_.load(), text, kShown, counts);
      },
      SystemClock());
  out->desk_->OnChange([](const approval::Request& request) {
    obs::Metrics()
        .counters("sallyport_approvals_total", "Requests for approval by the state they came to",
                  {"state"})
        .With({approval::StateName(request.state)})
        .Add();
  });
  return out;
}

Result<std::shared_ptr<approval::Webhooks>> Approvals::MakeWebhooks(const config::Root& root) {
  approval::Webhooks::Options options{
      .hooks = {},
      .fetch = net::FetchUrl,
      .clock = &SystemClock(),
      .url_of = [this](const std::string& id) { return desk_->UrlOf(id); },
      .pending =
          [this](const std::string& id) {
            const auto request = desk_->Find(id);
            return request && request->state == approval::State::pending;
          },
      .notified =
          [this](const std::string& id, const std::string& name, bool ok) {
            if (!ok) obs::Log(obs::Level::warn, "approval.not_notified", {{"webhook", name}});
            (void)desk_->Notified(id, name, ok);
          }};
  for (const config::Approval& flow : root.approvals) {
    size_t n = 0;
    for (const config::ApprovalWebhook& hook : flow.notify) {
      approval::Webhook made{
          .name = flow.name + "/" + std::to_string(++n),
          .flow = flow.name,
          .format = hook.slack ? approval::Webhook::Format::slack : approval::Webhook::Format::json,
          .url = {},
          .key = {},
          .allow_addresses = hook.allow_addresses,
          .allow_loopback_http = hook.allow_loopback_http,
          .ca_file = hook.ca};
      SALLYPORT_TRY(made.url, secrets::Resolve(hook.url));
      if (hook.key) {
        SALLYPORT_TRY(made.key, secrets::Resolve(*hook.key));
      }
      options.hooks.push_back(std::move(made));
    }
  }
  return std::make_shared<approval::Webhooks>(std::move(options));
}

Result<> Approvals::StartWebhooks(const config::Root& root) {
  SALLYPORT_TRY(auto webhooks, MakeWebhooks(root));
  webhooks_.store(std::move(webhooks));
  told_ = root.approvals;
  desk_->OnChange([this](const approval::Request& request) {
    if (const auto all = webhooks_.load()) all->Tell(request);
  });
  for (const approval::Request& request : desk_->List({.state = approval::State::pending}))
    webhooks_.load()->Tell(request);
  return {};
}

Result<> Approvals::Reload(const config::Root& root, std::shared_ptr<const mask::Masker> masker) {
  if (root.approvals != told_) {
    SALLYPORT_TRY(auto webhooks, MakeWebhooks(root));
    webhooks_.store(std::move(webhooks));
    told_ = root.approvals;
  }
  masker_.store(std::move(masker));
  desk_->Configure(FlowsOf(root), PersonsOf(root), root.server.limits.approvals_per_caller,
                   root.server.limits.approvals_per_hour);
  return {};
}

}  // namespace sallyport::app
