// The end of what callers have, before they are done with it.
#include <atomic>

#include "mcp/call.h"
#include "mcp/envelope.h"
#include "mcp/frontend_impl.h"
#include "net/event.h"
#include "policy/reach.h"
#include "policy/rules.h"

namespace sallyport::mcp {
namespace {

using Which = std::function<bool(const op::Principal&)>;
using WhichSession = std::function<bool(const op::Session&)>;
using Why = std::function<Error(const op::Principal&)>;

Why Always(const Error& why) {
  return [&why](const op::Principal&) { return why; };
}

/// A session's GET stream has no request that could be answered: the last message is a log message.
std::string LastWords(const Error& why) {
  return MethodMessage(
      {}, "notifications/message",
      R"({"level":"alert","logger":"sallyport","data":{"gateway":{"v":1,"decision":"error","reason":")" +
          std::string(ReasonCode(why.code)) + R"("},"message":)" + json::Quote(why.detail) + "}}");
}

size_t EndListeners(LegacySession& session, const Error& why) {
  size_t n = 0;
  for (auto& [number, stream] : session.listeners) {
    if (stream->finished() || stream->abandoned()) continue;
    ++n;
    Outgoing last;
    last.json = LastWords(why);
    stream->Finish(std::move(last));
  }
  return n;
}

size_t KillListens(ShardState& shard, const WhichSession& which, const Why& why) {
  size_t n = 0;
  std::erase_if(shard.listens, [&](const std::weak_ptr<Call>& weak) {
    const auto call = weak.lock();
    if (!call) return true;
    if (!which(*call->session)) return false;
    KillCall(call, why(call->session->who));
    ++n;
    return true;
  });
  return n;
}

size_t KillCalls(ShardState& shard, const std::function<bool(const Call&)>& which, const Why& why) {
  std::vector<std::shared_ptr<Call>> calls;  // the table changes while they end
  for (const auto& [key, weak] : shard.running) {
    if (auto call = weak.lock(); call && which(*call)) calls.push_back(std::move(call));
  }
  for (const auto& call : calls) KillCall(call, why(call->session->who));
  return calls.size();
}

Frontend::Killed KillOn(Front& front, ShardState& shard, const WhichSession& which,
                        const Error& why) {
  Frontend::Killed killed;
  killed.streams = KillListens(shard, which, Always(why));
  killed.calls =
      KillCalls(shard, [&](const Call& call) { return which(*call.session); }, Always(why));
  for (const LegacySessionPtr& session : shard.sessions.TakeOf(which)) {
    ++killed.sessions;
    killed.streams += EndListeners(*session, why);
    session->Close(front.options.gate);
  }
  for (const CallerPtr& caller : shard.callers.TakeOf(which)) {
    for (auto& [face, peer] : caller->peers) peer->Close();
  }
  shard.Count();
  return killed;
}

/// Counts of all shards, and what to do when the last one has told.
struct Tally {
  std::atomic<size_t> sessions{0}, streams{0}, calls{0}, open{0};
  std::function<void(Frontend::Killed)> done;
};

}  // namespace

void KillCall(const std::shared_ptr<Call>& call, const Error& why) {
  if (call->killed) return;
  call->killed = why;
  if (!call->several && call->out) {
    WireAnswer answer = ToWire(why, call->wire());
    Outgoing out;
    out.status = call->modern() ? answer.status : 200;
    out.json = answer.error ? ErrorMessage(call->reply_id, answer.json)
                            : ResultMessage(call->reply_id, answer.json);
    call->out->Finish(std::move(out));
  }
  call->Cancel();
}

Result<access::Work> EnterCall(const Call& call) {
  if (!call.credential) return access::Work();
  SALLYPORT_CHECK(call.front.options.verifier.Holds(*call.credential));
  switch (call.verb) {
    case op::Verb::tool_call:
    case op::Verb::prompt_get:
    case op::Verb::resource_read:
    case op::Verb::resource_subscribe:
    case op::Verb::completion:
    case op::Verb::sql:
      return access::Work::Begin(call.credential->live);
    case op::Verb::protocol:
    case op::Verb::list:
      break;
  }
  return access::Work();
}

void Frontend::Kill(Which which, Error why, std::function<void(Killed)> done) {
  Front& front = impl_->front;
  const auto tally = std::make_shared<Tally>();
  tally->done = std::move(done);
  tally->open = front.shards.size();
  for (const FrontendConnection& connection : front.options.connections) {
    if (connection.credential) connection.credential->Forget(which);
  }
  for (auto& shard : front.shards) {
    net::Post(shard->executor, [&front, s = shard.get(), which, why, tally] {
      const Killed killed =
          KillOn(front, *s, [&](const op::Session& session) { return which(session.who); }, why);
      tally->sessions += killed.sessions;
      tally->streams += killed.streams;
      tally->calls += killed.calls;
      if (tally->open.fetch_sub(1) == 1 && tally->done)
        tally->done({tally->sessions, tally->streams, tally->calls});
    });
  }
}

void Frontend::EndStreamsFor(Which which, Error why) {
  for (auto& shard : impl_->front.shards) {
    net::Post(shard->executor, [s = shard.get(), which, why] {
      KillListens(*s, [&](const op::Session& session) { return which(session.who); }, Always(why));
      for (const auto& [id, session] : s->sessions.all()) {
        if (which(session->session->who)) EndListeners(*session, why);
      }
    });
  }
}

void Frontend::EndWithoutRules() {
  for (auto& shard : impl_->front.shards) {
    net::Post(shard->executor, [front = &impl_->front, s = shard.get()] {
      const auto rules = front->options.gate.rules();
      const Error why(Errc::session_ended, "no rule lets you in any more");
      KillOn(
          *front, *s,
          [&](const op::Session& session) {
            const auto at = front->connections.find(session.connection);
            return at != front->connections.end() &&
                   !policy::Admits(*rules, session.who, at->first, at->second->labels);
          },
          why);
    });
  }
}

void Frontend::EndExpired() {
  for (auto& shard : impl_->front.shards) {
    net::Post(shard->executor, [front = &impl_->front, s = shard.get()] {
      const Nanos now = front->options.clock.WallNow();
      KillCalls(
          *s,
          [now](const Call& call) {
            if (!call.credential) return false;
            const Nanos end = call.credential->principal.expires_at;
            return end <= now && call.begun_at < end;  // what came later was let in by the skew
          },
          access::TimeIsOver);
      KillListens(
          *s, [now](const op::Session& session) { return session.who.expires_at <= now; },
          access::TimeIsOver);
      for (const auto& [id, session] : s->sessions.all()) {
        if (session->authenticated_until <= now)
          EndListeners(*session, access::TimeIsOver(session->session->who));
      }
    });
  }
}

}  // namespace sallyport::mcp
