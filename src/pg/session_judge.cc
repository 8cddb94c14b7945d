#include <algorithm>

#include "pg/session.h"
#include "pg/to_wire.h"

namespace sallyport::pg {
namespace {

constexpr size_t kRecent = 8;

using Kind = Pending::Kind;
using What = sql::NameEffect::What;

/// The text reads what a name stands for.
bool UsesNames(const sql::Analysis& analysis) {
  return std::ranges::any_of(analysis.names, [](const sql::NameEffect& effect) {
    return effect.what == What::execute || effect.what == What::fetch;
  });
}

WireError Unsure(std::string_view name) {
  return ToWire(Error(Errc::sql_state_refused,
                      "a text that defined \"" + std::string(name) +
                          "\" failed half-way: what the name stands for is not known"));
}

}  // namespace

Task<JudgedPtr> Session::Judge(std::string_view text) {
  if (auto own = ReadOwnStatement(text)) co_return co_await JudgeOwn(std::move(*own), text);
  SALLYPORT_CO_TRY(CatalogPtr catalog, co_await CatalogNow());
  sql::AnalysisPtr analysis = analyzer_.Analyze(text, catalog, names_);
  if (analysis->catalog_stale) {
    const CatalogPtr before = catalog;
    const std::string copy(text);  // a wait may move what the view points into
    SALLYPORT_CO_TRY(catalog, co_await CatalogWith(std::move(catalog)));
    if (catalog != before) analysis = analyzer_.Analyze(copy, catalog, names_);
  }
  if (sql_names_ + earlier_statements_ + earlier_portals_ + here_statements_ > 0 &&
      UsesNames(*analysis)) {
    if (!co_await NamesKnown(true)) co_return Fail(Errc::cancelled);
    analysis = analyzer_.Analyze(text, catalog, names_);
  }
  co_return Remember(text, std::move(analysis), std::move(catalog));
}

/// A statement about the gateway itself is no operation of the database: it counts as empty, and
/// something without effect is sent for it, so that the server's answer keeps its place.
Task<JudgedPtr> Session::JudgeOwn(OwnStatement own, std::string_view text) {
  SALLYPORT_CO_CHECK(unmask_.Check(own));
  auto judged = std::make_shared<Judged>();
  judged->text = text;
  SALLYPORT_CO_TRY(judged->catalog, co_await CatalogNow());
  const std::string stand = unmask_.Stand(own);
  auto analysis =
      std::make_shared<sql::Analysis>(*analyzer_.Analyze(stand, judged->catalog, names_));
  if (analysis->route == sql::Route::refused) co_return std::unexpected(analysis->refusal);
  analysis->route = sql::Route::rewritten;
  analysis->sql = stand;
  analysis->statements = 0;
  judged->analysis = std::move(analysis);
  judged->memo = std::make_shared<gate::Memo>();
  judged->own = std::move(own);
  co_return judged;
}

/// Texts that come again share what was decided about them.
JudgedPtr Session::Remember(std::string_view text, sql::AnalysisPtr analysis,
                            std::shared_ptr<const sql::Catalog> catalog) {
  JudgedPtr kin;
  for (const JudgedPtr& known : recent_) {
    if (known->analysis != analysis || known->catalog != catalog) continue;
    if (known->text == text) return known;
    kin = known;
  }
  auto judged = std::make_shared<Judged>();
  judged->text = text;
  judged->trace = TraceOfText(text, *settings_.Get()->masker);
  judged->catalog = std::move(catalog);
  if (kin) {
    judged->statement = kin->statement;
    judged->memo = kin->memo;
    judged->shape = kin->shape;
    judged->masker = kin->masker;
    judged->mask = kin->mask;
  } else {
    judged->statement = StatementOf(analysis);
    judged->memo = std::make_shared<gate::Memo>();
  }
  judged->analysis = std::move(analysis);
  if (kin) {
    *std::ranges::find(recent_, kin) = judged;
  } else if (recent_.size() < kRecent) {
    recent_.push_back(judged);
  } else {
    recent_[recent_at_++ % kRecent] = judged;
  }
  return judged;
}

bool Session::IsFresh(const Statement& statement) const {
  return !catalog_old_ && place_.catalog.IsLast(statement.judged->catalog);
}

Task<> Session::Refresh(Statement& statement) {
  SALLYPORT_CO_TRY(JudgedPtr judged, co_await Judge(statement.judged->text));
  sql::AnalysisPtr now = judged->analysis;
  if (statement.of_sql) {
    now = nullptr;
    for (const sql::NameEffect& effect : judged->analysis->names) {
      if (effect.what == What::prepare && effect.name == statement.name) now = effect.inner;
    }
  }
  const sql::Analysis& before = *statement.analysis;
  if (!now || now->route == sql::Route::refused) {
    co_return std::unexpected(now ? now->refusal
                                  : Error(Errc::sql_not_maskable, "the catalog has changed"));
  }
  const bool other =
      (now->route == sql::Route::rewritten || before.route == sql::Route::rewritten) &&
      now->sql != before.sql;
  if (other) {
    co_return Fail(Errc::sql_not_maskable,
                   "the classified columns have changed: prepare the statement again");
  }
  if (statement.of_sql) {
    auto inner = std::make_shared<Judged>(*judged);
    inner->analysis = now;
    inner->statement = StatementOf(now);
    inner->memo = std::make_shared<gate::Memo>();
    inner->mask = nullptr;
    judged = std::move(inner);
  }
  statement.judged = std::move(judged);
  statement.analysis = std::move(now);
  co_return Result<>();
}

/// The texts that EXECUTE and FETCH run: an approval of "EXECUTE p" is one of what p stands for
/// now.
std::string Session::BehindNames(const Judged& judged) const {
  std::string texts;
  for (const sql::NameEffect& effect : judged.analysis->names) {
    JudgedPtr behind;
    if (effect.what == What::execute) {
      if (const StatementPtr statement = names_.FindStatement(effect.name))
        behind = statement->judged;
    } else if (effect.what == What::fetch) {
      if (const PortalPtr portal = names_.FindPortal(effect.name)) behind = portal->judged;
    } else {
      continue;
    }
    // Without a text behind it the name stands for nothing that another session would know.
    texts += effect.name + '=' + (behind ? behind->text : who_->id) + '\n';
  }
  return texts;
}

boost::asio::awaitable<std::expected<gate::Permit, op::Refusal>> Session::Admit(
    std::string_view method, Judged& judged, const BindParameters* parameters,
    const std::vector<uint32_t>* types) {
  figures_->statements.fetch_add(1, std::memory_order_relaxed);
  auto operation = ToOperation(At(*settings_.Get()), method, judged, parameters, types);
  if (!operation) co_return std::unexpected(co_await RecordRefusal(method, operation.error()));
  if (!judged.analysis->names.empty()) operation->exact_sql.context = BehindNames(judged);
  if (unmask_.ask() != nullptr && judged.analysis->copy_out) {
    co_return std::unexpected(
        co_await RecordRefusal(method, Error(Errc::unmask_denied, "COPY shows nothing in clear")));
  }
  if (judged.analysis->returns_rows) operation->unmask = unmask_.ask();
  if (operation->trace.empty()) operation->trace = trace_;
  co_return co_await front_.options.gate.Admit(who_, *operation, judged.memo.get());
}

boost::asio::awaitable<op::Refusal> Session::RecordRefusal(std::string_view method, Error why) {
  auto operation = ToObjection(At(*settings_.Get()), method, why);
  op::Refusal refusal;
  refusal.error = std::move(why);
  if (!operation) co_return refusal;
  auto permit = co_await front_.options.gate.Admit(who_, *operation);
  if (!permit) refusal = std::move(permit.error());
  co_return refusal;
}

/// A text is about to run: what it does to the settings of the gateway.
void Session::Begun(const Judged& judged) {
  if (judged.own) unmask_.Apply(*judged.own, *front_.settings()->masker);
  for (const sql::NameEffect& effect : judged.analysis->names) {
    if (effect.what == What::discard_all) unmask_.Reset();
  }
}

/// The session has no room for one more prepared statement, portal or cursor.
boost::asio::awaitable<void> Session::RefuseName(std::string_view method, bool simple) {
  const op::Refusal refusal = co_await RecordRefusal(
      method,
      Error(Errc::limit_exceeded,
            "the prepared statements and cursors of this session are too many, or too long"));
  WireError wire = ToWire(refusal);
  wire.code = "53400";  // configuration_limit_exceeded
  wire.hint = "DEALLOCATE or close those that are no longer used.";
  Refuse(wire, refusal.error.code, simple);
}

Session::Await Session::WaitWhile(std::function<bool()> busy) {
  static constexpr std::string_view kFlush("H\0\0\0\4", 5);
  to_server_.append(kFlush);
  if (!co_await Flush()) co_return false;
  while (!stop_ && !server_done_.is_set() && !pending_.empty() && busy()) {
    // What is left of this group is skipped until its Sync: no answer will come.
    if (skipping_ && pending_.front().group == group_) break;
    waiting_ = true;
    answered_.Clear();
    (void)co_await answered_.Wait(std::chrono::hours(24));
    waiting_ = false;
  }
  co_return !stop_ && !server_done_.is_set();
}

/// What earlier requests did to the names is known from here on.
Session::Await Session::NamesKnown(bool portals) {
  return WaitWhile([this, portals] {
    return earlier_statements_ > 0 || sql_names_ > 0 || (portals && earlier_portals_ > 0);
  });
}

bool Session::StatementInDoubt(std::string_view name) const {
  return sql_names_ > 0 || (earlier_statements_ > 0 && !names_.SentStatement(name));
}

bool Session::PortalInDoubt(std::string_view name) const {
  return sql_names_ > 0 || (earlier_portals_ > 0 && !names_.SentPortal(name));
}

Session::Await Session::OnBind(std::string_view message) {
  BodyReader r(message.substr(5));
  auto portal = std::make_shared<Portal>();
  portal->name = r.CString();
  const std::string_view name = r.CString();
  BindParameters parameters;
  for (uint16_t n = r.U16(); n > 0 && !r.failed(); --n) parameters.formats.push_back(r.I16());
  const uint16_t count = r.U16();
  for (uint16_t i = 0; i < count && !r.failed(); ++i) {
    const uint32_t size = r.U32();
    parameters.nulls.push_back(size == 0xffffffff);
    parameters.values.push_back(size == 0xffffffff ? std::string_view() : r.Bytes(size));
  }
  for (uint16_t n = r.U16(); n > 0 && !r.failed(); --n) portal->formats.push_back(r.I16());
  const size_t formats = parameters.formats.size();
  if (!r.done() || (formats > 1 && formats != count)) {
    RefuseAs(co_await RecordRefusal("bind", Error(Errc::request_malformed, "a malformed Bind")),
             false);
    co_return true;
  }
  if (!names_.RoomFor(sql::Analysis{}, portal->name.size() + 2 * portal->formats.size(), true)) {
    co_await RefuseName("bind", false);
    co_return true;
  }
  if (StatementInDoubt(name) && !co_await NamesKnown(false)) co_return false;
  const StatementPtr statement = names_.FindStatement(name);
  if (!statement) {
    AskInVain(Kind::close_statement, Kind::bind, name, message);
    co_return true;
  }
  if (statement->unsure) {
    Refuse(Unsure(name), Errc::sql_state_refused, false);
    co_return true;
  }
  if (!IsFresh(*statement)) {
    if (const auto fresh = co_await Refresh(*statement); !fresh) {
      RefuseAs(co_await RecordRefusal("bind", fresh.error()), false);
      co_return true;
    }
  }
  const auto parse =
      std::find_if(batch_.begin() + ptrdiff_t(uncovered_), batch_.end(), [&](const Pending& p) {
        return p.kind == Kind::parse && p.statement == statement && p.group == group_ && !p.refused;
      });
  if (statement->analysis->statements > 0) {
    auto permit = co_await Admit("bind", *statement->judged, &parameters, &statement->parameters);
    if (!permit) {
      RefuseAs(permit.error(), false,
               parse == batch_.end() ? std::nullopt : std::optional(parse - batch_.begin()));
      co_return true;
    }
    portal->permit.emplace(std::move(*permit));
  }
  if (parse != batch_.end()) parse->covered = true;
  portal->statement = statement;
  portal->analysis = statement->analysis;
  portal->judged = statement->judged;
  if (statement->shape) {
    portal->shape =
        portal->formats.empty() ? statement->shape : statement->shape->With(portal->formats);
  }
  portal->weight = names_.Weigh(sql::Analysis{}, portal->name.size() + 2 * portal->formats.size());
  Add({.kind = Kind::bind, .portal = portal}, message);
  names_.Bind(std::move(portal));
  co_return true;
}

Session::Await Session::OnExecute(std::string_view message) {
  BodyReader r(message.substr(5));
  const std::string_view name = r.CString();
  (void)r.U32();
  if (!r.done()) {
    RefuseAs(
        co_await RecordRefusal("execute", Error(Errc::request_malformed, "a malformed Execute")),
        false);
    co_return true;
  }
  if (PortalInDoubt(name) && !co_await NamesKnown(true)) co_return false;
  const PortalPtr portal = names_.FindPortal(name);
  if (!portal) {
    AskInVain(Kind::close_portal, Kind::execute, name, message);
    co_return true;
  }
  if (portal->unsure) {
    Refuse(Unsure(name), Errc::sql_state_refused, false);
    co_return true;
  }
  const sql::Analysis& analysis = *portal->analysis;
  if (!names_.RoomFor(analysis, portal->judged->text.size(), false)) {
    co_await RefuseName("execute", false);
    co_return true;
  }
  if (analysis.transaction_control && limited_) {
    writes_ = true;
    if (MayBeCondemned() && !co_await FailIfCondemned()) co_return false;
    if (skip_) co_return true;
  }
  std::optional<gate::Permit> permit = std::exchange(portal->permit, std::nullopt);
  if (!permit && analysis.statements > 0) {  // resumed, or a cursor of SQL
    // The rest of the rows of a portal that was let through needs no second approval (gate.cc).
    auto admitted =
        co_await Admit(portal->statement ? "execute" : "fetch", *portal->judged, nullptr, nullptr);
    if (!admitted) {
      RefuseAs(admitted.error(), false);
      co_return true;
    }
    permit.emplace(std::move(*admitted));
  }
  Execute(portal, std::move(permit), message);
  co_return true;
}

void Session::Execute(const PortalPtr& portal, std::optional<gate::Permit> permit,
                      std::string_view message) {
  const sql::Analysis& analysis = *portal->analysis;
  Pending pending{.kind = Kind::execute, .judged = portal->judged, .portal = portal};
  pending.sql_names = !portal->analysis->names.empty();
  if (permit) pending.permit.emplace(std::move(*permit));
  Begun(*portal->judged);
  copy_sent_ |= portal->analysis->copy_in;
  limited_ |= pending.permit && pending.permit->obligations().max_rows > 0 &&
              (analysis.returns_rows || analysis.copy_out);
  writes_ |= analysis.text.worst > op::Effect::read || analysis.transaction_control;
  const bool comes = portal->described_in == group_ ||
                     (portal->statement && portal->statement->described_in == group_);
  if (!portal->shape && !comes && portal->analysis->returns_rows) {
    Add({.kind = Kind::describe_portal, .swallow = true, .portal = portal}, {});
    MessageWriter(to_server_).Begin('D').U8('P').CString(portal->name).End();
    portal->described_in = group_;
  }
  Add(std::move(pending), message);
}

/// Whether some Parse of the batch needs an intent now.
bool Session::ParsesUncovered() {
  for (; uncovered_ < batch_.size(); ++uncovered_) {
    const Pending& parse = batch_[uncovered_];
    if (parse.kind == Kind::parse && !parse.covered && !parse.refused && !parse.permit) return true;
  }
  return false;
}

/// A Parse that nothing of its group runs has an intent of its own.
Session::Await Session::CoverParses() {
  for (size_t i = std::exchange(uncovered_, batch_.size()); i < batch_.size(); ++i) {
    Pending& parse = batch_[i];
    if (parse.kind != Kind::parse || parse.covered || parse.refused || parse.permit) continue;
    parse.covered = true;
    if (parse.statement->analysis->statements == 0) continue;
    auto permit = co_await Admit("parse", *parse.statement->judged, nullptr, nullptr);
    if (!permit) {
      RefuseAs(permit.error(), false, i);
      break;
    }
    parse.permit.emplace(std::move(*permit));
  }
  co_return true;
}

void Session::RefuseAs(const op::Refusal& refusal, bool simple, std::optional<size_t> from) {
  if (refusal.error.code == Errc::approval_required && front_.options.gate.desk() != nullptr) {
    held_ = refusal;
    held_back_ = from ? batch_.size() - *from : 0;
    return;
  }
  Refuse(ToWire(refusal), refusal.error.code, simple, from);
}

/// The rules would let the caller at a relation of this name: that there is none is said as
/// PostgreSQL says it. Where the rules refuse, they do so whether it is there or not.
void Session::RefuseText(const op::Refusal& refusal, const sql::Analysis& analysis, bool simple) {
  if (analysis.missing.empty() || refusal.error.code != Errc::sql_not_maskable || did_ddl_)
    return RefuseAs(refusal, simple);
  WireError wire = ToWire(refusal);
  wire.code = "42P01";  // undefined_table
  wire.message = "relation \"" + analysis.missing + "\" does not exist";
  wire.hint.clear();
  Refuse(wire, refusal.error.code, simple);
}

void Session::Refuse(const WireError& error, Errc reason, bool simple, std::optional<size_t> from) {
  if (from) {
    to_server_.resize(batch_[*from].offset);
    for (; batch_.size() > *from; batch_.pop_back()) Uncount(batch_.back());
    uncovered_ = std::min(uncovered_, batch_.size());
  }
  figures_->refused.fetch_add(1, std::memory_order_relaxed);
  Pending pending{.kind = simple ? Kind::query : Kind::parse, .refused = true};
  pending.denied = reason;
  AppendError(pending.denial, error);
  Add(std::move(pending), {});
  // A text that no grammar reads: it fails before anything else is looked at, in any state of the
  // transaction, and the server's log says why it was sent.
  const std::string text =
      "sallyport refused a statement in its place (" + std::string(ReasonCode(reason)) + ")";
  MessageWriter w(to_server_);
  if (simple) {
    w.Begin('Q').CString(text).End();
  } else {
    w.Begin('P').CString(mark_).CString(text).U16(0).End();
    skip_ = true;
  }
}

/// Nothing of this name was judged, so nothing of it may run: it is closed at the server, whose own
/// error then is the answer.
void Session::AskInVain(Kind close, Kind kind, std::string_view name, std::string_view message) {
  Add({.kind = close, .swallow = true, .name = std::string(name)}, {});
  MessageWriter(to_server_)
      .Begin('C')
      .U8(close == Kind::close_statement ? 'S' : 'P')
      .CString(name)
      .End();
  Add({.kind = kind, .refused = true}, message);
  skip_ = true;
}

}  // namespace sallyport::pg
