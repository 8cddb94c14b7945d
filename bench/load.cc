// A closed-loop load generator: N keep-alive connections, each sends the same request again as soon
// as its answer is whole. One thread. Prints one line of JSON. usage: load --port N [--host IPv4]
// [--path P] [--method M] [--header 'Name: value']… [--body TEXT | --body-file F]
//             [--connections N] [--warmup SECONDS] [--seconds SECONDS] [--expect TEXT]
// Every answer must have status 200 and contain TEXT, or it is an error; the exit status is 1 if
// there were any.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "socket_for_bench.h"

namespace sallyport::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string host = "127.0.0.1", path = "/", method = "POST", body, expect;
  std::vector<std::string> headers;
  uint16_t port = 0;
  size_t connections = 1;
  double warmup = 1, seconds = 5;
};

struct Connection {
  int fd = -1;
  std::string in;
  Clock::time_point sent;
};

class Load {
 public:
  explicit Load(Options options) : options_(std::move(options)) {
    request_ = options_.method + " " + options_.path + " HTTP/1.1\r\nHost: " + options_.host + ":" +
               std::to_string(options_.port) + "\r\n";
    for (const std::string& header : options_.headers) request_ += header + "\r\n";
    if (options_.method != "GET")
      request_ += "Content-Length: " + std::to_string(options_.body.size()) + "\r\n";
    request_ += "\r\n" + options_.body;
    latencies_.reserve(4 << 20);
  }

  int Run() {
    poll_ = ::epoll_create1(EPOLL_CLOEXEC);
    connections_.resize(options_.connections);
    for (size_t i = 0; i < connections_.size(); ++i) Connect(i);
    const auto begin = Clock::now();
    const auto measured = begin + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(options_.warmup));
    const auto end = measured + std::chrono::duration_cast<Clock::duration>(
                                    std::chrono::duration<double>(options_.seconds));
    for (size_t i = 0; i < connections_.size(); ++i) Send(i);
    epoll_event events[256];
    auto now = begin;
    while (now < end) {
      const int n = ::epoll_wait(poll_, events, 256, 1000);
      now = Clock::now();
      if (!measuring_ && now >= measured)
        measuring_ = true, latencies_.clear(), errors_ = 0, start_ = now;
      for (int i = 0; i < n; ++i) Handle(events[i].data.u64);
    }
    return Report(std::chrono::duration<double>(Clock::now() - start_).count());
  }

 private:
  void Connect(size_t i) {
    Connection& c = connections_[i];
    c.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in to = Address(options_.host, options_.port);
    if (::connect(c.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) Die("connect");
    SetOption(c.fd, IPPROTO_TCP, TCP_NODELAY);
    ::fcntl(c.fd, F_SETFL, O_NONBLOCK);
    epoll_event event{EPOLLIN, {.u64 = i}};
    ::epoll_ctl(poll_, EPOLL_CTL_ADD, c.fd, &event);
  }

  void Send(size_t i) {
    Connection& c = connections_[i];
    c.sent = Clock::now();
    if (::send(c.fd, request_.data(), request_.size(), MSG_NOSIGNAL) != ssize_t(request_.size()))
      Restart(i);
  }

  void Restart(size_t i) {
    ++errors_;
    ::close(connections_[i].fd);
    connections_[i].in.clear();
    Connect(i);
    ++restarts_;
    if (restarts_ > 1000) Die("the server closes every connection");
  }

  void Handle(size_t i) {
    Connection& c = connections_[i];
    char buffer[64 << 10];
    const ssize_t n = ::recv(c.fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      Restart(i);
      return Send(i);
    }
    c.in.append(buffer, size_t(n));
    const size_t end = c.in.find("\r\n\r\n");
    if (end == c.in.npos) return;
    const std::string_view head = std::string_view(c.in).substr(0, end + 2);
    const std::string_view length = Field(head, "Content-Length");
    if (length.empty() ? !c.in.ends_with("\r\n0\r\n\r\n") : c.in.size() < end + 4 + Number(length))
      return;
    latencies_.push_back(uint32_t(std::min<int64_t>((Clock::now() - c.sent).count(), UINT32_MAX)));
    const bool good = head.substr(9, 3) == "200" &&
                      (options_.expect.empty() || std::string_view(c.in).substr(end + 4).find(
                                                      options_.expect) != std::string_view::npos);
    if (!good && errors_++ == 0)
      std::fprintf(stderr, "first unexpected answer:\n%s\n", c.in.substr(0, 2000).c_str());
    c.in.clear();
    Send(i);
  }

  int Report(double seconds) {
    std::ranges::sort(latencies_);
    const auto at = [&](double part) {
      return latencies_.empty() ? 0.0
                                : latencies_[std::min(latencies_.size() - 1,
                                                      size_t(part * double(latencies_.size())))] /
                                      1000.0;
    };
    std::printf(
        "{\"connections\":%zu,\"requests\":%zu,\"errors\":%zu,\"seconds\":%.3f,\"rps\":%.0f,\"p50_"
        "us\":%.1f,\"p90_us\":%.1f,"
        "\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f}\n",
        options_.connections, latencies_.size(), errors_, seconds,
        double(latencies_.size()) / seconds, at(0.5), at(0.9), at(0.99), at(0.999), at(1));
    return errors_ == 0 && !latencies_.empty() ? 0 : 1;
  }

  const Options options_;
  std::string request_;
  int poll_ = -1;
  std::vector<Connection> connections_;
  std::vector<uint32_t> latencies_;  // nanoseconds
  size_t errors_ = 0, restarts_ = 0;
  bool measuring_ = false;
  Clock::time_point start_;
};

std::string ReadFile(const char* path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) Die(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

Options Parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 >= argc) Die(argv[i]);
    const char* value = argv[i + 1];
    if (name == "--host")
      o.host = value;
    else if (name == "--port")
      o.port = uint16_t(std::atoi(value));
    else if (name == "--path")
      o.path = value;
    else if (name == "--method")
      o.method = value;
    else if (name == "--header")
      o.headers.emplace_back(value);
    else if (name == "--body")
      o.body = value;
    else if (name == "--body-file")
      o.body = ReadFile(value);
    else if (name == "--connections")
      o.connections = size_t(std::atoi(value));
    else if (name == "--warmup")
      o.warmup = std::atof(value);
    else if (name == "--seconds")
      o.seconds = std::atof(value);
    else if (name == "--expect")
      o.expect = value;
    else {
      std::fprintf(stderr, "unknown option %s\n", argv[i]);
      std::exit(2);
    }
  }
  return o;
}

}  // namespace
}  // namespace sallyport::bench

int main(int argc, char** argv) {
  return sallyport::bench::Load(sallyport::bench::Parse(argc, argv)).Run();
}
