#pragma once

#include <initializer_list>
#include <libxml/tree.h>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace sallyport::saml {

inline constexpr std::string_view kSaml = "urn:oasis:names:tc:SAML:2.0:assertion";
inline constexpr std::string_view kProtocol = "urn:oasis:names:tc:SAML:2.0:protocol";
inline constexpr std::string_view kMetadata = "urn:oasis:names:tc:SAML:2.0:metadata";
inline constexpr std::string_view kDsig = "http://www.w3.org/2000/09/xmldsig#";
inline constexpr std::string_view kExcC14n = "http://www.w3.org/2001/10/xml-exc-c14n#";

struct DocFree {
  void operator()(xmlDoc* doc) const { xmlFreeDoc(doc); }
};
using DocPtr = std::unique_ptr<xmlDoc, DocFree>;

enum class Strictness {
  message,   // no comments, no CDATA either
  metadata,  // made by hand, kept in a file: those may stand there
};

/// Reads XML 1.0 in UTF-8 that consists of elements, attributes and text. Refused, with
/// token_malformed: any document type, other encodings (declared or real), processing
/// instructions, entity references, an ID that occurs twice (in whatever spelling), xml:id, more
/// than 40 levels or 20,000 elements. Nothing outside of `text` is ever read.
/// The DTD is asked of the parser: a search for bytes does not see one in another encoding.
Result<DocPtr> ParseXml(std::string_view text, Strictness strictness = Strictness::message);

bool Is(const xmlNode* node, std::string_view name, std::string_view ns);
std::string Named(const xmlNode* node);  // the local name, for people
/// The elements directly below; null or empty where there are none.
std::vector<xmlNode*> Elements(const xmlNode* parent);
std::vector<xmlNode*> Elements(const xmlNode* parent, std::string_view name, std::string_view ns);
/// How many such elements there are in `node`, at any depth, itself included.
size_t Count(const xmlNode* node, std::string_view name, std::string_view ns);
/// Only elements of these names stand directly in `parent`, each in the namespace where it belongs:
/// `ns`, but for those that are always of another. token_malformed names the first that does not.
Result<> OnlyThese(const xmlNode* parent, std::string_view ns,
                   std::initializer_list<std::string_view> names);
/// The one such element; token_malformed if there is none, or more than one.
Result<xmlNode*> TheOne(const xmlNode* parent, std::string_view name, std::string_view ns);
/// The value of an attribute without a namespace; empty: not there.
std::string Attribute(const xmlNode* node, std::string_view name);
/// The text of an element that has nothing else in it; token_malformed otherwise, and over
/// `longest` bytes or with control characters.
Result<std::string> TextOf(const xmlNode* node, size_t longest);
/// An xs:dateTime in UTC, as SAML wants it (saml-core-2.0-os, 1.3.3): only with "Z".
Result<Nanos> TimeOf(const std::string& text);
/// Whether `id` is a name that can stand in a reference: letters, digits, '_', '-', '.'.
bool IsPlainId(std::string_view id);

}  // namespace sallyport::saml
