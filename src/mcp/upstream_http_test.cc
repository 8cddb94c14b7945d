#include "mcp/upstream_http.h"

#include <gmock/gmock.h>

#include "json/document.h"
#include "mcp/upstream_fake.h"

namespace sallyport::mcp {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr std::string_view kDiscover =
    R"({"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"resultType":"complete"})";

std::string ResultFor(const FakeRequest& r, std::string_view result) {
  return ResponseText(IdOf(r.body), {false, std::string(result)});
}
std::string ErrorFor(const FakeRequest& r, int code) {
  return ResponseText(IdOf(r.body), {true, ErrorText(code, "no")});
}

/// A modern server whose answers to everything but server/discover are `answer`.
FakeHttpClient::Server Modern(FakeHttpClient::Server answer) {
  return [answer](const FakeRequest& r) -> Result<FakeResponse> {
    if (MethodOf(r.body) == "server/discover") return Json(ResultFor(r, kDiscover));
    return answer(r);
  };
}

class HttpUpstreamTest : public ::testing::Test {
 protected:
  void Serve(FakeHttpClient::Server server) {
    client_ = std::make_unique<FakeHttpClient>(std::move(server));
    HttpUpstreamOptions options;
    options.executor = io_.get_executor();
    options.client = client_.get();
    options.url = {{false, "upstream.test", 80}, "/mcp"};
    options.credential = [](net::Headers& h) { h.Add("Authorization", "Bearer upstream-secret"); };
    options.message_bytes = 4096;
    options.call_timeout = limit_;
    upstream_ = MakeHttpUpstream(std::move(options));
  }
  std::unique_ptr<UpstreamPeer> Open(Revision revision) {
    ClientFace face;
    face.revision = revision;
    face.capabilities = R"({"elicitation":{}})";
    face.info = R"({"name":"c","version":"1"})";
    return upstream_->Open(std::move(face));
  }
  Result<UpstreamAnswer> CallOn(UpstreamPeer& peer,
                                std::string params = R"({"name":"t","arguments":{"n":1.00}})") {
    return Await(io_,
                 peer.Call(StandInPermit(), {"tools/call", std::move(params), {}, "t"}, events_));
  }
  Errc CodeOf(Revision revision) {
    const auto peer = Open(revision);
    const auto answer = CallOn(*peer);
    if (answer) ADD_FAILURE() << "answered: " << answer->json;
    detail_ = answer ? "" : answer.error().detail;
    return answer ? Errc::internal : answer.error().code;
  }

  boost::asio::io_context io_{1};
  std::unique_ptr<FakeHttpClient> client_;
  std::unique_ptr<McpUpstream> upstream_;
  FakeEvents events_;
  milliseconds limit_{5'000};
  std::string detail_;
};

TEST_F(HttpUpstreamTest, ModernCallPassesUntouched) {
  Serve(Modern(
      [](const FakeRequest& r) { return Json(ResultFor(r, R"({"content":[],"x":1.000})")); }));
  const auto peer = Open(Revision::r2026_07_28);
  const std::string params = R"({"_meta":{"k":1},"name":"t","arguments":{"n":1.00}})";
  const auto answer = Await(
      io_, peer->Call(StandInPermit(),
                      {"tools/call", params, {{"Mcp-Param-Region", "eu"}}, "t\xc3\xa9"}, events_));
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_FALSE(answer->error);
  EXPECT_EQ(answer->json, R"({"content":[],"x":1.000})");
  const FakeRequest& r = client_->seen.back();
  EXPECT_EQ(r.method, "POST");
  EXPECT_EQ(r.target, "/mcp");
  EXPECT_EQ(r.body, R"({"jsonrpc":"2.0","id":)" + IdOf(r.body) +
                        R"(,"method":"tools/call","params":)" + params + "}");
  EXPECT_EQ(r.Header("mcp-protocol-version"), "2026-07-28");
  EXPECT_EQ(r.Header("mcp-method"), "tools/call");
  EXPECT_EQ(r.Header("mcp-name"), "=?base64?dMOp?=");
  EXPECT_EQ(r.Header("mcp-param-region"), "eu");
  EXPECT_EQ(r.Header("accept"), "application/json, text/event-stream");
  EXPECT_EQ(r.Header("content-type"), "application/json");
  EXPECT_EQ(r.Header("authorization"), "Bearer upstream-secret");
  EXPECT_EQ(client_->open, 0u);
  EXPECT_EQ(client_->abandoned, 0u);
}

TEST_F(HttpUpstreamTest, EraIsProbedOnce) {
  Serve(Modern([](const FakeRequest& r) { return Json(ResultFor(r, "{}")); }));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(CallOn(*Open(Revision::r2026_07_28)));
  EXPECT_EQ(client_->seen.size(), 4u);
  ASSERT_TRUE(Await(io_, upstream_->Describe(StandInPermit(), Revision::r2026_07_28, false)));
  EXPECT_EQ(client_->seen.size(), 4u);
  ASSERT_TRUE(Await(io_, upstream_->Describe(StandInPermit(), Revision::r2026_07_28, true)));
  EXPECT_EQ(client_->seen.size(), 5u);
}

TEST_F(HttpUpstreamTest, HeaderThatCannotBeSentIsRefused) {
  Serve(Modern([](const FakeRequest& r) { return Json(ResultFor(r, "{}")); }));
  const auto peer = Open(Revision::r2026_07_28);
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"Mcp-Param-A", "x\r\nEvil: 1"},
                                                        {"Authorization", "Bearer x"},
                                                        {"Mcp-Param-", "x"},
                                                        {"Mcp-Param-a b", "x"}}) {
    const auto answer = Await(
        io_, peer->Call(StandInPermit(), {"tools/call", "{}", {{name, value}}, "t"}, events_));
    ASSERT_FALSE(answer) << name;
    EXPECT_EQ(answer.error().code, Errc::header_invalid);
  }
}

TEST_F(HttpUpstreamTest, EventStreamDeliversInOrderAndEndsWithTheAnswer) {
  Serve(Modern([](const FakeRequest& r) {
    const std::string wire =
        ": hello\n\n" +
        Data(R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"p":1}})") +
        "event: other\ndata: no\n\n" + Data(R"({"jsonrpc":"2.0","id":999999,"result":{}})") +
        Data(R"({"jsonrpc":"2.0","method":"notifications/message","params":{"p":2}})") +
        Data(ResultFor(r, R"({"ok":true})"));
    std::deque<std::string> bytes;
    for (const char c : wire) bytes.emplace_back(1, c);
    return Events(std::move(bytes));
  }));
  const auto peer = Open(Revision::r2026_07_28);
  const auto answer = CallOn(*peer);
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->json, R"({"ok":true})");
  ASSERT_EQ(events_.notifications.size(), 2u);
  EXPECT_THAT(events_.notifications[0], HasSubstr("\"p\":1"));
  EXPECT_THAT(events_.notifications[1], HasSubstr("\"p\":2"));
}

TEST_F(HttpUpstreamTest, JsonRpcErrorsAreAnswersWhateverTheStatus) {
  for (int status : {200, 400, 404, 500}) {
    Serve(Modern([status](const FakeRequest& r) { return Json(ErrorFor(r, -32602), status); }));
    const auto answer = CallOn(*Open(Revision::r2026_07_28));
    ASSERT_TRUE(answer) << status;
    EXPECT_TRUE(answer->error);
    EXPECT_EQ(answer->json, R"({"code":-32602,"message":"no"})");
  }
}

TEST_F(HttpUpstreamTest, MisbehavingServersOfBothEras) {
  const std::string garbage = "<html>4111 1111 1111 1111</html>";
  struct Case {
    const char* what;
    FakeHttpClient::Server server;
    Errc code;
  };
  const std::vector<Case> cases = {
      {"wrong content type",
       [&](auto&) {
         return FakeResponse{200, {{"Content-Type", "text/html"}}, {garbage}, {}, false};
       },
       Errc::upstream_protocol},
      {"no content type", [&](auto&) { return FakeResponse{200, {}, {garbage}, {}, false}; },
       Errc::upstream_protocol},
      {"garbage", [&](auto&) { return Json(garbage); }, Errc::upstream_protocol},
      {"empty", [&](auto&) { return Json(""); }, Errc::upstream_protocol},
      {"other id", [](auto&) { return Json(R"({"jsonrpc":"2.0","id":123456,"result":{}})"); },
       Errc::upstream_protocol},
      {"id as text",
       [](auto& r) {
         return Json(R"({"jsonrpc":"2.0","id":")" + IdOf(r.body) + R"(","result":{}})");
       },
       Errc::upstream_protocol},
      {"both",
       [](auto& r) {
         return Json(R"({"jsonrpc":"2.0","id":)" + IdOf(r.body) + R"(,"result":{},"error":{}})");
       },
       Errc::upstream_protocol},
      {"too large",
       [](auto& r) { return Json(ResultFor(r, R"({"x":")" + std::string(5000, 'x') + "\"}")); },
       Errc::upstream_too_large},
      {"event too large",
       [](auto& r) {
         return Events({Data(ResultFor(r, R"({"x":")" + std::string(5000, 'x') + "\"}"))});
       },
       Errc::upstream_too_large},
      {"dies in the stream",
       [](auto&) {
         FakeResponse f = Events({Data(R"({"jsonrpc":"2.0","method":"n"})")});
         f.then = Errc::upstream_closed;
         return f;
       },
       Errc::upstream_closed},
      {"ends without an answer", [](auto&) { return Events({": x\n\n"}); }, Errc::upstream_closed},
      {"dies in the body",
       [](auto&) {
         FakeResponse f = Json("{\"json");
         f.then = Errc::upstream_closed;
         return f;
       },
       Errc::upstream_closed},
      {"slow", [](auto&) { return Fail(Errc::upstream_timeout); }, Errc::upstream_timeout},
      {"down", [](auto&) { return Fail(Errc::upstream_unreachable); }, Errc::upstream_unreachable},
      {"401", [](auto&) { return Status(401); }, Errc::upstream_protocol},
      {"403 with a body", [](auto& r) { return Json(ErrorFor(r, -32001), 403); },
       Errc::upstream_protocol},
      {"302",
       [](auto&) { return FakeResponse{302, {{"Location", "http://evil.test/"}}, {}, {}, false}; },
       Errc::upstream_protocol},
      {"302 with an answer", [](auto& r) { return Json(ResultFor(r, "{}"), 302); },
       Errc::upstream_protocol},
      {"503", [](auto&) { return Status(503); }, Errc::upstream_unreachable},
      {"500 in HTML",
       [&](auto&) {
         return FakeResponse{500, {{"Content-Type", "text/html"}}, {garbage}, {}, false};
       },
       Errc::upstream_protocol},
      {"500 garbage", [&](auto&) { return Json(garbage, 500); }, Errc::upstream_protocol},
      {"202", [](auto&) { return Status(202); }, Errc::upstream_protocol},
  };
  for (const auto& c : cases) {
    for (const Revision revision : {Revision::r2026_07_28, Revision::r2025_11_25}) {
      Serve([&](const FakeRequest& r) -> Result<FakeResponse> {
        const std::string method = MethodOf(r.body);
        if (method == "tools/call") return c.server(r);
        if (method == "server/discover" && IsModern(revision)) return Json(ResultFor(r, kDiscover));
        if (method == "initialize")
          return Json(ResultFor(r, R"({"protocolVersion":"2025-11-25","capabilities":{}})"));
        return Status(202);
      });
      EXPECT_EQ(CodeOf(revision), c.code)
          << c.what << " " << RevisionName(revision) << ": " << detail_;
      EXPECT_EQ(detail_.find("4111"), std::string::npos) << c.what;
      EXPECT_EQ(client_->open, 0u) << c.what;
    }
  }
}

TEST_F(HttpUpstreamTest, RefusedCredentialIsNamed) {
  Serve([](const FakeRequest&) { return Status(401); });
  EXPECT_EQ(CodeOf(Revision::r2026_07_28), Errc::upstream_protocol);
  EXPECT_THAT(detail_, HasSubstr("credential"));
  EXPECT_EQ(CodeOf(Revision::r2025_06_18), Errc::upstream_protocol);
  EXPECT_THAT(detail_, HasSubstr("credential"));
}

TEST_F(HttpUpstreamTest, LimitOfACallEndsItAndClosesTheStream) {
  limit_ = milliseconds(50);
  Serve(Modern([](const FakeRequest&) {
    FakeResponse f = Events({Data(R"({"jsonrpc":"2.0","method":"n"})")});
    f.hang = true;
    return f;
  }));
  EXPECT_EQ(CodeOf(Revision::r2026_07_28), Errc::upstream_timeout);
  EXPECT_EQ(client_->abandoned, 1u);
}

TEST_F(HttpUpstreamTest, CancelClosesTheStreamOfThatCallOnly) {
  Serve(Modern([](const FakeRequest&) {
    FakeResponse f = Events({Data(R"({"jsonrpc":"2.0","method":"n"})")});
    f.hang = true;
    return f;
  }));
  const auto peer = Open(Revision::r2026_07_28);
  const uint64_t token = peer->NextToken();
  events_.on_notification = [&] {
    net::Post(io_.get_executor(), [&] { peer->Cancel(token + 7), peer->Cancel(token); });
  };
  const auto answer = CallOn(*peer);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::cancelled);
  EXPECT_EQ(client_->abandoned, 1u);
  EXPECT_NE(peer->NextToken(), token);
}

TEST_F(HttpUpstreamTest, PeerMayGoWhileItsCallsRun) {
  Serve(Modern([](const FakeRequest&) {
    FakeResponse f = Events({Data(R"({"jsonrpc":"2.0","method":"n"})")});
    f.hang = true;
    return f;
  }));
  auto peer = Open(Revision::r2026_07_28);
  events_.on_notification = [&] {
    net::Post(io_.get_executor(), [&] { peer.reset(), upstream_.reset(); });
  };
  const auto answer = CallOn(*peer);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::cancelled);
}

TEST_F(HttpUpstreamTest, ErrorOfTheEventsCancelsTheCall) {
  Serve(Modern(
      [](const FakeRequest&) { return Events({Data(R"({"jsonrpc":"2.0","method":"n"})")}); }));
  events_.refuse = Errc::ledger_unavailable;
  EXPECT_EQ(CodeOf(Revision::r2026_07_28), Errc::ledger_unavailable);
  EXPECT_EQ(client_->abandoned, 1u);
}

TEST_F(HttpUpstreamTest, ModernServerMayNotAskOnTheStream) {
  Serve(Modern([](const FakeRequest&) {
    return Events({Data(R"({"jsonrpc":"2.0","id":1,"method":"roots/list"})")});
  }));
  EXPECT_EQ(CodeOf(Revision::r2026_07_28), Errc::upstream_protocol);
  EXPECT_TRUE(events_.requests.empty());
}

TEST_F(HttpUpstreamTest, EraIsAskedAgainWhenTheServerHasChanged) {
  bool modern = true;
  Serve([&](const FakeRequest& r) -> Result<FakeResponse> {
    const std::string method = MethodOf(r.body);
    if (method == "initialize" && !modern) {
      return Json(ResultFor(r, R"({"protocolVersion":"2025-11-25","capabilities":{}})"));
    }
    if (method.starts_with("notifications/")) return Status(202);
    if (modern != (r.Header("mcp-protocol-version") == "2026-07-28")) return Status(400);
    return Json(ResultFor(r, method == "server/discover" ? kDiscover : "{}"));
  });
  const auto peer = Open(Revision::r2026_07_28);
  ASSERT_TRUE(CallOn(*peer));
  modern = false;
  EXPECT_FALSE(CallOn(*peer));
  const auto answer = CallOn(*peer);
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->json, R"({"resultType":"complete"})");
}

// --- a session client on a modern server
// -----------------------------------------------------------------

/// Modern only: refuses initialize as the specification says.
FakeHttpClient::Server ModernOnly(FakeHttpClient::Server answer) {
  return Modern([answer](const FakeRequest& r) -> Result<FakeResponse> {
    if (MethodOf(r.body) == "initialize") return Json(ErrorFor(r, -32022), 400);
    return answer(r);
  });
}

TEST_F(HttpUpstreamTest, SessionClientIsBridgedToAModernServer) {
  Serve(ModernOnly([](const FakeRequest& r) {
    return Json(ResultFor(r, R"({"resultType":"complete","ok":1})"));
  }));
  const auto peer = Open(Revision::r2025_06_18);
  const auto level = Await(
      io_,
      peer->Call(StandInPermit(), {"logging/setLevel", R"({"level":"info"})", {}, {}}, events_));
  ASSERT_TRUE(level);
  EXPECT_EQ(level->json, "{}");
  ASSERT_TRUE(Await(io_, peer->Call(StandInPermit(), {"ping", "", {}, {}}, events_)));
  EXPECT_NE(MethodOf(client_->seen.back().body), "ping");
  ASSERT_TRUE(CallOn(*peer, R"({"_meta":{"progressToken":"p"},"name":"t"})"));
  const auto doc = json::Document::Parse(client_->seen.back().body);
  const json::Value meta = doc->root()["params"]["_meta"];
  EXPECT_EQ(meta["io.modelcontextprotocol/protocolVersion"].string(), "2026-07-28");
  EXPECT_EQ(meta["io.modelcontextprotocol/clientCapabilities"].raw(), R"({"elicitation":{}})");
  EXPECT_EQ(meta["io.modelcontextprotocol/clientInfo"].raw(), R"({"name":"c","version":"1"})");
  EXPECT_EQ(meta["io.modelcontextprotocol/logLevel"].string(), "info");
  EXPECT_EQ(meta["progressToken"].string(), "p");
}

TEST_F(HttpUpstreamTest, InputRoundsAreResolvedForASessionClient) {
  int calls = 0;
  Serve(ModernOnly([&](const FakeRequest& r) {
    ++calls;
    if (calls == 1) {
      return Json(ResultFor(
          r,
          R"({"resultType":"input_required","requestState":"s\u00e9","inputRequests":)"
          R"({"q 1":{"method":"elicitation/create","params":{"message":"m"}},"q2":{"method":"roots/list"}}})"));
    }
    if (calls == 2)
      return Json(ResultFor(r, R"({"resultType":"input_required","requestState":"again"})"));
    return Json(ResultFor(r, R"({"resultType":"complete","done":true})"));
  }));
  const auto peer = Open(Revision::r2025_11_25);
  const auto answer = CallOn(*peer);
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_THAT(answer->json, HasSubstr("done"));
  ASSERT_EQ(events_.requests.size(), 2u);
  EXPECT_EQ(events_.requests[0],
            (std::pair<std::string, std::string>("elicitation/create", R"({"message":"m"})")));
  ASSERT_EQ(calls, 3);
  const std::string second = client_->seen[client_->seen.size() - 2].body;
  EXPECT_THAT(second, HasSubstr(R"("requestState":"s\u00e9")"));
  EXPECT_THAT(second,
              HasSubstr(R"("inputResponses":{"q 1":{"action":"accept","content":{"n":1}},"q2":)"));
  EXPECT_THAT(second, HasSubstr(R"("arguments":{"n":1.00})"));
  const std::string third = client_->seen.back().body;
  EXPECT_THAT(third, HasSubstr(R"("requestState":"again")"));
  EXPECT_EQ(third.find("inputResponses"), std::string::npos);
  EXPECT_NE(IdOf(second), IdOf(third));
}

TEST_F(HttpUpstreamTest, InputRoundsAreBoundedAndChecked) {
  for (const char* result :
       {R"({"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create"}}})",
        R"({"resultType":"input_required"})", R"({"resultType":"task"})", R"({"resultType":7})",
        R"({"resultType":"input_required","inputRequests":{"a":{"method":"tools/call"}}})",
        R"({"resultType":"input_required","inputRequests":[1]})",
        R"({"resultType":"input_required","requestState":{"x":1},"inputRequests":{}})"}) {
    Serve(ModernOnly([&](const FakeRequest& r) { return Json(ResultFor(r, result)); }));
    EXPECT_EQ(CodeOf(Revision::r2025_11_25), Errc::upstream_protocol) << result;
    EXPECT_LT(client_->seen.size(), 30u);
  }
}

TEST_F(HttpUpstreamTest, InputRequiredIsHandedBackToAModernClient) {
  const std::string result = R"({"resultType":"input_required","requestState":"x"})";
  Serve(Modern([&](const FakeRequest& r) { return Json(ResultFor(r, result)); }));
  const auto answer = CallOn(*Open(Revision::r2026_07_28));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->json, result);
}

TEST_F(HttpUpstreamTest, ModernListenDeliversUntilTheServerEndsIt) {
  Serve(Modern([](const FakeRequest& r) {
    return Events(
        {Data(
             R"({"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}})"),
         Data(R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})"),
         Data(ResultFor(r, "{}"))});
  }));
  const auto peer = Open(Revision::r2026_07_28);
  const auto end =
      Await(io_, peer->Listen(StandInPermit(), R"({"toolsListChanged":true})", events_));
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Errc::upstream_closed);
  EXPECT_EQ(events_.notifications.size(), 2u);
  EXPECT_THAT(client_->seen.back().body,
              HasSubstr(R"("notifications":{"toolsListChanged":true}})"));
  EXPECT_EQ(client_->seen.back().Header("mcp-method"), "subscriptions/listen");
}

}  // namespace
}  // namespace sallyport::mcp
