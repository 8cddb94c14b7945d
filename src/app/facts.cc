#include "app/facts.h"

#include "mask/seal.h"

namespace sallyport::app {
namespace {
constexpr size_t kMostBytes = 32 << 10;
}

MaskedText Facts(const mask::Masker& masker, const nlohmann::ordered_json& object) {
  using Json = nlohmann::ordered_json;
  const auto seal = [&](const std::string& text) {
    std::vector<op::MaskCount> counts;
    return mask::Seal::Json(masker, text, {}, kMostBytes, counts);
  };
  auto sealed = seal(object.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (!sealed || !sealed->complete) sealed = seal(R"({"unreadable":true})");
  return sealed ? std::move(sealed->text) : MaskedText();
}

}  // namespace sallyport::app
