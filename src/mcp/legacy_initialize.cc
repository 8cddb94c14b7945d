#include "mcp/answer_http.h"
#include "mcp/legacy.h"

namespace sallyport::mcp {
namespace {

/// The version asked for if it is one of these eras, else the newest of them.
Revision Negotiate(std::string_view asked) {
  const auto known = ParseRevision(asked);
  return known && !IsModern(*known) ? *known : Revision::r2025_11_25;
}

Task<LegacySessionPtr> OpenSession(Visit& visit, const ClientMessage& message) {
  auto session = std::make_shared<LegacySession>();
  session->id = NewSessionId(visit.shard.index);
  session->connection = &visit.connection;
  session->executor = visit.shard.executor;
  session->principal = PrincipalKey(visit.token->principal);
  session->revision = Negotiate(message.params["protocolVersion"].string().value_or(""));
  session->load = visit.front.loads.Of(visit.token->principal);
  auto slot = LoadSlot::Take(session->load, &CallerLoad::sessions,
                             visit.settings->limits.sessions_per_caller);
  if (!slot) co_return Fail(Errc::limit_exceeded);
  session->slot = std::move(*slot);
  session->used = visit.front.options.clock.SteadyNow();
  session->authenticated_until = visit.token->principal.expires_at;
  session->credential = visit.token;
  const json::Value info = message.params["clientInfo"];
  session->face = {
      .revision = session->revision,
      .capabilities = DeclaredCapabilities(visit.connection, message.params["capabilities"])};
  if (info.is(json::Kind::object) && !HoldsSecret(visit.rules(), info.raw()))
    session->face.info = info.raw();

  auto opened = std::make_unique<op::Session>();
  opened->who = visit.token->principal;
  opened->from.address = visit.request().address;
  std::string client(info["name"].string().value_or(""));
  if (const auto version = info["version"].string()) client += ' ' + std::string(*version);
  opened->from.client = MaskPlain(visit.rules(), client.substr(0, 200));
  opened->connection = visit.connection.name;
  opened->front_end = "mcp";
  opened->protocol = RevisionName(session->revision);
  SALLYPORT_CO_TRY(session->session, co_await visit.front.options.gate.Open(std::move(opened)));
  co_return session;
}

}  // namespace

boost::asio::awaitable<void> ServeInitialize(Visit& visit, std::shared_ptr<Incoming> in,
                                             const ClientMessage& message) {
  if (HoldsSecret(visit.rules(), message.id)) {
    co_return co_await RefuseVisit(
        visit, Error(Errc::request_malformed, "a card number cannot serve as an id"));
  }
  if (!message.params["protocolVersion"].string()) {
    WireAnswer answer = ToWire(Error(Errc::request_malformed), {});
    answer.json = ErrorObject(kInvalidParams, "Invalid params: protocolVersion is missing");
    co_return co_await RefuseVisit(visit, Error(Errc::request_malformed), std::move(answer),
                                   message.id);
  }
  auto session = co_await OpenSession(visit, message);
  if (!session) co_return co_await RefuseVisit(visit, session.error(), message.id);
  const Place place = visit.front.PlaceOf(visit.connection, visit.shard);
  (*session)->face.caller = (*session)->session;
  (*session)->peer = place.upstream->Open((*session)->face);

  auto call = MakeLegacyCall(visit.front, visit.shard, *session, visit.settings, in, message);
  call->ask = nullptr;
  call->out = std::make_shared<CallStream>(visit.shard.executor, 0);
  const uint64_t ticket = call->out->Attach(0);
  co_await RunCall(call);
  auto answer = co_await call->out->Next(ticket, std::chrono::milliseconds(0));
  if (!answer || !*answer) {
    (*session)->Close(visit.front.options.gate);
    co_return co_await SendError(visit.exchange, Error(Errc::internal), message.id);
  }
  net::Headers headers{{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
  // A kill that came meanwhile has not seen a session that is not in the table yet.
  if (call->succeeded && visit.front.options.verifier.Holds(*visit.token)) {
    headers.Add("Mcp-Session-Id", (*session)->id);
    visit.shard.sessions.Insert(*session);
  } else {
    (*session)->Close(visit.front.options.gate);
  }
  (void)co_await visit.exchange.Respond((*answer)->status, std::move(headers),
                                        std::move((*answer)->json));
}

}  // namespace sallyport::mcp
