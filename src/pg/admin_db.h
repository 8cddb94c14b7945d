#pragma once

#include <boost/asio/awaitable.hpp>
#include <string_view>

#include "pg/arrival.h"
#include "pg/frontend_front.h"

namespace sallyport::pg {

/// The database name that is answered by the gateway itself.
inline constexpr std::string_view kAdminDatabase = "sallyport";

/// SHOW sessions | connections | stats | config | version, over the simple and the extended
/// protocol, with whatever driver. A caller sees the own sessions; whom FrontendOptions::sees_all
/// names, everybody's. There is nothing to change here, and no PostgreSQL behind it.
boost::asio::awaitable<void> ServeAdmin(Front& front, Arrival arrival);

}  // namespace sallyport::pg
