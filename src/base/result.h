#pragma once

#include <expected>
#include <utility>

#include "base/error.h"

namespace sallyport {

/// What every fallible function returns. Exceptions are for start-up, bad_alloc and third parties only; they
/// end at the root coroutine of a connection.
template <class T = void>
using Result = std::expected<T, Error>;

/// `return Fail(Errc::rule_deny, "…");`
inline std::unexpected<Error> Fail(Errc code, std::string detail = {}) {
  return std::unexpected<Error>(Error(code, std::move(detail)));
}

}  // namespace sallyport

#define SALLYPORT_CONCAT_(a, b) a##b
#define SALLYPORT_CONCAT(a, b) SALLYPORT_CONCAT_(a, b)

/// `SALLYPORT_TRY(auto key, ReadKey(path));` declares `key`, or returns the error of the expression.
#define SALLYPORT_TRY(decl, ...) SALLYPORT_TRY_(decl, SALLYPORT_CONCAT(try_, __LINE__), return, __VA_ARGS__)
/// The same inside a coroutine; `SALLYPORT_CO_TRY(auto x, co_await F());`.
#define SALLYPORT_CO_TRY(decl, ...) SALLYPORT_TRY_(decl, SALLYPORT_CONCAT(try_, __LINE__), co_return, __VA_ARGS__)
#define SALLYPORT_TRY_(decl, name, ret, ...)                  \
  auto name = (__VA_ARGS__);                                  \
  if (!name) ret std::unexpected(std::move(name).error());    \
  decl = std::move(*name)

/// For expressions without a value: `SALLYPORT_CHECK(Sync(fd));`.
#define SALLYPORT_CHECK(...) SALLYPORT_CHECK_(SALLYPORT_CONCAT(check_, __LINE__), return, __VA_ARGS__)
#define SALLYPORT_CO_CHECK(...) SALLYPORT_CHECK_(SALLYPORT_CONCAT(check_, __LINE__), co_return, __VA_ARGS__)
#define SALLYPORT_CHECK_(name, ret, ...) \
  if (auto name = (__VA_ARGS__); !name) ret std::unexpected(std::move(name).error())
