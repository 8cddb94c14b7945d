#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

// Standard input and output of `sallyport connect`: one JSON-RPC message a line (MCP, stdio
// transport). Descriptors of every kind are allowed, also files, which no event loop can watch: so
// a thread reads, and writing blocks.

namespace sallyport::app {

/// What may stand in one line, and what may wait to be dealt with.
constexpr size_t kLineLimit = 16u << 20;
constexpr size_t kWaitingLimit = 32u << 20;

/// Reads lines of a descriptor on the thread that calls Run.
class LineReader {
 public:
  explicit LineReader(int descriptor) : descriptor_(descriptor) {}

  /// `line` gets each line without its end; an empty one is skipped. `too_long` is told of a line
  /// beyond kLineLimit, of which nothing is kept. Returns at the end of the input or at an error of
  /// it. Reading rests while kWaitingLimit bytes were given to `line` and not yet to Done.
  void Run(const std::function<void(std::string)>& line, const std::function<void()>& too_long);
  /// So many bytes of lines were dealt with. Any thread.
  void Done(size_t bytes);

 private:
  void Give(const std::function<void(std::string)>& line, std::string text);

  const int descriptor_;
  std::mutex mutex_;
  std::condition_variable room_;
  size_t waiting_ = 0;
};

/// Writes lines to a descriptor; one thread. False once the reader of it has gone.
class LineWriter {
 public:
  explicit LineWriter(int descriptor) : descriptor_(descriptor) {}
  /// `message` is JSON: line breaks in it can only be white space, and become blanks.
  bool Write(std::string message);
  bool open() const { return open_; }

 private:
  const int descriptor_;
  bool open_ = true;
};

}  // namespace sallyport::app
