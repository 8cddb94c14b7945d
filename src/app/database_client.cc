#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/verbs.h"
#include "config/units.h"

namespace sallyport::app {
namespace {

/// How a client reaches the gate, in libpq's words.
struct Place {
  std::string host, port, database, sslmode, ca;
};

/// The host that clients use is public_url's; behind loopback it is the listener itself.
Result<Place> PlaceOf(const config::Root& root, const DbOptions& options) {
  const auto at =
      std::ranges::find(root.connections, options.connection, &config::Connection::name);
  if (at == root.connections.end() || !at->postgres)
    return Fail(Errc::not_found,
                "there is no PostgreSQL connection \"" + options.connection + "\"");
  const auto listen = config::ParseListen(root.server.postgres);
  const auto url = config::ParseUrl(root.server.public_url);
  if (!listen || !url) return Fail(Errc::config_invalid, "server.listen.postgres is not set");
  Place place;
  place.host = listen->loopback ? listen->host : url->host;
  place.port = std::to_string(listen->port);
  place.database = options.connection;
  place.ca = options.ca;
  place.sslmode = root.server.tls ? "verify-full" : "disable";
  return place;
}

/// The person's token: of the file, or of the environment. It is never an argument: those can be
/// seen by everybody on the machine.
Result<std::string> Token(const std::string& file) {
  std::string token;
  if (!file.empty()) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return Fail(Errc::not_found, "cannot read " + file);
    token.assign(std::istreambuf_iterator<char>(in), {});
  } else if (const char* set = std::getenv("SALLYPORT_TOKEN")) {
    token = set;
  }
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  if (token.empty())
    return Fail(Errc::not_found, "no token: set SALLYPORT_TOKEN, or give --token-file");
  return token;
}

std::vector<std::pair<std::string, std::string>> Variables(const Place& place) {
  std::vector<std::pair<std::string, std::string>> variables{{"PGHOST", place.host},
                                                             {"PGPORT", place.port},
                                                             {"PGDATABASE", place.database},
                                                             {"PGUSER", "token"},
                                                             {"PGSSLMODE", place.sslmode}};
  if (!place.ca.empty()) variables.emplace_back("PGSSLROOTCERT", place.ca);
  return variables;
}

int Complain(const Error& error, int code) {
  std::fprintf(stderr, "sallyport db: %s\n", error.detail.c_str());
  return code;
}

}  // namespace

int RunDbEnv(const DbOptions& options) {
  int exit_code = kOk;
  const Result<config::Root> root = LoadOrExplain(options.config, exit_code);
  if (!root) return exit_code;
  const Result<Place> place = PlaceOf(*root, options);
  if (!place) return Complain(place.error(), kUsage);
  if (options.json) {
    nlohmann::ordered_json line{{"v", 1}};
    for (const auto& [name, value] : Variables(*place)) line[name] = value;
    std::printf("%s\n", line.dump().c_str());
    return kOk;
  }
  for (const auto& [name, value] : Variables(*place))
    std::printf("export %s=%s\n", name.c_str(), value.c_str());
  std::printf("export PGPASSWORD=\"$SALLYPORT_TOKEN\"\n");
  return kOk;
}

int RunDbConnect(const DbOptions& options) {
  int exit_code = kOk;
  const Result<config::Root> root = LoadOrExplain(options.config, exit_code);
  if (!root) return exit_code;
  const Result<Place> place = PlaceOf(*root, options);
  if (!place) return Complain(place.error(), kUsage);
  const Result<std::string> token = Token(options.token_file);
  if (!token) return Complain(token.error(), kUsage);
  for (const auto& [name, value] : Variables(*place)) setenv(name.c_str(), value.c_str(), 1);
  setenv("PGPASSWORD", token->c_str(), 1);
  unsetenv("SALLYPORT_TOKEN");
  std::vector<std::string> words{options.client};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  std::fprintf(stderr, "sallyport db: cannot start %s: %s\n", argv[0], std::strerror(errno));
  return kFailed;
}

}  // namespace sallyport::app
