# The upstream half of this folder: both kinds of upstream, and the formats they speak.
set(MCP_UPSTREAM_SOURCES
  envelope.cc member_scan.cc revision.cc sse.cc
  upstream_bridge.cc upstream_call.cc upstream_http.cc upstream_http_listen.cc upstream_http_modern.cc
  upstream_http_session.cc upstream_http_wire.cc upstream_modern.cc upstream_peer.cc
  upstream_stdio.cc upstream_stdio_channel.cc upstream_stdio_session.cc)
set(MCP_UPSTREAM_TESTS
  envelope_test.cc sse_test.cc upstream_http_test.cc upstream_session_test.cc upstream_node_test.cc upstream_stdio_test.cc)
