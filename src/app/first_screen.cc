#include "app/first_screen.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger/index.h"
#include "app/recorded.h"
#include "ledger/replay.h"
#include "ledger/search.h"
#include "ledger/verify.h"
#include "net/event.h"

namespace sallyport::app {
namespace {

using nlohmann::json;

constexpr const char* kGreen = "32";
constexpr const char* kRed = "31";
constexpr const char* kYellow = "33";
constexpr const char* kBold = "1";
constexpr const char* kDim = "2";

/// One POST on the executor's shard; fulfils `done`.
boost::asio::awaitable<void> Post(
    std::shared_ptr<net::HttpClient> client, net::Url url, net::Headers headers, std::string body,
    std::shared_ptr<std::promise<Result<std::pair<int, std::string>>>> done) {
  auto response =
      co_await client->Send(url.origin, "POST", url.target, std::move(headers), std::move(body));
  if (!response) {
    done->set_value(std::unexpected(response.error()));
    co_return;
  }
  auto text = co_await (*response)->ReadAll(16 << 20);
  if (!text) {
    done->set_value(std::unexpected(text.error()));
    co_return;
  }
  done->set_value(std::pair((*response)->status(), std::move(*text)));
}

/// The text of a tool result, or of a JSON-RPC error.
std::string TextOf(const json& message) {
  if (const auto error = message.find("error"); error != message.end()) {
    return error->contains("message") ? (*error)["message"].get<std::string>() : error->dump();
  }
  const json content = message.value("/result/content"_json_pointer, json::array());
  return content.empty() || !content[0].contains("text") ? message.dump()
                                                         : content[0]["text"].get<std::string>();
}

/// psql with these statements, as a person would run it: what it prints, errors included.
Result<std::string> RunPsql(const std::string& psql, uint16_t port, const std::string& token,
                            const std::vector<std::string>& statements) {
  std::vector<std::string> words{psql, "-X", "-q", "-e"};
  for (const std::string& statement : statements) words.insert(words.end(), {"-c", statement});
  std::vector<std::string> environment{"PGHOST=127.0.0.1",     "PGPORT=" + std::to_string(port),
                                       "PGDATABASE=orders-db", "PGUSER=token",
                                       "PGPASSWORD=" + token,  "LC_ALL=C.UTF-8",
                                       "PATH=/usr/bin:/bin"};
  const auto pointers = [](std::vector<std::string>& strings) {
    std::vector<char*> list;
    for (std::string& one : strings) list.push_back(one.data());
    list.push_back(nullptr);
    return list;
  };
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) return Fail(Errc::io_failed, "no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = -1;
  const int failed = posix_spawn(&child, psql.c_str(), &actions, &attributes,
                                 pointers(words).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(output[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; failed == 0 && (n = read(output[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  close(output[0]);
  if (failed != 0) return Fail(Errc::io_failed, "cannot start " + psql);
  waitpid(child, nullptr, 0);
  return text;
}

/// The line of `text` that holds `needle`, trimmed.
std::string LineWith(const std::string& text, std::string_view needle) {
  const size_t at = text.find(needle);
  if (at == std::string::npos) return {};
  size_t from = text.rfind('\n', at), to = text.find('\n', at);
  from = from == std::string::npos ? 0 : from + 1;
  while (from < at && text[from] == ' ') ++from;
  return text.substr(from, to == std::string::npos ? to : to - from);
}

}  // namespace

FirstScreen::FirstScreen(const DemoIssuer& issuer, Place place,
                         boost::asio::any_io_executor executor)
    : issuer_(issuer),
      place_(std::move(place)),
      executor_(std::move(executor)),
      terminal_(isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr) {}

std::string FirstScreen::Paint(const char* colour, const std::string& text) const {
  return terminal_ ? std::string("\033[") + colour + "m" + text + "\033[0m" : text;
}

Result<FirstScreen::Reply> FirstScreen::Call(const std::string& token, const std::string& tool,
                                             const std::string& arguments) {
  const std::string body =
      R"({"jsonrpc":"2.0","id":)" + std::to_string(++id_) +
      R"(,"method":"tools/call","params":{"name":")" + tool + R"(","arguments":)" + arguments +
      R"(,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",)"
      R"("io.modelcontextprotocol/clientCapabilities":{},)"
      R"("io.modelcontextprotocol/clientInfo":{"name":"sallyport-dev","version":"1"}}}})";
  net::Headers headers{{"Authorization", "Bearer " + token},
                       {"Content-Type", "application/json"},
                       {"Accept", "application/json, text/event-stream"},
                       {"MCP-Protocol-Version", "2026-07-28"},
                       {"Mcp-Method", "tools/call"},
                       {"Mcp-Name", tool}};
  SALLYPORT_TRY(net::Url url, net::ParseUrl(place_.mcp_url));
  auto done = std::make_shared<std::promise<Result<std::pair<int, std::string>>>>();
  auto future = done->get_future();
  const auto begun = std::chrono::steady_clock::now();
  net::Post(executor_, [executor = executor_, url, headers, body, done]() mutable {
    std::shared_ptr<net::HttpClient> client = net::HttpClient::Make(executor, {});
    net::Spawn(executor,
               Post(std::move(client), std::move(url), std::move(headers), std::move(body), done));
  });
  if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
    return Fail(Errc::upstream_timeout, "the gate did not answer in 20 s");
  }
  SALLYPORT_TRY(auto answer, future.get());
  return Reply{.status = answer.first,
               .body = std::move(answer.second),
               .milliseconds = std::chrono::duration<double, std::milli>(
                                   std::chrono::steady_clock::now() - begun)
                                   .count()};
}

Result<> FirstScreen::MaskedCard(const std::string& token) {
  SALLYPORT_TRY(const Reply reply, Call(token, "get_order", R"({"id":"o_1a2b3c4d"})"));
  const std::string line = LineWith(TextOf(json::parse(reply.body, nullptr, false)), "card_number");
  if (line.find('*') == std::string::npos)
    return Fail(Errc::mask_failed, "get_order came back without a masked card number");
  std::printf("  %s agent-refunds  get_order     %s   %s\n", Paint(kGreen, "✓").c_str(),
              line.c_str(), Paint(kDim, "masked on its way back").c_str());
  return {};
}

Result<> FirstScreen::DeniedExport(const std::string& token) {
  SALLYPORT_TRY(const Reply reply, Call(token, "export_all", "{}"));
  const json message = json::parse(reply.body, nullptr, false);
  if (!message.value("/result/isError"_json_pointer, false))
    return Fail(Errc::internal, "export_all was not denied");
  std::printf("  %s agent-refunds  export_all    denied: %s\n", Paint(kRed, "✗").c_str(),
              TextOf(message).c_str());
  return {};
}

Result<> FirstScreen::HeldRefund(const std::string& token) {
  SALLYPORT_TRY(
      const Reply reply,
      Call(token, "refund_order", R"({"order_id":"o_1a2b3c4d","amount":900,"currency":"EUR"})"));
  const json message = json::parse(reply.body, nullptr, false);
  const std::string reason =
      message.value("/result/structuredContent/gateway/reason"_json_pointer, std::string());
  // Held: a client of this revision is asked to come again with the request's state.
  const bool waits =
      message.value("/result/resultType"_json_pointer, std::string()) == "input_required" &&
      message["result"].contains("requestState");
  if (reason != "approval-required" && !waits)
    return Fail(Errc::internal, "a refund of 900 EUR did not ask for approval");
  std::printf(
      "  %s agent-refunds  refund_order  900 EUR needs approval by leads-one: not forwarded\n",
      Paint(kYellow, "…").c_str());
  return {};
}

Result<> FirstScreen::StolenToken() {
  SALLYPORT_TRY(const std::string stolen,
                issuer_.Token("agent-refunds", "https://another-service.example"));
  SALLYPORT_TRY(const Reply reply, Call(stolen, "get_order", R"({"id":"o_1a2b3c4d"})"));
  if (reply.status != 401)
    return Fail(Errc::internal, "a token for another service was not refused");
  std::printf(
      "  %s stolen token   get_order     HTTP 401: issued for another service, not for this gate\n",
      Paint(kRed, "✗").c_str());
  SALLYPORT_TRY(const std::string gone, issuer_.Token("contractor"));
  SALLYPORT_TRY(const Reply unknown, Call(gone, "get_order", R"({"id":"o_1a2b3c4d"})"));
  const json message = json::parse(unknown.body, nullptr, false);
  if (!message.contains("error"))
    return Fail(Errc::internal, "the off-boarded contractor was not refused");
  std::printf("  %s contractor     get_order     %s: off-boarded, no rule knows them\n",
              Paint(kRed, "✗").c_str(), TextOf(message).c_str());
  return {};
}

Result<> FirstScreen::Statements() {
  if (place_.psql.empty()) return {};
  SALLYPORT_TRY(const std::string token, issuer_.Token("ana"));
  SALLYPORT_TRY(const std::string seen,
                RunPsql(place_.psql, place_.postgres_port, token,
                        {"SELECT id, customer, card_number, cvv, amount FROM payments LIMIT 2",
                         "DROP TABLE payments", "DELETE FROM payments"}));
  std::printf("\n%s\n%s", Paint(kBold, "psql as ana, an analyst").c_str(), seen.c_str());
  const auto times = [&](std::string_view what) {
    size_t n = 0;
    for (size_t at = 0; (at = seen.find(what, at)) != std::string::npos; at += what.size()) ++n;
    return n;
  };
  if (times("**4444") + times("**0005") == 0)
    return Fail(Errc::mask_failed, "the rows came back without masked card numbers");
  if (times("ERROR:") != 2) return Fail(Errc::internal, "DROP and DELETE were not both denied");
  return {};
}

Result<> FirstScreen::Replay(const std::string& who, const ledger::SearchCriteria& criteria) {
  SALLYPORT_TRY(const auto found, ledger::Search(place_.data_dir, criteria));
  const json first = found.empty() ? json() : json::parse(found.front().json, nullptr, false);
  const std::string session =
      first.is_object() ? first.value("/session/id"_json_pointer, std::string()) : "";
  if (session.empty()) return Fail(Errc::internal, "the log does not name the session of " + who);
  std::printf("\n%s\n", Paint(kBold, "Replay of session " + session).c_str());
  SALLYPORT_TRY(auto recorded, Recorded::Open(place_.data_dir, {.config = place_.config, .kek = {}}));
  SALLYPORT_TRY(auto events, ledger::ReplaySession(place_.data_dir, session));
  recorded.Fill(events);
  SALLYPORT_TRY(const std::string replay,
                ledger::RenderReplay(events, session, ledger::ReplayFormat::text));
  std::printf("%s\n", replay.c_str());
  return {};
}

Result<> FirstScreen::ReplayAndVerify() {
  ledger::SearchCriteria criteria;
  criteria.agent = "agent-refunds";
  SALLYPORT_CHECK(Replay("agent-refunds", criteria));
  if (!place_.psql.empty()) {
    ledger::SearchCriteria statements;
    statements.connection = "orders-db";
    SALLYPORT_CHECK(Replay("ana", statements));
  }
  const ledger::VerifyReport report =
      ledger::VerifyDataDir(place_.data_dir, place_.vkey, std::nullopt);
  std::printf("%s\n%s\n", Paint(kBold, "The log").c_str(), report.Text().c_str());
  if (!report.ok()) return Fail(Errc::internal, "the log does not verify");
  return {};
}

void FirstScreen::ConnectDatabase() const {
  if (place_.psql.empty()) return;
  const Result<std::string> token = issuer_.Token("ana");
  std::printf(
      "%s\n  export PGPASSWORD=%s\n  psql \"host=127.0.0.1 port=%u dbname=orders-db user=token\"\n",
      Paint(kBold, "Connect psql, or any PostgreSQL client, as ana").c_str(),
      token ? token->c_str() : "", static_cast<unsigned>(place_.postgres_port));
}

void FirstScreen::Connect(const std::string& token) const {
  std::printf("\n%s\n", Paint(kBold, "Connect an MCP client as agent-refunds").c_str());
  std::printf(
      "  claude mcp add --transport http payments %s \\\n    --header \"Authorization: Bearer "
      "%s\"\n\n",
      place_.mcp_url.c_str(), token.c_str());
  std::printf(
      "  {\"mcpServers\": {\"payments\": {\"type\": \"http\", \"url\": \"%s\",\n"
      "    \"headers\": {\"Authorization\": \"Bearer $TOKEN\"}}}}\n\n",
      place_.mcp_url.c_str());
  std::printf(
      "  TOKEN=$(curl -s %s -d grant_type=client_credentials -d client_id=support -d "
      "client_secret=dev | jq -r .access_token)\n",
      issuer_.token_endpoint().c_str());
  ConnectDatabase();
  std::printf("\n%s\n", Paint(kBold, "Look further").c_str());
  std::printf("  sallyport audit verify %s --key '%s'\n", place_.data_dir.c_str(),
              place_.vkey.c_str());
  std::printf("  sallyport audit tail %s --follow\n", place_.data_dir.c_str());
  std::printf("  configuration %s   metrics %s/metrics\n", place_.config.c_str(),
              place_.ops.c_str());
  std::printf("\nRunning until Ctrl-C.\n");
  std::fflush(stdout);
}

Result<> FirstScreen::Show() {
  SALLYPORT_TRY(const std::string agent, issuer_.Token("agent-refunds"));
  std::printf("%s loopback only, demo identities, demo data. Not for cardholder data.\n\n",
              Paint(kBold, "sallyport " SALLYPORT_VERSION " dev:").c_str());
  SALLYPORT_CHECK(MaskedCard(agent));
  SALLYPORT_CHECK(DeniedExport(agent));
  SALLYPORT_CHECK(HeldRefund(agent));
  SALLYPORT_CHECK(StolenToken());
  SALLYPORT_CHECK(Statements());
  SALLYPORT_CHECK(ReplayAndVerify());
  Connect(agent);
  return {};
}

}  // namespace sallyport::app
