#include "app/connect_lines.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <poll.h>
#include <unistd.h>

namespace sallyport::app {
namespace {

constexpr size_t kPiece = 64 << 10;

/// A descriptor that somebody has made non-blocking: waits for it.
void Await(int descriptor, short events) {
  pollfd wanted{.fd = descriptor, .events = events, .revents = 0};
  (void)poll(&wanted, 1, -1);
}

}  // namespace

void LineReader::Give(const std::function<void(std::string)>& line, std::string text) {
  if (text.ends_with('\r')) text.pop_back();
  if (text.find_first_not_of(" \t") == std::string::npos) return;
  {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return waiting_ == 0 || waiting_ + text.size() <= kWaitingLimit; });
    waiting_ += text.size();
  }
  line(std::move(text));
}

void LineReader::Done(size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    waiting_ -= std::min(bytes, waiting_);
  }
  room_.notify_one();
}

void LineReader::Run(const std::function<void(std::string)>& line,
                     const std::function<void()>& too_long) {
  const auto piece = std::make_unique<char[]>(kPiece);
  std::string begun;
  bool skipping = false;
  while (true) {
    const ssize_t got = read(descriptor_, piece.get(), kPiece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      Await(descriptor_, POLLIN);
      continue;
    }
    if (got <= 0) break;
    std::string_view bytes(piece.get(), static_cast<size_t>(got));
    while (!bytes.empty()) {
      const size_t end = bytes.find('\n');
      const std::string_view part = bytes.substr(0, end);
      if (!skipping && begun.size() + part.size() > kLineLimit) {
        skipping = true;
        begun = {};
        too_long();
      }
      if (!skipping) begun += part;
      if (end == std::string_view::npos) break;
      if (!skipping) Give(line, std::move(begun));
      begun.clear();
      skipping = false;
      bytes.remove_prefix(end + 1);
    }
  }
  if (!skipping && !begun.empty()) Give(line, std::move(begun));
}

bool LineWriter::Write(std::string message) {
  if (!open_) return false;
  std::ranges::replace_if(message, [](char c) { return c == '\n' || c == '\r'; }, ' ');
  message += '\n';
  std::string_view left = message;
  while (!left.empty()) {
    const ssize_t put = write(descriptor_, left.data(), left.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      Await(descriptor_, POLLOUT);
      continue;
    }
    if (put < 0) return open_ = false;
    left.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

}  // namespace sallyport::app
