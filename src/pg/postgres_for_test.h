#pragma once

#include <arpa/inet.h>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "net/shards.h"
#include "net/tls.h"
#include "net/tls_for_test.h"
#include "pg/server.h"

namespace sallyport::pg {

/// A real PostgreSQL in a directory of its own, started on first use and stopped when the test
/// binary ends. TLS with a certificate for localhost; clear_ann, md5_ann, scram_ann and cert_ann
/// log in that way, nobody_ann not at all, postgres is trusted, all others need SCRAM.
class PostgresForTest {
 public:
  /// Null where the binaries are missing; WhyNot() says so.
  static PostgresForTest* Get() {
    static PostgresForTest* const one = Start();
    return one;
  }
  static const char* WhyNot() { return "no PostgreSQL server binaries under " SALLYPORT_PG_BIN; }

  uint16_t port() const { return port_; }
  const std::string& directory() const { return directory_; }
  const net::TestAuthority& authority() const { return authority_; }

  std::shared_ptr<ServerAddress> Plain(const std::string& database = "postgres") const {
    auto address = std::make_shared<ServerAddress>();
    address->host = "127.0.0.1";
    address->port = port_;
    address->database = database;
    address->sslmode = ServerAddress::SslMode::disable;
    return address;
  }
  std::shared_ptr<ServerAddress> Tls(const std::string& certificate = {}) const {
    auto address = Plain();
    address->host = "localhost";
    address->sslmode = ServerAddress::SslMode::verify_full;
    net::ClientTls tls{
        .ca_file = authority_.path("ca.pem"), .certificate_file = {}, .key_file = {}};
    if (!certificate.empty()) {
      tls.certificate_file = authority_.path(certificate + ".pem");
      tls.key_file = authority_.path(certificate + ".key");
    }
    address->tls = net::MakeClientContext(tls).value();
    return address;
  }

  /// Runs a script as the superuser; its rows, unaligned. Aborts the test binary if it fails.
  std::string Sql(const std::string& text, const std::string& database = "postgres") const {
    const std::string file = directory_ + "/script.sql";
    std::ofstream(file) << text;
    const std::string line = std::string(SALLYPORT_PG_BIN) + "/psql -h 127.0.0.1 -p " +
                             std::to_string(port_) + " -U postgres -d " + database +
                             " -v ON_ERROR_STOP=1 -Atqf " + file + " 2>&1";
    std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(line.c_str(), "r"), ::pclose);
    std::string out;
    std::array<char, 4096> buffer;
    while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
      out.append(buffer.data(), n);
    if (::pclose(pipe.release()) != 0) {
      std::fprintf(stderr, "psql: %s\n", out.c_str());
      std::abort();
    }
    while (out.ends_with('\n')) out.pop_back();
    return out;
  }

 private:
  PostgresForTest() = default;
  ~PostgresForTest() = default;

  static PostgresForTest* Start() {
    if (!std::filesystem::exists(SALLYPORT_PG_BIN "/postgres")) return nullptr;
    auto* one = new PostgresForTest;
    one->StartServer();
    std::atexit([] {
      PostgresForTest* running = Get();
      running->Run("pg_ctl -D " + running->directory_ + "/data -m immediate stop");
      std::filesystem::remove_all(running->directory_);
      delete running;
    });
    return one;
  }

  void StartServer() {
    std::string name = (std::filesystem::temp_directory_path() / "sallyport_pg_XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
    Shell("chown postgres " + directory_, ::geteuid() == 0);
    Run("initdb -D " + directory_ + "/data -A trust -U postgres --no-sync -E UTF8 --locale=C");
    authority_.MakeLeaf("server", "DNS:localhost,IP:127.0.0.1");
    authority_.MakeLeaf("cert_ann", "DNS:cert_ann");
    for (const char* file : {"ca.pem", "server.pem", "server.key"})
      std::filesystem::copy(authority_.path(file), directory_ + "/" + file);
    Shell("chmod 600 " + directory_ + "/server.key", true);
    Shell("chown postgres " + directory_ + "/server.key " + directory_ + "/*.pem",
          ::geteuid() == 0);
    {
      std::ofstream hba(directory_ + "/hba");
      hba << "local all all trust\n"
             "host all clear_ann 127.0.0.1/32 password\n"
             "host all md5_ann 127.0.0.1/32 md5\n"
             "host all scram_ann 127.0.0.1/32 scram-sha-256\n"
             "hostssl all cert_ann 127.0.0.1/32 cert\n"
             "host all nobody_ann 127.0.0.1/32 reject\n"
             "host all postgres 127.0.0.1/32 trust\n"
             "host all all 127.0.0.1/32 scram-sha-256\n";
    }
    port_ = FreePort();
    Run("pg_ctl -D " + directory_ + "/data -w -l " + directory_ + "/log -o \"-p " +
        std::to_string(port_) + " -c listen_addresses=127.0.0.1 -c unix_socket_directories=" +
        directory_ + " -c fsync=off -c max_connections=300 -c hba_file=" + directory_ +
        "/hba -c ssl=on -c ssl_cert_file=" + directory_ + "/server.pem -c ssl_key_file=" +
        directory_ + "/server.key -c ssl_ca_file=" + directory_ + "/ca.pem\" start");
    Sql("SET password_encryption='md5'; CREATE ROLE md5_ann LOGIN PASSWORD 'wrong horse';\n"
        "SET password_encryption='scram-sha-256';\n"
        "CREATE ROLE scram_ann LOGIN PASSWORD 'wrong horse';\n"
        "CREATE ROLE clear_ann LOGIN PASSWORD 'wrong horse';\n"
        "CREATE ROLE cert_ann LOGIN; CREATE ROLE nobody_ann LOGIN;\n");
  }

  void Run(const std::string& tool) {
    const std::string runner = ::geteuid() == 0 ? "runuser -u postgres -- " : "";
    Shell("cd / && " + runner + SALLYPORT_PG_BIN "/" + tool + " >>" + directory_ + ".out 2>&1",
          true);
    std::filesystem::remove(directory_ + ".out");
  }
  static void Shell(const std::string& line, bool wanted) {
    if (!wanted) return;
    if (std::system(line.c_str()) != 0) {
      std::fprintf(stderr, "failed: %s\n", line.c_str());
      std::abort();
    }
  }
  static uint16_t FreePort() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&at), size) != 0) std::abort();
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
    ::close(fd);
    return ntohs(at.sin_port);
  }

  std::string directory_;
  uint16_t port_ = 0;
  net::TestAuthority authority_;
};

/// Runs a coroutine on a shard and waits for it.
template <class T>
T RunOn(net::Shards& shards, boost::asio::awaitable<T> task, size_t shard = 0) {
  return boost::asio::co_spawn(shards.executor(shard), std::move(task), boost::asio::use_future)
      .get();
}

}  // namespace sallyport::pg
