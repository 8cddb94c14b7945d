#include "net/http_response.h"

#include <array>
#include <atomic>
#include <charconv>
#include <ctime>
#include <utility>

#include "net/http_head.h"
#include "obs/metrics.h"

namespace sallyport::net {

namespace {

/// The reason phrases of RFC 9110.
constexpr std::pair<int, std::string_view> kPhrases[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

std::string_view ReasonPhrase(int status) {
  for (const auto& [known, phrase] : kPhrases) {
    if (known == status) return phrase;
  }
  return {};  // allowed to be empty
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

void CountResponse(int status) {
  static obs::Family<obs::Counter>& family = obs::Metrics().counters(
      "sallyport_http_responses_total", "Responses to requests that reached a handler, by status.",
      {"status"});
  // On the path of every request: the series of a status is looked up once.
  static std::array<std::atomic<obs::Counter*>, 600> known{};
  if (status < 0 || size_t(status) >= known.size()) return;
  auto& slot = known[size_t(status)];
  obs::Counter* counter = slot.load(std::memory_order_acquire);
  if (counter == nullptr) {
    counter = &family.With({std::to_string(status)});
    slot.store(counter, std::memory_order_release);
  }
  counter->Add();
}

void CountRefusal(int status) {
  obs::Metrics()
      .counters("sallyport_http_refused_total",
                "Requests and connections refused before a handler saw them, by status.",
                {"status"})
      .With({std::to_string(status)})
      .Add();
}

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
