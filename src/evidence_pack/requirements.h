#pragma once

#include <span>
#include <string_view>

namespace sallyport::evidence_pack {

/// Who has to do what a sub-requirement asks for.
enum class Split : uint8_t { gateway, supports, customer, not_applicable };
std::string_view SplitName(Split split);

/// One sub-requirement of PCI DSS v4.0.1 that a gateway has something to say about. Ids and titles
/// of our own: the text of the standard is its publisher's.
struct Requirement {
  std::string_view id;
  std::string_view title;
  /// `whole`: what the gateway has is computed and needs nobody. `part`: a person has to add
  /// something. `none`: the customer's own process; the gateway has data for it at most.
  enum class Automatic : uint8_t { whole, part, none } automatic;
  Split split;
  std::string_view person;  // what a person does; empty: nothing but judging
};

/// In the order of the standard. Static lifetime.
std::span<const Requirement> Requirements();
const Requirement* FindRequirement(std::string_view id);

}  // namespace sallyport::evidence_pack
