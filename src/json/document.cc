#include "json/document.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <unordered_set>

namespace sallyport::json {
namespace {

/// The end of a scalar or string token that starts at `p`: simdjson hands out where a value begins, and a
/// string where its content ends.
const char* EndOfScalar(const char* p, const char* end) {
  while (p < end && *p != ',' && *p != ']' && *p != '}' && *p != ' ' && *p != '\n' && *p != '\r' && *p != '\t') ++p;
  return p;
}

bool Holds(char c, const char* begin, const char* end) {
  return begin < end && std::memchr(begin, c, static_cast<size_t>(end - begin)) != nullptr;
}

/// `p` stands behind the opening quote; returns behind the closing one.
const char* EndOfString(const char* p, const char* end) {
  for (const char* at = p; at < end;) {
    const auto* quote = static_cast<const char*>(std::memchr(at, '"', static_cast<size_t>(end - at)));
    if (quote == nullptr) break;
    const char* slash = quote;  // behind an odd number of backslashes it is content
    while (slash > p && slash[-1] == '\\') --slash;
    if ((quote - slash) % 2 == 0) return quote + 1;
    at = quote + 1;
  }
  return end;
}

constexpr size_t kKeep = 4096;  // nodes that a thread keeps room for
// Room made before a text is read, so that it need not move while it grows.
constexpr size_t kBytesPerNode = 16, kAtOnce = 64 << 10;

Errc CodeOf(simdjson::error_code e) {
  switch (e) {
    case simdjson::DEPTH_ERROR: return Errc::request_too_deep;
    case simdjson::CAPACITY: return Errc::request_too_large;
    default: return Errc::request_malformed;
  }
}

}  // namespace

/// Walks one text once with simdjson's on-demand parser, which checks structure, UTF-8, numbers and literals
/// on the way, and writes down where everything stands.
class Reader {
 public:
  Reader(Document& doc, const Limits& limits) : doc_(doc), limits_(limits) {}

  Result<> Read(std::string_view text) {
    if (text.size() > limits_.max_bytes) {
      return Fail(Errc::request_too_large, "JSON of " + std::to_string(text.size()) + " bytes, limit " +
                                               std::to_string(limits_.max_bytes));
    }
    if (text.starts_with("\xef\xbb\xbf")) return Fail(Errc::request_malformed, "byte-order mark");
    thread_local simdjson::ondemand::parser parser;
    thread_local std::vector<char> padded;
    // simdjson reads up to SIMDJSON_PADDING bytes behind the text; spans are kept as offsets.
    padded.resize(text.size() + simdjson::SIMDJSON_PADDING);
    std::copy(text.begin(), text.end(), padded.begin());
    std::fill(padded.begin() + static_cast<ptrdiff_t>(text.size()), padded.end(), ' ');
    base_ = padded.data();
    end_ = base_ + text.size();
    doc_.text_ = text;
    doc_.nodes_.reserve(std::min(text.size() / kBytesPerNode, kAtOnce));
    doc_.nodes_.clear(), doc_.strings_.clear();
    doc_.nodes_.push_back({Kind::missing, false, false, 0, 0, 0, 0, 1, 0});

    simdjson::ondemand::document document;
    if (auto e = parser.iterate(padded.data(), text.size(), padded.size()).get(document)) return Refuse(e);
    SALLYPORT_CHECK(Root(document));
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
      return Fail(Errc::request_malformed, "bytes behind the JSON value");
    }
    if (padded.size() > (4u << 20)) std::vector<char>().swap(padded);
    return {};
  }

 private:
  Result<> Refuse(simdjson::error_code e) const {
    return Fail(CodeOf(e), std::string("JSON: ") + simdjson::error_message(e));
  }

  Result<> Root(simdjson::ondemand::document& document) {
    simdjson::ondemand::json_type type;
    if (auto e = document.type().get(type)) return Refuse(e);
    if (type == simdjson::ondemand::json_type::object || type == simdjson::ondemand::json_type::array) {
      simdjson::ondemand::value value;
      if (auto e = document.get_value().get(value)) return Refuse(e);
      return One(value, 0, 0, 0, 0);
    }
    // A bare scalar: valid JSON, never a message. It is kept as one node after a check by simdjson.
    Document::Node node{};
    const char* first = base_;
    while (first < end_ && (*first == ' ' || *first == '\n' || *first == '\r' || *first == '\t')) ++first;
    node.begin = static_cast<uint32_t>(first - base_);
    const char* last = *first == '"' ? EndOfString(first + 1, end_) : EndOfScalar(first, end_);
    node.end = static_cast<uint32_t>(last - base_);
    node.skip = 2;
    simdjson::error_code e = simdjson::SUCCESS;
    switch (type) {
      case simdjson::ondemand::json_type::string: {
        node.kind = Kind::string;
        std::string_view s;
        e = document.get_string().get(s);
        if (!e) Decoded(node, s, first + 1, last - 1);
        break;
      }
      case simdjson::ondemand::json_type::number: {
        node.kind = Kind::number;
        e = document.get_double().error();
        break;
      }
      case simdjson::ondemand::json_type::boolean:
        node.kind = Kind::boolean;
        e = document.get_bool().error();
        break;
      default:
        node.kind = Kind::null;
        if (bool null = false; document.is_null().get(null) || !null) e = simdjson::N_ATOM_ERROR;
    }
    if (e) return Refuse(e);
    doc_.nodes_.push_back(node);
    return {};
  }

  void Decoded(Document::Node& node, std::string_view value, const char* raw, const char* raw_end) {
    if (!Holds('\\', raw, raw_end)) return;
    node.escaped = true;
    node.decoded = Store(value);
  }
  uint32_t Store(std::string_view s) {
    doc_.strings_.push_back(std::make_unique<std::string>(s));
    return static_cast<uint32_t>(doc_.strings_.size() - 1);
  }

  Result<> One(simdjson::ondemand::value value, uint32_t parent, uint32_t key_begin, uint32_t key_end,
               uint32_t depth) {
    if (doc_.nodes_.size() > limits_.max_nodes) return Fail(Errc::request_too_large, "too many JSON values");
    const uint32_t index = static_cast<uint32_t>(doc_.nodes_.size());
    simdjson::ondemand::json_type type;
    if (auto e = value.type().get(type)) return Refuse(e);
    const char* start = value.raw_json_token().data();
    Document::Node node{};
    node.begin = static_cast<uint32_t>(start - base_);
    node.key_begin = key_begin;
    node.key_end = key_end;
    node.parent = parent;
    doc_.nodes_.push_back(node);
    Kind kind = Kind::null;
    const char* end = nullptr;
    switch (type) {
      case simdjson::ondemand::json_type::object: {
        kind = Kind::object;
        SALLYPORT_CHECK(Object(value, index, depth));
        end = base_ + close_;
        break;
      }
      case simdjson::ondemand::json_type::array: {
        kind = Kind::array;
        SALLYPORT_CHECK(Array(value, index, depth));
        end = base_ + close_;
        break;
      }
      case simdjson::ondemand::json_type::string: {
        kind = Kind::string;
        std::string_view s;
        if (auto e = value.get_string().get(s)) return Refuse(e);
        end = EndOfString(start + 1, end_);
        Decoded(doc_.nodes_[index], s, start + 1, end - 1);
        break;
      }
      case simdjson::ondemand::json_type::number: {
        kind = Kind::number;
        // A big integer is a valid number that fits no machine type; the text is what counts.
        end = EndOfScalar(start, end_);
        const simdjson::error_code e = value.get_double().error();
        if (e && !(e == simdjson::NUMBER_ERROR && IsNumber({start, end}))) return Refuse(e);
        break;
      }
      case simdjson::ondemand::json_type::boolean: {
        kind = Kind::boolean;
        if (auto e = value.get_bool().error()) return Refuse(e);
        end = EndOfScalar(start, end_);
        break;
      }
      case simdjson::ondemand::json_type::null: {
        bool null = false;
        if (value.is_null().get(null) || !null) return Fail(Errc::request_malformed, "JSON: bad literal");
        end = EndOfScalar(start, end_);
        break;
      }
    }
    Document::Node& done = doc_.nodes_[index];
    done.kind = kind;
    done.end = static_cast<uint32_t>(end - base_);
    done.skip = static_cast<uint32_t>(doc_.nodes_.size());
    return {};
  }

  /// RFC 8259 section 6: what simdjson refuses only because it is out of the range of a double.
  static bool IsNumber(std::string_view t) {
    size_t i = 0;
    const auto digits = [&] {
      const size_t from = i;
      while (i < t.size() && t[i] >= '0' && t[i] <= '9') ++i;
      return i - from;
    };
    if (i < t.size() && t[i] == '-') ++i;
    const size_t at = i;
    const size_t n = digits();
    if (n == 0 || (n > 1 && t[at] == '0')) return false;
    if (i < t.size() && t[i] == '.') {
      ++i;
      if (digits() == 0) return false;
    }
    if (i < t.size() && (t[i] == 'e' || t[i] == 'E')) {
      ++i;
      if (i < t.size() && (t[i] == '+' || t[i] == '-')) ++i;
      if (digits() == 0) return false;
    }
    return i == t.size();
  }

  Result<> Object(simdjson::ondemand::value& value, uint32_t index, uint32_t depth) {
    if (depth >= limits_.max_depth) return Fail(Errc::request_too_deep, "JSON nested deeper than the limit");
    simdjson::ondemand::object object;
    if (auto e = value.get_object().get(object)) return Refuse(e);
    uint32_t count = 0;
    const char* last = base_ + doc_.nodes_[index].begin + 1;
    for (auto member : object) {
      simdjson::ondemand::field field;
      if (auto e = std::move(member).get(field)) return Refuse(e);
      const char* key = field.key().raw() - 1;  // the opening quote
      const char* key_end = EndOfString(key + 1, end_);
      const uint32_t child = static_cast<uint32_t>(doc_.nodes_.size());
      std::string_view unescaped;
      const bool escaped = Holds('\\', key, key_end);
      if (escaped) {
        if (auto e = field.unescaped_key().get(unescaped)) return Refuse(e);
      }
      const uint32_t stored = escaped ? Store(unescaped) : 0;
      SALLYPORT_CHECK(One(field.value(), index, static_cast<uint32_t>(key - base_),
                          static_cast<uint32_t>(key_end - base_), depth + 1));
      doc_.nodes_[child].escaped_key = escaped;
      doc_.nodes_[child].decoded_key = stored;
      last = base_ + doc_.nodes_[child].end;
      ++count;
    }
    doc_.nodes_[index].count = count;
    close_ = Close(last, '}');
    return Unique(index, count);
  }

  Result<> Array(simdjson::ondemand::value& value, uint32_t index, uint32_t depth) {
    if (depth >= limits_.max_depth) return Fail(Errc::request_too_deep, "JSON nested deeper than the limit");
    simdjson::ondemand::array array;
    if (auto e = value.get_array().get(array)) return Refuse(e);
    uint32_t count = 0;
    const char* last = base_ + doc_.nodes_[index].begin + 1;
    for (auto element : array) {
      simdjson::ondemand::value item;
      if (auto e = std::move(element).get(item)) return Refuse(e);
      const uint32_t child = static_cast<uint32_t>(doc_.nodes_.size());
      SALLYPORT_CHECK(One(item, index, 0, 0, depth + 1));
      last = base_ + doc_.nodes_[child].end;
      ++count;
    }
    doc_.nodes_[index].count = count;
    close_ = Close(last, ']');
    return {};
  }

  /// Only white space stands between the last child and the bracket that simdjson has already seen.
  uint32_t Close(const char* from, char bracket) const {
    while (from < end_ && *from != bracket) ++from;
    return static_cast<uint32_t>(from + 1 - base_);
  }

  /// Two parsers that disagree on which duplicate counts are a way round the gate.
  Result<> Unique(uint32_t index, uint32_t count) const {
    const auto key_of = [&](uint32_t i) { return Value(&doc_, i).key(); };
    const auto refuse = [&](uint32_t i) {
      return Fail(Errc::request_duplicate_key, "duplicate key at byte " + std::to_string(doc_.nodes_[i].key_begin));
    };
    if (count <= 16) {
      for (uint32_t a = index + 1, i = 0; i < count; a = doc_.nodes_[a].skip, ++i) {
        for (uint32_t b = doc_.nodes_[a].skip, j = i + 1; j < count; b = doc_.nodes_[b].skip, ++j) {
          if (key_of(a) == key_of(b)) return refuse(b);
        }
      }
      return {};
    }
    std::unordered_set<std::string_view> seen;
    for (uint32_t a = index + 1, i = 0; i < count; a = doc_.nodes_[a].skip, ++i) {
      if (!seen.insert(key_of(a)).second) return refuse(a);
    }
    return {};
  }

  Document& doc_;
  const Limits& limits_;
  const char* base_ = nullptr;
  const char* end_ = nullptr;
  uint32_t close_ = 0;  // behind the bracket of the array or object read last
};

Result<Document> Document::Parse(std::string_view text, const Limits& limits) {
  Document& read = Scratch();
  const Result<> result = Reader(read, limits).Read(text);
  Document doc;
  if (result) {
    doc.text_ = text;
    if (read.nodes_.size() > kKeep)
      doc.nodes_ = std::move(read.nodes_);
    else
      doc.nodes_ = read.nodes_;  // as large as it has to be
    doc.strings_ = std::move(read.strings_);
  }
  Release(read);
  if (!result) return std::unexpected(result.error());
  return doc;
}

Result<> Document::Check(std::string_view text, const Limits& limits) {
  Document& read = Scratch();
  Result<> result = Reader(read, limits).Read(text);
  Release(read);
  return result;
}

Document& Document::Scratch() {
  thread_local Document document;
  return document;
}

void Document::Release(Document& scratch) {
  scratch.strings_.clear();
  scratch.nodes_.clear();
  if (scratch.nodes_.capacity() > kKeep) std::vector<Node>().swap(scratch.nodes_);
}

Kind Value::kind() const { return doc_ == nullptr ? Kind::missing : doc_->nodes_[node_].kind; }

std::string_view Value::raw() const {
  if (!*this) return {};
  const auto& n = doc_->nodes_[node_];
  return doc_->text_.substr(n.begin, n.end - n.begin);
}
size_t Value::offset() const { return *this ? doc_->nodes_[node_].begin : 0; }

std::optional<std::string_view> Value::string() const {
  if (kind() != Kind::string) return std::nullopt;
  const auto& n = doc_->nodes_[node_];
  if (n.escaped) return *doc_->strings_[n.decoded];
  return doc_->text_.substr(n.begin + 1, n.end - n.begin - 2);
}

std::optional<bool> Value::boolean() const {
  if (kind() != Kind::boolean) return std::nullopt;
  return raw() == "true";
}

std::optional<int64_t> Value::integer() const {
  if (kind() != Kind::number) return std::nullopt;
  const std::string_view t = raw();
  int64_t v = 0;
  const auto [p, e] = std::from_chars(t.data(), t.data() + t.size(), v);
  if (e != std::errc() || p != t.data() + t.size()) return std::nullopt;
  return v;
}

std::optional<double> Value::number() const {
  if (kind() != Kind::number) return std::nullopt;
  const std::string_view t = raw();
  double v = 0;
  const auto [p, e] = std::from_chars(t.data(), t.data() + t.size(), v);
  if (e != std::errc() || p != t.data() + t.size()) return std::nullopt;
  return v;
}

std::string_view Value::key() const {
  if (!*this) return {};
  const auto& n = doc_->nodes_[node_];
  if (n.key_end == n.key_begin) return {};
  if (n.escaped_key) return *doc_->strings_[n.decoded_key];
  return doc_->text_.substr(n.key_begin + 1, n.key_end - n.key_begin - 2);
}
std::string_view Value::raw_key() const {
  if (!*this) return {};
  const auto& n = doc_->nodes_[node_];
  return doc_->text_.substr(n.key_begin, n.key_end - n.key_begin);
}

size_t Value::size() const { return *this ? doc_->nodes_[node_].count : 0; }

Value Value::first() const { return size() == 0 ? Value() : Value(doc_, node_ + 1); }

Value Value::next() const {
  if (!*this || node_ <= 1) return {};
  const auto& n = doc_->nodes_[node_];
  const uint32_t behind = n.skip;
  if (n.parent == 0 || behind >= doc_->nodes_[n.parent].skip) return {};
  return Value(doc_, behind);
}

Value Value::operator[](std::string_view key) const {
  if (kind() != Kind::object) return {};
  for (Value v = first(); v; v = v.next()) {
    if (v.key() == key) return v;
  }
  return {};
}
Value Value::at(size_t index) const {
  if (kind() != Kind::array) return {};
  Value v = first();
  while (v && index > 0) v = v.next(), --index;
  return v;
}

void AppendString(std::string& out, std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  out += '"';
  size_t from = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, from, i - from);
    from = i + 1;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default: out += "\\u00", out += hex[c >> 4], out += hex[c & 15];
    }
  }
  out.append(text, from, text.size() - from);
  out += '"';
}

std::string Quote(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  AppendString(out, text);
  return out;
}

}  // namespace sallyport::json
