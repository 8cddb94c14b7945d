#include "approval/webhooks.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stop_token>
#include <thread>

#include "approval/binding.h"
#include "base/bytes.h"
#include "json/document.h"

namespace sallyport::approval {
namespace {

void Member(std::string& out, std::string_view name, std::string_view value) {
  out += out.back() == '{' ? "" : ",";
  json::AppendString(out, name);
  out += ':';
  json::AppendString(out, value);
}

std::string JsonBody(const Request& request, std::string_view url) {
  const op::Principal& who = request.requester;
  std::string out = "{";
  Member(out, "type", "approval.requested");
  Member(out, "id", request.id);
  Member(out, "url", url);
  Member(out, "flow", request.flow);
  Member(out, "created_at", FormatUtc(request.created));
  Member(out, "expires_at", FormatUtc(request.expires));
  out += ",\"requester\":{";
  Member(out, "name", who.name);
  Member(out, "subject", who.subject);
  Member(out, "agent", who.agent);
  Member(out, "owner", who.owner);
  out += '}';
  Member(out, "connection", request.connection);
  Member(out, "kind", KindName(request.verb));
  Member(out, "resource", request.resource);
  Member(out, "effect", EffectName(request.effect));
  Member(out, "digest", request.digest);
  out += ",\"rules\":[";
  for (size_t i = 0; i < request.rules.size(); ++i) {
    if (i > 0) out += ',';
    json::AppendString(out, request.rules[i]);
  }
  return out + "]}";
}

/// Text of a Slack message: the three characters that mean something there, and nothing that a
/// caller could form a link, a mention or a line of its own with.
std::string SlackText(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 200)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '`' || c == '*' || c == '~' || static_cast<unsigned char>(c) < 0x20)
      out += ' ';
    else
      out += c;
  }
  return out;
}

std::string SlackBody(const Request& request, std::string_view url) {
  const op::Principal& who = request.requester;
  const std::string& name = !who.agent.empty()  ? who.agent
                            : !who.name.empty() ? who.name
                                                : who.subject;
  const bool sql = request.verb == op::Verb::sql;
  std::string text = SlackText(name) + (sql ? " asks to run SQL on " : " asks for ") +
                     SlackText(request.resource.empty() ? request.connection : request.resource) +
                     (sql ? "" : " on " + SlackText(request.connection)) +
                     ". Look and decide before " + FormatUtc(request.expires).substr(11, 5) +
                     " UTC: <" + std::string(url) + ">";
  return "{\"text\":" + json::Quote(text) + ",\"unfurl_links\":false}";
}

}  // namespace

std::string WebhookBody(Webhook::Format format, const Request& request, std::string_view url) {
  return format == Webhook::Format::slack ? SlackBody(request, url) : JsonBody(request, url);
}

std::string WebhookSignature(const Secret& key, int64_t seconds, std::string_view body) {
  const std::string time = std::to_string(seconds);
  std::string text = time + '.';
  text += body;
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.Reveal().data(), static_cast<int>(key.Reveal().size()),
       AsBytes(text).data(), text.size(), mac, &size);
  return "t=" + time + ",v1=" + HexEncode(ByteView(mac, size));
}

struct Webhooks::Impl {
  struct Message {
    std::string id, body;
    Nanos expires = 0;
  };
  /// One webhook with its queue and its thread.
  struct Post {
    Webhook hook;
    std::mutex mutex;
    std::condition_variable_any changed;
    std::deque<Message> queue;
    std::jthread thread;
  };

  Options options;
  std::vector<std::unique_ptr<Post>> posts;

  void Run(Post& post, const std::stop_token& stop) {
    for (;;) {
      Message message;
      {
        std::unique_lock lock(post.mutex);
        if (!post.changed.wait(lock, stop, [&] { return !post.queue.empty(); })) return;
        message = std::move(post.queue.front());
        post.queue.pop_front();
      }
      Deliver(post, message, stop);
    }
  }

  bool Once(const Post& post, const Message& message, const std::stop_token& stop) const {
    const Webhook& hook = post.hook;
    FetchRequest request;
    request.url = std::string(hook.url.Reveal());
    request.method = "POST";
    request.body = message.body;
    request.headers = {{"Content-Type", "application/json"},
                       {"User-Agent", "sallyport"},
                       // The same for every attempt: a receiver knows a repetition by it.
                       {"X-Sallyport-Delivery", message.id + "/" + hook.name}};
    if (!hook.key.empty()) {
      request.headers.emplace_back(
          "X-Sallyport-Signature",
          WebhookSignature(hook.key, options.clock->WallNow() / 1'000'000'000, message.body));
    }
    request.ca_file = hook.ca_file;
    request.allow_addresses = hook.allow_addresses;
    request.allow_loopback_http = hook.allow_loopback_http;
    request.max_body = 64 * 1024;
    request.stop = stop;
    const auto answer = options.fetch(request);
    return answer && answer->status >= 200 && answer->status < 300;
  }

  void Deliver(Post& post, const Message& message, const std::stop_token& stop) {
    std::chrono::milliseconds wait = options.first_wait;
    for (unsigned n = 1;; ++n) {
      if (!options.pending(message.id)) {  // decided meanwhile: there is nothing to tell
        if (n == 1) return;
        break;  // but what was tried has failed
      }
      if (Once(post, message, stop)) return options.notified(message.id, post.hook.name, true);
      if (stop.stop_requested()) return;
      if (n >= options.tries || options.clock->WallNow() >= message.expires) break;
      std::unique_lock lock(post.mutex);
      post.changed.wait_for(lock, stop, wait, [] { return false; });
      if (stop.stop_requested()) return;
      wait *= 4;
    }
    options.notified(message.id, post.hook.name, false);
  }
};

Webhooks::Webhooks(Options options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  for (const Webhook& hook : impl_->options.hooks) {
    auto post = std::make_unique<Impl::Post>();
    post->hook = hook;
    post->thread = std::jthread(
        [impl = impl_.get(), p = post.get()](const std::stop_token& stop) { impl->Run(*p, stop); });
    impl_->posts.push_back(std::move(post));
  }
}

Webhooks::~Webhooks() {
  for (const auto& post : impl_->posts) post->thread.request_stop();
  for (const auto& post : impl_->posts) post->thread.join();
}

void Webhooks::Tell(const Request& request) {
  if (request.state != State::pending || !request.votes.empty()) return;
  for (const auto& post : impl_->posts) {
    if (post->hook.flow != request.flow) continue;
    Impl::Message message{
        .id = request.id,
        .body = WebhookBody(post->hook.format, request, impl_->options.url_of(request.id)),
        .expires = request.expires};
    {
      const std::lock_guard lock(post->mutex);
      if (post->queue.size() < impl_->options.queue) {
        post->queue.push_back(std::move(message));
        post->changed.notify_one();
        continue;
      }
    }
    impl_->options.notified(request.id, post->hook.name, false);
  }
}

size_t Webhooks::queued() const {
  size_t n = 0;
  for (const auto& post : impl_->posts) {
    const std::lock_guard lock(post->mutex);
    n += post->queue.size();
  }
  return n;
}

}  // namespace sallyport::approval
