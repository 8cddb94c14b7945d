#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace sallyport::api {

/// The cookies of a browser (RFC 6265bis). Under https they have the prefix `__Host-`: no
/// subdomain and no plain page can set them; over plain loopback the prefix does not exist.
inline constexpr std::string_view kSessionCookie = "sallyport";      // a web session's token
inline constexpr std::string_view kLoginCookie = "sallyport-login";  // binds a login to its browser

/// The value; nullopt when it is missing, or there several times.
std::optional<std::string> FindCookie(const net::Headers& headers, std::string_view name,
                                      bool secure);
/// A Set-Cookie field: HttpOnly, Secure (https), SameSite=Lax, Path=/. An empty value removes it.
void SetCookie(net::Headers& headers, std::string_view name, std::string_view value, bool secure,
               long max_age_seconds);

}  // namespace sallyport::api
