#include "mcp/upstream_stdio.h"

#include <gmock/gmock.h>

#include "json/document.h"
#include "mcp/upstream_fake.h"

namespace sallyport::mcp {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using Strings = std::vector<std::string>;

/// A program that answers lines by a function. What it can do is shared by all its starts.
struct Program {
  boost::asio::io_context* io = nullptr;
  /// Lines to write for a line that was read; nullopt: die.
  std::function<std::optional<Strings>(int process, const std::string& line)> on_line;
  std::function<Strings(int process)> greeting;
  Strings read;
  int started = 0, alive = 0, terminated = 0;
  bool refuses_to_start = false, deaf = false;
  net::Process::Options options;
};

class FakeProcess final : public net::Process {
 public:
  FakeProcess(Program& program)
      : program_(program),
        number_(++program.started),
        out_(program.io->get_executor(), 100'000),
        killed_(program.io->get_executor()) {
    ++program_.alive;
    if (program.greeting) {
      for (auto& line : program.greeting(number_)) out_.Push(std::move(line));
    }
  }
  ~FakeProcess() override { Gone(); }

  Task<std::optional<std::string>> ReadLine() override {
    auto line = co_await out_.Pop(std::chrono::hours(1));
    if (line && *line && (*line)->size() > program_.options.line_limit)
      co_return Fail(Errc::upstream_too_large);
    co_return line;
  }
  Task<> WriteLine(std::string line) override {
    if (program_.deaf) {
      SALLYPORT_CO_CHECK(co_await killed_.Wait(std::chrono::hours(1)));
      co_return Fail(Errc::upstream_closed);
    }
    EXPECT_EQ(line.find('\n'), std::string::npos);
    program_.read.push_back(line);
    auto lines = program_.on_line(number_, line);
    if (!lines)
      out_.Close();
    else
      for (auto& l : *lines) out_.Push(std::move(l));
    co_return Result<>();
  }
  void Terminate(milliseconds) override {
    ++program_.terminated;
    killed_.Set();
    out_.Close();
    Gone();
  }
  int pid() const override { return number_; }

 private:
  void Gone() {
    if (std::exchange(running_, false)) --program_.alive;
  }

  Program& program_;
  bool running_ = true;
  int number_;
  net::Queue<std::string> out_;
  net::Event killed_;
};

std::string ResultOf(const std::string& line, std::string_view result) {
  return ResponseText(IdOf(line), {false, std::string(result)});
}

constexpr std::string_view kInitialized = R"({"protocolVersion":"2025-06-18","capabilities":{}})";
constexpr std::string_view kDiscovered =
    R"({"supportedVersions":["2026-07-28"],"capabilities":{},"instructions":"m"})";

class StdioTest : public ::testing::Test {
 protected:
  void SetUp() override {
    program_.io = &io_;
    program_.on_line = [this](int n, const std::string& line) { return Behave(n, line); };
    StdioUpstreamOptions options;
    options.executor = io_.get_executor();
    options.command = {"server", "--stdio"};
    options.environment = [] { return std::map<std::string, std::string>{{"TOKEN", "s3cret"}}; };
    options.message_bytes = 1000;
    options.call_timeout = milliseconds(200);
    options.describe_timeout = milliseconds(200);
    options.probe_timeout = milliseconds(50);
    options.first_pause = milliseconds(1);
    options.processes = 3;
    options.start = [this](net::Process::Options o) -> Result<std::unique_ptr<net::Process>> {
      program_.options = std::move(o);
      if (program_.refuses_to_start) return Fail(Errc::upstream_unreachable, "no such file");
      return std::make_unique<FakeProcess>(program_);
    };
    upstream_ = MakeStdioUpstream(std::move(options));
  }
  void TearDown() override {
    upstream_.reset();
    Settle();
    EXPECT_EQ(program_.alive, 0);
  }
  std::optional<Strings> Behave(int n, const std::string& line) {
    const std::string method = MethodOf(line);
    if (method == "initialize") {
      if (!session_)
        return Strings{ResponseText(IdOf(line), {true, ErrorText(-32022, "modern only")})};
      return Strings{ResultOf(line, kInitialized)};
    }
    if (method == "server/discover") {
      if (!modern_) return Strings{ResponseText(IdOf(line), {true, ErrorText(-32601, "no")})};
      return Strings{ResultOf(line, kDiscovered)};
    }
    if (method == "tools/call" || method == "subscriptions/listen") return on_call_(n, line);
    return Strings{};
  }
  std::unique_ptr<UpstreamPeer> Open(Revision revision) {
    ClientFace face;
    face.revision = revision;
    return upstream_->Open(std::move(face));
  }
  Task<UpstreamAnswer> Start(UpstreamPeer& peer, std::string params = R"({"name":"t"})") {
    return peer.Call(StandInPermit(), {"tools/call", std::move(params), {}, "t"}, events_);
  }
  Result<UpstreamAnswer> Call(UpstreamPeer& peer, std::string params = R"({"name":"t"})") {
    return Await(io_, Start(peer, std::move(params)));
  }
  void Settle(int ms = 20) {
    io_.restart();
    io_.run_for(milliseconds(ms));
  }
  Strings Methods() const {
    Strings out;
    for (const auto& line : program_.read)
      out.push_back(MethodOf(line).empty() ? "response" : MethodOf(line));
    return out;
  }
  ptrdiff_t Count(std::string_view method) const { return std::ranges::count(Methods(), method); }

  boost::asio::io_context io_{1};
  Program program_;
  std::unique_ptr<McpUpstream> upstream_;
  FakeEvents events_;
  bool session_ = true, modern_ = false;
  std::function<std::optional<Strings>(int, const std::string&)> on_call_ =
      [](int, const std::string& line) { return Strings{ResultOf(line, R"({"ok":1.0})")}; };
};

TEST_F(StdioTest, SessionClientHasAProcessOfItsOwn) {
  auto a = Open(Revision::r2025_11_25);
  const auto b = Open(Revision::r2025_11_25);
  for (int i = 0; i < 2; ++i) {
    const auto answer = Call(*a, "{\"name\":\n\"t\"}");
    ASSERT_TRUE(answer) << answer.error().detail;
    EXPECT_EQ(answer->json, R"({"ok":1.0})");
  }
  EXPECT_EQ(program_.started, 1);
  EXPECT_EQ(Methods(),
            (Strings{"initialize", "notifications/initialized", "tools/call", "tools/call"}));
  ASSERT_TRUE(Call(*b));
  EXPECT_EQ(program_.alive, 2);
  a.reset();
  Settle();
  EXPECT_EQ(program_.alive, 1);
  EXPECT_EQ(program_.options.argv, (Strings{"server", "--stdio"}));
  Strings names;
  for (const auto& [name, value] : program_.options.environment) names.push_back(name);
  EXPECT_EQ(names, (Strings{"LANG", "PATH", "TOKEN"}));
  EXPECT_EQ(program_.options.line_limit, 1000u);
}

TEST_F(StdioTest, ModernServerSharesOneProcess) {
  modern_ = true;
  const auto a = Open(Revision::r2026_07_28);
  const auto b = Open(Revision::r2026_07_28);
  ASSERT_TRUE(Call(*a));
  ASSERT_TRUE(Call(*b));
  EXPECT_EQ(program_.started, 1);
  EXPECT_EQ(Count("server/discover"), 1);
  const auto face = Await(io_, upstream_->Describe(StandInPermit(), Revision::r2026_07_28, false));
  ASSERT_TRUE(face);
  EXPECT_EQ(face->instructions, "m");
}

TEST_F(StdioTest, DualEraServerIsSpokenToInTheErasOfItsClients) {
  modern_ = true;
  const auto a = Open(Revision::r2026_07_28);
  const auto b = Open(Revision::r2025_06_18);
  ASSERT_TRUE(Call(*a));
  ASSERT_TRUE(Call(*b));
  EXPECT_EQ(Count("initialize"), 1);
  EXPECT_EQ(program_.started, 2);
}

TEST_F(StdioTest, SessionServersThatDoNotKnowTheProbe) {
  const auto client = [this] {
    const auto peer = Open(Revision::r2026_07_28);
    return Call(*peer,
                R"({"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"name":"t"})");
  };
  auto answer = client();  // -32601
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(answer->json, R"({"resultType":"complete","ok":1.0})");
  EXPECT_THAT(program_.read.back(), HasSubstr(R"("params":{"name":"t"}})"));
  for (const bool dies : {false, true}) {
    ASSERT_TRUE(Await(io_, upstream_->Describe(StandInPermit(), Revision::r2025_11_25, true)));
    program_.on_line = [this, dies](int n, const std::string& line) -> std::optional<Strings> {
      if (MethodOf(line) != "server/discover") return Behave(n, line);
      return dies ? std::nullopt : std::optional(Strings{});
    };
    answer = client();
    ASSERT_TRUE(answer) << dies << answer.error().detail;
  }
}

TEST_F(StdioTest, SessionClientOnAModernServer) {
  modern_ = true, session_ = false;
  const auto peer = Open(Revision::r2025_11_25);
  const auto answer = Call(*peer);
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_THAT(program_.read.back(),
              HasSubstr(R"("io.modelcontextprotocol/protocolVersion":"2026-07-28")"));
  EXPECT_EQ(program_.alive, 1);
}

TEST_F(StdioTest, AnswersAreMatchedById) {
  Strings held;
  on_call_ = [&](int, const std::string& line) {
    held.push_back(line);
    if (held.size() < 3) return Strings{};
    Strings out{R"({"jsonrpc":"2.0","id":4711,"result":{}})",
                R"({"jsonrpc":"2.0","id":"2","result":{}})"};
    for (auto l = held.rbegin(); l != held.rend(); ++l) {
      out.push_back(ResultOf(*l, R"({"n":)" + IdOf(*l) + "}"));
      out.push_back(ResultOf(*l, R"({"second":1})"));
    }
    return out;
  };
  const auto peer = Open(Revision::r2025_11_25);
  Strings got;
  for (int i = 0; i < 3; ++i) {
    net::Spawn(io_.get_executor(),
               [](Task<UpstreamAnswer> call, Strings& out) -> boost::asio::awaitable<void> {
                 const auto answer = co_await std::move(call);
                 out.push_back(answer ? answer->json : answer.error().detail);
               }(Start(*peer), got));
  }
  Settle(60);
  std::ranges::sort(got);
  EXPECT_EQ(got, (Strings{R"({"n":2})", R"({"n":3})", R"({"n":4})"}));
}

TEST_F(StdioTest, ProgressGoesToItsCallWithItsOwnToken) {
  modern_ = true;
  on_call_ = [&](int, const std::string& line) {
    const auto doc = json::Document::Parse(line);
    const std::string token(doc->root()["params"]["_meta"]["progressToken"].raw());
    return Strings{
        R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,"progressToken":)" +
            token + "}}",
        R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"abc"}})",
        R"({"jsonrpc":"2.0","method":"notifications/message","params":{"data":"whose?"}})",
        ResultOf(line, "{}")};
  };
  const auto peer = Open(Revision::r2026_07_28);
  ASSERT_TRUE(Call(*peer, R"({"_meta":{"progressToken":"abc"},"name":"t"})"));
  ASSERT_EQ(events_.notifications.size(), 1u);  // the log message may be another caller's
  EXPECT_EQ(
      events_.notifications[0],
      R"({"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,"progressToken":"abc"}})");
}

TEST_F(StdioTest, RequestsAndLogOfAnOwnProcess) {
  on_call_ = [&](int, const std::string& line) {
    return Strings{
        R"({"jsonrpc":"2.0","id":9,"method":"ping"})",
        R"({"jsonrpc":"2.0","id":"e","method":"elicitation/create","params":{"message":"m"}})",
        R"({"jsonrpc":"2.0","method":"notifications/message","params":{}})", ResultOf(line, "{}")};
  };
  const auto peer = Open(Revision::r2025_11_25);
  ASSERT_TRUE(Call(*peer));
  Settle();
  EXPECT_EQ(events_.requests.size(), 1u);
  EXPECT_EQ(events_.notifications.size(), 1u);
  Strings answers;
  for (const auto& line : program_.read) {
    if (MethodOf(line).empty()) answers.push_back(line);
  }
  EXPECT_EQ(
      answers,
      (Strings{R"({"jsonrpc":"2.0","id":9,"result":{}})",
               R"({"jsonrpc":"2.0","id":"e","result":{"action":"accept","content":{"n":1}}})"}));
}

TEST_F(StdioTest, DeadProcessFailsItsCallsAndIsStartedAgain) {
  on_call_ = [](int n, const std::string& line) -> std::optional<Strings> {
    if (n == 1) return std::nullopt;
    return Strings{ResultOf(line, "{}")};
  };
  const auto peer = Open(Revision::r2025_11_25);
  auto answer = Call(*peer);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::upstream_closed);
  answer = Call(*peer);
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(program_.started, 2);
  EXPECT_EQ(Count("initialize"), 2);
}

TEST_F(StdioTest, RestartsOfACrashingServerSlowDown) {
  on_call_ = [](int, const std::string&) { return std::optional<Strings>(); };
  const auto peer = Open(Revision::r2025_11_25);
  for (int i = 0; i < 7; ++i) EXPECT_FALSE(Call(*peer));
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_FALSE(Call(*peer));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, milliseconds(40));
}

TEST_F(StdioTest, MisbehavingProcesses) {
  struct Case {
    const char* what;
    std::function<Strings(const std::string&)> lines;
    Errc code;
  };
  const std::vector<Case> cases = {
      {"half JSON", [](auto&) { return Strings{R"({"jsonrpc":"2.0","id":1,"result)"}; },
       Errc::upstream_protocol},
      {"no JSON-RPC", [](auto&) { return Strings{R"({"hello":"4111111111111111"})"}; },
       Errc::upstream_protocol},
      {"noise without end", [](auto&) { return Strings(200, "Server listening"); },
       Errc::upstream_protocol},
      {"long line", [](auto&) { return Strings{std::string(2000, 'x')}; },
       Errc::upstream_too_large},
      {"flood",
       [](const std::string& line) {
         return Strings(5000,
                        R"({"jsonrpc":"2.0","method":"notifications/message","params":{"l":)" +
                            IdOf(line) + "}}");
       },
       Errc::upstream_too_large},
      {"silence", [](auto&) { return Strings{}; }, Errc::upstream_timeout},
  };
  for (const auto& c : cases) {
    on_call_ = [&](int, const std::string& line) { return c.lines(line); };
    const auto peer = Open(Revision::r2025_11_25);
    const auto answer = Call(*peer);
    ASSERT_FALSE(answer) << c.what;
    EXPECT_EQ(answer.error().code, c.code) << c.what << answer.error().detail;
    EXPECT_EQ(answer.error().detail.find("4111"), std::string::npos);
    Settle();
    if (c.code != Errc::upstream_too_large || std::string(c.what) == "long line") {
      EXPECT_EQ(program_.alive, 0) << c.what << ": it has to be killed";
    }
  }
}

TEST_F(StdioTest, GreetingOnTheWrongStreamIsTolerated) {
  program_.greeting = [](int) { return Strings{"Server v1.0 running on stdio", ""}; };
  EXPECT_TRUE(Call(*Open(Revision::r2025_11_25)));
}

TEST_F(StdioTest, ProcessThatDoesNotReadIsKilled) {
  program_.deaf = true;
  const auto peer = Open(Revision::r2025_11_25);
  const auto answer = Call(*peer);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::upstream_timeout);
}

TEST_F(StdioTest, CannotBeStarted) {
  program_.refuses_to_start = true;
  for (const auto revision : {Revision::r2025_11_25, Revision::r2026_07_28}) {
    const auto answer = Call(*Open(revision));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::upstream_unreachable);
  }
}

TEST_F(StdioTest, ProcessesAreCounted) {
  std::vector<std::unique_ptr<UpstreamPeer>> peers;
  for (int i = 0; i < 3; ++i) {
    peers.push_back(Open(Revision::r2025_11_25));
    ASSERT_TRUE(Call(*peers.back()));
  }
  const auto answer = Call(*Open(Revision::r2025_11_25));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::limit_exceeded);
  peers.pop_back();
  Settle();
  EXPECT_TRUE(Call(*Open(Revision::r2025_11_25)));
}

TEST_F(StdioTest, CancelTellsTheServerAndLeavesTheProcess) {
  for (const bool modern : {false, true}) {
    modern_ = modern, session_ = !modern;
    ASSERT_TRUE(Await(io_, upstream_->Describe(StandInPermit(), Revision::r2026_07_28, true)));
    on_call_ = [](int, const std::string&) {
      return Strings{R"({"jsonrpc":"2.0","method":"notifications/message","params":{}})"};
    };
    const auto peer = Open(modern ? Revision::r2026_07_28 : Revision::r2025_11_25);
    const uint64_t token = peer->NextToken();
    net::Spawn(io_.get_executor(), [](UpstreamPeer& p, uint64_t t) -> boost::asio::awaitable<void> {
      co_await net::Sleep(milliseconds(40));
      p.Cancel(t);
    }(*peer, token));
    const auto answer = Call(*peer);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::cancelled);
    Settle();
    EXPECT_EQ(MethodOf(program_.read.back()), "notifications/cancelled");
    EXPECT_EQ(program_.alive, 1);
  }
}

TEST_F(StdioTest, ListenOfASessionPeerHearsWhatBelongsToNoCall) {
  const auto peer = Open(Revision::r2025_11_25);
  program_.on_line = [this](int n, const std::string& line) {
    auto out = Behave(n, line);
    if (MethodOf(line) == "notifications/initialized") {
      net::Post(io_.get_executor(), [] {});
      return std::optional(Strings{});
    }
    return out;
  };
  on_call_ = [](int, const std::string& line) {
    return Strings{R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})",
                   ResultOf(line, "{}")};
  };
  FakeEvents heard;
  std::optional<Errc> end;
  net::Spawn(
      io_.get_executor(),
      [](UpstreamPeer& p, FakeEvents& e, std::optional<Errc>& out) -> boost::asio::awaitable<void> {
        const auto ended = co_await p.Listen(StandInPermit(), "", e);
        out = ended ? Errc::internal : ended.error().code;
      }(*peer, heard, end));
  Settle();
  ASSERT_TRUE(Call(*peer));
  Settle();
  EXPECT_EQ(heard.notifications.size(), 1u);
  EXPECT_TRUE(events_.notifications.empty());
  peer->Close();
  Settle();
  EXPECT_EQ(end, Errc::upstream_closed);
}

TEST_F(StdioTest, ListenOfAModernPeerIsToldApartBySubscription) {
  modern_ = true;
  on_call_ = [](int, const std::string& line) {
    const std::string meta =
        R"("params":{"_meta":{"io.modelcontextprotocol/subscriptionId":)" + IdOf(line) + "}}}";
    return Strings{
        R"({"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged",)" + meta,
        R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed",)" + meta,
        R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed"})",
        R"({"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":999}}})",
        ResultOf(line, "{}")};
  };
  const auto peer = Open(Revision::r2026_07_28);
  const auto end =
      Await(io_, peer->Listen(StandInPermit(), R"({"toolsListChanged":true})", events_));
  EXPECT_EQ(end.error().code, Errc::upstream_closed);
  EXPECT_EQ(events_.notifications.size(), 2u);
}

// A shard that stops destroys what waits: nothing of it may touch what is gone.
TEST(StdioShutdown, LoopEndsInTheMiddleOfACall) {
  for (const bool upstream_first : {false, true}) {
    auto io = std::make_unique<boost::asio::io_context>(1);
    Program program;
    program.io = io.get();
    program.on_line = [](int, const std::string& line) {
      if (MethodOf(line) != "initialize") return std::optional(Strings{});
      return std::optional(Strings{ResultOf(line, kInitialized)});
    };
    StdioUpstreamOptions options;
    options.executor = io->get_executor();
    options.start = [&](const net::Process::Options& o) -> Result<std::unique_ptr<net::Process>> {
      program.options = o;
      return std::make_unique<FakeProcess>(program);
    };
    auto upstream = MakeStdioUpstream(std::move(options));
    auto peer = upstream->Open({});
    FakeEvents events;
    boost::asio::co_spawn(
        *io, peer->Call(StandInPermit(), {"tools/call", R"({"name":"t"})", {}, "t"}, events),
        boost::asio::detached);
    for (int i = 0; i < 100 && program.read.size() < 3; ++i) io->run_for(milliseconds(20));
    EXPECT_EQ(program.read.size(), 3u);
    if (!upstream_first) io->stop();
    peer.reset(), upstream.reset();
    io.reset();
    EXPECT_EQ(program.alive, 0);
  }
}

}  // namespace
}  // namespace sallyport::mcp
