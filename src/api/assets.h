#pragma once

#include <optional>
#include <string_view>

namespace sallyport::api {

/// A file of web/, embedded in the binary; its name has no directory. nullopt: there is none.
std::optional<std::string_view> Asset(std::string_view name);

}  // namespace sallyport::api
