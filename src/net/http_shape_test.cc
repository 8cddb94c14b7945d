#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/http_server_for_test.h"
#include "obs/metrics.h"

namespace sallyport::net {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
namespace asio = boost::asio;

// Shapes that two implementations may frame differently, and other malformed heads.

struct Shape {
  const char* name;
  std::string bytes;
  int status;
};

class HttpShapeTest : public HttpServerTest, public testing::WithParamInterface<Shape> {};

TEST_P(HttpShapeTest, IsRefusedAndClosed) {
  Serve([](HttpServerTest& test, HttpExchange& exchange) -> asio::awaitable<void> {
    test.handled_++;
    return Echo(test, exchange);
  });
  RawClient client(server_->port());
  client.Send(GetParam().bytes);
  const std::string response = client.ReadAll();
  EXPECT_THAT(response, StartsWith("HTTP/1.1 " + std::to_string(GetParam().status) + " "));
  EXPECT_THAT(response, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(response.find("HTTP/1.1 ", 1), response.npos) << "a second response: " << response;
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(handled_, 0);
  ASSERT_EQ(refused().size(), 1u);
  EXPECT_EQ(refused()[0].status, GetParam().status);
  EXPECT_FALSE(refused()[0].detail.empty());
  EXPECT_THAT(obs::Metrics().Exposition(), HasSubstr("sallyport_http_refused_total{status=\"" +
                                                     std::to_string(GetParam().status) + "\"} "));
}

INSTANTIATE_TEST_SUITE_P(
    Smuggling, HttpShapeTest,
    testing::Values(
        Shape{"LengthAndCoding",
              Post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
        Shape{"CodingAndLength",
              Post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"), 400},
        Shape{"TwoLengths", Post("Content-Length: 4\r\nContent-Length: 5\r\n", "abcd"), 400},
        Shape{"TwoEqualLengths", Post("Content-Length: 4\r\ncontent-length: 4\r\n", "abcd"), 400},
        Shape{"LengthList", Post("Content-Length: 4, 4\r\n", "abcd"), 400},
        Shape{"LengthSigned", Post("Content-Length: +4\r\n", "abcd"), 400},
        Shape{"LengthNegative", Post("Content-Length: -1\r\n"), 400},
        Shape{"LengthHex", Post("Content-Length: 0x4\r\n", "abcd"), 400},
        Shape{"LengthEmpty", Post("Content-Length:\r\n", "abcd"), 400},
        Shape{"LengthSpaced", Post("Content-Length: 1 0\r\n", "abcd"), 400},
        Shape{"LengthHuge", Post("Content-Length: 99999999999999999999\r\n"), 400},
        Shape{"CodingTwice",
              Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
              400},
        Shape{"CodingList", Post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400},
        Shape{"CodingIdentity", Post("Transfer-Encoding: identity\r\n"), 400},
        Shape{"CodingQuoted", Post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 400},
        Shape{"CodingPrefix", Post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400},
        Shape{"CodingParameter", Post("Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"), 400},
        Shape{"CodingEmpty", Post("Transfer-Encoding:\r\n", "0\r\n\r\n"), 400},
        Shape{"CodingVerticalTab",
              Post("Transfer-Encoding: \x0b"
                   "chunked\r\n",
                   "0\r\n\r\n"),
              400},
        Shape{"CodingIn10", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        Shape{"SpaceBeforeColon", Post("Content-Length : 4\r\n", "abcd"), 400},
        Shape{"TabBeforeColon", Post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"), 400},
        Shape{"SpaceInName", Post("X Y: 1\r\n"), 400}, Shape{"EmptyName", Post(": 1\r\n"), 400},
        Shape{"NoColon", Post("Garbage\r\n"), 400}, Shape{"Fold", Post("X: a\r\n b\r\n"), 400},
        Shape{"FoldTab", Post("X: a\r\n\tTransfer-Encoding: chunked\r\n"), 400},
        Shape{"FoldFirst", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400},
        Shape{"BareLfLine", "GET / HTTP/1.1\nHost: x\r\n\r\n", 400},
        Shape{"BareLfField", Post("X: a\nY: b\r\n"), 400},
        Shape{"BareLfEnd", "GET / HTTP/1.1\r\nHost: x\r\n\n", 400},
        Shape{"BareCr", Post("X: a\rY: b\r\n"), 400}, Shape{"CrCrLf", Post("X: a\r\r\n"), 400},
        Shape{"Nul", Post(std::string("X: a\0b\r\n", 8)), 400},
        Shape{"NulInName", Post(std::string("X\0: a\r\n", 7)), 400},
        Shape{"Control", Post("X: a\x01\r\n"), 400}, Shape{"Delete", Post("X: a\x7f\r\n"), 400},
        Shape{"HighName", Post("X\xc3\xa9: a\r\n"), 400},
        Shape{"LeadingEmptyLine", "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400}));

INSTANTIATE_TEST_SUITE_P(
    Chunks, HttpShapeTest,
    testing::Values(Shape{"Extension", Chunked("3;a=b\r\nabc\r\n0\r\n\r\n"), 400},
                    Shape{"ExtensionOnLast", Chunked("3\r\nabc\r\n0;x\r\n\r\n"), 400},
                    Shape{"SpaceBehind", Chunked("3 \r\nabc\r\n0\r\n\r\n"), 400},
                    Shape{"SpaceBefore", Chunked(" 3\r\nabc\r\n0\r\n\r\n"), 400},
                    Shape{"HexPrefix", Chunked("0x3\r\nabc\r\n0\r\n\r\n"), 400},
                    Shape{"Sign", Chunked("+3\r\nabc\r\n0\r\n\r\n"), 400},
                    Shape{"Negative", Chunked("-1\r\nabc\r\n0\r\n\r\n"), 400},
                    Shape{"Underscore", Chunked("1_0\r\nabc\r\n0\r\n\r\n"), 400},
                    Shape{"Empty", Chunked("\r\nabc\r\n0\r\n\r\n"), 400},
                    Shape{"BareLf", Chunked("3\nabc\r\n0\r\n\r\n"), 400},
                    Shape{"BareLfAfterData", Chunked("3\r\nabc\n0\r\n\r\n"), 400},
                    Shape{"TooLong", Chunked("3\r\nabcd\r\n0\r\n\r\n"), 400},
                    Shape{"Overflow", Chunked("10000000000000003\r\nabc\r\n0\r\n\r\n"), 400},
                    Shape{"Huge", Chunked("fffffffffffff\r\nabc"), 413},
                    Shape{"Trailer", Chunked("3\r\nabc\r\n0\r\nX: y\r\n\r\n"), 400},
                    Shape{"BareLfEnd", Chunked("3\r\nabc\r\n0\r\n\n"), 400}));

INSTANTIATE_TEST_SUITE_P(
    RequestLine, HttpShapeTest,
    testing::Values(
        Shape{"Http09", "GET /\r\n\r\n", 400},
        Shape{"Http2Preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        Shape{"Http12", "GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505},
        Shape{"Http3", "GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505},
        Shape{"LowerVersion", "GET / http/1.1\r\nHost: x\r\n\r\n", 400},
        Shape{"LongVersion", "GET / HTTP/1.10\r\nHost: x\r\n\r\n", 400},
        Shape{"NoVersion", "GET / \r\nHost: x\r\n\r\n", 400},
        Shape{"TwoSpaces", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Shape{"SpaceInTarget", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Shape{"TabInLine", "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Shape{"Absolute", "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Shape{"Authority", "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Shape{"Asterisk", "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Shape{"Relative", "GET a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Shape{"Fragment", "GET /#a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Shape{"HighTarget", "GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Shape{"NulTarget", std::string("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 29), 400},
        Shape{"BadMethod", "G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        Shape{"TlsHello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 12), 400},
        Shape{"NoHost", "GET / HTTP/1.1\r\nX: y\r\n\r\n", 400},
        Shape{"TwoHosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
        Shape{"HostList", "GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", 400},
        Shape{"HostEmpty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
        Shape{"HostUser", "GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", 400},
        Shape{"HostPath", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400},
        Shape{"HostPort", "GET / HTTP/1.1\r\nHost: x:8o\r\n\r\n", 400},
        Shape{"HostBracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
        Shape{"Expectation", "POST / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n", 417}));

TEST_F(HttpServerTest, HostsThatAreFine) {
  Serve(Echo);
  RawClient client(server_->port());
  for (const std::string host :
       {"[::1]:80", "a-b.example_1:65535", "127.0.0.1", "[fe80::1]", "LOCALHOST"}) {
    client.Send("GET /" + host + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    EXPECT_THAT(client.ReadResponse(), StartsWith("HTTP/1.1 200 ")) << host;
  }
}

}  // namespace
}  // namespace sallyport::net
