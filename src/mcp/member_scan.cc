#include "mcp/member_scan.h"

#include <cstring>

#include "json/document.h"

namespace sallyport::mcp {

MemberScan::MemberScan(std::string_view text, char open)
    : text_(text), close_(open == '{' ? '}' : ']') {
  Skip();
  if (at_ >= text_.size() || text_[at_] != open) {
    Stop(false);
    return;
  }
  ++at_;
}

bool MemberScan::Stop(bool ok) {
  done_ = true;
  ok_ = ok;
  key_ = value_ = {};
  return false;
}

void MemberScan::Skip() {
  while (at_ < text_.size() && IsJsonSpace(text_[at_])) ++at_;
}

bool MemberScan::String(std::string_view& raw) {
  const size_t from = at_++;
  while (true) {
    const void* quote = std::memchr(text_.data() + at_, '"', text_.size() - at_);
    if (quote == nullptr) return false;
    const size_t end = static_cast<size_t>(static_cast<const char*>(quote) - text_.data());
    size_t slashes = 0;
    while (end - slashes > at_ && text_[end - slashes - 1] == '\\') ++slashes;
    at_ = end + 1;
    if (slashes % 2 == 0) break;
  }
  raw = text_.substr(from, at_ - from);
  return true;
}

bool MemberScan::Value() {
  const size_t from = at_;
  size_t depth = 0;
  std::string_view ignored;
  while (at_ < text_.size()) {
    switch (text_[at_]) {
      case '"':
        if (!String(ignored)) return false;
        if (depth == 0) return value_ = text_.substr(from, at_ - from), true;
        continue;
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        if (depth == 0) return at_ > from && (value_ = text_.substr(from, at_ - from), true);
        if (--depth == 0) return ++at_, value_ = text_.substr(from, at_ - from), true;
        break;
      case ',':
      case ' ':
      case '\n':
      case '\r':
      case '\t':
        if (depth == 0) return at_ > from && (value_ = text_.substr(from, at_ - from), true);
        break;
      default:
        break;
    }
    ++at_;
  }
  return false;
}

bool MemberScan::Next() {
  if (done_) return false;
  Skip();
  if (at_ < text_.size() && text_[at_] == close_) {
    ++at_;
    Skip();
    return Stop(at_ == text_.size());
  }
  if (!first_) {
    if (at_ >= text_.size() || text_[at_] != ',') return Stop(false);
    ++at_;
    Skip();
  }
  first_ = false;
  begin_ = at_;
  if (close_ == '}') {
    std::string_view raw;
    if (at_ >= text_.size() || text_[at_] != '"' || !String(raw)) return Stop(false);
    key_ = raw.substr(1, raw.size() - 2);
    if (key_.find('\\') != std::string_view::npos) {
      decoded_ = Unquote(raw);
      key_ = decoded_;
    }
    Skip();
    if (at_ >= text_.size() || text_[at_] != ':') return Stop(false);
    ++at_;
    Skip();
  }
  if (!Value()) return Stop(false);
  end_ = at_;
  return true;
}

std::string_view FindMember(std::string_view object, std::string_view name) {
  std::string_view found;
  MemberScan scan(object);
  while (scan.Next()) {
    if (scan.key() == name) found = scan.value();
  }
  return found;
}

std::string Unquote(std::string_view raw) {
  if (raw.size() < 2 || raw.front() != '"' || raw.back() != '"') return {};
  const std::string_view inside = raw.substr(1, raw.size() - 2);
  if (inside.find_first_of("\\\"") == std::string_view::npos) return std::string(inside);
  const auto doc = json::Document::Parse(raw);
  if (!doc) return {};
  return std::string(doc->root().string().value_or(std::string_view()));
}

std::string_view TrimJson(std::string_view text) {
  while (!text.empty() && IsJsonSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsJsonSpace(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace sallyport::mcp
