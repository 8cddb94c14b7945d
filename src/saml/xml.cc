#include "saml/xml.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <libxml/parser.h>
#include <set>

#include "base/bytes.h"

namespace sallyport::saml {
namespace {

constexpr int kDeepest = 40;
constexpr size_t kMostElements = 20'000;

std::unexpected<Error> Bad(std::string detail) {
  return Fail(Errc::token_malformed, std::move(detail));
}

std::string_view View(const xmlChar* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

std::string ValueOf(const xmlAttr* attribute) {
  std::string out;
  for (const xmlNode* n = attribute->children; n != nullptr; n = n->next) out += View(n->content);
  return out;
}

bool SpellsId(std::string_view name) {
  return name.size() == 2 && (name[0] | 0x20) == 'i' && (name[1] | 0x20) == 'd';
}

struct Walk {
  Strictness strictness;
  std::set<std::string> ids;
  size_t elements = 0;

  Result<> Attributes(const xmlNode* node) {
    for (const xmlAttr* a = node->properties; a != nullptr; a = a->next) {
      for (const xmlNode* n = a->children; n != nullptr; n = n->next) {
        if (n->type != XML_TEXT_NODE) return Bad("an entity in an attribute");
      }
      if (!SpellsId(View(a->name))) continue;
      if (a->ns != nullptr && strictness == Strictness::message) return Bad("an ID with a prefix");
      if (!ids.insert(ValueOf(a)).second) return Bad("an ID occurs twice");
    }
    return {};
  }

  Result<> Node(const xmlNode* node, int depth) {
    const bool by_hand = strictness == Strictness::metadata;
    if (node->type == XML_TEXT_NODE) return {};
    if (by_hand && (node->type == XML_COMMENT_NODE || node->type == XML_CDATA_SECTION_NODE))
      return {};
    if (node->type == XML_COMMENT_NODE) return Bad("a comment");
    if (node->type == XML_PI_NODE) return Bad("a processing instruction");
    if (node->type != XML_ELEMENT_NODE) return Bad("something that is neither element nor text");
    if (depth > kDeepest) return Bad("nested too deeply");
    if (++elements > kMostElements) return Bad("too many elements");
    SALLYPORT_CHECK(Attributes(node));
    for (const xmlNode* n = node->children; n != nullptr; n = n->next)
      SALLYPORT_CHECK(Node(n, depth + 1));
    return {};
  }
};

/// An XML declaration that names an encoding names UTF-8.
Result<> CheckDeclaration(std::string_view text) {
  if (!text.starts_with("<?xml")) return {};
  std::string declaration(text.substr(0, text.find("?>")));
  for (char& c : declaration) {
    if (c >= 'A' && c <= 'Z') c = char(c | 0x20);
    if (c == '\'') c = '"';
  }
  const bool named = declaration.find("encoding") != declaration.npos;
  if (declaration.size() > 128 || (named && declaration.find("\"utf-8\"") == declaration.npos))
    return Bad("another encoding than UTF-8");
  return {};
}

/// `n` decimal digits of `text` from `at` on.
bool Digits(std::string_view text, size_t at, size_t n, int& out) {
  if (text.size() < at + n) return false;
  const char* begin = text.data() + at;
  if (!std::all_of(begin, begin + n, [](char c) { return c >= '0' && c <= '9'; })) return false;
  return std::from_chars(begin, begin + n, out).ec == std::errc();
}

}  // namespace

Result<DocPtr> ParseXml(std::string_view text, Strictness strictness) {
  if (text.size() > kMostElements * 100) return Bad("too large");
  if (!text.starts_with('<')) return Bad("not XML in UTF-8");
  if (FirstBadByte(text) != text.npos) return Bad("not UTF-8");
  // Told the encoding, the parser looks for no other one, which would load a converter.
  SALLYPORT_CHECK(CheckDeclaration(text));
  const int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING;
  DocPtr doc(xmlReadMemory(text.data(), int(text.size()), nullptr, "UTF-8", options));
  if (!doc) return Bad("not well-formed XML");
  if (doc->intSubset != nullptr || doc->extSubset != nullptr) return Bad("a document type");
  if (doc->encoding != nullptr && xmlStrcasecmp(doc->encoding, BAD_CAST "UTF-8") != 0)
    return Bad("another encoding than UTF-8");
  if (View(doc->version) != "1.0") return Bad("another version than XML 1.0");
  Walk walk{.strictness = strictness, .ids = {}};
  for (const xmlNode* n = doc->children; n != nullptr; n = n->next)
    SALLYPORT_CHECK(walk.Node(n, 0));
  if (xmlDocGetRootElement(doc.get()) == nullptr) return Bad("no element");
  return doc;
}

bool Is(const xmlNode* node, std::string_view name, std::string_view ns) {
  return node != nullptr && node->type == XML_ELEMENT_NODE && View(node->name) == name &&
         node->ns != nullptr && View(node->ns->href) == ns;
}

std::string Named(const xmlNode* node) {
  std::string name(View(node->name).substr(0, 64));
  std::ranges::replace_if(name, [](uint8_t c) { return c < 0x21 || c > 0x7e; }, '?');
  return name;
}

std::vector<xmlNode*> Elements(const xmlNode* parent) {
  std::vector<xmlNode*> out;
  if (parent == nullptr) return out;
  for (xmlNode* n = parent->children; n != nullptr; n = n->next) {
    if (n->type == XML_ELEMENT_NODE) out.push_back(n);
  }
  return out;
}

std::vector<xmlNode*> Elements(const xmlNode* parent, std::string_view name, std::string_view ns) {
  std::vector<xmlNode*> out = Elements(parent);
  std::erase_if(out, [&](const xmlNode* n) { return !Is(n, name, ns); });
  return out;
}

size_t Count(const xmlNode* node, std::string_view name, std::string_view ns) {
  size_t count = Is(node, name, ns) ? 1 : 0;
  for (const xmlNode* child : Elements(node)) count += Count(child, name, ns);
  return count;
}

Result<> OnlyThese(const xmlNode* parent, std::string_view ns,
                   std::initializer_list<std::string_view> names) {
  const auto home = [&](std::string_view name) {
    if (name == "Signature") return kDsig;
    return name == "Assertion" || name == "Issuer" || name == "NameID" ? kSaml : ns;
  };
  for (const xmlNode* child : Elements(parent)) {
    if (std::ranges::any_of(names, [&](auto name) { return Is(child, name, home(name)); }))
      continue;
    if (Is(child, "EncryptedAssertion", kSaml) || Is(child, "EncryptedID", kSaml))
      return Bad(Named(child) + ": have the provider send it signed, over TLS, not encrypted");
    return Bad(Named(child) + " in " + Named(parent));
  }
  return {};
}

Result<xmlNode*> TheOne(const xmlNode* parent, std::string_view name, std::string_view ns) {
  const auto found = Elements(parent, name, ns);
  if (found.size() == 1) return found[0];
  return Bad(std::string(found.empty() ? "no " : "more than one ") + std::string(name));
}

std::string Attribute(const xmlNode* node, std::string_view name) {
  for (const xmlAttr* a = node->properties; a != nullptr; a = a->next) {
    if (a->ns == nullptr && View(a->name) == name) return ValueOf(a);
  }
  return {};
}

Result<std::string> TextOf(const xmlNode* node, size_t longest) {
  std::string out;
  for (const xmlNode* n = node->children; n != nullptr; n = n->next) {
    if (n->type == XML_COMMENT_NODE) continue;  // of metadata only
    if (n->type != XML_TEXT_NODE && n->type != XML_CDATA_SECTION_NODE)
      return Bad(Named(node) + " is not plain text");
    out += View(n->content);
  }
  if (out.size() > longest) return Bad(Named(node) + " is too long");
  const bool control = std::ranges::any_of(out, [](uint8_t c) {
    return (c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f;
  });
  if (control) return Bad(Named(node) + " has control characters");
  return out;
}

Result<Nanos> TimeOf(const std::string& text) {
  // 2026-11-20T12:00:00[.123]Z
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
  const bool shaped = text.size() >= 20 && text.size() <= 40 && Digits(text, 0, 4, y) &&
                      text[4] == '-' && Digits(text, 5, 2, mo) && text[7] == '-' &&
                      Digits(text, 8, 2, d) && text[10] == 'T' && Digits(text, 11, 2, h) &&
                      text[13] == ':' && Digits(text, 14, 2, mi) && text[16] == ':' &&
                      Digits(text, 17, 2, s) && text.back() == 'Z';
  if (!shaped) return Bad("a time that is not in UTC");
  const std::string_view fraction = std::string_view(text).substr(19, text.size() - 20);
  if (!fraction.empty() && (fraction[0] != '.' || fraction.size() < 2 ||
                            fraction.find_first_not_of("0123456789", 1) != fraction.npos))
    return Bad("a time that is not in UTC");
  const std::chrono::year_month_day day{std::chrono::year(y), std::chrono::month(unsigned(mo)),
                                        std::chrono::day(unsigned(d))};
  if (!day.ok() || y < 1970 || y > 2200 || h > 23 || mi > 59 || s > 59)
    return Bad("a time that does not exist");
  const auto at = std::chrono::sys_days(day) + std::chrono::hours(h) + std::chrono::minutes(mi) +
                  std::chrono::seconds(s);
  return Nanos(std::chrono::nanoseconds(at.time_since_epoch()).count());
}

bool IsPlainId(std::string_view id) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !id.empty() && id.size() <= 256 && letter(id[0]) && std::ranges::all_of(id, [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

}  // namespace sallyport::saml
