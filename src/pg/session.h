#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "approval/vigil.h"
#include "net/event.h"
#include "net/loop.h"
#include "net/stream.h"
#include "pg/credentials.h"
#include "pg/frame.h"
#include "pg/frontend_front.h"
#include "pg/names.h"
#include "pg/relay_pending.h"
#include "pg/result.h"
#include "pg/server.h"
#include "pg/to_operation.h"
#include "pg/to_wire.h"

namespace sallyport::pg {

/// One client at one backend of its own. Two coroutines on the session's shard: the client half
/// reads requests, has each statement judged and recorded, and sends it on; the server half reads
/// answers, masks them, records the outcome, and releases them. Each waits for its own writes, so
/// a slow reader holds back only itself. The client half alone writes to the server, the server
/// half alone to the client.
///
///   session.cc          life, ends, cancelling
///   session_client.cc   the client half: messages
///   session_copy.cc     the client half: COPY FROM STDIN
///   session_judge.cc    the client half: analysis, gate, refusals
///   session_catalog.cc  the client half: which catalog a text is judged against
///   session_hold.cc     the client half: a statement that waits for an approval
///   session_server.cc   the server half: what each answer belongs to
///   session_messages.cc the server half: errors and what may come at any time, the last words
///   session_result.cc   the server half: rows, outcomes
///   session_found.cc    the server half: columns in which card numbers were found
class Session : public std::enable_shared_from_this<Session> {
 public:
  struct Parts {
    Front* front = nullptr;
    Place* place = nullptr;
    size_t shard = 0;
    std::shared_ptr<net::Stream> client;
    Server server;
    std::shared_ptr<const op::Session> who;
    identity::VerifiedPtr credential;
    std::shared_ptr<Figures> figures;
    std::vector<std::string> search_path;
    std::chrono::steady_clock::time_point until;  // of the session
    bool token_ends_it = false;                   // `until` is the credential's end
  };

  Session(boost::asio::any_io_executor executor, Parts parts);

  /// From the first ReadyForQuery to the end; both streams are closed then.
  boost::asio::awaitable<void> Run();

  // On the session's shard:

  /// Ends the session with a FATAL of that reason; cancels what runs on the server.
  void Stop(Error why);
  /// Ends it when nothing runs (57P01).
  void Drain();
  /// The client's CancelRequest: what runs now, and nothing later.
  void Cancel();

  const op::Session& who() const { return *who_; }
  const Server& server() const { return server_; }

 private:
  using Await = boost::asio::awaitable<bool>;  // false: this half is over

  // ---- session.cc
  static boost::asio::awaitable<void> CancelUpstream(std::shared_ptr<Session> self);
  static boost::asio::awaitable<void> ServerHalf(std::shared_ptr<Session> self);
  void StartCancel();
  void ClientGone();
  void OnIdle();
  AskedAt At(const Settings& settings) const;

  // ---- session_client.cc
  boost::asio::awaitable<void> ClientHalf();
  Await ServeClientBuffer();
  bool BeginWork(char type, std::string_view message);
  bool TakeAtOnce(char type, std::string_view message);
  Await OnRequest(char type, std::string_view message);
  Await OnBehind(char type, std::string_view message);
  Await OnRequestNow(char type, std::string_view message);
  Await OnOther(char type, std::string_view message);
  Await OnQuery(std::string_view body);
  Await OnParse(std::string_view message);
  Await OnBind(std::string_view message);
  Await OnExecute(std::string_view message);
  void Execute(const PortalPtr& portal, std::optional<gate::Permit> permit,
               std::string_view message);
  Await OnDescribe(std::string_view message);
  void Describe(uint8_t what, std::string_view name, std::string_view message);
  Await OnClose(std::string_view message);
  void OnSync(std::string_view message);
  bool MayBeCondemned() const { return limited_ && writes_ && !skip_; }
  Await FailIfCondemned();
  Await SendAsExtended(Pending execute, std::string_view text);
  Await HoldBack();
  bool InBlock() const { return status_ != 'I' || controls_ > 0; }
  Await DiscardRequest(char type, size_t total);
  Await Flush();
  size_t MostBytes(char type);
  Pending& Add(Pending pending, std::string_view message);
  void Count(const Pending& pending);
  void Uncount(const Pending& pending);
  void Violation(std::string detail);

  // ---- session_copy.cc
  Await NotInCopy();
  Await StreamCopyData(size_t total);

  // ---- session_judge.cc
  Task<JudgedPtr> Judge(std::string_view text);
  Task<JudgedPtr> JudgeOwn(OwnStatement own, std::string_view text);
  void Begun(const Judged& judged);
  using CatalogPtr = std::shared_ptr<const sql::Catalog>;
  Task<CatalogPtr> CatalogNow();
  Task<CatalogPtr> CatalogWith(CatalogPtr last);
  Task<CatalogPtr> OwnCatalog();
  Await WaitForWork(size_t had);
  JudgedPtr Remember(std::string_view text, sql::AnalysisPtr analysis,
                     std::shared_ptr<const sql::Catalog> catalog);
  /// Judges it again if the catalog is another one. sql_not_maskable: it would have to be sent
  /// otherwise than it was.
  Task<> Refresh(Statement& statement);
  bool IsFresh(const Statement& statement) const;
  boost::asio::awaitable<std::expected<gate::Permit, op::Refusal>> Admit(
      std::string_view method, Judged& judged, const BindParameters* parameters,
      const std::vector<uint32_t>* types);
  std::string BehindNames(const Judged& judged) const;
  boost::asio::awaitable<void> RefuseName(std::string_view method, bool simple);
  boost::asio::awaitable<op::Refusal> RecordRefusal(std::string_view method, Error why);
  /// Which one the name stands for depends on answers that have not come: see NamesKnown.
  bool StatementInDoubt(std::string_view name) const;
  bool PortalInDoubt(std::string_view name) const;
  /// Has the server say what it knows, and waits while `busy`.
  Await WaitWhile(std::function<bool()> busy);
  Await NamesKnown(bool portals);
  bool ParsesUncovered();
  Await CoverParses();
  /// Sends something that fails in place of what was refused. `from`: index in the batch from
  /// which on everything is taken back.
  void Refuse(const WireError& error, Errc reason, bool simple, std::optional<size_t> from = {});
  void RefuseAs(const op::Refusal& refusal, bool simple, std::optional<size_t> from = {});
  void RefuseText(const op::Refusal& refusal, const sql::Analysis& analysis, bool simple);
  void AskInVain(Pending::Kind close, Pending::Kind kind, std::string_view name,
                 std::string_view message);

  // ---- session_hold.cc
  /// The request at hand waits for an approval (`held_`); it is taken out of the read buffer, and
  /// judged again once somebody has decided.
  Await HoldRequest(char type, std::string_view message);
  Await WaitForApproval(const op::Refusal& refusal, bool& again, WireError& error, Errc& reason);
  Await SendEarlier();
  Await Say(std::string message);
  Await ClientFree();

  // ---- session_server.cc
  boost::asio::awaitable<void> ServeServer();
  Await ServeServerBuffer();
  std::optional<bool> TakeAnswer(char type, std::string_view message, size_t at);
  Await OnAnswer(char type, std::string_view message, size_t at);
  Await OnParseRecorded();
  bool OnParseComplete();
  bool OnDescription(std::string_view message, size_t at);
  bool OnNoData(size_t at, size_t size);
  Await OnComplete(char type, std::string_view message, size_t at);
  std::optional<bool> TakeReady(std::string_view message);
  Await OnReady(std::string_view message, size_t at);
  void BecomeReady(char status);
  bool FailTransaction(size_t at, size_t size);

  // ---- session_messages.cc
  Await OnError(std::string_view message, size_t at);
  bool OnParameterStatus(std::string_view message, size_t at);
  void OnNotice(std::string_view message, size_t at);
  void OnNotification(std::string_view message, size_t at);
  bool OnCopyStart(char type, std::string_view message, size_t at);
  void Pop();
  void DropCopyEnds();
  /// The message at `at` is not for the client; what takes its place is appended to to_client_.
  void Replace(size_t at, size_t size) {
    if (run_ > at) return;  // it was taken out before
    to_client_.append(server_.stream->data().substr(run_, at - run_));
    run_ = at + size;
  }
  void DropCopySyncs();
  Await Release(size_t at);
  bool Broken(std::string detail);
  boost::asio::awaitable<void> Farewell();

  // ---- session_result.cc
  /// Chooses the mask of what follows. False: the result is condemned.
  bool UseShape(Pending& pending, ShapePtr shape);
  bool UsePortalShape(Pending& pending);
  void LimitRows(const Pending& pending);
  void CountReleased(const Pending& pending);
  /// The rows that begin at `at`: how many bytes of them are whole; 0: none.
  size_t WholeRows(size_t at, uint64_t& rows) const;
  bool OnRows(size_t at, size_t size, uint64_t rows);
  bool OnCopyRow(std::string_view message, size_t at);
  Await StreamLong(size_t at, size_t total);
  Await StreamRow(size_t total);
  Await StreamBinaryCopy(size_t total);
  struct HeldPieces;
  void HeldCell(size_t column, std::string_view value);
  void ClosePieces(HeldPieces& pieces, size_t end);
  Await StreamBytes(size_t size, LongMask* mask);
  Await NeedBytes(size_t size);
  void Condemn(Error why);
  Await MapFound();
  Await Settle(Pending& pending, bool ok, std::string_view code, std::string_view text);
  void MaskColumnNames(const Shape& shape, std::string_view message, size_t at);
  bool Classified() const;

  // ---- what both halves know
  boost::asio::any_io_executor executor_;
  Front& front_;
  Place& place_;
  sql::Analyzer& analyzer_;
  std::shared_ptr<net::Stream> client_;
  Server server_;
  std::shared_ptr<const op::Session> who_;
  const identity::VerifiedPtr credential_;
  access::Work at_work_;  // of the caller's session: from a request to the end of its answer
  bool working_ = false;
  std::shared_ptr<Figures> figures_;
  Snapshot<Settings> settings_;
  const std::string mark_;  // of statements that are sent to fail
  std::deque<Pending> pending_;
  Names names_;
  char status_ = 'I';
  std::string trace_;  // trace id that application_name names
  std::optional<Error> stop_;
  bool draining_ = false, client_gone_ = false, terminated_ = false;
  uint32_t cancelling_ = 0;
  net::Event answered_, cancelled_, server_done_;
  /// The half that writes to the client has to wait for it; the other one keeps its hands off.
  bool client_busy_ = false;
  net::Event client_free_;
  approval::Vigil* vigil_ = nullptr;  // a statement is held
  bool hold_cancelled_ = false;
  net::Event work_;        // for a server half that waits without reading
  bool did_ddl_ = false;   // from then on it does, when nothing is to be answered
  bool borrowed_ = false;  // the client half asks the server questions of its own
  bool waiting_ = false;   // somebody waits for `answered_`
  net::Deadline idle_, life_, last_words_;
  std::chrono::steady_clock::time_point until_;
  bool token_ends_it_;

  // ---- client half
  UnmaskSetting unmask_;
  std::optional<op::Refusal> held_;  // what was asked last waits for an approval
  size_t held_back_ = 0;  // so many requests of the batch are taken back if it is refused
  std::string to_server_;
  std::vector<Pending> batch_;
  size_t uncovered_ = 0;  // Parse messages in the batch from here on have no intent yet
  uint64_t group_ = 1;
  bool skip_ = false;       // until Sync: something of this group was refused
  bool copy_sent_ = false;  // a COPY FROM STDIN whose data has not ended, nor its answer come
  bool limited_ = false, writes_ = false;  // of this group: a row limit, something written
  /// Something with a row limit runs in a transaction block: what comes next waits until it is
  /// known whether the transaction goes on.
  bool hold_ = false;
  size_t controls_ = 0;    // unanswered statements that begin or end transaction blocks
  size_t copy_syncs_ = 0;  // sent since the COPY FROM STDIN
  /// Unanswered requests that change what names stand for: of groups before this one, and of it.
  size_t earlier_statements_ = 0, earlier_portals_ = 0, here_statements_ = 0, here_portals_ = 0;
  size_t sql_names_ = 0;  // texts that do, of any group
  uint64_t catalog_since_ = 0;
  bool catalog_old_ = false;
  /// What only this session can see: DDL that is not committed. Until the transaction ends.
  std::shared_ptr<const sql::Catalog> own_catalog_;
  bool group_begun_ = false;  // something of this group was put into the batch
  std::vector<JudgedPtr> recent_;
  size_t recent_at_ = 0;

  // ---- server half
  std::string to_client_;
  size_t run_ = 0;         // where the bytes begin that go from the read buffer as they are
  bool skipping_ = false;  // the server ignores everything up to a Sync
  bool muted_ = false;     // so does the client, of what is left of a condemned result
  bool undone_ = false;    // the server finished what the client was told has failed
  bool classified_transaction_ = false, ddl_transaction_ = false;
  bool fatal_seen_ = false;
  bool inside_message_ = false;  // a long message was begun: nothing else can be said
  ResultState result_;
};

}  // namespace sallyport::pg
