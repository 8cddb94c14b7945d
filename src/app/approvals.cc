#include "app/approvals.h"

#include <algorithm>

#include "access/store_sqlite.h"
#include "app/keys.h"
#include "mask/seal.h"
#include "obs/log.h"
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
    }
    persons.push_back(std::move(linked));
  }
  return approval::Persons(std::move(persons));
}

Result<std::unique_ptr<state::Database>> OpenState(const std::filesystem::path& file) {
  SALLYPORT_TRY(auto db, state::Database::Open(file));
  SALLYPORT_CHECK(approval::Desk::Migrate(*db));
  SALLYPORT_CHECK(access::PrepareState(*db));
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
  approval::Desk::Options options{
      .flows = FlowsOf(root),
      .persons = PersonsOf(root),
      .open_per_caller = root.server.limits.approvals_per_caller,
      .filed_per_hour = root.server.limits.approvals_per_hour,
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
  return out;
}

void Approvals::Reload(const config::Root& root, std::shared_ptr<const mask::Masker> masker) {
  masker_.store(std::move(masker));
  desk_->Configure(FlowsOf(root), PersonsOf(root), root.server.limits.approvals_per_caller,
                   root.server.limits.approvals_per_hour);
}

}  // namespace sallyport::app
