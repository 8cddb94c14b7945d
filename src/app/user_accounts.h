#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "config/schema.h"
#include "credential/user_oauth.h"
#include "gate/gate.h"
#include "mask/masker.h"
#include "state/writer.h"

namespace sallyport::app {

/// What connections with people's own accounts are made of; the references outlive them.
struct Accounts {
  state::Writer& state;
  gate::Gate& gate;
  std::shared_ptr<const mask::Masker> masker;
  std::string public_url;           // without a slash at its end
  std::filesystem::path state_dir;  // with the key of the state
};

/// The credential of a connection with auth.user_oauth; its events go into the log.
Result<std::shared_ptr<credential::UserOauth>> MakeUserOauth(const std::string& connection,
                                                             const config::McpHttp& http,
                                                             const Accounts& accounts);

/// Deletes what was kept for connections that are not of this kind any more.
Result<> KeepOnlyAccounts(const config::Root& root, state::Writer& state);

}  // namespace sallyport::app
