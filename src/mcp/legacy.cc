#include "mcp/legacy.h"

#include <algorithm>
#include <set>

#include "mcp/answer_http.h"
#include "mcp/hop.h"
#include "mcp/upstream_bridge.h"
#include "net/event.h"

namespace sallyport::mcp {
namespace {

constexpr size_t kMaxBatch = 64;

/// What a POST body holds.
struct Post {
  std::vector<ClientMessage> messages;
  bool batch = false;
  size_t requests = 0;
};

Result<Post> ReadPost(json::Value root) {
  Post post;
  if (!root.is(json::Kind::array)) {
    SALLYPORT_TRY(ClientMessage message, ReadClientMessage(root));
    post.messages.push_back(std::move(message));
  } else {
    post.batch = true;
    if (root.size() == 0 || root.size() > kMaxBatch) return Fail(Errc::batch_refused);
    for (json::Value v = root.first(); v; v = v.next()) {
      SALLYPORT_TRY(ClientMessage message, ReadClientMessage(v));
      post.messages.push_back(std::move(message));
    }
  }
  for (const ClientMessage& m : post.messages)
    post.requests += m.kind == ClientMessage::Kind::request;
  return post;
}

/// How to go on after the session's shard has taken the messages.
struct Taken {
  std::optional<Error> refused;
  std::string raw_id;  // of the request refused
  std::shared_ptr<CallStream> stream;
  PumpStyle style;
};

void StartCall(Front& front, ShardState& home, const LegacySessionPtr& session,
               std::shared_ptr<Call> call) {
  std::erase_if(session->calls, [](const auto& entry) { return entry.second.expired(); });
  session->calls[call->reply_id] = call;
  const auto verb = VerbOf(call->message.method, false);
  if (!verb || call->message.method == "initialize") {
    (void)RecordRefused(front, op::EventType::request_refused, session->connection->name,
                        session->session->from.address, session->session.get(), {},
                        Error(Errc::method_unknown));
    Outgoing out;
    out.json = ErrorMessage(call->reply_id, ErrorObject(kMethodNotFound, "Method not found"));
    call->out->Finish(std::move(out));
    return;
  }
  call->verb = *verb;
  if (call->message.method.starts_with("tasks/")) {
    if (const auto id = call->message.params["taskId"].string())
      call->gate_task = OpenGateTask(*call, *id);
  }
  net::Spawn(home.executor, RunCall(std::move(call)));
}

boost::asio::awaitable<void> TakeThere(Visit& visit, ShardState& home, std::string_view id,
                                       const std::shared_ptr<Incoming>& in, const Post& post,
                                       Taken& taken) {
  const auto session = FindSession(visit, home, id);
  if (!session) co_return void(taken.refused = session.error());
  if (post.batch && (*session)->revision != Revision::r2025_03_26) {
    co_return void(taken.refused = Error(Errc::batch_refused));
  }
  for (const ClientMessage& message : post.messages) {
    if (message.kind != ClientMessage::Kind::request) {
      TakeLegacyMessage(visit.front, home, *session, visit.settings, in, message);
    }
  }
  if (post.requests == 0) co_return;
  std::vector<LoadSlot> slots;
  std::set<std::string_view> ids;
  for (const ClientMessage& message : post.messages) {
    if (message.kind != ClientMessage::Kind::request) continue;
    taken.raw_id = message.id;
    if (HoldsSecret(visit.rules(), message.id) ||
        HoldsSecret(visit.rules(), message.params["_meta"]["progressToken"].raw())) {
      taken.raw_id.clear();
      co_return void(taken.refused =
                         Error(Errc::request_malformed, "a card number cannot serve as an id"));
    }
    const auto running = (*session)->calls.find(std::string(message.id));
    const bool twice = !ids.insert(message.id).second;
    if (twice || (running != (*session)->calls.end() && !running->second.expired())) {
      co_return void(taken.refused = Error(Errc::request_malformed, "the id is in use"));
    }
    auto slot = LoadSlot::Take((*session)->load, &CallerLoad::calls,
                               visit.settings->limits.calls_per_caller);
    if (!slot) co_return void(taken.refused = Error(Errc::limit_exceeded));
    slots.push_back(std::move(*slot));
  }
  taken.stream = std::make_shared<CallStream>(
      home.executor, post.batch ? 0 : visit.settings->limits.replay_events);
  if (!post.batch) {
    const uint64_t number = (*session)->KeepStream(taken.stream);
    taken.style.id_prefix = std::to_string(number) + '-';
    taken.style.done = [session = *session, number](bool streamed) {
      if (!streamed)
        session->streams.erase(number);  // no event id was given, so nobody can come back for it
    };
  }
  taken.style.collect = post.batch;
  taken.style.answers = post.requests;
  taken.style.prime = (*session)->revision >= Revision::r2025_11_25 && !post.batch;
  if (taken.style.prime) taken.style.patience = std::chrono::milliseconds(2'000);
  size_t next = 0;
  for (const ClientMessage& message : post.messages) {
    if (message.kind != ClientMessage::Kind::request) continue;
    auto call = MakeLegacyCall(visit.front, home, *session, visit.settings, in, message);
    call->slot = std::move(slots[next++]);
    call->out = taken.stream;
    call->several = post.batch;
    StartCall(visit.front, home, *session, std::move(call));
  }
}

/// Whether the rules take `b`, who comes now, for no less than `a`, who opened the session.
bool SameRights(const op::Principal& a, const op::Principal& b) {
  return a.name == b.name && a.groups_complete == b.groups_complete && a.owner == b.owner &&
         a.grant == b.grant && a.acr == b.acr && a.amr == b.amr && a.auth_time <= b.auth_time &&
         std::ranges::is_permutation(a.groups, b.groups);
}

/// A version header of these eras, or none (2025-03-26 has no such header).
std::optional<Error> CheckVersion(const Visit& visit) {
  const net::Headers& headers = visit.request().headers;
  if (headers.Count("MCP-Protocol-Version") > 1)
    return Error(Errc::request_malformed, "a header field occurs twice");
  const auto version = headers.Find("MCP-Protocol-Version");
  const auto known = version ? ParseRevision(*version) : Revision::r2025_03_26;
  if (!known || IsModern(*known)) return Error(Errc::version_unsupported);
  return std::nullopt;
}

}  // namespace

Result<std::string> SessionIdOf(const Visit& visit) {
  const net::Headers& headers = visit.request().headers;
  if (headers.Count("Mcp-Session-Id") > 1)
    return Fail(Errc::request_malformed, "the Mcp-Session-Id field occurs twice");
  const auto id = headers.Find("Mcp-Session-Id");
  if (!id || id->empty()) return Fail(Errc::header_invalid, "the Mcp-Session-Id field is missing");
  return std::string(*id);
}

Result<ShardState*> HomeOf(const Visit& visit, std::string_view id) {
  const auto index = ShardOfSession(id, visit.front.shards.size());
  if (!index) return Fail(Errc::session_unknown);
  return visit.front.shards[*index].get();
}

Result<LegacySessionPtr> FindSession(const Visit& visit, ShardState& home, std::string_view id) {
  const LegacySessionPtr session = home.sessions.Find(id);
  if (!session || session->closed) return Fail(Errc::session_unknown);
  const op::Principal& who = visit.token->principal;
  const op::Principal& opener = session->session->who;
  if (session->principal != PrincipalKey(who) || session->connection != &visit.connection ||
      opener.agent != who.agent || opener.client_id != who.client_id) {
    return Fail(Errc::session_foreign);
  }
  if (!SameRights(opener, who)) {
    // Rules are judged by what the session was opened with. The client has to open another, as with
    // any session that is over.
    home.sessions.Take(id)->Close(visit.front.options.gate);
    return Fail(Errc::session_unknown);
  }
  session->authenticated_until = std::max(session->authenticated_until, who.expires_at);
  session->credential = visit.token;
  session->used = visit.front.options.clock.SteadyNow();
  return session;
}

std::string DeclaredCapabilities(const Connection& connection, json::Value capabilities) {
  if (!capabilities.is(json::Kind::object)) return "{}";
  if (connection.settings.server_requests) return std::string(capabilities.raw());
  std::string out = "{";
  for (json::Value v = capabilities.first(); v; v = v.next()) {
    if (v.key() == "sampling" || v.key() == "elicitation" || v.key() == "roots") continue;
    if (out.size() > 1) out += ',';
    out.append(v.raw_key()).append(":").append(v.raw());
  }
  return out += '}';
}

boost::asio::awaitable<void> ServeLegacyPost(Visit& visit, std::shared_ptr<Incoming> in) {
  if (const auto wrong = CheckVersion(visit)) {
    const auto asked = visit.request().headers.Find("MCP-Protocol-Version");
    if (wrong->code != Errc::version_unsupported) co_return co_await RefuseVisit(visit, *wrong);
    const bool plain = !HoldsSecret(visit.rules(), asked.value_or(""));
    co_return co_await RefuseVisit(visit, *wrong,
                                   UnsupportedVersion(plain ? asked.value_or("") : "", false), {});
  }
  auto post = ReadPost(in->document.root());
  if (!post) co_return co_await RefuseVisit(visit, post.error());
  const ClientMessage& first = post->messages.front();
  if (!post->batch && first.kind == ClientMessage::Kind::request && first.method == "initialize") {
    co_return co_await ServeInitialize(visit, in, first);
  }
  // A card number is not even given back to who sent it.
  const bool unsayable = post->batch || HoldsSecret(visit.rules(), first.id);
  const std::string_view raw_id = unsayable ? std::string_view() : first.id;
  const auto id = SessionIdOf(visit);
  if (!id) co_return co_await RefuseVisit(visit, id.error(), raw_id);
  const auto home = HomeOf(visit, *id);
  if (!home) co_return co_await RefuseVisit(visit, home.error(), raw_id);
  Taken taken;
  if (*home == &visit.shard)
    co_await TakeThere(visit, **home, *id, in, *post, taken);
  else
    co_await RunOn((*home)->executor,
                   [&] { return TakeThere(visit, **home, *id, in, *post, taken); });
  if (taken.refused)
    co_return co_await RefuseVisit(visit, *taken.refused,
                                   taken.raw_id.empty() ? raw_id : taken.raw_id);
  if (!taken.stream) co_return co_await SendAccepted(visit.exchange);
  co_await Pump(visit.exchange, std::move(taken.stream), (*home)->executor, std::move(taken.style));
}

}  // namespace sallyport::mcp
