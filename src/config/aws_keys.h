#pragma once

#include <string>
#include <string_view>

#include "config/fields.h"
#include "credential/config.h"

// What several sections say of AWS keys, of words, and of how a server is reached.

namespace sallyport::config {

/// Letters, digits and what is in `more`; not empty.
bool IsWord(std::string_view text, std::string_view more);
/// Reports a `text` that is not empty and not a word.
void CheckWord(Fields& fields, std::string_view key, const std::string& text, std::string_view more,
               std::string hint);

/// ca, allow_addresses, allow_loopback_http
credential::Reach ReadReach(Fields& fields);
/// sigv4.credentials and what is spelled like it. `per_caller`: it may be a key for each caller.
credential::AwsKeys ReadAwsKeys(Context& context, const Node& node, const std::string& where,
                                bool per_caller = false);
/// region and credentials of an rds_iam.
credential::RdsIam ReadRdsIam(Fields& fields);

}  // namespace sallyport::config
