// Both kinds of upstream against real servers: the SDK's, in each era, and the reference server.
// Skipped where the npm packages of tests/node are not installed.

#include <cstdlib>
#include <filesystem>
#include <gmock/gmock.h>
#include <map>

#include "json/document.h"
#include "mcp/upstream_fake.h"
#include "mcp/upstream_http.h"
#include "mcp/upstream_stdio.h"
#include "net/process.h"

namespace sallyport::mcp {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

fs::path NodeTests() { return fs::path(SALLYPORT_TESTDATA).parent_path() / "tests" / "node"; }
fs::path Modules() {
  const char* set = std::getenv("SALLYPORT_NODE_MODULES");
  return set != nullptr ? fs::path(set) : NodeTests() / "node_modules";
}
std::string Node() { return (Modules() / ".bin" / "node").string(); }

std::map<std::string, std::string> Environment() { return {{"PATH", std::getenv("PATH")}}; }

/// Answers what a client would.
class Person final : public UpstreamEvents {
 public:
  Task<> OnNotification(std::string message) override {
    notifications.push_back(std::move(message));
    co_return Result<>();
  }
  Task<UpstreamAnswer> OnRequest(std::string method, std::string params) override {
    requests.push_back(method);
    static_cast<void>(params);
    if (method == "elicitation/create") {
      co_return UpstreamAnswer{
          false, R"({"action":"accept","content":{"name":"Ada","ok":true,"color":"red"}})"};
    }
    if (method == "roots/list")
      co_return UpstreamAnswer{false, R"({"roots":[{"uri":"file:///r","name":"r"}]})"};
    co_return UpstreamAnswer{
        false,
        R"({"role":"assistant","content":{"type":"text","text":"Paris"},"model":"m","stopReason":"endTurn"})"};
  }
  ptrdiff_t Count(std::string_view method) const {
    return std::ranges::count_if(notifications,
                                 [&](const auto& n) { return MethodOf(n) == method; });
  }
  std::vector<std::string> notifications, requests;
};

enum class Kind { http, stdio };
struct Setup {
  Kind kind;
  const char* era;  // of the server: modern, dual, legacy
};

/// One server with what it takes to speak to it; started once for all tests.
struct Rig {
  boost::asio::io_context io{1};
  std::unique_ptr<net::Process> server;
  std::unique_ptr<net::HttpClient> client;
  uint16_t port = 0;
  std::unique_ptr<McpUpstream> upstream;

  ~Rig() {
    upstream.reset();
    if (server) server->Terminate(milliseconds(200));
    io.restart();
    io.run_for(milliseconds(100));
  }
  void Start(const Setup& setup) {
    if (setup.kind == Kind::stdio) {
      StdioUpstreamOptions options;
      options.executor = io.get_executor();
      options.name = "node";
      options.command = {Node(), (NodeTests() / "upstream_stdio.mjs").string(), "--era", setup.era};
      options.call_timeout = milliseconds(20'000);
      upstream = MakeStdioUpstream(std::move(options));
      return;
    }
    net::Process::Options options;
    options.argv = {Node(),   (NodeTests() / "upstream.mjs").string(), "--port", "0", "--era",
                    setup.era};
    options.environment = Environment();
    auto started = net::Process::Start(io.get_executor(), std::move(options));
    ASSERT_TRUE(started) << started.error().detail;
    server = std::move(*started);
    const auto line = Await(io, server->ReadLine());
    ASSERT_TRUE(line && *line);
    const auto doc = json::Document::Parse(**line);
    ASSERT_TRUE(doc);
    port = static_cast<uint16_t>(doc->root()["port"].integer().value_or(0));
    client = net::HttpClient::Make(io.get_executor(), {});
    HttpUpstreamOptions http;
    http.executor = io.get_executor();
    http.client = client.get();
    http.url = {{false, "127.0.0.1", port}, "/mcp"};
    http.call_timeout = milliseconds(20'000);
    upstream = MakeHttpUpstream(std::move(http));
  }
};

std::map<std::string, std::unique_ptr<Rig>> rigs;

class NodeTest : public ::testing::TestWithParam<Setup> {
 protected:
  void SetUp() override {
    if (!fs::exists(Node())) GTEST_SKIP() << "npm packages are not installed";
    auto& rig =
        rigs[std::string(GetParam().kind == Kind::http ? "http " : "stdio ") + GetParam().era];
    if (!rig) {
      rig = std::make_unique<Rig>();
      rig->Start(GetParam());
      ASSERT_FALSE(HasFatalFailure());
    }
    rig_ = rig.get();
  }
  static void TearDownTestSuite() { rigs.clear(); }
  void Run(int ms) {
    rig_->io.restart();
    rig_->io.run_for(milliseconds(ms));
  }
  std::string Admin(std::string path, std::string body = "") {
    const auto ask = [](net::HttpClient& client, uint16_t port, std::string p,
                        std::string b) -> Task<std::string> {
      SALLYPORT_CO_TRY(auto response,
                       co_await client.Send({false, "127.0.0.1", port}, b.empty() ? "GET" : "POST",
                                            std::move(p), {}, std::move(b)));
      co_return co_await response->ReadAll(10 << 20);
    };
    const auto answer =
        Await(rig_->io, ask(*rig_->client, rig_->port, std::move(path), std::move(body)));
    EXPECT_TRUE(answer);
    return answer.value_or("");
  }

  std::unique_ptr<UpstreamPeer> Open(Revision revision) {
    ClientFace face;
    face.revision = revision;
    face.capabilities = R"({"sampling":{},"elicitation":{"form":{}},"roots":{"listChanged":true}})";
    face.info = R"({"name":"test","version":"1"})";
    return rig_->upstream->Open(std::move(face));
  }
  /// params with the `_meta` of a modern client, where it is one.
  static std::string Params(Revision revision, std::string members, std::string_view meta = "") {
    std::string out = "{";
    if (IsModern(revision)) {
      out +=
          R"("_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
          R"("io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}},"sampling":{},"roots":{}})";
      if (!meta.empty()) out += "," + std::string(meta);
      out += "},";
    } else if (!meta.empty()) {
      out += R"("_meta":{)" + std::string(meta) + "},";
    }
    return out + members + "}";
  }
  Result<UpstreamAnswer> Call(UpstreamPeer& peer, Revision revision, const std::string& tool,
                              std::string args = "{}", std::string_view meta = "") {
    return Await(
        rig_->io,
        peer.Call(StandInPermit(),
                  {"tools/call",
                   Params(revision, R"("name":")" + tool + R"(","arguments":)" + args, meta),
                   {},
                   tool},
                  person_));
  }
  std::string Text(const Result<UpstreamAnswer>& answer) {
    if (!answer) return std::string(ReasonCode(answer.error().code)) + ": " + answer.error().detail;
    return answer->json;
  }
  bool ServerIs(std::string_view era) const { return GetParam().era == era; }

  Rig* rig_ = nullptr;
  Person person_;
};

constexpr Revision kAll[] = {Revision::r2026_07_28, Revision::r2025_11_25, Revision::r2025_06_18,
                             Revision::r2025_03_26};

TEST_P(NodeTest, EveryClientRevision) {
  for (const Revision revision : kAll) {
    SCOPED_TRACE(RevisionName(revision));
    const auto face = Await(rig_->io, rig_->upstream->Describe(StandInPermit(), revision, false));
    ASSERT_TRUE(face) << face.error().detail;
    EXPECT_THAT(face->capabilities, HasSubstr("tools"));
    EXPECT_THAT(face->info, HasSubstr("sallyport-test-upstream"));
    EXPECT_THAT(face->instructions, HasSubstr("Test upstream"));
    const bool modern = ServerIs("modern") || (ServerIs("dual") && IsModern(revision));
    EXPECT_EQ(IsModern(face->revisions.back()), modern);

    const auto peer = Open(revision);
    EXPECT_THAT(Text(Call(*peer, revision, "test_simple_text")), HasSubstr("simple text response"));
    const auto list = Await(
        rig_->io,
        peer->Call(StandInPermit(), {"tools/list", Params(revision, R"("x":1)"), {}, {}}, person_));
    EXPECT_THAT(Text(list), HasSubstr("test_image_content"));
    if (IsModern(revision)) {
      EXPECT_THAT(Text(list), HasSubstr("\"resultType\":\"complete\""));
      EXPECT_THAT(Text(list), HasSubstr("\"cacheScope\""));
      EXPECT_THAT(Text(list), HasSubstr("\"ttlMs\""));
    }
    const auto unknown = Await(
        rig_->io,
        peer->Call(StandInPermit(), {"no/such", Params(revision, R"("x":1)"), {}, {}}, person_));
    ASSERT_TRUE(unknown) << Text(unknown);
    EXPECT_TRUE(unknown->error);
    EXPECT_THAT(unknown->json, HasSubstr("-32601"));

    person_.notifications.clear();
    EXPECT_THAT(
        Text(Call(*peer, revision, "test_tool_with_progress", "{}", R"("progressToken":"tok 1")")),
        HasSubstr("Progress reported"));
    EXPECT_EQ(person_.Count("notifications/progress"), 3);
    for (const auto& n : person_.notifications)
      EXPECT_THAT(n, HasSubstr(R"("progressToken":"tok 1")"));

    EXPECT_THAT(Text(Call(*peer, revision, "large", R"({"kib":300})")),
                HasSubstr("0123456789abcdef"));
    const auto read = Await(rig_->io, peer->Call(StandInPermit(),
                                                 {"resources/read",
                                                  Params(revision, R"("uri":"test://static-text")"),
                                                  {},
                                                  "test://static-text"},
                                                 person_));
    EXPECT_THAT(Text(read), HasSubstr("static text resource"));
  }
}

TEST_P(NodeTest, QuestionsReachTheClient) {
  for (const Revision revision : {Revision::r2025_11_25, Revision::r2025_06_18}) {
    SCOPED_TRACE(RevisionName(revision));
    const auto peer = Open(revision);
    EXPECT_THAT(Text(Call(*peer, revision, "elicit", R"({"message":"who?"})")),
                HasSubstr("Hello, Ada!"));
    EXPECT_THAT(Text(Call(*peer, revision, "test_sampling", R"({"prompt":"p"})")),
                HasSubstr("Paris"));
    EXPECT_THAT(Text(Call(*peer, revision, "test_input_required_result_multiple_inputs")),
                HasSubstr("content"));
    EXPECT_THAT(Text(Call(*peer, revision, "test_input_required_result_multi_round")),
                HasSubstr("content"));
    EXPECT_THAT(Text(Call(*peer, revision, "test_input_required_result_request_state")),
                HasSubstr("content"));
    EXPECT_GE(person_.requests.size(), 6u);
    person_.requests.clear();
  }
}

TEST_P(NodeTest, InputRequiredIsForModernClients) {
  const auto peer = Open(Revision::r2026_07_28);
  const auto answer = Call(*peer, Revision::r2026_07_28, "elicit", R"({"message":"who?"})");
  if (ServerIs("legacy")) {
    EXPECT_THAT(Text(answer), HasSubstr("Hello, Ada!"));
  } else {
    EXPECT_THAT(Text(answer), HasSubstr("input_required"));
    EXPECT_TRUE(person_.requests.empty());
  }
}

TEST_P(NodeTest, LogMessages) {
  for (const Revision revision : kAll) {
    SCOPED_TRACE(RevisionName(revision));
    const auto peer = Open(revision);
    person_.notifications.clear();
    const std::string_view level = R"("io.modelcontextprotocol/logLevel":"debug")";
    if (!IsModern(revision)) {
      const auto set = Await(
          rig_->io, peer->Call(StandInPermit(),
                               {"logging/setLevel", R"({"level":"debug"})", {}, {}}, person_));
      ASSERT_TRUE(set && !set->error) << Text(set);
    }
    ASSERT_TRUE(
        Call(*peer, revision, "test_tool_with_logging", "{}", IsModern(revision) ? level : ""));
    const bool shared_process = GetParam().kind == Kind::stdio &&
                                (ServerIs("modern") || (ServerIs("dual") && IsModern(revision)));
    EXPECT_EQ(person_.Count("notifications/message"), shared_process ? 0 : 3);
    if (!IsModern(revision)) continue;
    person_.notifications.clear();
    ASSERT_TRUE(Call(*Open(revision), revision, "test_tool_with_logging"));
    EXPECT_EQ(person_.Count("notifications/message"), 0);
  }
}

TEST_P(NodeTest, CancelStopsTheTool) {
  if (GetParam().kind == Kind::stdio) GTEST_SKIP() << "what the tool saw is served over HTTP only";
  for (const Revision revision : {Revision::r2026_07_28, Revision::r2025_11_25}) {
    SCOPED_TRACE(RevisionName(revision));
    const std::string tag = "tag-" + std::string(RevisionName(revision));
    const auto peer = Open(revision);
    const uint64_t token = peer->NextToken();
    net::Spawn(rig_->io.get_executor(),
               [](UpstreamPeer& p, uint64_t t) -> boost::asio::awaitable<void> {
                 co_await net::Sleep(milliseconds(700));
                 p.Cancel(t);
               }(*peer, token));
    const auto answer = Call(*peer, revision, "cancel_me", R"({"tag":")" + tag + "\"}");
    ASSERT_FALSE(answer) << Text(answer);
    EXPECT_EQ(answer.error().code, Errc::cancelled);
    Run(300);
    const std::string state = Admin("/admin/state");
    EXPECT_THAT(state, HasSubstr(R"("cancelled":[)"));
    EXPECT_THAT(state.substr(state.find("\"cancelled\"")), HasSubstr(tag));
  }
}

TEST_P(NodeTest, ChangesAreHeard) {
  if (GetParam().kind == Kind::stdio) GTEST_SKIP() << "changes are made over HTTP only";
  for (const Revision revision : kAll) {
    SCOPED_TRACE(RevisionName(revision));
    const auto peer = Open(revision);
    Person heard;
    Errc end = Errc::internal;
    net::Spawn(
        rig_->io.get_executor(),
        [](UpstreamPeer& p, Revision r, Person& h, Errc& e) -> boost::asio::awaitable<void> {
          const std::string filter =
              R"({"toolsListChanged":true,"resourceSubscriptions":["test://watched-resource"]})";
          const auto ended = co_await p.Listen(StandInPermit(), IsModern(r) ? filter : "", h);
          e = ended.error().code;
        }(*peer, revision, heard, end));
    Run(300);
    if (!IsModern(revision)) {
      const auto sub =
          Await(rig_->io,
                peer->Call(StandInPermit(),
                           {"resources/subscribe", R"({"uri":"test://watched-resource"})", {}, {}},
                           person_));
      ASSERT_TRUE(sub && !sub->error) << Text(sub);
      Run(300);
    }
    Admin("/admin/change", R"({"kind":"tools"})");
    Admin("/admin/change", R"({"kind":"resource","uri":"test://watched-resource"})");
    Run(300);
    EXPECT_EQ(heard.Count("notifications/tools/list_changed"), 1);
    EXPECT_EQ(heard.Count("notifications/resources/updated"), 1);
    peer->Close();
    Run(100);
    EXPECT_EQ(end, Errc::upstream_closed);
  }
}

TEST_P(NodeTest, ServerThatForgotItsSessions) {
  if (GetParam().kind == Kind::stdio || ServerIs("modern"))
    GTEST_SKIP() << "has no sessions over HTTP";
  const auto peer = Open(Revision::r2025_11_25);
  ASSERT_TRUE(Call(*peer, Revision::r2025_11_25, "test_simple_text"));
  Admin("/admin/forget");
  EXPECT_THAT(Text(Call(*peer, Revision::r2025_11_25, "test_simple_text")),
              HasSubstr("simple text response"));
}

TEST_P(NodeTest, StreamThatIsClosedBeforeTheAnswerIsPolled) {
  if (GetParam().kind == Kind::stdio || ServerIs("modern"))
    GTEST_SKIP() << "has no resumable streams";
  const auto peer = Open(Revision::r2025_11_25);
  EXPECT_THAT(Text(Call(*peer, Revision::r2025_11_25, "test_reconnection")),
              HasSubstr("Reconnected."));
}

TEST_P(NodeTest, ManyAtOnce) {
  for (const Revision revision : {Revision::r2026_07_28, Revision::r2025_11_25}) {
    const auto peer = Open(revision);
    int right = 0;
    for (int i = 0; i < 40; ++i) {
      net::Spawn(rig_->io.get_executor(),
                 [](UpstreamPeer& p, Revision r, int n, int& ok) -> boost::asio::awaitable<void> {
                   Person nobody;
                   const std::string text = "message " + std::to_string(n);
                   const auto answer = co_await p.Call(
                       StandInPermit(),
                       {"tools/call",
                        Params(r, R"("name":"echo","arguments":{"message":")" + text + "\"}"),
                        {},
                        "echo"},
                       nobody);
                   ok += answer && answer->json.find(text + "\"") != std::string::npos ? 1 : 0;
                 }(*peer, revision, i, right));
    }
    for (int i = 0; i < 100 && right < 40; ++i) Run(50);
    EXPECT_EQ(right, 40);
  }
}

std::string NameOf(const ::testing::TestParamInfo<Setup>& info) {
  return std::string(info.param.kind == Kind::http ? "http_" : "stdio_") + info.param.era;
}
INSTANTIATE_TEST_SUITE_P(All, NodeTest,
                         ::testing::Values(Setup{Kind::http, "modern"}, Setup{Kind::http, "dual"},
                                           Setup{Kind::http, "legacy"},
                                           Setup{Kind::stdio, "modern"}, Setup{Kind::stdio, "dual"},
                                           Setup{Kind::stdio, "legacy"}),
                         NameOf);

}  // namespace
}  // namespace sallyport::mcp
