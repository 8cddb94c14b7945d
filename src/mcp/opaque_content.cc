#include "mcp/opaque_content.h"

#include <algorithm>
#include <fnmatch.h>

#include "base/bytes.h"
#include "json/document.h"
#include "mask/seal.h"
#include "mcp/json_edit.h"

namespace sallyport::mcp {
namespace {

bool IsTextType(std::string_view mime) {
  mime = mime.substr(0, mime.find(';'));
  return mime.starts_with("text/") || mime.ends_with("+json") || mime.ends_with("+xml") ||
         mime == "application/json" || mime == "application/xml" || mime == "application/yaml" ||
         mime == "application/x-yaml" || mime == "application/javascript" ||
         mime == "application/sql" || mime == "application/x-ndjson";
}

/// A MIME type comes from outside: only its plain form is repeated in a reason.
std::string SafeType(std::string_view mime) {
  const bool plain = mime.size() <= 64 && std::ranges::all_of(mime, [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/' ||
                              c == '+' || c == '-' || c == '.';
                     });
  return plain ? std::string(mime) : "an unusual type";
}

config::OpaqueAction ActionFor(const MaskRules& rules, std::string_view mime) {
  const std::string type(mime.substr(0, mime.find(';')));
  if (rules.content != nullptr) {
    for (const config::ContentRule& rule : *rules.content) {
      if (::fnmatch(rule.type.c_str(), type.c_str(), 0) == 0) return rule.action;
    }
  }
  return rules.cde ? config::OpaqueAction::refuse : config::OpaqueAction::pass;
}

class Treatment {
 public:
  Treatment(const MaskRules& rules, std::string_view json, std::vector<std::string>& keep,
            std::vector<op::MaskCount>& counts)
      : rules_(rules), edit_(json), keep_(keep), counts_(counts) {}

  Result<> Walk(json::Value value, const std::string& pointer) {
    if (value.is(json::Kind::object)) {
      const json::Value blob = value["blob"];
      const json::Value data = value["data"];
      const std::string_view mime = value["mimeType"].string().value_or("");
      const std::string_view type = value["type"].string().value_or("");
      const bool media = type == "image" || type == "audio" || !mime.empty();
      if (blob.is(json::Kind::string))
        SALLYPORT_CHECK(Content(value, blob, mime, Pointer(pointer, "blob"), false));
      if (data.is(json::Kind::string) && media) {
        const bool replaced = stripped_;
        SALLYPORT_CHECK(
            Content(value, data, mime.empty() ? type : mime, Pointer(pointer, "data"), true));
        if (stripped_ && !replaced) {
          stripped_ = false;
          return {};  // the whole object is gone
        }
      }
    }
    size_t index = 0;
    for (json::Value v = value.first(); v; v = v.next(), ++index) {
      if (!v.is(json::Kind::object) && !v.is(json::Kind::array)) continue;
      SALLYPORT_CHECK(Walk(v, value.is(json::Kind::array) ? pointer + "/" + std::to_string(index)
                                                          : Pointer(pointer, v.key())));
    }
    return {};
  }

  const JsonEdit& edit() const { return edit_; }

 private:
  Result<> Content(json::Value object, json::Value field, std::string_view mime,
                   std::string pointer, bool block) {
    const auto bytes = Base64Decode(*field.string());
    if (bytes && IsTextType(mime)) return Text(field, AsText(*bytes), std::move(pointer));
    switch (ActionFor(rules_, mime)) {
      case config::OpaqueAction::refuse:
        return Fail(Errc::content_type_refused,
                    "content of " + SafeType(mime) + " cannot be looked into");
      case config::OpaqueAction::strip:
        if (block) {
          edit_.Replace(object, R"({"type":"text","text":"[content removed by the gateway]"})");
          stripped_ = true;
        } else {
          edit_.Replace(field, R"("")");
        }
        return {};
      case config::OpaqueAction::pass:
        break;
    }
    if (!bytes) return {};  // not base64: the masker reads it as the text it is
    std::vector<mask::Finding> findings;
    rules_.masker->FindText(AsText(*bytes), {}, findings);
    // Sixteen digits are base64, too.
    if (field.string()->size() <= 64) rules_.masker->FindText(*field.string(), {}, findings);
    if (!findings.empty()) {
      return Fail(Errc::content_type_refused,
                  "content of " + SafeType(mime) + " holds what must be masked");
    }
    keep_.push_back(std::move(pointer));
    return {};
  }

  Result<> Text(json::Value field, std::string_view text, std::string pointer) {
    std::string masked;
    mask::Tally tally;
    const mask::Context context{.pointer = pointer};
    bool changed = false;
    const Result<bool> as_json = rules_.masker->MaskJson(text, {}, masked, tally);
    if (as_json) {
      changed = *as_json;
      for (mask::Place& place : tally.places) place.pointer = pointer;
    } else {
      masked.clear();
      tally = {};
      changed = rules_.masker->MaskText(text, context, masked, tally);
    }
    if (tally.blocked)
      return Fail(Errc::sad_refused, "the message holds sensitive authentication data");
    if (changed) edit_.Replace(field, json::Quote(Base64Encode(AsBytes(masked))));
    mask::Seal::Count(tally, counts_);
    keep_.push_back(std::move(pointer));
    return {};
  }

  const MaskRules& rules_;
  JsonEdit edit_;
  std::vector<std::string>& keep_;
  std::vector<op::MaskCount>& counts_;
  bool stripped_ = false;
};

}  // namespace

bool MayHoldOpaque(std::string_view json) {
  return json.find("blob") != std::string_view::npos ||
         json.find("data\"") != std::string_view::npos ||
         json.find("\\u00") != std::string_view::npos;
}

Result<> TreatOpaque(const MaskRules& rules, std::string& json, std::vector<std::string>& keep,
                     std::vector<op::MaskCount>& counts) {
  auto doc = json::Document::Parse(json, {.max_bytes = 64u << 20});
  if (!doc) return Fail(Errc::mask_failed, "the upstream's message cannot be read");
  Treatment treatment(rules, json, keep, counts);
  SALLYPORT_CHECK(treatment.Walk(doc->root(), ""));
  if (!treatment.edit().empty()) json = treatment.edit().Apply();
  return {};
}

}  // namespace sallyport::mcp
