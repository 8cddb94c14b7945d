#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/bytes.h"
#include "export/deliveries.h"

namespace sallyport::exporting {
namespace {

/// "t=<seconds>,v1=<hex HMAC-SHA-256 over "<seconds>.<body>">", docs/approvals.md.
std::string Signature(const Secret& key, int64_t seconds, std::string_view body) {
  const std::string time = std::to_string(seconds);
  const std::string text = time + "." + std::string(body);
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.Reveal().data(), static_cast<int>(key.Reveal().size()),
       AsBytes(text).data(), text.size(), mac, &size);
  return "t=" + time + ",v1=" + HexEncode(ByteView(mac, size));
}

class WebhookDelivery final : public Delivery {
 public:
  WebhookDelivery(Receiver receiver, ReadSecret url, ReadSecret token, ReadSecret key)
      : receiver_(std::move(receiver)),
        read_url_(std::move(url)),
        read_token_(std::move(token)),
        read_key_(std::move(key)) {}

  Result<> ReadSecrets() {
    SALLYPORT_TRY(url_, read_url_());
    if (read_token_) {
      SALLYPORT_TRY(token_, read_token_());
    }
    if (read_key_) {
      SALLYPORT_TRY(key_, read_key_());
    }
    return {};
  }

  Result<std::vector<Refused>> Send(const Batch& batch) override {
    auto refused = PostDividing(
        batch.items, [&](std::span<const Item> items) { return PostSome(batch.origin, items); });
    if (refused) end_ = batch.end();
    return refused;
  }

  Result<uint64_t> Confirmed() override { return end_; }
  uint64_t Restart(uint64_t cursor) override {
    end_ = 0;
    (void)ReadSecrets();  // they may have been the reason; else the old ones are tried again
    return cursor;
  }

 private:
  Result<Answer> PostSome(const std::string& origin, std::span<const Item> items) {
    std::string body;
    for (const Item& item : items) body.append(item.text).append("\n");
    HeaderList headers{{"Content-Type", "application/x-ndjson"},
                       // The same for every attempt with the same entries.
                       {"X-Sallyport-Delivery", origin + ":" + std::to_string(items.front().index) +
                                                    "-" + std::to_string(items.back().index)}};
    if (!token_.empty())
      headers.emplace_back("Authorization", "Bearer " + std::string(token_.Reveal()));
    if (!key_.empty()) {
      headers.emplace_back("X-Sallyport-Signature",
                           Signature(key_, SystemClock().WallNow() / 1'000'000'000, body));
    }
    SALLYPORT_TRY(const FetchResponse response,
                  Post(receiver_, std::string(url_.Reveal()), std::move(body), std::move(headers)));
    if (Taken(response)) return Answer{};
    return Answer{Answer::Kind::refused, "HTTP " + std::to_string(response.status)};
  }

  const Receiver receiver_;
  const ReadSecret read_url_, read_token_, read_key_;
  Secret url_, token_, key_;
  uint64_t end_ = 0;
};

}  // namespace

Result<std::unique_ptr<Delivery>> MakeWebhookDelivery(Receiver receiver, ReadSecret url,
                                                      ReadSecret token, ReadSecret key) {
  auto delivery = std::make_unique<WebhookDelivery>(std::move(receiver), std::move(url),
                                                    std::move(token), std::move(key));
  SALLYPORT_CHECK(delivery->ReadSecrets());
  return delivery;
}

}  // namespace sallyport::exporting
