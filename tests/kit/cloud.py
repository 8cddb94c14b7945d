"""What stands in front of an upstream in a cloud: a hop that judges each request's credential and passes it to a real
MCP server, and doubles of AWS's side. The doubles follow the published protocols; AWS itself has not been asked.
"""

import base64
import datetime
import email.utils
import hashlib
import http.client
import json
import secrets
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

HOP = {"host", "connection", "content-length", "transfer-encoding", "authorization"}


class _Server:
    def __init__(self, handler):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Front(_Server):
    """`judge(request) -> None | (status, headers[, body])`: None lets it through to the server on `port`."""

    def __init__(self, port: int, judge, path: str = "/mcp"):
        front = self
        self.seen = []  # every request: method, target, headers (lower case), body, verdict
        self.passed = 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def date_time_string(self, timestamp=None):
                return email.utils.formatdate(time.time() + front.clock, usegmt=True)

            def do(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                request = {"method": self.command, "target": self.path, "body": body,
                           "headers": [(k.lower(), v) for k, v in self.headers.items()]}
                request["head"] = dict(request["headers"])
                verdict = judge(request)
                request["verdict"] = verdict
                front.seen.append(request)
                if verdict is not None:
                    status, headers, *rest = verdict
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(rest[0]) if rest else 0))
                    self.end_headers()
                    self.wfile.write(rest[0] if rest else b"")
                    return
                front.passed += 1
                self.relay(request)

            def relay(self, request):
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                upstream.request(request["method"], path, request["body"] or None,
                                 {k: v for k, v in request["headers"] if k not in HOP and not k.startswith("x-amz")})
                answer = upstream.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "content-length", "transfer-encoding", "date", "keep-alive"):
                        self.send_header(name, value)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                try:
                    while piece := answer.read1(65536):
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    self.close_connection = True
                finally:
                    upstream.close()

            do_GET = do_POST = do_DELETE = do

        self.clock = 0  # seconds this side is ahead of the machine
        super().__init__(Handler)
        self.origin = f"http://127.0.0.1:{self.port}"


class Aws:
    """A double of AWS's front door: takes a request if botocore signs it the same way with a key that is good now."""

    def __init__(self, service="bedrock-agentcore", region="us-east-1"):
        self.service, self.region = service, region
        self.keys = {}  # id -> (secret, session token, end)
        self.front = None
        self.refused = []

    def add(self, life: float = 3600, token: bool = False, id: str | None = None) -> tuple[str, str, str]:
        key = (id or "AKIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30), secrets.token_urlsafe(60) if token else "")
        self.keys[key[0]] = (key[1], key[2], time.time() + life)
        return key

    def front_of(self, port: int) -> Front:
        self.front = Front(port, self.judge)
        return self.front

    def refuse(self, why: str):
        self.refused.append(why)
        return 403, {"x-amzn-ErrorType": why}

    def judge(self, request):
        head = request["head"]
        fields = dict(part.strip().split("=", 1) for part in head.get("authorization", "AWS4-HMAC-SHA256 ").partition(" ")[2].split(",") if "=" in part)
        if not head.get("authorization", "").startswith("AWS4-HMAC-SHA256 ") or len(fields) != 3:
            return self.refuse("MissingAuthenticationTokenException")
        id, _, scope = fields["Credential"].partition("/")
        if id not in self.keys:
            return self.refuse("UnrecognizedClientException")
        secret, token, end = self.keys[id]
        if time.time() > end:
            return self.refuse("ExpiredTokenException")
        now = time.time() + self.front.clock
        at = datetime.datetime.strptime(head["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        if abs(at - now) > 300 or head.get("x-amz-security-token", "") != token:
            return self.refuse("InvalidSignatureException")
        again = AWSRequest(request["method"], "http://" + head["host"] + request["target"], data=request["body"])
        signed = fields["SignedHeaders"].split(";")
        for name, value in request["headers"]:
            if name in signed:
                again.headers.add_header(name, value)
        again.context["timestamp"] = head["x-amz-date"]
        auth = botocore.auth.SigV4Auth(Credentials(id, secret, token or None), self.service, self.region)
        signature = auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)
        must = {"host", "x-amz-date"} | {n for n, _ in request["headers"] if n.startswith("x-amz-") or n == "content-type"}
        if signature != fields["Signature"] or not must <= set(signed) or scope.split("/")[1:] != [self.region, self.service, "aws4_request"]:
            return self.refuse("InvalidSignatureException")
        return None


class Sts(_Server):
    """A double of AWS STS: AssumeRoleWithWebIdentity of 2011-06-15, form in, XML out. It knows one token, unless `judge` is another."""

    def __init__(self, aws: Aws, token_file):
        sts = self
        self.life = 3600.0
        self.mode = "up"
        self.asked = []
        self.given = []
        self.token_file = token_file

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, text):
                self.send_response(status)
                self.send_header("content-type", "text/xml")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
                sts.asked.append(form)
                if sts.mode != "up":
                    return self.answer(503, "secret words of STS")
                good = form["Action"] == "AssumeRoleWithWebIdentity" and form["Version"] == "2011-06-15" and form["RoleSessionName"]
                code = sts.judge(form) if good else "InvalidParameterValue"
                if code:
                    return self.answer(400, f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
                                            f"<Message>not {form['WebIdentityToken']}</Message></Error></ErrorResponse>")
                id, secret, token = key = aws.add(sts.life, token=True, id="ASIA" + secrets.token_hex(8).upper())
                sts.given.append(key)
                sts.gave(form, key)
                end = datetime.datetime.fromtimestamp(time.time() + sts.life, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
                return self.answer(200, f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>pod</SubjectFromWebIdentityToken>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/gate/{form['RoleSessionName']}</Arn></AssumedRoleUser>
    <Credentials>
      <SessionToken>{token}</SessionToken>
      <SecretAccessKey>{secret}</SecretAccessKey>
      <Expiration>{end}</Expiration>
      <AccessKeyId>{id}</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>""")

        super().__init__(Handler)
        self.url = f"http://127.0.0.1:{self.port}/"

    def judge(self, form: dict) -> str | None:
        """The code of an error, or None."""
        return None if form["WebIdentityToken"] == self.token_file.read_text().strip() else "InvalidIdentityToken"

    def gave(self, form: dict, key: tuple[str, str, str]) -> None:
        """A key has been given for this."""


def _part(token: str, index: int) -> dict:
    part = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def header(token: str) -> dict:
    return _part(token, 0)


def payload(token: str) -> dict:
    return _part(token, 1)


def verify_rs256(token: str, jwks: dict) -> dict:
    """The claims of a JWS if one of these keys made it (RFC 8017 section 8.2.2)."""
    def number(text):
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")
    head, body, signature = token.split(".")
    assert header(token)["alg"] == "RS256", header(token)
    key = next(k for k in jwks["keys"] if k["kid"] == header(token)["kid"])
    n = number(key["n"])
    size = (n.bit_length() + 7) // 8
    digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(f"{head}.{body}".encode()).digest()
    wanted = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
    assert pow(number(signature), number(key["e"]), n).to_bytes(size, "big") == wanted, "signature"
    return payload(token)
