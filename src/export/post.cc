#include "export/post.h"

namespace sallyport::exporting {

Result<FetchResponse> Post(const Receiver& receiver, std::string url, std::string body,
                           HeaderList headers) {
  FetchRequest request;
  request.url = std::move(url);
  request.method = "POST";
  request.body = std::move(body);
  request.headers = std::move(headers);
  request.headers.emplace_back("User-Agent", "sallyport");
  request.ca_file = receiver.reach.ca;
  request.allow_addresses = receiver.reach.allow_addresses;
  if (request.allow_addresses.empty()) {
    request.allow_addresses = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
                               "fc00::/7"};
  }
  request.allow_loopback_http = true;
  request.timeout = std::chrono::milliseconds(30'000);
  request.stop = receiver.stop;
  SALLYPORT_TRY(FetchResponse response, receiver.fetch(request));
  const int status = response.status;
  if (Taken(response) || status == 400 || status == 413 || status == 422) return response;
  const bool login = status == 401 || status == 403;
  return Fail(login ? Errc::upstream_login_failed : Errc::upstream_protocol,
              "the receiver answered " + std::to_string(status));
}

}  // namespace sallyport::exporting
