#include "mask/masker.h"

#include <re2/re2.h>
#include <set>

#include "mask/iin_table.h"
#include "mask/impl.h"
#include "mask/json_mask.h"
#include "mask/render.h"
#include "mask/scan.h"

namespace sallyport::mask {

std::vector<std::string_view> EvidenceNames(uint32_t evidence) {
  static constexpr std::pair<Evidence, std::string_view> kNames[] = {{kLuhn, "luhn"},
                                                                     {kIin, "iin"},
                                                                     {kContext, "context"},
                                                                     {kGrouped, "grouped"},
                                                                     {kContiguous, "contiguous"},
                                                                     {kFolded, "folded"},
                                                                     {kDecoded, "decoded"},
                                                                     {kStructure, "structure"},
                                                                     {kJoined, "joined"},
                                                                     {kTrack, "track"},
                                                                     {kCardCode, "card-code"},
                                                                     {kPin, "pin"},
                                                                     {kPattern, "pattern"}};
  std::vector<std::string_view> names;
  for (auto [bit, name] : kNames) {
    if (evidence & bit) names.push_back(name);
  }
  return names;
}

Masker::Masker(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Masker::~Masker() = default;

std::string_view Masker::TableVersion() { return kIinTableVersion; }

Result<std::shared_ptr<const Masker>> Masker::Make(std::span<const DetectorSpec> specs,
                                                   Secret token_key) {
  auto impl = std::make_unique<Impl>();
  impl->specs.assign(specs.begin(), specs.end());
  std::set<std::string_view> names;
  for (const DetectorSpec& spec : impl->specs) {
    if (spec.name.empty()) return Fail(Errc::config_invalid, "a detector needs a name");
    if (!names.insert(spec.name).second) {
      return Fail(Errc::config_invalid, "detector " + spec.name + ": the name is used twice");
    }
    if (spec.render == Render::token && token_key.Reveal().size() < 16) {
      return Fail(Errc::config_invalid,
                  "detector " + spec.name + ": tokens need a key of at least 16 bytes");
    }
    switch (spec.kind) {
      case DetectorKind::pan:
        if (!impl->pan) impl->pan = &spec;
        break;
      case DetectorKind::sad:
        if (!impl->sad) impl->sad = &spec;
        break;
      case DetectorKind::regex: {
        if (spec.pattern.empty())
          return Fail(Errc::config_invalid, "detector " + spec.name + ": pattern is empty");
        RE2::Options options;
        options.set_log_errors(false);
        options.set_max_mem(8 << 20);
        auto re = std::make_shared<const RE2>(spec.pattern, options);
        if (!re->ok())
          return Fail(Errc::config_invalid, "detector " + spec.name + ": " + re->error());
        impl->regexes.push_back({spec, std::move(re)});
        break;
      }
    }
  }
  impl->key_id = KeyId(token_key);
  impl->key = std::move(token_key);
  return std::shared_ptr<const Masker>(new Masker(std::move(impl)));
}

bool Masker::MaskText(std::string_view text, const Context& context, std::string& out,
                      Tally& tally) const {
  std::vector<Finding> findings;
  return MaskText(text, context, out, tally, findings);
}

bool Masker::MaskText(std::string_view text, const Context& context, std::string& out, Tally& tally,
                      std::vector<Finding>& findings) const {
  Found found;
  FindAll(*impl_, text, context, 0, found);
  if (found.Empty()) return false;
  AddToTally(found, context.pointer, tally);
  NormalizeEdits(found.edits);
  out += ApplyEdits(text, found.edits);
  findings.insert(findings.end(), found.findings.begin(), found.findings.end());
  return true;
}

void Masker::FindText(std::string_view text, const Context& context,
                      std::vector<Finding>& findings) const {
  Found found;
  FindAll(*impl_, text, context, 0, found);
  findings.insert(findings.end(), found.findings.begin(), found.findings.end());
}

constexpr int kPasses = 4;

Result<bool> Masker::MaskJson(std::string_view json, const JsonOptions& options, std::string& out,
                              Tally& tally, std::vector<Finding>* findings) const {
  bool direct = true;
  if (impl_->regexes.empty() && !MayHoldCardDataInJson(json, direct)) return false;
  Found found;
  SALLYPORT_CHECK(FindInJson(*impl_, json, options, 0, 0, found, &tally, direct));
  if (found.Empty()) return false;
  NormalizeEdits(found.edits);
  std::string masked = ApplyEdits(json, found.edits);
  // What is left of one finding can make up another with its new neighbours: until nothing is
  // found.
  for (int pass = 0; pass < kPasses; ++pass) {
    Found rest;
    if (!impl_->regexes.empty() || MayHoldCardDataInJson(masked, direct)) {
      SALLYPORT_CHECK(FindInJson(*impl_, masked, options, 0, 0, rest, &tally, direct));
    }
    if (rest.Empty()) {
      out += masked;
      if (findings) findings->insert(findings->end(), found.findings.begin(), found.findings.end());
      return true;
    }
    NormalizeEdits(rest.edits);
    masked = ApplyEdits(masked, rest.edits);
  }
  return Fail(Errc::mask_failed, "masking does not settle");
}

bool Masker::MayContain(std::string_view bytes) const {
  bool direct;
  return !impl_->regexes.empty() || MayHoldCardDataInJson(bytes, direct);
}

}  // namespace sallyport::mask
