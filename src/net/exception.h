#pragma once

#include <exception>
#include <string_view>

namespace sallyport::net {

/// An exception came where none should: counts it (sallyport_exceptions_total) and logs it as
/// `event`. Null is fine and does nothing.
void ReportException(std::exception_ptr error, std::string_view event);

}  // namespace sallyport::net
