// The head of an HTTP request as the server checks it, and the chunked coding behind it. Whatever
// we accept, Beast on its own has to read as exactly one message with the same fields and the same
// length.
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "net/http_chunks.h"
#include "net/http_head.h"

namespace {

using namespace sallyport::net;
namespace http = boost::beast::http;

void Require(bool holds) {
  if (!holds) std::abort();
}

/// The end of the head, found in pieces of `step` bytes.
std::expected<size_t, Refusal> FindHead(std::string_view data, size_t step) {
  HeadScanner scanner;
  for (size_t n = step; n < data.size(); n += step) {
    const auto found = scanner.Find(data.substr(0, n));
    if (!found || *found > 0) return found;
  }
  return scanner.Find(data);
}

/// The bytes of the message that starts `data`, as the server frames it; 0 if refused or not
/// complete.
size_t OurLength(std::string_view data, const RequestHead& head, size_t head_size, size_t step,
                 std::string& body) {
  const std::string_view rest = data.substr(head_size);
  if (head.framing.kind == Framing::Kind::none) return head_size;
  if (head.framing.kind == Framing::Kind::length) {
    if (rest.size() < head.framing.length) return 0;
    body = rest.substr(0, head.framing.length);
    return head_size + head.framing.length;
  }
  ChunkReader chunks(ChunkReader::Strictness::refuse_extras);
  size_t at = 0;
  while (at < rest.size() && !chunks.done()) {
    const auto used = chunks.Feed(rest.substr(at, step), body, 1 << 20);
    if (!used) return 0;
    at += *used;
  }
  return chunks.done() ? head_size + at : 0;
}

void CompareWithBeast(std::string_view message, const RequestHead& head, const std::string& body) {
  http::request_parser<http::string_body> parser;
  parser.eager(true);
  parser.header_limit(1 << 20);
  parser.body_limit(1 << 21);
  boost::beast::error_code error;
  size_t used = 0;
  // put() may stop between the head and the body.
  while (used < message.size() && !parser.is_done()) {
    const size_t n =
        parser.put(boost::asio::buffer(message.data() + used, message.size() - used), error);
    if (error || n == 0) break;
    used += n;
  }
  Require(!error && parser.is_done() && used == message.size());
  const auto& read = parser.get();
  Require(std::string_view(read.body()) == body);
  Require(std::string_view(read.target().data(), read.target().size()) == head.target);
  Require(std::string_view(read.method_string().data(), read.method_string().size()) ==
          head.method);
  Require(size_t(std::distance(read.begin(), read.end())) == head.headers.fields().size());
  for (const auto& [name, value] : head.headers.fields()) {
    Require(IsToken(name) && IsFieldValue(value));
    Require(read.count(boost::beast::string_view(name.data(), name.size())) ==
            head.headers.Count(name));
  }
}

void CheckResponse(std::string_view data, size_t head_size) {
  const auto head = ParseResponseHead(data.substr(0, head_size), false);
  if (!head || head->framing.kind != Framing::Kind::chunked) return;
  std::string whole, piecewise;
  ChunkReader at_once(ChunkReader::Strictness::ignore_extras),
      in_bytes(ChunkReader::Strictness::ignore_extras);
  const auto used = at_once.Feed(data.substr(head_size), whole, 1 << 20);
  for (size_t i = head_size; i < data.size() && !in_bytes.done(); ++i) {
    if (!in_bytes.Feed(data.substr(i, 1), piecewise, 1 << 20)) {
      Require(!used);
      return;
    }
  }
  Require(used && whole == piecewise && at_once.done() == in_bytes.done());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 2) return 0;
  const size_t step = bytes[0] % 64 + 1;
  const std::string_view data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  const auto found = FindHead(data, step);
  const auto whole = FindHead(data, data.size());
  Require(found.has_value() == whole.has_value() && (!found || *found == *whole));
  if (!found || *found == 0) return 0;
  CheckResponse(data, *found);
  const auto head = ParseRequestHead(data.substr(0, *found));
  if (!head) {
    Require(head.error().status >= 400 && !head.error().detail.empty());
    return 0;
  }
  Require(head->target.starts_with('/') || head->target == "*");
  Require(head->headers.Count("host") == 1 || head->old);
  std::string body;
  const size_t length = OurLength(data, *head, *found, step, body);
  if (length > 0) CompareWithBeast(data.substr(0, length), *head, body);
  return 0;
}
