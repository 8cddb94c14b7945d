#include "app/gate_client.h"

#include <cstdio>
#include <cstdlib>

#include "app/exit_code.h"
#include "app/session_file.h"
#include "ledger/render.h"
#include "net/fetch.h"
#include "secrets/source.h"

namespace sallyport::app {
namespace {

using nlohmann::ordered_json;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string TextOf(const ordered_json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

}  // namespace

Result<GateClient> GateClient::Make(const GateOptions& options) {
  GateClient client;
  const KeptSession session = ReadSession().value_or(KeptSession{});
  client.server_ = !options.server.empty() ? options.server : Environment("SALLYPORT_SERVER");
  if (client.server_.empty()) client.server_ = session.server;
  while (client.server_.ends_with('/')) client.server_.pop_back();
  if (client.server_.empty()) {
    return Fail(Errc::token_missing,
                "which gate? run `sallyport login --server URL`, or give --server");
  }
  client.ca_ = options.ca;
  if (client.ca_.empty()) client.ca_ = session.ca;
  if (!options.token_file.empty()) {
    SALLYPORT_TRY(client.token_,
                  secrets::Resolve({.kind = secrets::Ref::Kind::file, .name = options.token_file}));
    return client;
  }
  if (std::string token = Environment("SALLYPORT_TOKEN"); !token.empty()) {
    client.token_ = Secret(std::move(token));
    return client;
  }
  // A token is for the gate that gave it, and for nobody whose address begins alike.
  if (!session.token.empty() && session.server == client.server_) {
    client.token_ = Secret(session.token);
    return client;
  }
  return Fail(Errc::token_missing, "nobody is logged in at " + client.server_ +
                                       ": run `sallyport login --server " + client.server_ + "`");
}

Result<GateAnswer> GateClient::Ask(const std::string& method, const std::string& path,
                                   std::string body) const {
  FetchRequest request;
  request.url = server_ + path;
  request.method = method;
  request.body = std::move(body);
  request.headers = {{"Authorization", "Bearer " + std::string(token_.Reveal())},
                     {"Accept", "application/json"}};
  if (method != "GET") request.headers.emplace_back("Content-Type", "application/json");
  request.ca_file = ca_;
  // A person named this address: a gate inside the house is where gates are.
  request.allow_addresses = {"0.0.0.0/0", "::/0"};
  request.allow_loopback_http = true;
  request.max_body = 32u << 20;
  request.timeout = std::chrono::seconds(20);
  SALLYPORT_TRY(const FetchResponse answer, net::FetchUrl(request));
  GateAnswer out{.status = answer.status, .body = ordered_json::parse(answer.body, nullptr, false)};
  if (out.body.is_discarded()) out.body = nullptr;
  return out;
}

Result<GateAnswer> GateClient::Get(const std::string& path) const { return Ask("GET", path, ""); }

Result<GateAnswer> GateClient::Post(const std::string& path, const ordered_json& body) const {
  return Ask("POST", path, body.dump(-1, ' ', false, ordered_json::error_handler_t::replace));
}

int Complain(const char* command, const Error& error) {
  std::fprintf(stderr, "sallyport %s: %s (%s)\n", command, ledger::Printable(error.detail).c_str(),
               std::string(ReasonCode(error.code)).c_str());
  switch (error.code) {
    case Errc::token_missing:
    case Errc::upstream_unreachable:
    case Errc::upstream_timeout:
      return kUnreachable;
    default:
      return kFailed;
  }
}

int Complain(const char* command, const GateAnswer& answer) {
  const std::string code = TextOf(answer.body, "code");
  std::string what = TextOf(answer.body, "detail");
  if (what.empty()) what = TextOf(answer.body, "title");
  if (what.empty()) what = "the gate answered " + std::to_string(answer.status);
  std::fprintf(stderr, "sallyport %s: %s%s\n", command, ledger::Printable(what).c_str(),
               code.empty() ? "" : (" (" + ledger::Printable(code) + ")").c_str());
  if (answer.status == 401) {
    std::fprintf(stderr, "log in again: sallyport login\n");
    return kUnreachable;
  }
  return answer.status >= 500 ? kFailed : kNegative;
}

}  // namespace sallyport::app
