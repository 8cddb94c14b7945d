#include "net/exception.h"

#include "obs/log.h"
#include "obs/metrics.h"

namespace sallyport::net {

void ReportException(std::exception_ptr error, std::string_view event) {
  if (!error) return;
  obs::Metrics()
      .counters("sallyport_exceptions_total", "Exceptions that ended a coroutine or a handler.")
      .With()
      .Add();
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    obs::Log(obs::Level::error, event, {{"what", e.what()}});
  } catch (...) {
    obs::Log(obs::Level::error, event);
  }
}

}  // namespace sallyport::net
