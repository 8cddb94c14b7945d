#pragma once

#include "mcp/call.h"

namespace sallyport::mcp {

/// What an upstream says before its answer: masked, recorded (Gate::Note), and only then passed on.
class CallEvents final : public UpstreamEvents {
 public:
  CallEvents(Call& call, const gate::Permit& permit) : call_(call), permit_(permit) {}

  Task<> OnNotification(std::string message) override;
  Task<UpstreamAnswer> OnRequest(std::string method, std::string params) override;

 private:
  Call& call_;
  const gate::Permit& permit_;
};

}  // namespace sallyport::mcp
