#include <algorithm>
#include <charconv>

#include "config/aws_keys.h"
#include "config/sections.h"

namespace sallyport::config {
namespace {

using namespace std::chrono_literals;
using exporting::Config;
using exporting::Format;

exporting::Reach ReadReceiver(Fields& fields) {
  exporting::Reach reach;
  if (auto ca = fields.Path("ca")) reach.ca = *ca;
  reach.allow_addresses = fields.Texts("allow_addresses");
  return reach;
}

std::string ReadUrl(Fields& fields, bool plain_allowed) {
  std::string url = fields.RequiredText("url", "write the receiver's URL");
  CheckUrl(fields, "url", url, plain_allowed);
  while (url.ends_with('/')) url.pop_back();
  return url;
}

exporting::FileTarget ReadFileTarget(Fields& fields) {
  exporting::FileTarget file;
  if (fields.Require("path", "write path: /var/log/sallyport/events.jsonl"))
    file.path = fields.Path("path").value_or("");
  return file;
}

/// HOST:PORT, the host in brackets where it is an IPv6 address.
bool ReadAddress(const std::string& text, exporting::SyslogTarget& syslog) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  std::string host = text.substr(0, colon);
  const std::string_view digits = std::string_view(text).substr(colon + 1);
  unsigned port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port == 0 || port > 65'535)
    return false;
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty() || (!bracketed && host.contains(':'))) return false;
  syslog.host = std::move(host);
  syslog.port = static_cast<uint16_t>(port);
  return true;
}

exporting::SyslogTarget ReadSyslog(Context& context, Fields& fields) {
  exporting::SyslogTarget syslog;
  const auto address = fields.RequiredText("address", "write HOST:PORT");
  if (!address.empty() && !ReadAddress(address, syslog)) {
    context.Error(fields.ValueMark("address"), kCfgBadValue,
                  fields.where() + ".address is not HOST:PORT",
                  "write siem.example.com:6514, or [2001:db8::1]:6514");
  }
  syslog.tls = fields.Choice("protocol", {"tls", "tcp"}).value_or("tls") == "tls";
  const bool near =
      syslog.host == "127.0.0.1" || syslog.host == "::1" || syslog.host == "localhost";
  if (!syslog.tls && !near && !syslog.host.empty()) {
    context.Warn(fields.ValueMark("protocol"), kCfgInsecure,
                 fields.where() + " is plain TCP to another machine",
                 "use protocol: tls: what travels there can be read and changed on the way");
  }
  if (auto ca = fields.Path("ca")) syslog.ca = *ca;
  if (auto cert = fields.Path("client_cert")) syslog.client_cert = *cert;
  syslog.client_key = fields.Secret("client_key");
  if (syslog.client_key && syslog.client_key->kind != secrets::Ref::Kind::file) {
    context.Error(fields.ValueMark("client_key"), kCfgBadValue,
                  fields.where() + ".client_key has to be a file", "write { file: PATH }");
  }
  if (syslog.client_cert.empty() != !syslog.client_key) {
    context.Error(fields.MarkOf(syslog.client_key ? "client_key" : "client_cert"), kCfgMissingKey,
                  fields.where() + " has a client certificate without its key, or the reverse",
                  "write client_cert and client_key");
  }
  if (!syslog.tls && (!syslog.ca.empty() || !syslog.client_cert.empty())) {
    context.Error(fields.ValueMark("protocol"), kCfgConflict,
                  fields.where() + " has certificates, and no TLS", "write protocol: tls");
  }
  if (auto entries = fields.Count("resend", 0, 100'000))
    syslog.resend = static_cast<uint32_t>(*entries);
  if (auto bytes = fields.Size("line_bytes", 3'000, 1 << 20))
    syslog.line_bytes = static_cast<uint32_t>(*bytes);
  return syslog;
}

exporting::WebhookTarget ReadWebhook(Fields& fields) {
  exporting::WebhookTarget webhook;
  if (fields.Require("url", "write url: { env: NAME }: a webhook's URL is a secret"))
    webhook.url = fields.Secret("url").value_or(secrets::Ref{});
  webhook.token = fields.Secret("token");
  webhook.key = fields.Secret("key");
  webhook.reach = ReadReceiver(fields);
  return webhook;
}

exporting::SplunkTarget ReadSplunk(Fields& fields) {
  exporting::SplunkTarget splunk;
  splunk.url = ReadUrl(fields, false);
  if (fields.Require("token", "write token: { env: NAME }"))
    splunk.token = fields.Secret("token").value_or(secrets::Ref{});
  splunk.acknowledged = fields.Bool("acknowledged").value_or(true);
  if (!splunk.acknowledged) {
    fields.context().Warn(fields.ValueMark("acknowledged"), kCfgInsecure,
                          fields.where() + " goes on without knowing what was indexed",
                          "switch on indexer acknowledgement for the token: a 200 alone says only "
                          "that the events look valid");
  }
  if (auto limit = fields.Duration("ack_timeout", 1s, 1h)) splunk.ack_timeout = *limit;
  splunk.index = fields.Text("index").value_or("");
  splunk.sourcetype = fields.Text("sourcetype").value_or("");
  splunk.reach = ReadReceiver(fields);
  return splunk;
}

exporting::OtlpTarget ReadOtlp(Context& context, Fields& fields) {
  exporting::OtlpTarget otlp;
  otlp.url = ReadUrl(fields, true);
  if (const Node* headers = fields.Get("headers")) {
    Fields each(context, *headers, fields.where() + ".headers");
    for (const Node::Member& member : headers->members) {
      const bool valid = !member.key.empty() && std::ranges::all_of(member.key, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
      });
      if (!valid) {
        context.Error(member.mark, kCfgBadValue,
                      each.where() + ": \"" + member.key + "\" is no header's name",
                      "write letters, digits and '-'");
      }
      if (auto value = each.Secret(member.key)) otlp.headers.emplace_back(member.key, *value);
    }
    each.Done();
  }
  if (auto every = fields.Duration("metrics_every", 1s, 1h)) otlp.every = *every;
  otlp.reach = ReadReceiver(fields);
  return otlp;
}

exporting::KafkaTarget ReadKafka(Context& context, Fields& fields) {
  exporting::KafkaTarget kafka;
  kafka.brokers = fields.Texts("brokers");
  if (kafka.brokers.empty()) {
    context.Error(fields.MarkOf("brokers"), kCfgMissingKey, fields.where() + ".brokers is empty",
                  "write brokers: [\"kafka1.example.com:9093\"]");
  }
  for (const std::string& broker : kafka.brokers) {
    exporting::SyslogTarget parsed;
    if (broker.contains(',') || !ReadAddress(broker, parsed)) {
      context.Error(fields.ValueMark("brokers"), kCfgBadValue,
                    fields.where() + ".brokers: \"" + broker + "\" is not HOST:PORT",
                    "write kafka1.example.com:9093");
    }
  }
  kafka.topic = fields.RequiredText("topic", "write topic: cde-audit");
  kafka.tls = fields.Choice("protocol", {"tls", "tcp"}).value_or("tls") == "tls";
  if (!kafka.tls) {
    context.Warn(fields.ValueMark("protocol"), kCfgInsecure, fields.where() + " is plain TCP",
                 "use protocol: tls: what travels there can be read and changed on the way");
  }
  if (auto ca = fields.Path("ca")) kafka.ca = *ca;
  if (auto cert = fields.Path("client_cert")) kafka.client_cert = *cert;
  kafka.client_key = fields.Secret("client_key");
  if (kafka.client_key && kafka.client_key->kind != secrets::Ref::Kind::file) {
    context.Error(fields.ValueMark("client_key"), kCfgBadValue,
                  fields.where() + ".client_key has to be a file", "write { file: PATH }");
  }
  kafka.username = fields.Text("username").value_or("");
  kafka.password = fields.Secret("password");
  if (kafka.username.empty() != !kafka.password) {
    context.Error(fields.MarkOf(kafka.password ? "password" : "username"), kCfgMissingKey,
                  fields.where() + " has a user name without a password, or the reverse",
                  "write username and password");
  }
  kafka.mechanism = fields.Choice("mechanism", {"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"})
                        .value_or("SCRAM-SHA-512");
  if (kafka.mechanism == "PLAIN" && !kafka.tls) {
    context.Error(fields.ValueMark("mechanism"), kCfgConflict,
                  fields.where() + " would send its password in clear", "write protocol: tls");
  }
  return kafka;
}

exporting::CloudWatchTarget ReadCloudWatch(Context& context, Fields& fields) {
  exporting::CloudWatchTarget logs;
  logs.region = fields.RequiredText("region", "write region: eu-central-1");
  CheckWord(fields, "region", logs.region, "-", "write it as AWS does, eu-central-1");
  logs.group = fields.RequiredText("group", "write group: /sallyport/cde");
  CheckWord(fields, "group", logs.group, "._-/#", "write letters, digits and . _ - / #");
  logs.stream = fields.RequiredText("stream", "write stream: gate-1");
  CheckWord(fields, "stream", logs.stream, "._-/", "write letters, digits and . _ - /");
  if (const Node* keys = fields.Get("credentials"))
    logs.keys = ReadAwsKeys(context, *keys, fields.where() + ".credentials");
  if (auto url = fields.Text("url")) logs.url = *url;
  CheckUrl(fields, "url", logs.url, false);
  logs.reach = ReadReach(fields);
  return logs;
}

void ReadTarget(Context& context, const Node& node, const std::string& where, Config& out) {
  static const std::vector<std::string_view> kTargets{
      "file", "syslog", "webhook", "splunk_hec", "otlp_http", "kafka", "cloudwatch_logs"};
  Fields fields(context, node, where);
  int targets = 0;
  for (const std::string_view kind : kTargets) {
    const Node* target = fields.Get(kind);
    if (target == nullptr) continue;
    ++targets;
    Fields f(context, *target, where + "." + std::string(kind));
    if (kind == "file") out.to = ReadFileTarget(f);
    if (kind == "syslog") out.to = ReadSyslog(context, f);
    if (kind == "webhook") out.to = ReadWebhook(f);
    if (kind == "splunk_hec") out.to = ReadSplunk(f);
    if (kind == "otlp_http") out.to = ReadOtlp(context, f);
    if (kind == "kafka") out.to = ReadKafka(context, f);
    if (kind == "cloudwatch_logs") out.to = ReadCloudWatch(context, f);
    f.Done();
  }
  fields.Done();
  if (targets != 1) {
    context.Error(node.mark, targets == 0 ? kCfgMissingKey : kCfgConflict,
                  where +
                      " needs exactly one of file, syslog, webhook, splunk_hec, otlp_http, kafka "
                      "and cloudwatch_logs",
                  "keep one");
  }
}

/// `strict: true`, or { behind: 5m, entries: 100000 }.
void ReadStrict(Context& context, Fields& fields, Config& out) {
  const Node* strict = fields.Get("strict");
  if (strict == nullptr) return;
  if (strict->is(Node::Kind::scalar)) {
    if (fields.Bool("strict").value_or(false)) out.strict.emplace();
    return;
  }
  Fields f(context, *strict, fields.where() + ".strict");
  out.strict.emplace();
  if (auto behind = f.Duration("behind", 5s, kAnyDuration)) out.strict->behind = *behind;
  if (auto entries = f.Count("entries", 1'000, uint64_t(1) << 40)) out.strict->entries = *entries;
  f.Done();
}

/// An export for each signal: `name` has the logs, `name.traces` and `name.metrics` the others.
void AddSignals(Context& context, Fields& fields, Config out, std::vector<Config>& exports) {
  using Signal = exporting::OtlpTarget::Signal;
  const std::vector<std::string> signals = fields.Texts("signals");
  auto* otlp = std::get_if<exporting::OtlpTarget>(&out.to);
  if (signals.empty() || otlp == nullptr) {
    if (!signals.empty()) {
      context.Error(fields.MarkOf("signals"), kCfgConflict,
                    fields.where() + ".signals: only otlp_http has signals", "remove it");
    }
    exports.push_back(std::move(out));
    return;
  }
  const std::string name = out.name;
  for (size_t i = 0; i < signals.size(); ++i) {
    const std::string& signal = signals[i];
    const bool known = signal == "logs" || signal == "traces" || signal == "metrics";
    if (!known || std::find(signals.begin(), signals.begin() + long(i), signal) !=
                      signals.begin() + long(i)) {
      context.Error(fields.ValueMark("signals"), known ? kCfgConflict : kCfgBadValue,
                    fields.where() + ".signals: \"" + signal +
                        (known ? "\" stands there twice" : "\" is no signal"),
                    "write traces, metrics or logs");
      continue;
    }
    Config one = out;
    one.name = signal == "logs" ? name : name + "." + signal;
    auto& target = std::get<exporting::OtlpTarget>(one.to);
    target.signal = signal == "logs"     ? Signal::logs
                    : signal == "traces" ? Signal::traces
                                         : Signal::metrics;
    if (signal == "traces") one.format = Format::span;
    if (signal == "metrics") one.strict.reset();
    exports.push_back(std::move(one));
  }
}

}  // namespace

void ReadExports(Context& context, const std::vector<Node>& nodes, Root& root) {
  std::map<std::string, Mark> names;
  for (size_t i = 0; i < nodes.size(); ++i) {
    Fields fields(context, nodes[i], "exports[" + std::to_string(i) + "]");
    Config out;
    out.name = fields.RequiredText("name", "add name");
    CheckName(context, fields.ValueMark("name"), "export", out.name, names);
    const std::string format =
        fields.Choice("format", {"ocsf", "cef", "ecs", "json"}).value_or("ocsf");
    out.format = format == "cef"    ? Format::cef
                 : format == "ecs"  ? Format::ecs
                 : format == "json" ? Format::json
                                    : Format::ocsf;
    if (const Node* to = fields.Require("to", "write to: { syslog: … }"))
      ReadTarget(context, *to, fields.where() + ".to", out);
    out.from_now = fields.Choice("from", {"beginning", "now"}).value_or("beginning") == "now";
    if (auto after = fields.Duration("alarm_after", 1s, 24h)) out.alarm_after = *after;
    ReadStrict(context, fields, out);
    AddSignals(context, fields, std::move(out), root.exports);
    fields.Done();
  }
}

}  // namespace sallyport::config
