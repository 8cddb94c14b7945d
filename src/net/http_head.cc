#include "net/http_head.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <charconv>
#include <cstring>

namespace sallyport::net {

namespace http = boost::beast::http;

namespace {

std::unexpected<Refusal> Refuse(std::string_view detail, int status = 400,
                                Errc reason = Errc::request_malformed) {
  return std::unexpected(Refusal{status, reason, detail});
}

constexpr auto kTokenTable = [] {
  std::array<bool, 256> table{};
  for (char c : std::string_view(
           "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    table[uint8_t(c)] = true;
  return table;
}();

bool IsDigits(std::string_view text) {
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return !text.empty();
}

/// What the strict pass learns about a head's fields.
struct Fields {
  size_t count = 0;
  std::optional<uint64_t> length;
  bool chunked = false;
  bool close = false;
  bool keep_alive = false;
  std::optional<std::string_view> host;
  bool expects_continue = false;
};

std::string_view Trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

void ReadConnection(std::string_view value, Fields& fields) {
  while (!value.empty()) {
    const size_t comma = value.find(',');
    const std::string_view option = Trim(value.substr(0, comma));
    if (SameName(option, "close")) fields.close = true;
    if (SameName(option, "keep-alive")) fields.keep_alive = true;
    value = comma == value.npos ? std::string_view() : value.substr(comma + 1);
  }
}

/// host [":" port] of RFC 9110 section 7.2: a registered name or IPv4 address, or an IPv6 one in
/// brackets.
bool IsHost(std::string_view text) {
  const size_t colon = text.starts_with('[')
                           ? text.find(':', text.find(']') == text.npos ? 0 : text.find(']'))
                           : text.find(':');
  if (colon != text.npos) {
    const std::string_view port = text.substr(colon + 1);
    if (!IsDigits(port) || port.size() > 5) return false;
    text = text.substr(0, colon);
  }
  if (text.starts_with('[')) {
    if (text.size() < 4 || !text.ends_with(']')) return false;
    return text.substr(1, text.size() - 2).find_first_not_of("0123456789abcdefABCDEF:.") ==
           text.npos;
  }
  if (text.empty()) return false;
  for (const char c : text) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '.' || c == '_' || c == '~';
    if (!fits) return false;
  }
  return true;
}

/// One field that decides about framing or routing; nothing else needs a look at its value.
std::expected<void, Refusal> ReadField(std::string_view name, std::string_view value,
                                       Fields& fields) {
  switch (name.size()) {
    case 4:
      if (SameName(name, "host")) {
        if (fields.host) return Refuse("Host is repeated", 400, Errc::host_refused);
        fields.host = value;
      }
      break;
    case 6:
      if (SameName(name, "expect")) {
        if (!SameName(value, "100-continue"))
          return Refuse("an expectation other than 100-continue", 417);
        fields.expects_continue = true;
      }
      break;
    case 10:
      if (SameName(name, "connection")) ReadConnection(value, fields);
      break;
    case 14:
      if (SameName(name, "content-length")) {
        if (fields.length) return Refuse("Content-Length is repeated");
        if (!IsDigits(value) || value.size() > 18) return Refuse("Content-Length is not a number");
        uint64_t length = 0;
        std::from_chars(value.data(), value.data() + value.size(), length);
        fields.length = length;
      }
      break;
    case 17:
      if (SameName(name, "transfer-encoding")) {
        if (fields.chunked) return Refuse("Transfer-Encoding is repeated");
        if (!SameName(value, "chunked")) return Refuse("a transfer coding other than chunked");
        fields.chunked = true;
      }
      break;
    default:
      break;
  }
  return {};
}

/// Splits off one line; HeadScanner has seen that each ends in CRLF.
std::string_view TakeLine(std::string_view& head) {
  const size_t end = head.find('\n');
  std::string_view line = head.substr(0, end == head.npos ? head.size() : end);
  head.remove_prefix(end == head.npos ? head.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// The strict pass over the field lines and the empty line behind them.
std::expected<Fields, Refusal> CheckFields(std::string_view lines) {
  Fields fields;
  for (;;) {
    const std::string_view line = TakeLine(lines);
    if (line.empty()) break;
    if (line[0] == ' ' || line[0] == '\t') return Refuse("a folded field");
    const size_t colon = line.find(':');
    if (colon == line.npos) return Refuse("a field without a colon");
    const std::string_view name = line.substr(0, colon);
    if (!IsToken(name)) return Refuse("a field name that is not a token");
    const std::string_view value = Trim(line.substr(colon + 1));
    if (!IsFieldValue(value)) return Refuse("a control character in a field");
    if (++fields.count > kFieldLimit)
      return Refuse("too many fields", 431, Errc::request_too_large);
    if (auto read = ReadField(name, value, fields); !read) return std::unexpected(read.error());
  }
  if (!lines.empty()) return Refuse("bytes behind the head");
  if (fields.chunked && fields.length) return Refuse("Content-Length beside Transfer-Encoding");
  return fields;
}

/// Beast's view of a head: the fields, in order.
template <bool kRequest>
class Splitter final : public http::basic_parser<kRequest> {
 public:
  explicit Splitter(size_t limit) {
    this->eager(false);
    this->header_limit(std::uint32_t(limit));
    this->body_limit(boost::none);
  }
  std::string method, target;
  int status = 0;
  Headers headers;

 private:
  using Text = boost::beast::string_view;
  using Code = boost::beast::error_code;
  static std::string Copy(Text text) { return {text.data(), text.size()}; }

  void on_request_impl(http::verb, Text method_text, Text target_text, int, Code&) override {
    method = Copy(method_text), target = Copy(target_text);
  }
  void on_response_impl(int code, Text, int, Code&) override { status = code; }
  void on_field_impl(http::field, Text name, Text value, Code&) override {
    headers.Add(Copy(name), Copy(value));
  }
  void on_header_impl(Code&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, Code&) override {}
  std::size_t on_body_impl(Text body, Code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, Text, Code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, Code&) override { return body.size(); }
  void on_finish_impl(Code&) override {}
};

/// Lets Beast split `head`; refuses unless it takes all of it as one head with `count` fields.
template <bool kRequest>
std::expected<void, Refusal> Split(Splitter<kRequest>& splitter, std::string_view head,
                                   size_t count) {
  splitter.headers.Reserve(count);
  boost::beast::error_code error;
  const size_t used = splitter.put(boost::asio::buffer(head.data(), head.size()), error);
  if (error || !splitter.is_header_done() || used != head.size() ||
      splitter.headers.fields().size() != count)
    return Refuse("a malformed head");
  return {};
}

struct RequestLine {
  std::string_view method, target;
  bool old = false;
};

std::expected<RequestLine, Refusal> CheckRequestLine(std::string_view line) {
  RequestLine read;
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == line.npos || first == last) return Refuse("a malformed request line");
  read.method = line.substr(0, first);
  read.target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!IsToken(read.method) || read.method.size() > 32) return Refuse("a malformed method");
  if (version.size() != 8 || !version.starts_with("HTTP/") || version[6] != '.' ||
      !IsDigits(version.substr(5, 1)) || !IsDigits(version.substr(7)))
    return Refuse("a malformed HTTP version");
  if (version != "HTTP/1.1" && version != "HTTP/1.0")
    return Refuse("an HTTP version other than 1.1", 505);
  read.old = version == "HTTP/1.0";
  for (const char c : read.target) {
    if (uint8_t(c) <= 0x20 || uint8_t(c) >= 0x7f || c == '#') return Refuse("a malformed target");
  }
  const bool asterisk = read.target == "*" && read.method == "OPTIONS";
  if (!read.target.starts_with('/') && !asterisk)
    return Refuse("a target that is not in origin form");
  return read;
}

}  // namespace

bool IsToken(std::string_view text) {
  for (const char c : text) {
    if (!kTokenTable[uint8_t(c)]) return false;
  }
  return !text.empty();
}

bool IsFieldValue(std::string_view text) {
  unsigned bad = 0;  // no early way out: so the loop becomes vector instructions
  for (const char c : text) {
    const auto b = uint8_t(c);
    bad |= unsigned(b < 0x20) & unsigned(b != '\t');
    bad |= unsigned(b == 0x7f);
  }
  return bad == 0;
}

std::expected<size_t, Refusal> HeadScanner::Find(std::string_view data) {
  while (at_ < data.size()) {
    const void* found = std::memchr(data.data() + at_, '\n', data.size() - at_);
    if (found == nullptr) {
      at_ = data.size();
      break;
    }
    const size_t lf = size_t(static_cast<const char*>(found) - data.data());
    if (lf == 0 || data[lf - 1] != '\r') return Refuse("a line that ends in a bare LF");
    const bool empty = lf == line_ + 1;
    if (empty && line_ == 0) return Refuse("an empty first line");
    at_ = line_ = lf + 1;
    if (empty) return at_;
  }
  return 0;
}

std::expected<RequestHead, Refusal> ParseRequestHead(std::string_view head) {
  std::string_view rest = head;
  const auto line = CheckRequestLine(TakeLine(rest));
  if (!line) return std::unexpected(line.error());
  const auto fields = CheckFields(rest);
  if (!fields) return std::unexpected(fields.error());
  if (!fields->host && !line->old) return Refuse("Host is missing", 400, Errc::host_refused);
  if (fields->host && !IsHost(*fields->host))
    return Refuse("Host is malformed", 400, Errc::host_refused);
  if (fields->chunked && line->old) return Refuse("Transfer-Encoding in HTTP/1.0");

  Splitter<true> splitter(head.size() + 1);
  if (auto split = Split(splitter, head, fields->count); !split)
    return std::unexpected(split.error());
  if (splitter.method != line->method || splitter.target != line->target)
    return Refuse("a malformed request line");

  RequestHead request;
  request.method = std::move(splitter.method);
  request.target = std::move(splitter.target);
  request.headers = std::move(splitter.headers);
  request.old = line->old;
  request.keep_alive = !line->old && !fields->close;
  request.expects_continue = fields->expects_continue && !line->old;
  if (fields->chunked) {
    request.framing.kind = Framing::Kind::chunked;
  } else if (fields->length.value_or(0) > 0) {
    request.framing = Framing{Framing::Kind::length, *fields->length};
  }
  return request;
}

std::expected<ResponseHead, Refusal> ParseResponseHead(std::string_view head, bool to_head) {
  std::string_view rest = head;
  const std::string_view line = TakeLine(rest);
  const bool known = line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ");
  if (!known || line.size() < 12 || !IsDigits(line.substr(9, 3)) ||
      (line.size() > 12 && line[12] != ' ') || !IsFieldValue(line))
    return Refuse("a malformed status line");
  const bool old = line[7] == '0';
  const auto fields = CheckFields(rest);
  if (!fields) return std::unexpected(fields.error());

  // Beast wants the space behind the status that servers leave out where there is no reason phrase.
  std::string padded;
  if (line.size() == 12) {
    padded.append(line).append(" ").append(head.substr(12));
    head = padded;
  }
  Splitter<false> splitter(head.size() + 1);
  if (auto split = Split(splitter, head, fields->count); !split)
    return std::unexpected(split.error());

  ResponseHead response;
  response.status = splitter.status;
  response.headers = std::move(splitter.headers);
  response.keep_alive = old ? fields->keep_alive : !fields->close;
  if (response.status < 100) return Refuse("a malformed status line");
  if (to_head || response.status < 200 || response.status == 204 || response.status == 304)
    return response;
  if (fields->chunked) {
    if (old) return Refuse("Transfer-Encoding in HTTP/1.0");
    response.framing.kind = Framing::Kind::chunked;
  } else if (fields->length) {
    if (*fields->length > 0) response.framing = Framing{Framing::Kind::length, *fields->length};
  } else {
    response.framing.kind = Framing::Kind::until_close;
    response.keep_alive = false;
  }
  return response;
}

}  // namespace sallyport::net
