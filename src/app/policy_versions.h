#pragma once

#include <string>

#include "base/result.h"
#include "config/schema.h"
#include "gate/gate.h"
#include "mask/masker.h"

namespace sallyport::app {

/// Records that the rules in force are those of `root` from here on, and who stands for them as its
/// section `change` says (policy.adopted; PCI DSS 6.5.1, 6.5.4, 7.2.1).
Result<> AdoptPolicy(const config::Root& root, const mask::Masker& masker, gate::Gate& gate);

/// policy log
struct PolicyLogOptions {
  std::string data_dir;
  bool json = false;
};
int RunPolicyLog(const PolicyLogOptions& options);

}  // namespace sallyport::app
