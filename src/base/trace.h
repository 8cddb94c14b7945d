#pragma once

#include <string>
#include <string_view>

namespace sallyport {

// Trace context as the W3C recommendation writes it (https://www.w3.org/TR/trace-context/):
// 00-<trace id: 32 hexadecimal digits>-<parent id: 16>-<flags: 2>, all in lower case.

/// The trace id of a traceparent, a view into it; empty if it is none.
std::string_view TraceIdOf(std::string_view traceparent);

/// The trace id of the first `traceparent=…` in a text, with or without quotes: a part of an
/// application_name, which PostgreSQL cuts at 63 bytes, or of a comment that names it. Empty: none.
std::string_view TraceIdIn(std::string_view text);

/// A new traceparent, sampled. Unique, not secret.
std::string NewTraceparent();

}  // namespace sallyport
