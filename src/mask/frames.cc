#include "mask/frames.h"

#include <map>
#include <string>

#include "mask/join.h"
#include "mask/json_scan.h"

namespace sallyport::mask {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = char(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// A piece of content and where its bytes stand in the text.
struct Piece {
  size_t base;
  JsonString text;
  size_t Source(size_t i) const { return text.map.empty() ? base + i : base + text.map[i]; }
};

class FrameFinder {
 public:
  FrameFinder(const Masker::Impl& impl, std::string_view text, Found& found)
      : impl_(impl), text_(text), found_(found) {}

  void Events() {
    std::map<std::string, std::vector<Piece>> columns;
    for (size_t at = 0; at < text_.size();) {
      size_t end = text_.find('\n', at);
      if (end == std::string_view::npos) end = text_.size();
      size_t b = at, e = end;
      at = end + 1;
      if (e > b && text_[e - 1] == '\r') e--;
      if (!text_.substr(b, e - b).starts_with("data:")) continue;
      b += text_[b + 5 < e ? b + 5 : b] == ' ' ? 6 : 5;
      Payload(b, e, columns);
    }
    for (auto& [pointer, pieces] : columns) Chains(pieces);
  }

  void Chunks() {
    std::vector<Piece> pieces;
    for (size_t at = 0; at < text_.size();) {
      size_t size = 0, i = at;
      for (; i < text_.size() && i - at < 8 && HexValue(text_[i]) >= 0; i++)
        size = size * 16 + size_t(HexValue(text_[i]));
      if (i == at || text_.substr(i, 2) != "\r\n") return;
      i += 2;
      if (size == 0) break;
      if (size > text_.size() - i || text_.substr(i + size, 2) != "\r\n") return;
      pieces.push_back({i, {std::string(text_.substr(i, size)), {}}});
      at = i + size + 2;
    }
    if (pieces.size() > 1) Report(pieces);
  }

 private:
  void Payload(size_t b, size_t e, std::map<std::string, std::vector<Piece>>& columns) {
    const std::string_view payload = text_.substr(b, e - b);
    std::vector<JsonNode> nodes;
    if (payload.empty() || !ScanJson(payload, 32, nodes) || nodes[0].type == JsonType::number) {
      columns["\n"].push_back({b, {std::string(payload), {}}});
      return;
    }
    std::vector<std::string> paths(nodes.size());
    for (size_t k = 0; k < nodes.size(); k++) {
      const JsonNode& n = nodes[k];
      if (n.parent >= 0) {
        paths[k] = paths[size_t(n.parent)] + '/' +
                   (n.has_key() ? std::string(payload.substr(n.key_begin, n.key_end - n.key_begin))
                                : std::to_string(n.index));
      }
      if (n.type != JsonType::string) continue;
      JsonString s = DecodeJsonString(payload.substr(n.begin, n.end - n.begin));
      const size_t base = b + n.begin + (s.map.empty() ? 1 : 0);
      columns[paths[k]].push_back({base, std::move(s)});
    }
  }

  void Chains(std::vector<Piece>& pieces) {
    if (pieces.size() < 2) return;
    std::vector<Piece> chain;
    const auto digit_end = [](std::string_view s) {
      return !s.empty() &&
             s.substr(s.size() - std::min<size_t>(s.size(), 2)).find_first_of("0123456789") !=
                 std::string_view::npos;
    };
    const auto digit_start = [](std::string_view s) {
      return s.substr(0, 2).find_first_of("0123456789") != std::string_view::npos;
    };
    for (Piece& p : pieces) {
      if (!chain.empty() && !(digit_end(chain.back().text.text) && digit_start(p.text.text))) {
        Report(chain);
        chain.clear();
      }
      chain.push_back(std::move(p));
    }
    Report(chain);
  }

  void Report(const std::vector<Piece>& pieces) {
    if (pieces.size() < 2) return;
    std::vector<std::string_view> texts;
    for (const Piece& p : pieces) texts.push_back(p.text.text);
    std::vector<std::vector<Edit>> edits;
    std::vector<Crossing> crossings;
    FindAcross(impl_, texts, Context{}, false, edits, crossings);
    for (const Crossing& c : crossings) {
      Finding f = c.finding;
      f.begin = pieces[c.first].Source(f.begin), f.end = pieces[c.last].Source(f.end);
      found_.findings.push_back(f);
    }
    for (size_t k = 0; k < edits.size(); k++) {
      for (const Edit& e : edits[k]) {
        found_.edits.push_back(
            {pieces[k].Source(e.begin), pieces[k].Source(e.end), EscapeJson(e.text)});
      }
    }
  }

  const Masker::Impl& impl_;
  std::string_view text_;
  Found& found_;
};

bool MayBeChunks(std::string_view text) {
  size_t i = 0;
  while (i < text.size() && i < 8 && HexValue(text[i]) >= 0) i++;
  if (i == text.size()) return i > 0 && i < 8;
  return i > 0 && text[i] == '\r' && (i + 1 == text.size() || text[i + 1] == '\n');
}

}  // namespace

bool MayBeFramed(std::string_view text) {
  for (std::string_view field : {"data:", "event:", "id:", "retry:", ":"}) {
    if (text.starts_with(field) || field.starts_with(text)) return true;
  }
  return MayBeChunks(text);
}

void FindAcrossFrames(const Masker::Impl& impl, std::string_view text, Found& found) {
  if (text.size() > kMaxFramedText) return;
  FrameFinder finder(impl, text, found);
  if (MayBeChunks(text)) {
    finder.Chunks();
  } else {
    finder.Events();
  }
}

}  // namespace sallyport::mask
