"""A mixed load for a while: memory stays bounded, nothing is refused, the log verifies.

A few seconds here; SALLYPORT_SOAK_MINUTES=60 for the long one (./dev soak).
"""

import os
import time

import pytest

from kit.parts import http_connection
from kit.process import rss_kib
from test_kill9 import Load

SECONDS = float(os.environ.get("SALLYPORT_SOAK_MINUTES", "0.15")) * 60


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 240)
def test_soak(start_gateway, tmp, oidc, upstream):
    gateway = start_gateway(tmp, oidc, [http_connection("up", upstream.url)])
    load = Load(gateway, oidc.token("tester"))
    try:
        time.sleep(SECONDS / 3)
        warm = rss_kib(gateway.process.pid) / 1024
        time.sleep(SECONDS * 2 / 3)
        end = rss_kib(gateway.process.pid) / 1024
    finally:
        load.stop()
    assert load.refused == 0
    assert len(load.acknowledged) > 10
    assert end < warm * 1.5 + 64, f"resident memory grew from {warm:.0f} to {end:.0f} MiB"
    gateway.stop()
    assert gateway.verify().returncode == 0
    upstream.reset()
