// An MCP server for benchmarks that does as little as possible: one thread, one epoll loop,
// keep-alive HTTP/1.1, an answer that is ready but for the id. It knows initialize,
// server/discover, tools/list, tools/call of any tool, and takes notifications. usage: responder
// [--port N] [--size BYTES of an answer to tools/call]; prints its port.
#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include "socket_for_bench.h"

namespace sallyport::bench {
namespace {

struct Connection {
  std::string in, out;
};

class Responder {
 public:
  explicit Responder(size_t size) {
    const std::string head = R"({"content":[{"type":"text","text":")",
                      tail = R"("}],"isError":false,"resultType":"complete"})";
    constexpr std::string_view words =
        "order shipped to the usual address, nothing else to report; ";
    std::string text;
    while (head.size() + text.size() + tail.size() + 40 < size)
      text += words[text.size() % words.size()];
    call_ = head + text + tail;
  }

  /// Appends the answers to all whole requests in `c.in`; false if it is not HTTP as we speak it.
  bool Answer(Connection& c) const {
    size_t used = 0;
    for (;;) {
      const std::string_view rest = std::string_view(c.in).substr(used);
      const size_t end = rest.find("\r\n\r\n");
      if (end == rest.npos) break;
      const size_t length = Number(Field(rest.substr(0, end + 2), "Content-Length"));
      if (rest.size() < end + 4 + length) break;
      Reply(rest.substr(end + 4, length), c.out);
      used += end + 4 + length;
    }
    c.in.erase(0, used);
    return c.in.size() < (16u << 20);
  }

 private:
  static std::string_view Value(std::string_view body, std::string_view key) {
    const size_t at = body.find(key);
    if (at == body.npos) return {};
    const size_t start = at + key.size();
    const size_t end =
        body[start] == '"' ? body.find('"', start + 1) + 1 : body.find_first_of(",}", start);
    return body.substr(start, end - start);
  }

  void Reply(std::string_view body, std::string& out) const {
    const std::string_view method = Value(body, "\"method\":"), id = Value(body, "\"id\":");
    if (id.empty()) {
      out += "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";
      return;
    }
    std::string_view result = "{\"resultType\":\"complete\"}";
    if (method == "\"tools/call\"") result = call_;
    if (method == "\"tools/list\"")
      result =
          R"({"tools":[{"name":"echo","description":"Answers.","inputSchema":{"type":"object","properties":{"message":{"type":"string"}}}},{"name":"store","description":"Writes.","inputSchema":{"type":"object"}}],"ttlMs":60000,"cacheScope":"public","resultType":"complete"})";
    if (method == "\"initialize\"")
      result =
          R"({"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"responder","version":"1"}})";
    if (method == "\"server/discover\"")
      result =
          R"({"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"serverInfo":{"name":"responder","version":"1"},"ttlMs":60000,"cacheScope":"public","resultType":"complete"})";
    constexpr std::string_view start = R"({"jsonrpc":"2.0","id":)", middle = R"(,"result":)";
    char head[128];
    const int n = std::snprintf(
        head, sizeof head,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
        start.size() + id.size() + middle.size() + result.size() + 1);
    out.append(head, size_t(n)).append(start).append(id).append(middle).append(result).append("}");
  }

  std::string call_;
};

/// Takes what has come and answers; false if the connection is over.
bool Handle(int fd, Connection& c, const Responder& responder) {
  char buffer[64 << 10];
  const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
  if (n == 0 || (n < 0 && errno != EAGAIN)) return false;
  if (n > 0) c.in.append(buffer, size_t(n));
  if (!responder.Answer(c)) return false;
  while (!c.out.empty()) {
    const ssize_t sent = ::send(fd, c.out.data(), c.out.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;  // the rest goes with the next answer
    c.out.erase(0, size_t(sent));
  }
  return true;
}

int Run(uint16_t port, size_t size) {
  Responder responder(size);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  SetOption(listener, SOL_SOCKET, SO_REUSEADDR);
  sockaddr_in address = Address("127.0.0.1", port);
  socklen_t length = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(listener, 1024) != 0)
    Die("bind");
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  std::printf("%u\n", unsigned(ntohs(address.sin_port)));
  std::fflush(stdout);

  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event add{EPOLLIN, {.fd = listener}};
  ::epoll_ctl(poll, EPOLL_CTL_ADD, listener, &add);
  std::vector<Connection> connections;
  epoll_event events[256];
  for (;;) {
    const int n = ::epoll_wait(poll, events, 256, -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd != listener) {
        if (!Handle(fd, connections[size_t(fd)], responder)) ::close(fd);
        continue;
      }
      const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client < 0) continue;
      SetOption(client, IPPROTO_TCP, TCP_NODELAY);
      if (connections.size() <= size_t(client)) connections.resize(size_t(client) + 1);
      connections[size_t(client)] = Connection();
      epoll_event more{EPOLLIN, {.fd = client}};
      ::epoll_ctl(poll, EPOLL_CTL_ADD, client, &more);
    }
  }
}

}  // namespace
}  // namespace sallyport::bench

int main(int argc, char** argv) {
  uint16_t port = 0;
  size_t size = 1024;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--port") == 0) port = uint16_t(std::atoi(argv[i + 1]));
    if (std::strcmp(argv[i], "--size") == 0) size = size_t(std::atoll(argv[i + 1]));
  }
  return sallyport::bench::Run(port, size);
}
