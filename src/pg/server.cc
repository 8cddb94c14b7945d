#include "pg/server.h"

#include "obs/log.h"
#include "pg/frame.h"
#include "pg/server_query.h"
#include "pg/server_wire.h"

namespace sallyport::pg {
namespace {

constexpr uint32_t kCancelRequest = 80877102;     // src/include/libpq/pqcomm.h
constexpr size_t kMaxMessageBody = 64u << 20;     // one row of an answer to us
constexpr size_t kMaxAnswer = size_t{512} << 20;  // the whole of it
constexpr uint16_t kMaxFields = 1664;             // MaxTupleAttributeNumber

std::unexpected<Error> Nonsense(const char* what) {
  return Fail(Errc::upstream_protocol, std::string("query: ") + what);
}

/// Gives one DataRow to `each`.
Result<> TakeRow(std::string_view body, std::vector<std::optional<std::string_view>>& fields,
                 const RowFunction& each) {
  BodyReader reader(body);
  const uint16_t count = reader.U16();
  if (reader.failed() || count > kMaxFields) return Nonsense("a malformed row");
  fields.clear();
  for (uint16_t i = 0; i < count; ++i) {
    const int32_t size = reader.I32();
    if (size < -1) return Nonsense("a malformed row");
    if (size == -1) {
      fields.emplace_back();
    } else {
      fields.emplace_back(reader.Bytes(static_cast<size_t>(size)));
    }
    if (reader.failed()) return Nonsense("a malformed row");
  }
  if (!reader.done()) return Nonsense("a malformed row");
  each(fields);
  return {};
}

/// What one question has met so far.
struct Answer {
  const RowFunction& each;
  std::vector<std::optional<std::string_view>> fields;
  std::optional<Error> error;
  size_t bytes = 0;
  char status = '?';  // of the transaction, afterwards
};

/// True: the server is ready again.
Result<bool> Take(Server& server, ServerMessage message, Answer& answer) {
  answer.bytes += message.body.size();
  if (answer.bytes > kMaxAnswer) return Nonsense("the answer is too long");
  switch (message.type) {
    case 'D':
      if (!answer.error) SALLYPORT_CHECK(TakeRow(message.body, answer.fields, answer.each));
      return false;
    case 'E': {
      const ServerError error = ReadError(message.body);
      answer.error = Error(Errc::upstream_protocol, error.sqlstate + ": " + error.message);
      return false;
    }
    case 'S':
      if (!KeepParameter(server, message.body)) return Nonsense("a malformed parameter");
      return false;
    case 'T':  // RowDescription
    case 'C':  // CommandComplete
    case 'I':  // EmptyQueryResponse
    case 'N':  // NoticeResponse
    case 'A':  // NotificationResponse
      return false;
    case 'Z':
      answer.status = message.body.empty() ? '?' : message.body[0];
      return true;
    default:
      return Nonsense("the server sent a message that has no place there");
  }
}

Task<> Ask(Server& server, std::string_view sql, TimePoint until, Answer& answer) {
  std::string packet;
  MessageWriter(packet).Begin('Q').CString(sql).End();
  SALLYPORT_CO_CHECK(co_await SendAll(*server.stream, packet, until));
  MessageReader reader(*server.stream, "query");
  for (;;) {
    ServerMessage message;
    if (const auto here = reader.TryNext(kMaxMessageBody)) {
      message = *here;
    } else {
      SALLYPORT_CO_TRY(message, co_await reader.Next(until, kMaxMessageBody));
    }
    SALLYPORT_CO_TRY(const bool ready, Take(server, message, answer));
    if (ready) break;
  }
  reader.Done();
  co_return Result<>();
}

}  // namespace

const std::string* Server::Parameter(std::string_view name) const {
  for (const auto& [known, value] : parameters) {
    if (known == name) return &value;
  }
  return nullptr;
}

Task<> QueryEach(Server& server, std::string sql, std::chrono::milliseconds limit,
                 RowFunction each) {
  if (sql.find('\0') != std::string::npos) co_return Fail(Errc::internal, "NUL in a question");
  Answer answer{.each = each, .fields = {}, .error = {}};
  auto asked = co_await Ask(server, sql, std::chrono::steady_clock::now() + limit, answer);
  if (!asked) {
    // Where its answer stands is not known any more: of no more use.
    server.stream->Close();
    co_return asked;
  }
  if (answer.error) co_return std::unexpected(std::move(*answer.error));
  co_return Result<>();
}

Task<char> TransactionStatus(Server& server, std::chrono::milliseconds limit) {
  const RowFunction nothing = [](const RowView&) {};
  Answer answer{.each = nothing, .fields = {}, .error = {}};
  if (auto asked = co_await Ask(server, "", std::chrono::steady_clock::now() + limit, answer);
      !asked) {
    server.stream->Close();
    co_return std::unexpected(std::move(asked.error()));
  }
  co_return answer.status;
}

Task<std::vector<Row>> Query(Server& server, std::string sql, std::chrono::milliseconds limit) {
  std::vector<Row> rows;
  SALLYPORT_CO_CHECK(co_await QueryEach(server, std::move(sql), limit, [&](const RowView& fields) {
    Row& row = rows.emplace_back();
    row.reserve(fields.size());
    for (const auto& field : fields) {
      if (field) {
        row.emplace_back(std::in_place, *field);
      } else {
        row.emplace_back();
      }
    }
  }));
  co_return rows;
}

boost::asio::awaitable<bool> SendCancel(std::shared_ptr<const ServerAddress> address, uint32_t pid,
                                        std::string cancel_key) {
  const TimePoint until = std::chrono::steady_clock::now() + address->connect_timeout;
  const auto stream = co_await Reach(*address, until);
  Result<> sent;
  bool handled = true;
  if (stream) {
    std::string packet;
    MessageWriter(packet).Begin(0).U32(kCancelRequest).U32(pid).Bytes(cancel_key).End();
    sent = co_await SendAll(**stream, packet, until);
    // The server has handled it when it closes; one that is still on its way would hit the next
    // statement.
    auto got = net::Stream::Got::data;
    while (sent && got == net::Stream::Got::data) {
      (*stream)->Consume((*stream)->data().size());
      got = co_await (*stream)->More(until);
    }
    handled = got != net::Stream::Got::timeout;
    (*stream)->Close();
  } else {
    sent = std::unexpected(stream.error());
  }
  if (!sent) {
    obs::Log(obs::Level::warn, "pg.cancel_failed",
             {{"reason", ReasonCode(sent.error().code)}, {"detail", sent.error().detail}});
  }
  co_return handled;
}

}  // namespace sallyport::pg
