// `sallyport mcp config`: what has to be pasted into an MCP client so that it reaches a connection.
// The text alone goes to standard output, so that it can be put into a file; the words about it go
// to standard error.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/mcp_clients.h"
#include "app/session_file.h"
#include "app/verbs.h"
#include "config/fields.h"
#include "config/units.h"

namespace sallyport::app {
namespace {

int Complain(const std::string& what, int code) {
  std::fprintf(stderr, "sallyport mcp config: %s\n", what.c_str());
  return code;
}

std::string UnknownClient(const std::string& id) {
  std::vector<std::string_view> names;
  for (const McpClient& client : McpClients()) {
    names.push_back(client.id);
    if (id.size() > 2 && client.id.starts_with(id))
      return "there is no client \"" + id + "\": did you mean \"" + std::string(client.id) + "\"?";
  }
  return "there is no client \"" + id + "\": " + config::Suggest(id, names);
}

/// The gate's address: of the options, a configuration, the environment, or where `login` went.
/// `exit_code` is set where it was said already why there is none.
Result<std::string> ServerOf(const McpConfigOptions& options, int& exit_code) {
  std::string server = options.server;
  if (!options.config.empty()) {
    const Result<config::Root> root = LoadOrExplain(options.config, exit_code);
    if (!root) return std::unexpected(root.error());
    std::vector<std::string_view> names;
    for (const config::Connection& connection : root->connections) {
      if (connection.mcp) names.push_back(connection.name);
    }
    if (std::ranges::find(names, options.connection) == names.end()) {
      return Fail(Errc::not_found, "there is no MCP connection \"" + options.connection +
                                       "\": " + config::Suggest(options.connection, names));
    }
    if (server.empty()) server = root->server.public_url;
  }
  if (server.empty()) {
    if (const char* set = std::getenv("SALLYPORT_SERVER")) server = set;
  }
  if (server.empty()) {
    if (const auto kept = ReadSession()) server = kept->server;
  }
  while (server.ends_with('/')) server.pop_back();
  if (server.empty()) {
    return Fail(Errc::request_malformed,
                "which gate? give --server URL, or sign in: sallyport login --server URL");
  }
  if (!config::ParseUrl(server)) {
    return Fail(Errc::request_malformed,
                "--server: write a URL like https://gate.example.com, without a user name");
  }
  if (const auto url = config::ParseUrl(server); !url->https && !url->loopback) {
    return Fail(Errc::request_malformed,
                "--server: https; a token is sent in clear to this machine itself only");
  }
  return server;
}

/// Programs with windows start others without the shell's PATH: so the whole path.
std::string OwnPath() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "sallyport" : path.string();
}

void Print(const McpClient& client, const ClientEntry& entry, ClientForm form,
           const std::string& ca) {
  const bool by_url = form == ClientForm::url;
  std::fprintf(stderr, "%s: put this into %s\n", std::string(client.title).c_str(),
               std::string(client.file).c_str());
  if (client.shell != nullptr)
    std::fprintf(stderr, "or run: %s\n", client.shell(entry, form).c_str());
  std::fprintf(stderr, "\n");
  std::fflush(stderr);
  std::fputs(client.text(entry, form).c_str(), stdout);
  std::fflush(stdout);
  std::fprintf(stderr, "\n%s\n",
               by_url ? ("Then " + std::string(client.then) +
                         ". If it cannot sign in by itself: --form stdio.")
                            .c_str()
                      : "Then run: sallyport login. The client works with that session.");
  if (by_url && !ca.empty())
    std::fprintf(stderr, "The client has to trust the authority in %s.\n", ca.c_str());
  std::fprintf(stderr, "The client's own page: %s\n", std::string(client.documentation).c_str());
}

void PrintJson(const McpClient& client, const ClientEntry& entry, ClientForm form) {
  nlohmann::ordered_json line{{"v", 1},
                              {"client", client.id},
                              {"connection", entry.name},
                              {"form", form == ClientForm::url ? "url" : "stdio"},
                              {"url", entry.url},
                              {"file", client.file},
                              {"format", client.format},
                              {"text", client.text(entry, form)},
                              {"documentation", client.documentation}};
  if (client.shell != nullptr) line["shell"] = client.shell(entry, form);
  if (form == ClientForm::stdio) line["command"] = entry.command;
  std::printf("%s\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

}  // namespace

int RunMcpConfig(const McpConfigOptions& options) {
  const McpClient* client = FindMcpClient(options.client);
  if (client == nullptr) return Complain(UnknownClient(options.client), kUsage);
  if (!IsConnectionName(options.connection))
    return Complain("--connection: not the name of a connection", kUsage);
  int exit_code = kOk;
  const Result<std::string> server = ServerOf(options, exit_code);
  if (!server) {
    if (exit_code != kOk) return exit_code;  // explained
    return Complain(server.error().detail, kUsage);
  }
  ClientForm form = client->preferred;
  if (options.form == "url") form = ClientForm::url;
  if (options.form == "stdio") form = ClientForm::stdio;
  if (form == ClientForm::url && !client->speaks_url) {
    return Complain(
        std::string(client->title) + " takes no URL in its configuration file: leave --form away",
        kUsage);
  }
  ClientEntry entry{.name = options.connection,
                    .url = *server + "/mcp/" + options.connection,
                    .command = {OwnPath(), "connect", options.connection, "--server", *server}};
  if (!options.ca.empty()) {
    entry.command.insert(entry.command.end(),
                         {"--ca", std::filesystem::absolute(options.ca).string()});
  }
  if (options.json) {
    PrintJson(*client, entry, form);
  } else {
    Print(*client, entry, form, options.ca);
  }
  return kOk;
}

}  // namespace sallyport::app
