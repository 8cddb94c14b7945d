#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace sallyport::ledger {

/// `count` different indexes below `size`, in the order in which they were drawn: for i = 0, 1, …
/// the first eight bytes, big-endian, of HMAC-SHA-256(key: `seed`, message: i in decimal), modulo
/// `size`; what was drawn before is passed over. Whoever knows seed and size can draw them too, so
/// an assessor who gives the seed after the head was cosigned has chosen, and nobody else has. All
/// indexes if there are not more.
std::vector<uint64_t> SampleIndexes(std::string_view seed, uint64_t size, uint64_t count);

}  // namespace sallyport::ledger
