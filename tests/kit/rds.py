"""A double of how RDS checks passwords by IAM, behind a real PostgreSQL: its pg_hba asks it by LDAP simple bind (RFC 4511) whether the
password of the user is right. It is, if botocore makes the same presigned request with a key that is known and good now.
"""

import datetime
import hmac
import socketserver
import threading
import time
import urllib.parse

from kit import sigv4


def _tlv(data: bytes, at: int) -> tuple[int, bytes, int]:
    """(tag, value, where the next one starts) of the BER element at `at`."""
    tag, size, at = data[at], data[at + 1], at + 2
    if size & 0x80:
        more = size & 0x7F
        size, at = int.from_bytes(data[at:at + more], "big"), at + more
    if at + size > len(data):
        raise IndexError
    return tag, data[at:at + size], at + size


class RdsIam:
    """`keys` are those of a kit.cloud.Aws; `host`, `port`: of the database, as the token names it (set once it runs)."""

    def __init__(self, keys: dict, region: str):
        self.keys, self.region, self.host, self.database_port = keys, region, "127.0.0.1", 0
        self.shown = []  # (user, password, verdict)
        double = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                data = b""
                while True:
                    try:
                        _, message, end = _tlv(data, 0)
                    except IndexError:
                        piece = self.request.recv(65536)
                        if not piece:
                            return
                        data += piece
                        continue
                    data = data[end:]
                    _, number, at = _tlv(message, 0)
                    tag, body, _ = _tlv(message, at)
                    if tag != 0x60:  # anything but a bind: UnbindRequest
                        return
                    _, _, at = _tlv(body, 0)
                    _, name, at = _tlv(body, at)
                    _, password, _ = _tlv(body, at)
                    good = double.judge(name.decode().removeprefix("cn=").removesuffix(",dc=rds"), password.decode())
                    result = b"\x0a\x01" + (b"\0" if good else b"\x31") + b"\x04\0\x04\0"  # 49: invalidCredentials
                    answer = b"\x02" + bytes([len(number)]) + number + b"\x61" + bytes([len(result)]) + result
                    self.request.sendall(b"\x30" + bytes([len(answer)]) + answer)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def judge(self, user: str, password: str) -> bool:
        query = dict(urllib.parse.parse_qsl(password.partition("?")[2]))
        id = query.get("X-Amz-Credential", "").partition("/")[0]
        good = False
        if id in self.keys and "X-Amz-Date" in query:
            secret, token, end = self.keys[id]
            at = datetime.datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
            again = sigv4.rds_token(self.host, self.database_port, user, (id, secret, token or None), self.region, int(at))
            good = hmac.compare_digest(again, password) and at - 60 < time.time() < min(at + 900, end)
        self.shown.append((user, password, good))
        return good

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
