#include <gmock/gmock.h>

#include "json/document.h"
#include "mcp/upstream_fake.h"
#include "mcp/upstream_http.h"

namespace sallyport::mcp {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

/// A server of the session eras: keeps sessions, and leaves the rest to the test.
class SessionServer {
 public:
  FakeHttpClient::Server Function() {
    return [this](const FakeRequest& r) { return Handle(r); };
  }
  Result<FakeResponse> Handle(const FakeRequest& r) {
    if (r.method == "DELETE") return ++deleted, Status(200);
    if (r.method == "GET") {
      if (!on_get) return Status(405);
      return on_get(r);
    }
    const std::string method = MethodOf(r.body);
    if (method == "initialize") {
      ++initialized;
      session = with_session ? "sess-" + std::to_string(initialized) : "";
      FakeResponse f = Json(ResponseText(
          IdOf(r.body),
          {false, R"({"protocolVersion":")" + offered +
                      R"(","capabilities":{"logging":{}},)"
                      R"("serverInfo":{"name":"s","version":"1"},"instructions":"hi"})"}));
      if (!session.empty()) f.headers.Add("Mcp-Session-Id", session);
      return f;
    }
    if (r.Header("mcp-session-id") != session)
      return Json(R"({"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"gone"}})",
                  unknown_status);
    if (method.starts_with("notifications/")) return Status(202);
    if (method.empty())
      return answers.push_back(r.body), Status(202);  // a response to a request of ours
    if (method == "server/discover")
      return Json(ResponseText(IdOf(r.body), {true, ErrorText(-32601, "no")}), 400);
    if (method == "logging/setLevel") return Json(ResponseText(IdOf(r.body), {false, "{}"}));
    return on_call(r);
  }

  bool with_session = true;
  std::string offered = "2025-06-18", session;
  int initialized = 0, deleted = 0;
  int unknown_status = 404;
  std::vector<std::string> answers;
  FakeHttpClient::Server on_call = [](const FakeRequest& r) {
    return Json(ResponseText(IdOf(r.body), {false, R"({"content":[]})"}));
  };
  FakeHttpClient::Server on_get;
};

class SessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    client_ = std::make_unique<FakeHttpClient>(server_.Function());
    HttpUpstreamOptions options;
    options.executor = io_.get_executor();
    options.client = client_.get();
    options.url = {{false, "upstream.test", 80}, "/mcp"};
    options.message_bytes = 1 << 16;
    options.call_timeout = milliseconds(300);
    upstream_ = MakeHttpUpstream(std::move(options));
  }
  std::unique_ptr<UpstreamPeer> Open(Revision revision) {
    ClientFace face;
    face.revision = revision;
    face.capabilities = R"({"roots":{}})";
    return upstream_->Open(std::move(face));
  }
  Result<UpstreamAnswer> Call(UpstreamPeer& peer, std::string params = R"({"name":"t"})") {
    return Await(io_,
                 peer.Call(StandInPermit(), {"tools/call", std::move(params), {}, "t"}, events_));
  }
  void Settle() {
    io_.restart();
    io_.run_for(milliseconds(30));
  }
  std::vector<std::string> Sent() const {
    std::vector<std::string> out;
    for (const auto& r : client_->seen) {
      const std::string method = r.method == "POST" ? MethodOf(r.body) : r.method;
      out.push_back(method.empty() ? "response" : method);
    }
    return out;
  }
  FakeRequest LastOf(std::string_view method) const {
    for (auto r = client_->seen.rbegin(); r != client_->seen.rend(); ++r) {
      if (MethodOf(r->body) == method || r->method == method) return *r;
    }
    ADD_FAILURE() << "nothing sent: " << method;
    return {};
  }

  boost::asio::io_context io_{1};
  SessionServer server_;
  std::unique_ptr<FakeHttpClient> client_;
  std::unique_ptr<McpUpstream> upstream_;
  FakeEvents events_;
};

using Strings = std::vector<std::string>;

TEST_F(SessionTest, OneSessionForAllCallsOfAPeerAndDeleteAtItsEnd) {
  auto peer = Open(Revision::r2025_11_25);
  for (int i = 0; i < 2; ++i) {
    const auto answer = Call(*peer, R"({"_meta":{"progressToken":1},"name":"t","n":1.0})");
    ASSERT_TRUE(answer) << answer.error().detail;
    EXPECT_EQ(answer->json, R"({"content":[]})");  // nothing is added for a session client
  }
  EXPECT_EQ(Sent(),
            (Strings{"initialize", "notifications/initialized", "tools/call", "tools/call"}));
  const FakeRequest init = client_->seen[0];
  EXPECT_THAT(
      init.body,
      HasSubstr(
          R"("protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":)"));
  EXPECT_EQ(init.Header("mcp-session-id"), "");
  EXPECT_EQ(init.Header("mcp-protocol-version"), "");
  for (size_t i = 1; i < 4; ++i) {
    EXPECT_EQ(client_->seen[i].Header("mcp-session-id"), "sess-1");
    EXPECT_EQ(client_->seen[i].Header("mcp-protocol-version"), "2025-06-18");
  }
  EXPECT_THAT(LastOf("tools/call").body,
              HasSubstr(R"("params":{"_meta":{"progressToken":1},"name":"t","n":1.0})"));
  EXPECT_EQ(upstream_->peers(), 1u);
  peer.reset();
  Settle();
  EXPECT_EQ(server_.deleted, 1);
  EXPECT_EQ(upstream_->peers(), 0u);
}

TEST_F(SessionTest, PeersDoNotShareASession) {
  const auto a = Open(Revision::r2025_11_25);
  ASSERT_TRUE(Call(*a));
  const auto b = Open(Revision::r2025_11_25);
  ASSERT_TRUE(Call(*b));
  EXPECT_EQ(server_.initialized, 2);
  EXPECT_EQ(LastOf("tools/call").Header("mcp-session-id"), "sess-2");
}

TEST_F(SessionTest, ServerWithoutSessionIds) {
  server_.with_session = false;
  auto peer = Open(Revision::r2025_03_26);
  ASSERT_TRUE(Call(*peer));
  EXPECT_EQ(LastOf("tools/call").headers.Count("mcp-session-id"), 0u);
  peer.reset();
  Settle();
  EXPECT_EQ(server_.deleted, 0);
}

TEST_F(SessionTest, DescribeOpensASessionAndClosesIt) {
  const auto face = Await(io_, upstream_->Describe(StandInPermit(), Revision::r2025_11_25, false));
  ASSERT_TRUE(face) << face.error().detail;
  EXPECT_EQ(face->revisions, std::vector{Revision::r2025_06_18});
  EXPECT_EQ(face->instructions, "hi");
  EXPECT_EQ(face->info, R"({"name":"s","version":"1"})");
  Settle();
  EXPECT_EQ(server_.deleted, 1);
  const auto again = Await(io_, upstream_->Describe(StandInPermit(), Revision::r2025_03_26, false));
  EXPECT_EQ(server_.initialized, 1);
}

TEST_F(SessionTest, ForgottenSessionIsOpenedAgainAndTheCallRepeatedOnce) {
  for (const int status : {404, 400}) {
    server_.unknown_status = status;
    const auto peer = Open(Revision::r2025_11_25);
    ASSERT_TRUE(Call(*peer));
    server_.session = "other";
    const int before = server_.initialized;
    const auto answer = Call(*peer);
    ASSERT_TRUE(answer) << status << answer.error().detail;
    EXPECT_FALSE(answer->error);
    EXPECT_EQ(server_.initialized, before + 1);
    Settle();
    EXPECT_EQ(std::ranges::count(Sent(), "notifications/cancelled"), 0);
  }
}

TEST_F(SessionTest, SessionThatIsForgottenAgainFails) {
  const auto peer = Open(Revision::r2025_11_25);
  server_.on_call = [](const FakeRequest&) { return Status(404); };
  const auto answer = Call(*peer);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::upstream_protocol);
  EXPECT_EQ(server_.initialized, 2);
}

TEST_F(SessionTest, ErrorAboutTheCallItselfIsItsAnswer) {
  const auto peer = Open(Revision::r2025_11_25);
  server_.on_call = [](const FakeRequest& r) {
    return Json(ResponseText(IdOf(r.body), {true, ErrorText(-32602, "no")}), 400);
  };
  const auto answer = Call(*peer);
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_TRUE(answer->error);
  EXPECT_EQ(server_.initialized, 1);
}

TEST_F(SessionTest, MalformedSessionIdOrVersionIsRefused) {
  server_.offered = "2031-01-01";
  auto answer = Call(*Open(Revision::r2025_11_25));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::upstream_protocol);
  const auto evil = [](const FakeRequest& r) {
    FakeResponse f = Json(ResponseText(
        IdOf(r.body), {false, R"({"protocolVersion":"2025-11-25","capabilities":{}})"}));
    f.headers.Add("Mcp-Session-Id", "a b");
    return f;
  };
  *client_ = FakeHttpClient(evil);
  answer = Call(*Open(Revision::r2025_11_25));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::upstream_protocol);
}

TEST_F(SessionTest, RequestsOfTheServerGoToTheClientAndBack) {
  server_.on_call = [](const FakeRequest& r) {
    return Events(
        {Data(R"({"jsonrpc":"2.0","id":"p1","method":"ping"})") +
             Data(
                 R"({"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"m"}})"),
         Data(
             R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q1"}})") +
             Data(R"({"jsonrpc":"2.0","method":"notifications/message","params":{}})"),
         Data(ResponseText(IdOf(r.body), {false, "{}"}))});
  };
  const auto peer = Open(Revision::r2025_11_25);
  const auto answer = Call(*peer);
  ASSERT_TRUE(answer) << answer.error().detail;
  ASSERT_EQ(events_.requests.size(), 1u);
  EXPECT_EQ(events_.requests[0].first, "elicitation/create");
  EXPECT_EQ(
      server_.answers,
      (Strings{R"({"jsonrpc":"2.0","id":"p1","result":{}})",
               R"({"jsonrpc":"2.0","id":"q1","result":{"action":"accept","content":{"n":1}}})"}));
  EXPECT_EQ(events_.notifications.size(), 1u);
}

TEST_F(SessionTest, ModernClientOnASessionServer) {
  server_.on_call = [](const FakeRequest& r) {
    return Events({Data(R"({"jsonrpc":"2.0","method":"notifications/message","params":{}})"),
                   Data(ResponseText(IdOf(r.body), {false, R"({"content":[]})"}))});
  };
  const auto peer = Open(Revision::r2026_07_28);
  const std::string meta = R"("io.modelcontextprotocol/protocolVersion":"2026-07-28")";
  auto answer = Call(*peer, R"({"_meta":{)" + meta + R"(,"progressToken":"p"},"name":"t"})");
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->json, R"({"resultType":"complete","content":[]})");
  EXPECT_TRUE(events_.notifications.empty());  // no logLevel was given
  EXPECT_THAT(LastOf("tools/call").body,
              HasSubstr(R"("params":{"_meta":{"progressToken":"p"},"name":"t"})"));
  EXPECT_EQ(LastOf("tools/call").headers.Count("mcp-method"), 0u);
  EXPECT_THAT(LastOf("initialize").body, HasSubstr(R"("protocolVersion":"2025-11-25")"));
  for (int i = 0; i < 2; ++i) {
    answer = Call(*peer, R"({"_meta":{)" + meta +
                             R"(,"io.modelcontextprotocol/logLevel":"debug"},"name":"t"})");
    ASSERT_TRUE(answer);
  }
  EXPECT_EQ(events_.notifications.size(), 2u);
  EXPECT_EQ(std::ranges::count(Sent(), "logging/setLevel"), 1);
  EXPECT_THAT(LastOf("logging/setLevel").body, HasSubstr(R"({"level":"debug"})"));
}

TEST_F(SessionTest, CancelAndTimeoutTellTheServer) {
  server_.on_call = [](const FakeRequest&) {
    FakeResponse f = Events({Data(R"({"jsonrpc":"2.0","method":"n"})")});
    f.hang = true;
    return f;
  };
  const auto peer = Open(Revision::r2025_11_25);
  auto answer = Call(*peer);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::upstream_timeout);
  Settle();
  EXPECT_EQ(std::ranges::count(Sent(), "notifications/cancelled"), 1);

  const uint64_t token = peer->NextToken();
  events_.on_notification = [&] { net::Post(io_.get_executor(), [&] { peer->Cancel(token); }); };
  answer = Call(*peer);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::cancelled);
  Settle();
  EXPECT_EQ(std::ranges::count(Sent(), "notifications/cancelled"), 2);
  EXPECT_THAT(LastOf("notifications/cancelled").body,
              HasSubstr(R"("requestId":)" + IdOf(LastOf("tools/call").body) + ","));
  EXPECT_EQ(LastOf("notifications/cancelled").Header("mcp-session-id"), "sess-1");
}

TEST_F(SessionTest, AnsweredCallsAreNotCancelled) {
  {
    const auto peer = Open(Revision::r2025_11_25);
    ASSERT_TRUE(Call(*peer));
  }
  Settle();
  EXPECT_EQ(std::ranges::count(Sent(), "notifications/cancelled"), 0);
}

TEST_F(SessionTest, BrokenStreamIsResumedFromTheLastEvent) {
  std::string id;
  server_.on_call = [&](const FakeRequest& r) {
    id = IdOf(r.body);
    return Events(
        {"id: e0\nretry: 5\ndata: \n\n", "id: e1\n" + Data(R"({"jsonrpc":"2.0","method":"a"})")});
  };
  int gets = 0;
  server_.on_get = [&](const FakeRequest&) -> FakeResponse {
    if (++gets == 1) return Events({"id: e2\n" + Data(R"({"jsonrpc":"2.0","method":"b"})")});
    if (gets == 2) return Events({});
    return Events({Data(ResponseText(id, {false, R"({"late":true})"}))});
  };
  const auto peer = Open(Revision::r2025_11_25);
  const auto answer = Call(*peer);
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->json, R"({"late":true})");
  EXPECT_EQ(events_.notifications.size(), 2u);
  Strings ids;
  for (const auto& r : client_->seen) {
    if (r.method == "GET") ids.push_back(r.Header("last-event-id"));
  }
  EXPECT_EQ(ids, (Strings{"e1", "e2", "e2"}));
  EXPECT_EQ(LastOf("GET").Header("accept"), "text/event-stream");
  EXPECT_EQ(LastOf("GET").Header("mcp-session-id"), "sess-1");
}

TEST_F(SessionTest, StreamWithoutEventIdsIsNotResumed) {
  server_.on_call = [](const FakeRequest&) {
    return Events({Data(R"({"jsonrpc":"2.0","method":"a"})")});
  };
  server_.on_get = [](const FakeRequest&) { return Events({}); };
  const auto peer = Open(Revision::r2025_11_25);
  const auto answer = Call(*peer);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::upstream_closed);
  EXPECT_EQ(std::ranges::count(Sent(), "GET"), 0);
}

TEST_F(SessionTest, BatchesOfTheOldestRevisionAreSplit) {
  server_.offered = "2025-03-26";
  server_.on_call = [](const FakeRequest& r) {
    return Json(R"([ {"jsonrpc":"2.0","method":"a"}, {"jsonrpc":"2.0","id":99999,"result":{}} ,)" +
                ResponseText(IdOf(r.body), {false, R"({"x":[1,2]})"}) + "]");
  };
  const auto peer = Open(Revision::r2025_03_26);
  const auto answer = Call(*peer);
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->json, R"({"x":[1,2]})");
  EXPECT_EQ(events_.notifications.size(), 1u);
  server_.on_call = [](const FakeRequest&) {
    std::string many = "[0";
    for (int i = 0; i < 5000; ++i) many += ",0";
    return Json(many + "]");
  };
  const auto refused = Call(*peer);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::upstream_too_large);
}

TEST_F(SessionTest, ListenResumesAnswersPingsAndEndsOnClose) {
  int gets = 0;
  const auto peer = Open(Revision::r2025_11_25);
  server_.on_get = [&](const FakeRequest& r) -> FakeResponse {
    ++gets;
    if (gets == 1) {
      EXPECT_EQ(r.Header("last-event-id"), "");
      return Events({"retry: 5\nid: g1\n" +
                     Data(R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})")});
    }
    EXPECT_EQ(r.Header("last-event-id"), "g1");
    if (gets == 2) {
      return Events({"id: g1\n" + Data(R"({"jsonrpc":"2.0","id":1,"method":"ping"})") +
                     Data(R"({"jsonrpc":"2.0","id":2,"method":"roots/list"})")});
    }
    net::Post(io_.get_executor(), [&] { peer->Close(); });
    FakeResponse f = Events({});
    f.hang = true;
    return f;
  };
  const auto end = Await(io_, peer->Listen(StandInPermit(), "", events_));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::upstream_closed);
  EXPECT_EQ(gets, 3);
  EXPECT_EQ(events_.notifications.size(), 1u);
  ASSERT_EQ(events_.requests.size(), 1u);
  EXPECT_EQ(server_.answers.size(), 2u);
}

TEST_F(SessionTest, SilenceOfTheStreamIsNoFailure) {
  int gets = 0;
  const auto peer = Open(Revision::r2025_11_25);
  server_.on_get = [&](const FakeRequest&) -> FakeResponse {
    FakeResponse f = Events({": still here\n\n"});
    f.then = Errc::upstream_timeout;
    if (++gets == 20) {
      net::Post(io_.get_executor(), [&] { peer->Close(); });
      f.hang = true;
    }
    return f;
  };
  const auto end = Await(io_, peer->Listen(StandInPermit(), "", events_));
  EXPECT_EQ(end.error().code, Errc::upstream_closed);
  EXPECT_EQ(gets, 20);
}

// A shard that stops destroys what waits: nothing of it may touch what is gone.
TEST(UpstreamShutdown, LoopEndsInTheMiddleOfACall) {
  for (const bool upstream_first : {false, true}) {
    for (const Revision revision : {Revision::r2026_07_28, Revision::r2025_11_25}) {
      auto io = std::make_unique<boost::asio::io_context>(1);
      SessionServer server;
      server.on_call = [](const FakeRequest&) {
        FakeResponse f = Events({Data(R"({"jsonrpc":"2.0","method":"n"})")});
        f.hang = true;
        return f;
      };
      FakeHttpClient client(server.Function());
      FakeEvents events;
      HttpUpstreamOptions options;
      options.executor = io->get_executor();
      options.client = &client;
      auto upstream = MakeHttpUpstream(std::move(options));
      ClientFace face;
      face.revision = revision;
      auto peer = upstream->Open(std::move(face));
      boost::asio::co_spawn(
          *io, peer->Call(StandInPermit(), {"tools/call", R"({"name":"t"})", {}, "t"}, events),
          boost::asio::detached);
      for (int i = 0; i < 100 && events.notifications.empty(); ++i) io->run_for(milliseconds(20));
      EXPECT_EQ(events.notifications.size(), 1u);
      // The loop ends before or after the upstream; its context outlives both, as a shard's does.
      if (!upstream_first) io->stop();
      peer.reset(), upstream.reset();
      io.reset();
    }
  }
}

TEST_F(SessionTest, ListenWithoutAStreamWaitsForTheEnd) {
  const auto peer = Open(Revision::r2025_11_25);
  net::Spawn(io_.get_executor(), [](UpstreamPeer& p) -> boost::asio::awaitable<void> {
    co_await net::Sleep(milliseconds(40));
    p.Close();
  }(*peer));
  const auto end = Await(io_, peer->Listen(StandInPermit(), "", events_));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::upstream_closed);
  EXPECT_EQ(std::ranges::count(Sent(), "GET"), 1);
}

TEST_F(SessionTest, ListenOfAModernClientSubscribes) {
  const auto peer = Open(Revision::r2026_07_28);
  server_.on_get = [](const FakeRequest&) { return Events({Data("garbage")}); };
  const auto end = Await(
      io_,
      peer->Listen(StandInPermit(), R"({"resourceSubscriptions":["a:\/\/1","b://2"]})", events_));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::upstream_protocol);
  EXPECT_EQ(std::ranges::count(Sent(), "resources/subscribe"), 2);
  EXPECT_THAT(LastOf("resources/subscribe").body, HasSubstr(R"({"uri":"b://2"})"));
}

TEST_F(SessionTest, NotificationsOfTheClientArePassed) {
  const auto peer = Open(Revision::r2025_11_25);
  ASSERT_TRUE(Await(io_, peer->Notify(StandInPermit(), "notifications/roots/list_changed", "")));
  EXPECT_EQ(Sent().back(), "notifications/roots/list_changed");
  ASSERT_TRUE(Await(io_, peer->Notify(StandInPermit(), "notifications/initialized", "")));
  EXPECT_EQ(Sent().back(), "notifications/roots/list_changed");
}

TEST_F(SessionTest, ConcurrentFirstCallsInitialiseOnce) {
  const auto peer = Open(Revision::r2025_11_25);
  int done = 0;
  for (int i = 0; i < 5; ++i) {
    net::Spawn(io_.get_executor(),
               [](UpstreamPeer& p, FakeEvents& e, int& n) -> boost::asio::awaitable<void> {
                 const auto answer = co_await p.Call(StandInPermit(),
                                                     {"tools/call", R"({"name":"t"})", {}, "t"}, e);
                 n += answer ? 1 : 0;
               }(*peer, events_, done));
  }
  io_.restart();
  io_.run_for(milliseconds(100));
  EXPECT_EQ(done, 5);
  EXPECT_EQ(server_.initialized, 1);
}

}  // namespace
}  // namespace sallyport::mcp
