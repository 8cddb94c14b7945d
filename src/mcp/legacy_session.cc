#include "mcp/legacy_session.h"

#include "mcp/call.h"
#include "mcp/client_message.h"

namespace sallyport::mcp {
namespace {

constexpr size_t kMaxStreams = 64;
constexpr size_t kBacklogBytes = 4 << 20;

}  // namespace

uint64_t LegacySession::KeepStream(std::shared_ptr<CallStream> stream) {
  const uint64_t number = next_stream++;
  streams[number] = std::move(stream);
  // The oldest of those that are done and that nobody reads make room.
  for (auto it = streams.begin(); it != streams.end() && streams.size() > kMaxStreams;) {
    it = it->second->finished() && !it->second->attached() ? streams.erase(it) : std::next(it);
  }
  return number;
}

Task<> LegacySession::Tell(std::string message, size_t keep) {
  while (!listeners.empty() &&
         (listeners.back().second->abandoned() || listeners.back().second->finished())) {
    listeners.pop_back();
  }
  for (auto it = listeners.rbegin(); it != listeners.rend(); ++it) {
    if (it->second->attached()) co_return co_await it->second->Push(std::move(message));
  }
  backlog.push_back(std::move(message));
  size_t bytes = 0;
  for (const std::string& waiting : backlog) bytes += waiting.size();
  for (; backlog.size() > keep || bytes > kBacklogBytes; backlog.pop_front())
    bytes -= backlog.front().size();
  co_return Result<>{};
}

Task<UpstreamAnswer> LegacySession::Ask(std::shared_ptr<CallStream> stream, std::string method,
                                        std::string params, std::chrono::milliseconds limit,
                                        size_t keep) {
  const std::string raw_id = "\"sallyport-" + std::to_string(next_question++) + '"';
  const auto question = std::make_shared<Question>(executor);
  questions[raw_id] = question;
  std::string message = MethodMessage(raw_id, method, params);
  const Result<> sent =
      stream ? co_await stream->Push(std::move(message)) : co_await Tell(std::move(message), keep);
  if (!sent) {
    questions.erase(raw_id);
    co_return std::unexpected(sent.error());
  }
  const Result<> waited = co_await question->answered.Wait(limit);
  questions.erase(raw_id);
  if (!waited) co_return std::unexpected(waited.error());
  if (!question->answer) co_return Fail(Errc::cancelled);
  co_return std::move(*question->answer);
}

void LegacySession::Close(gate::Gate& gate) {
  if (closed) return;
  closed = true;
  for (auto& [raw, weak] : calls) {
    if (const auto call = weak.lock()) call->Cancel();
  }
  for (auto& [raw, question] : questions) question->answered.Set();
  // One that has its last message is still read to its end.
  for (auto& [number, stream] : streams) {
    if (!stream->finished()) stream->Abandon();
  }
  for (auto& [number, stream] : listeners) {
    if (!stream->finished()) stream->Abandon();
  }
  listeners.clear();
  if (peer) peer->Close();
  if (session) gate.Close(*session);
  slot = {};
}

}  // namespace sallyport::mcp
