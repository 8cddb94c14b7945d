#include "net/http_response.h"

#include <charconv>
#include <ctime>

#include "net/http_head.h"

namespace sallyport::net {

namespace {

/// The reason phrase of `status`, as RFC 9110 has it.
std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

/// "Date: …\r\n" of this second. Valid until the next call on this thread.
std::string_view DateLine() {
  thread_local time_t second = -1;
  thread_local char line[64];
  thread_local size_t length = 0;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != second) {
    second = now.tv_sec;
    tm utc{};
    ::gmtime_r(&second, &utc);
    // strftime's names follow the locale, which this program never sets: "C".
    length = std::strftime(line, sizeof line, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
  }
  return {line, length};
}

/// A field that decides about framing: two of them, and two readers may disagree.
bool IsOurs(std::string_view name) {
  switch (name.size()) {
    case 10:
      return SameName(name, "connection");
    case 14:
      return SameName(name, "content-length");
    case 17:
      return SameName(name, "transfer-encoding");
    default:
      return false;
  }
}

}  // namespace

bool HasNoBody(int status) { return status < 200 || status == 204 || status == 304; }

std::string BuildResponseHead(int status, const Headers& headers) {
  std::string head;
  head.reserve(512);
  char digits[8];
  head += "HTTP/1.1 ";
  head.append(digits, std::to_chars(digits, digits + sizeof digits, status).ptr);
  head += ' ';
  head += ReasonPhrase(status);
  head += "\r\n";
  for (const auto& [name, value] : headers.fields()) {
    if (!IsToken(name) || !IsFieldValue(value) || IsOurs(name)) return {};
    head.append(name).append(": ").append(value).append("\r\n");
  }
  head += DateLine();
  return head;
}

void AppendLength(std::string& head, size_t length) {
  char digits[24];
  head += "Content-Length: ";
  head.append(digits, std::to_chars(digits, digits + sizeof digits, length).ptr);
  head += "\r\n";
}

}  // namespace sallyport::net
