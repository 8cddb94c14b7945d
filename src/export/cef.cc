#include <arpa/inet.h>

#include "export/format.h"

// ArcSight Common Event Format, revision 25:
// CEF:0|vendor|product|version|id|name|severity|extension

namespace sallyport::exporting {
namespace {

/// Text inside of a message: characters that end a line for some receiver become spaces.
template <class Escape>
void AppendPlain(std::string& out, std::string_view text, Escape escape) {
  const auto at = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned c = at(i);
    if (escape(text[i])) continue;
    if (c < 0x20 || c == 0x7f) {
      out += ' ';
    } else if (c == 0xc2 && at(i + 1) < 0xa0) {
      out += ' ', ++i;
    } else if (c == 0xe2 && at(i + 1) == 0x80 && (at(i + 2) == 0xa8 || at(i + 2) == 0xa9)) {
      out += ' ', i += 2;
    } else {
      out += text[i];
    }
  }
}

void AppendHeader(std::string& out, std::string_view text) {
  AppendPlain(out, text, [&](char c) {
    if (c != '|' && c != '\\') return false;
    out += '\\';
    out += c;
    return true;
  });
}

/// The extension: members that are not there are left out.
class Extension {
 public:
  Extension(std::string& out, size_t limit) : out_(out), limit_(limit) {}

  void Text(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    Begin(key);
    AppendPlain(out_, CutText(value, limit_), [&](char c) {
      if (c == '\\' || c == '=')
        out_ += '\\', out_ += c;
      else if (c == '\n')
        out_ += "\\n";
      else if (c == '\r')
        out_ += "\\r";
      else
        return false;
      return true;
    });
  }
  void Number(std::string_view key, int64_t value) {
    Begin(key);
    out_ += std::to_string(value);
  }
  /// One of the fields that everybody gives their own meaning.
  void Labelled(std::string_view key, std::string_view label, std::string_view value) {
    if (value.empty()) return;
    Text(std::string(key) + "Label", label);
    Text(key, value);
  }

 private:
  void Begin(std::string_view key) {
    if (!first_) out_ += ' ';
    first_ = false;
    out_ += key;
    out_ += '=';
  }

  std::string& out_;
  const size_t limit_;
  bool first_ = true;
};

void Address(Extension& x, std::string_view address) {
  unsigned char bytes[16];
  const std::string text(address);
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1)
    x.Text("src", text);
  else if (inet_pton(AF_INET6, text.c_str(), bytes) == 1)
    x.Labelled("c6a2", "Source IPv6 Address", text);
  else
    x.Text("shost", text);
}

/// CEF counts from 0 to 10.
int SeverityNumber(Severity severity) {
  static constexpr int kNumbers[] = {5, 2, 4, 6, 8, 9, 10};
  return kNumbers[int(severity)];
}

}  // namespace

std::string RenderCef(const Style& style, const Event& e, const Facts& f, Extent extent) {
  std::string out = "CEF:0|sallyport|sallyport|";
  AppendHeader(out, style.version);
  out += '|';
  AppendHeader(out, f.event);
  out += '|';
  AppendHeader(out, f.event);  // the name, for people: nothing that a caller wrote
  out += '|' + std::to_string(SeverityNumber(f.severity)) + '|';

  Extension x(out, extent == Extent::full ? 4096 : 200);
  x.Text("externalId", UidOf(e));
  x.Number("rt", f.at / 1'000'000);
  x.Text("dvchost", e.origin);
  x.Text("cn1Label", "index");
  x.Number("cn1", int64_t(e.index));
  x.Labelled("cs1", "leafHash", e.leaf);
  if (f.ok) x.Text("outcome", *f.ok ? "success" : "failure");
  if (extent == Extent::bare) {
    x.Text("cs6Label", "cut");
    x.Text("cs6", "true");
    return out;
  }
  x.Text("act", f.verdict);
  x.Text("reason", f.reason.empty() ? f.code : f.reason);
  x.Text("suser", f.who.name.empty() ? f.who.label() : f.who.name);
  x.Text("suid", f.who.subject);
  x.Text("sntdom", f.who.issuer);
  x.Text("sproc", f.who.agent);
  x.Text("duser", f.by_name);
  Address(x, f.address);
  x.Text("requestClientApplication", f.client);
  x.Text("app", f.front_end);
  x.Text("destinationServiceName", f.connection);
  x.Text("requestMethod", f.method);
  x.Text("request", f.resource);
  x.Labelled("cs2", "decision", f.decision_id);
  x.Labelled("cs3", "rules", f.rules ? f.rules.raw() : std::string_view());
  x.Labelled("cs4", "session", f.session_id);
  x.Labelled("cs5", "trace", f.trace);
  x.Text("deviceExternalId", f.policy_version);
  if (f.intent) {
    x.Text("cn2Label", "intent");
    x.Number("cn2", *f.intent);
  }
  if (f.duration_us) {
    x.Text("cn3Label", "durationMicroseconds");
    x.Number("cn3", *f.duration_us);
  }
  if (f.count && *f.count > 0) x.Number("cnt", *f.count);
  const bool cut = extent != Extent::full || f.request_cut || f.statement.size() > 4096 ||
                   (f.arguments && f.arguments.raw().size() > 4096);
  if (extent == Extent::full) {
    x.Text("msg", !f.statement.empty() ? f.statement : f.arguments ? f.arguments.raw() : f.detail);
  } else {
    x.Text("msg", f.detail);
  }
  x.Labelled("cs6", "cut", cut ? "true" : "");
  return out;
}

}  // namespace sallyport::exporting
