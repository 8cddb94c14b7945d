#include <algorithm>
#include <deque>
#include <optional>

#include "export/deliveries.h"
#include "export/wire.h"

// RFC 5424 (the message), RFC 5425 and RFC 6587 section 3.4.1 (octet counting).

namespace sallyport::exporting {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kConnectLimit{10'000};
constexpr milliseconds kWriteLimit{30'000};  // for the receiver to take one byte
constexpr size_t kHeaderBytes = 512;         // more than any header here
constexpr uint64_t kSequenceIds = 2'147'483'647;
/// A connection that ends in order so long after the last line has had all of them read.
constexpr std::chrono::seconds kSettled{10};

/// RFC 5424 section 6.2.1; facility 13, log audit.
int PriorityOf(Severity severity) {
  static constexpr int kLevels[] = {5, 6, 5, 4, 3, 2, 0};
  return 13 * 8 + kLevels[int(severity)];
}

/// Printable ASCII without spaces, or the nil value.
std::string HeaderField(std::string_view text, size_t limit) {
  std::string out;
  for (const char c : text.substr(0, limit)) out += c > 0x20 && c < 0x7f ? c : '_';
  return out.empty() ? "-" : out;
}

std::string TimeStamp(Nanos at) {
  if (at <= 0) return "-";
  std::string text = FormatUtc(at);  // with nanoseconds; six digits are allowed
  return text.substr(0, 26) + "Z";
}

std::string MessageFor(std::string_view origin, const Item& item) {
  std::string out = "<" + std::to_string(PriorityOf(item.severity)) + ">1 " + TimeStamp(item.at);
  out += " " + HeaderField(origin.substr(0, origin.find('/')), 255);
  out += " sallyport - " + HeaderField(item.event, 32);
  // RFC 5424 section 7.3.1: a receiver sees by it that a message is missing.
  out += " [meta sequenceId=\"" + std::to_string(item.index % kSequenceIds + 1) + "\"] ";
  return out + item.text;
}

class SyslogDelivery final : public Delivery {
 public:
  SyslogDelivery(SyslogTarget target, std::stop_token stop)
      : target_(std::move(target)), stop_(std::move(stop)) {}

  Result<std::vector<Refused>> Send(const Batch& batch) override {
    // One that has ended is not written to: what goes there is lost.
    SALLYPORT_CHECK(CheckWire());
    if (!wire_) SALLYPORT_CHECK(Connect());
    std::string lines;
    for (const Item& item : batch.items) {
      const std::string message = MessageFor(batch.origin, item);
      lines.append(std::to_string(message.size())).append(" ").append(message);
    }
    SALLYPORT_CHECK(wire_->Write(lines, kWriteLimit));
    wrote_at_ = steady_clock::now();
    marks_.push_back({wire_->written(), batch.end()});
    return std::vector<Refused>{};
  }

  Result<uint64_t> Confirmed() override {
    if (!wire_) return end_;
    TakeMarks();
    SALLYPORT_CHECK(CheckWire());
    return end_;
  }

  uint64_t Restart(uint64_t cursor) override {
    wire_.reset();
    marks_.clear();
    end_ = 0;
    return cursor - std::min<uint64_t>(cursor, target_.resend);
  }

  size_t window() const override { return 4; }
  size_t batch_bytes() const override { return 256 << 10; }

 private:
  struct Mark {
    uint64_t written;  // on this connection
    uint64_t end;
  };

  void TakeMarks() {
    const uint64_t acknowledged = wire_->acknowledged();
    while (!marks_.empty() && marks_.front().written <= acknowledged) {
      end_ = marks_.front().end;
      marks_.pop_front();
    }
  }

  Result<> CheckWire() {
    if (!wire_) return {};
    const Wire::State state = wire_->Look();
    if (state == Wire::State::open) return {};
    const bool settled =
        state == Wire::State::ended && marks_.empty() && steady_clock::now() - wrote_at_ > kSettled;
    wire_.reset();
    if (settled) return {};  // an idle connection: a new one when there is something to send
    return Fail(Errc::upstream_closed, "the receiver ended the connection");
  }

  Result<> Connect() {
    net::TlsContext context;
    if (target_.tls) {
      SALLYPORT_TRY(context, net::MakeClientContext(
                                 {.ca_file = target_.ca,
                                  .certificate_file = target_.client_cert,
                                  .key_file = target_.client_key ? target_.client_key->name : ""}));
    }
    SALLYPORT_TRY(wire_, Wire::Connect(target_.host, target_.port, context, kConnectLimit, stop_));
    return {};
  }

  const SyslogTarget target_;
  const std::stop_token stop_;
  std::unique_ptr<Wire> wire_;
  std::deque<Mark> marks_;
  steady_clock::time_point wrote_at_{};
  uint64_t end_ = 0;
};

}  // namespace

std::unique_ptr<Delivery> MakeSyslogDelivery(SyslogTarget target, std::stop_token stop) {
  return std::make_unique<SyslogDelivery>(std::move(target), std::move(stop));
}

size_t SyslogEventBytes(uint32_t line_bytes) { return line_bytes - kHeaderBytes; }

}  // namespace sallyport::exporting
