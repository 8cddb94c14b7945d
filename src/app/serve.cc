#include <csignal>
#include <cstdio>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/signals.h"
#include "app/verbs.h"
#include "obs/log.h"

namespace sallyport::app {

int RunServe(const ServeOptions& options) {
  BlockSignals();
  KeepMemoryPrivate();
  int exit_code = kOk;
  Result<config::Root> root = LoadOrExplain(options.config, exit_code);
  if (!root) return exit_code;
  const auto grace = root->server.drain_timeout;

  Result<std::unique_ptr<Gateway>> gateway = Gateway::Start(std::move(*root));
  if (!gateway) {
    std::fprintf(stderr, "sallyport: cannot start: %s (%s)\n", gateway.error().detail.c_str(),
                 std::string(ReasonCode(gateway.error().code)).c_str());
    return gateway.error().code == Errc::config_invalid ? kBadConfig : kFailed;
  }
  NotifyManager("READY=1");
  for (;;) {
    const int signal = NextSignal(std::chrono::seconds(1));
    if (signal == SIGTERM || signal == SIGINT) break;
    if (signal == SIGHUP) {
      NotifyManager("RELOADING=1");
      if (const Result<> reloaded = (*gateway)->Reload(); !reloaded) {
        obs::Log(obs::Level::error, "config.refused", {{"detail", reloaded.error().detail}});
      }
      NotifyManager("READY=1");
    }
    (*gateway)->Tick();
  }
  NotifyManager("STOPPING=1");
  (*gateway)->Stop(grace);
  return kOk;
}

}  // namespace sallyport::app
