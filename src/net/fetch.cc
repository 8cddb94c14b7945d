#include "net/fetch.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>
#include <curl/curl.h>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>

namespace sallyport::net {
namespace {

constexpr size_t kMaxHeaderBytes = 64 * 1024;

/// An IPv6 address, or an IPv4 one in its mapped form ::ffff:a.b.c.d.
using Address = std::array<uint8_t, 16>;
constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct Network {
  Address base{};
  int bits = 128;

  bool Contains(const Address& a) const {
    int whole = bits / 8, rest = bits % 8;
    if (!std::equal(a.begin(), a.begin() + whole, base.begin())) return false;
    return rest == 0 || ((a[size_t(whole)] ^ base[size_t(whole)]) >> (8 - rest)) == 0;
  }
};

Address Map4(const uint8_t* v4) {
  Address a{};
  std::ranges::copy(kMapped, a.begin());
  std::memcpy(a.data() + 12, v4, 4);
  return a;
}

bool Is4(const Address& a) { return std::equal(kMapped.begin(), kMapped.end(), a.begin()); }

std::optional<Address> ParseAddress(std::string_view text) {
  std::string z(text);
  Address a{};
  if (inet_pton(AF_INET6, z.c_str(), a.data()) == 1) return a;
  std::array<uint8_t, 4> v4{};
  if (inet_pton(AF_INET, z.c_str(), v4.data()) == 1) return Map4(v4.data());
  return std::nullopt;
}

Result<Network> ParseNetwork(std::string_view text) {
  auto bad = [&] {
    return Fail(Errc::config_invalid,
                "\"" + std::string(text) + "\" is not an address or a CIDR such as 10.0.0.0/8");
  };
  size_t slash = text.find('/');
  auto base = ParseAddress(text.substr(0, slash));
  if (!base) return bad();
  Network n{*base, 128};
  if (slash == text.npos) return n;
  std::string_view digits = text.substr(slash + 1);
  bool v4 = text.substr(0, slash).find(':') == text.npos;
  int bits = -1;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (error != std::errc() || end != digits.data() + digits.size() || bits < 0 ||
      bits > (v4 ? 32 : 128)) {
    return bad();
  }
  n.bits = v4 ? 96 + bits : bits;
  return n;
}

/// The address that a connection ends up at: IPv4 is also reached through NAT64 and 6to4.
Address Effective(const Address& a) {
  constexpr std::array<uint8_t, 12> nat64{0, 0x64, 0xff, 0x9b};
  if (std::equal(nat64.begin(), nat64.end(), a.begin())) return Map4(a.data() + 12);
  if (a[0] == 0x20 && a[1] == 0x02) return Map4(a.data() + 2);
  return a;
}

/// Public unicast by the IANA special-purpose registries (RFC 6890), documentation ranges excluded.
bool IsPublic(const Address& a) {
  if (!Is4(a)) {
    bool global = (a[0] & 0xe0) == 0x20;                                // 2000::/3
    bool special = a[0] == 0x20 && a[1] == 0x01 && (a[2] & 0xfe) == 0;  // 2001::/23, Teredo …
    bool documentation = (a[0] == 0x20 && a[1] == 0x01 && a[2] == 0x0d && a[3] == 0xb8) ||
                         (a[0] == 0x3f && a[1] == 0xff && (a[2] & 0xf0) == 0);
    return global && !special && !documentation;
  }
  static const std::vector<Network> kSpecial = [] {
    std::vector<Network> out;
    for (auto cidr :
         {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
          "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
          "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"}) {
      out.push_back(*ParseNetwork(cidr));
    }
    return out;
  }();
  return std::ranges::none_of(kSpecial, [&](const Network& n) { return n.Contains(a); });
}

bool IsLoopback(const Address& a) {
  if (Is4(a)) return a[12] == 127;
  Address one{};
  one[15] = 1;
  return a == one;
}

/// What the callbacks of one exchange share.
struct Exchange {
  const FetchRequest& request;
  std::vector<Network> allow;
  bool loopback_host = false;  // spelled as loopback in the URL, and allowed
  bool plain = false;          // http may be spoken
  FetchResponse response;
  size_t header_bytes = 0;
  bool address_refused = false;
  bool too_large = false;
};

bool MayConnect(const Exchange& x, const Address& address) {
  if (x.loopback_host) return IsLoopback(address);
  Address a = Effective(address);
  return IsPublic(a) || std::ranges::any_of(x.allow, [&](const Network& n) {
           return n.Contains(a) || n.Contains(address);
         });
}

// Callbacks of libcurl; `user` is the Exchange.

curl_socket_t OpenSocket(void* user, curlsocktype, curl_sockaddr* peer) {
  auto& x = *static_cast<Exchange*>(user);
  std::optional<Address> address;
  if (peer->family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &peer->addr, sizeof in);
    address = Map4(reinterpret_cast<const uint8_t*>(&in.sin_addr.s_addr));
  } else if (peer->family == AF_INET6) {
    sockaddr_in6 in6{};  // curl_sockaddr has room for it behind `addr`
    std::memcpy(&in6, &peer->addr, sizeof in6);
    address.emplace();
    std::memcpy(address->data(), in6.sin6_addr.s6_addr, 16);
  }
  if (!address || !MayConnect(x, *address)) {
    x.address_refused = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(peer->family, peer->socktype | SOCK_CLOEXEC, peer->protocol);
}

size_t OnBody(char* data, size_t, size_t size, void* user) {
  auto& x = *static_cast<Exchange*>(user);
  if (size > x.request.max_body - x.response.body.size()) {
    x.too_large = true;
    return 0;  // ends the transfer
  }
  x.response.body.append(data, size);
  return size;
}

size_t OnHeader(char* data, size_t, size_t size, void* user) {
  auto& x = *static_cast<Exchange*>(user);
  x.header_bytes += size;
  if (x.header_bytes > kMaxHeaderBytes) {
    x.too_large = true;
    return 0;
  }
  std::string_view line(data, size);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) x.response.headers.clear();  // an interim response went before
  size_t colon = line.find(':');
  if (colon == line.npos || line.starts_with("HTTP/")) return size;
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(), [](uint8_t c) { return char(std::tolower(c)); });
  line.remove_prefix(colon + 1);
  while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
  while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
  x.response.headers.emplace_back(std::move(name), line);
  return size;
}

int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<Exchange*>(user)->request.stop.stop_requested() ? 1 : 0;
}

template <auto F>
struct CurlFree {
  template <class T>
  void operator()(T* p) const {
    F(p);
  }
};
using Handle = std::unique_ptr<CURL, CurlFree<curl_easy_cleanup>>;
using Url = std::unique_ptr<CURLU, CurlFree<curl_url_cleanup>>;
using List = std::unique_ptr<curl_slist, CurlFree<curl_slist_free_all>>;

std::string Part(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return {};
  std::string out(text);
  curl_free(text);
  return out;
}

/// The addresses of AWS's services for containers and instances, which speak plain HTTP on the
/// machine itself. Only for those who allow exactly the one that the URL spells.
bool IsMachineService(std::string host, const FetchRequest& request) {
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  constexpr std::array<std::string_view, 5> kServices = {
      "169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"};
  return std::ranges::find(kServices, host) != kServices.end() &&
         std::ranges::find(request.allow_addresses, host) != request.allow_addresses.end();
}

/// Reads the URL with the parser that will also be used to connect, so that the two cannot
/// disagree.
Result<Url> ParseTarget(const FetchRequest& request, Exchange& x) {
  Url url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, request.url.c_str(), CURLU_DISALLOW_USER) !=
      CURLUE_OK) {
    return Fail(Errc::config_invalid, "the URL is malformed or carries a user name");
  }
  std::string scheme = Part(url.get(), CURLUPART_SCHEME), host = Part(url.get(), CURLUPART_HOST);
  bool loopback = host == "127.0.0.1" || host == "[::1]" || host == "localhost";
  x.loopback_host = request.allow_loopback_http && loopback;
  x.plain = x.plain || x.loopback_host || IsMachineService(host, request);
  if (scheme != "https" && !(scheme == "http" && x.plain)) {
    return Fail(Errc::config_invalid, "the URL must be https");
  }
  return url;
}

void Configure(CURL* h, CURLU* url, curl_slist* headers, Exchange& x) {
  const FetchRequest& r = x.request;
  curl_easy_setopt(h, CURLOPT_CURLU, url);
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, x.plain ? "https,http" : "https");
  curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(h, CURLOPT_PROXY, "");
  curl_easy_setopt(h, CURLOPT_NETRC, long(CURL_NETRC_IGNORED));
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  // Else a name server that does not answer holds the call beyond its timeout.
  curl_easy_setopt(h, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(h, CURLOPT_HTTP_VERSION, long(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(h, CURLOPT_SSLVERSION, long(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, long(r.timeout.count()));
  curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, long(r.timeout.count()));
  if (!r.ca_file.empty()) {
    curl_easy_setopt(h, CURLOPT_CAINFO, r.ca_file.c_str());
    curl_easy_setopt(h, CURLOPT_CAPATH, nullptr);  // else the system's directory is trusted as well
  }
  if (r.method == "PUT") curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, "PUT");
  if (r.method != "GET") {
    curl_easy_setopt(h, CURLOPT_POST, 1L);
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(r.body.size()));
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, r.body.c_str());
  }
  curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, OpenSocket);
  curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, &x);
  curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(h, CURLOPT_WRITEDATA, &x);
  curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(h, CURLOPT_HEADERDATA, &x);
  curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, OnProgress);
  curl_easy_setopt(h, CURLOPT_XFERINFODATA, &x);
}

Result<List> HeaderList(const FetchRequest& request) {
  List list;
  for (const auto& [name, value] : request.headers) {
    if ((name + value).find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return Fail(Errc::config_invalid, "a request header holds a line break");
    }
    // "Name;" is curl's spelling of an empty value.
    std::string line = value.empty() ? name + ";" : name + ": " + value;
    curl_slist* grown = curl_slist_append(list.get(), line.c_str());
    if (grown == nullptr) return Fail(Errc::internal, "out of memory");
    if (!list) list.reset(grown);  // later lines are appended to the same head
  }
  return list;
}

Error Explain(CURLcode code, const Exchange& x) {
  if (x.too_large) return Error(Errc::upstream_too_large, "the response is larger than allowed");
  if (x.address_refused) {
    return Error(
        Errc::upstream_unreachable,
        "the host has no public address; an internal one must be allowed (allow_addresses)");
  }
  std::string text = curl_easy_strerror(code);
  switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
      return Error(Errc::cancelled, "stopped");
    case CURLE_OPERATION_TIMEDOUT:
      return Error(Errc::upstream_timeout, text);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
      return Error(Errc::upstream_protocol, text);
    default:
      return Error(Errc::upstream_unreachable, text);
  }
}

Result<FetchResponse> Fetch(const FetchRequest& request, bool plain) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });

  Exchange x{.request = request};
  x.plain = plain;
  for (const auto& text : request.allow_addresses) {
    SALLYPORT_TRY(Network n, ParseNetwork(text));
    x.allow.push_back(n);
  }
  if (request.method != "GET" && request.method != "POST" && request.method != "PUT") {
    return Fail(Errc::config_invalid, "the method must be GET, POST or PUT");
  }
  SALLYPORT_TRY(Url url, ParseTarget(request, x));
  SALLYPORT_TRY(List headers, HeaderList(request));
  Handle handle(curl_easy_init());
  if (!handle) return Fail(Errc::internal, "libcurl cannot start");
  Configure(handle.get(), url.get(), headers.get(), x);
  if (CURLcode code = curl_easy_perform(handle.get()); code != CURLE_OK) {
    return std::unexpected(Explain(code, x));
  }
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  x.response.status = int(status);
  return std::move(x.response);
}

}  // namespace

Result<FetchResponse> FetchPlainUrl(const FetchRequest& request) { return Fetch(request, true); }

Result<FetchResponse> FetchUrl(const FetchRequest& request) { return Fetch(request, false); }

Result<> CheckAddress(std::string_view address, const std::vector<std::string>& allow) {
  auto a = ParseAddress(address);
  if (!a) return Fail(Errc::config_invalid, "not an IP address");
  FetchRequest request;
  Exchange x{.request = request};
  for (const auto& text : allow) {
    SALLYPORT_TRY(Network n, ParseNetwork(text));
    x.allow.push_back(n);
  }
  if (MayConnect(x, *a)) return {};
  return Fail(Errc::upstream_unreachable, "the address is not public and not allowed");
}

}  // namespace sallyport::net
