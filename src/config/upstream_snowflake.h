#pragma once

#include <string>

#include "config/fields.h"
#include "config/schema.h"

// connections[].mcp.http.auth of servers at Snowflake.

namespace sallyport::config {

void ReadSnowflakePat(Context& context, const Node& node, const std::string& where,
                      UpstreamAuth& auth);
void ReadSnowflakeOAuth(Context& context, const Node& node, const std::string& where,
                        UpstreamAuth& auth);

/// Snowflake's TLS certificates have no names with underscores, as accounts have them.
void CheckSnowflakeHost(Context& context, Mark mark, const std::string& what,
                        const std::string& url);

}  // namespace sallyport::config
