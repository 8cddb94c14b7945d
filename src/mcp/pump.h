#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "mcp/call_stream.h"
#include "net/http_server.h"

namespace sallyport::mcp {

/// How the messages of a stream are written to a client.
struct PumpStyle {
  std::string id_prefix;  // of event ids: "<stream>-"; empty: events have none
  bool prime = false;     // begin with an empty event that has an id, and `retry` (2025-11-25)
  bool at_once = false;   // begin the event stream before there is a message (GET, listen)
  bool collect = false;   // a batch: without events before them, all answers in one JSON array
  size_t answers = 1;     // that end the stream
  uint64_t seen = 0;      // what the client has already (Last-Event-ID)
  std::chrono::milliseconds patience{
      15'000};           // before an event stream is begun, so that something is sent
  net::Headers headers;  // of the response
  std::function<void(bool streamed)> done;  // on the stream's shard: all was written
  std::function<void()> gone;               // on the stream's shard: the client went away
};

/// Writes what comes out of `stream`, which lives on `home`, until its end: one JSON response if
/// the first message is the answer, else server-sent events as they come, with comments to keep the
/// connection alive. Runs on the exchange's shard; the stream is only touched on its own.
boost::asio::awaitable<void> Pump(net::HttpExchange& exchange, std::shared_ptr<CallStream> stream,
                                  boost::asio::any_io_executor home, PumpStyle style);

}  // namespace sallyport::mcp
