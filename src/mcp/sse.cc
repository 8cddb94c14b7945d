#include "mcp/sse.h"

#include <charconv>
#include <cstring>

namespace sallyport::mcp {
namespace {

constexpr std::string_view kBom = "\xef\xbb\xbf";

/// The first CR or LF in `s`, or npos. Two passes of memchr beat one pass of find_first_of on long
/// lines.
size_t FindLineEnd(std::string_view s) {
  const void* lf = std::memchr(s.data(), '\n', s.size());
  const size_t until =
      lf == nullptr ? s.size() : static_cast<size_t>(static_cast<const char*>(lf) - s.data());
  const void* cr = std::memchr(s.data(), '\r', until);
  if (cr != nullptr) return static_cast<size_t>(static_cast<const char*>(cr) - s.data());
  return lf == nullptr ? std::string_view::npos : until;
}

bool Sayable(std::string_view field) {
  return !field.empty() &&
         field.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

}  // namespace

bool SseParser::TooLarge() const {
  return line_.size() + data_.size() + type_.size() + id_buffer_.size() > limit_;
}

Result<> SseParser::Feed(std::string_view bytes, std::vector<SseEvent>& out) {
  while (bom_ < kBom.size() && !bytes.empty()) {
    if (bytes.front() != kBom[bom_]) {
      // Not a mark after all: what looked like one is the beginning of the first line.
      line_.append(kBom.substr(0, bom_));
      bom_ = kBom.size();
      break;
    }
    ++bom_;
    bytes.remove_prefix(1);
  }
  while (!bytes.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const size_t end = FindLineEnd(bytes);
    if (end == std::string_view::npos) {
      if (line_.size() + bytes.size() > limit_)
        return Fail(Errc::upstream_too_large, "event of the upstream");
      line_.append(bytes);
      break;
    }
    if (line_.empty()) {
      if (end > limit_) return Fail(Errc::upstream_too_large, "event of the upstream");
      Line(bytes.substr(0, end), out);
    } else {
      line_.append(bytes.substr(0, end));
      const std::string line = std::move(line_);
      line_.clear();
      Line(line, out);
    }
    if (TooLarge()) return Fail(Errc::upstream_too_large, "event of the upstream");
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
  }
  if (TooLarge()) return Fail(Errc::upstream_too_large, "event of the upstream");
  return {};
}

void SseParser::Line(std::string_view line, std::vector<SseEvent>& out) {
  if (line.empty()) {
    last_id_ = id_buffer_;
    if (has_data_) {
      if (!data_.empty()) data_.pop_back();  // the LF behind the last line
      out.push_back({std::move(type_), std::move(data_), last_id_});
    }
    type_.clear();
    data_.clear();
    has_data_ = false;
    return;
  }
  const size_t colon = line.find(':');
  if (colon == 0) return;
  if (colon == std::string_view::npos) return Field(line, {});
  std::string_view value = line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  Field(line.substr(0, colon), value);
}

void SseParser::Field(std::string_view name, std::string_view value) {
  if (name == "data") {
    if (data_.empty()) data_.reserve(value.size() + 1);
    data_.append(value);
    data_ += '\n';
    has_data_ = true;
  } else if (name == "event") {
    type_ = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos) id_buffer_ = value;
  } else if (name == "retry") {
    uint32_t ms = 0;
    const auto [p, e] = std::from_chars(value.data(), value.data() + value.size(), ms);
    if (!value.empty() && e == std::errc() && p == value.data() + value.size()) retry_ = ms;
  }
}

void AppendEvent(std::string& out, std::string_view data, std::string_view id,
                 std::string_view type) {
  out.reserve(out.size() + data.size() + id.size() + type.size() + 32);
  if (Sayable(id)) out.append("id: ").append(id) += '\n';
  if (Sayable(type)) out.append("event: ").append(type) += '\n';
  while (true) {
    const size_t end = FindLineEnd(data);
    out.append("data: ").append(data.substr(0, end)) += '\n';
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + (data[end] == '\r' && data.substr(end + 1).starts_with('\n') ? 2 : 1));
  }
  out += '\n';
}

void AppendRetry(std::string& out, uint32_t milliseconds) {
  out.append("retry: ").append(std::to_string(milliseconds)).append("\n\n");
}

void AppendKeepAlive(std::string& out) { out += ":\n\n"; }

}  // namespace sallyport::mcp
