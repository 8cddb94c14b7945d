"""What botocore makes of requests: the second opinion on our own AWS signatures.

    python -m kit.sigv4 > ../testdata/sigv4/botocore.jsonl      # in tests/, after a new botocore
"""

import datetime
import json
import random
import sys
import urllib.parse
from unittest import mock

import botocore.auth
import botocore.session
import botocore.signers
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ARN = "arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/my_agent-AbC123"


def at(seconds: int):
    """botocore at this time."""
    now = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return mock.patch("botocore.auth.get_current_datetime", lambda *_, **__: now.replace(tzinfo=None))


def sign(method, url, headers, body, key, region, service, seconds) -> str:
    """The Authorization that botocore adds to such a request."""
    request = AWSRequest(method, url, data=body)
    for name, value in headers:
        request.headers.add_header(name, value)
    with at(seconds):
        botocore.auth.SigV4Auth(Credentials(*key), service, region).add_auth(request)
    return request.headers["Authorization"]


def rds_token(host, port, user, key, region, seconds) -> str:
    session = botocore.session.get_session()
    client = session.create_client("rds", region_name=region, aws_access_key_id=key[0], aws_secret_access_key=key[1],
                                   aws_session_token=key[2] if len(key) > 2 else None)
    with at(seconds):
        return client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user, Region=region)


def random_text(rng, alphabet, most) -> str:
    return "".join(rng.choice(alphabet) for _ in range(rng.randrange(most + 1)))


def random_target(rng) -> str:
    quoted = urllib.parse.quote(ARN, safe="")
    path = rng.choice(["/mcp", "/", f"/runtimes/{quoted}/invocations", f"/runtimes/{quoted}/invocations/", "/a/./b/../c",
                       "//double//slash", "/tilde~/%7E/plus+/%20blank", "/prod/mcp/v1", "/%E1%88%B4/umlaut",
                       "/" + urllib.parse.quote(random_text(rng, "abc /%:+&=?#é~*'()", 20), safe="/"),
                       "/" + random_text(rng, "abcXYZ019-._~!$&'()*+,;=:@/", 24)])
    if rng.random() < 0.35:
        return path
    pairs = []
    for _ in range(rng.randrange(5)):
        name = urllib.parse.quote(random_text(rng, "abAB-_.~ é/=", 6), safe="-_.~")
        value = urllib.parse.quote(random_text(rng, "xyz019 +/:é=&", 8), safe="-_.~")
        pairs.append(rng.choice([f"{name}={value}", f"{name}=", name]) or "a")
    if pairs and rng.random() < 0.4:
        pairs.append(pairs[0])  # the same key twice
    if rng.random() < 0.4:
        pairs.append("qualifier=DEFAULT")
    return path + "?" + "&".join(pairs)


def random_case(rng, number) -> dict:
    method = rng.choice(["POST", "POST", "POST", "GET", "DELETE"])
    headers = [("Content-Type", "application/json")] if method == "POST" else []
    for name, values in (("Mcp-Session-Id", ["0b9d", "x  y   z"]), ("Mcp-Method", ["tools/call"]), ("Mcp-Name", [" padded ", "a,b"]),
                         ("MCP-Protocol-Version", ["2026-07-28"]), ("Last-Event-ID", ["7", ""]), ("X-Amzn-Bedrock-AgentCore-Runtime-Session-Id", ["s" * 33])):
        if rng.random() < 0.35:
            headers += [(name, value) for value in rng.sample(values, rng.randrange(1, len(values) + 1))]
    if headers and rng.random() < 0.25:
        headers.append((headers[-1][0].upper(), "again"))
    rng.shuffle(headers)
    body = rng.choice(["", "{}", '{"jsonrpc":"2.0","id":1,"method":"tools/call"}', random_text(rng, "aé漢\u0001 {}\"", 400)]) if method == "POST" else ""
    host = rng.choice(["h.example", "bedrock-agentcore.us-east-1.amazonaws.com", "Upper.Example", "h.example:8443", "abc123.lambda-url.eu-central-1.on.aws"])
    key = ["AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"] + (["IQoJb3JpZ2luX2VjE+/=="] if rng.random() < 0.5 else [])
    service, region = rng.choice(["bedrock-agentcore", "execute-api", "lambda", "aws-mcp"]), rng.choice(["us-east-1", "eu-central-1"])
    seconds = rng.randrange(1_400_000_000, 2_000_000_000)
    target = random_target(rng)
    return {"name": f"random-{number}", "method": method, "host": host, "target": target, "headers": headers, "body": body, "key": key,
            "region": region, "service": service, "seconds": seconds,
            "authorization": sign(method, f"https://{host}{target}", headers, body, key, region, service, seconds)}


def random_rds(rng, number) -> dict:
    key = ["AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"] + (["T+/=é"[:4]] if rng.random() < 0.5 else [])
    case = {"name": f"rds-{number}", "host": rng.choice(["db.abc.us-east-1.rds.amazonaws.com", "Mixed.Case.rds.amazonaws.com"]),
            "port": rng.choice([5432, 3306, 6000]), "user": rng.choice(["app", "app user", "a/b+c=d&e", "né", "x~y.z-_"]), "key": key,
            "region": rng.choice(["us-east-1", "eu-central-1"]), "seconds": rng.randrange(1_400_000_000, 2_000_000_000)}
    return {**case, "token": rds_token(case["host"], case["port"], case["user"], key, case["region"], case["seconds"])}


def vectors(requests=400, tokens=20):
    rng = random.Random(4)
    for number in range(requests):
        yield random_case(rng, number)
    for number in range(tokens):
        yield random_rds(rng, number)


if __name__ == "__main__":
    for case in vectors():
        sys.stdout.write(json.dumps(case, ensure_ascii=True) + "\n")
