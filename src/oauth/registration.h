#pragma once

#include <string>
#include <string_view>

#include "oauth/client.h"
#include "state/sealer.h"

namespace sallyport::oauth {

/// Dynamic registration (RFC 7591) without anything to keep: the client_id is the registration,
/// sealed. Whoever registers a million times has used up nothing, and a client_id that was not made
/// here is none.
inline constexpr size_t kMaxRegisteredBytes = 1024;  // of redirects and name together

/// The client_id; two are never the same. request_malformed: more than kMaxRegisteredBytes.
Result<std::string> Register(const state::Sealer& sealer, const ClientMetadata& metadata);
/// not_found: not made here.
Result<Client> OpenRegistration(const state::Sealer& sealer, std::string_view client_id);
bool IsRegistration(std::string_view client_id);

}  // namespace sallyport::oauth
