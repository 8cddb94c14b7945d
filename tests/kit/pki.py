"""An authority of the test's own, by the openssl command: certificates that are right, and that are wrong in one way."""

import pathlib
import subprocess
import time

CONFIG = """
[ca]
default_ca = own
[own]
dir = {dir}
new_certs_dir = {dir}
database = {dir}/index
serial = {dir}/serial
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
"""


class Authority:
    def __init__(self, directory: pathlib.Path, name: str = "ca"):
        self.directory = directory / name
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "index").write_text("")
        (self.directory / "serial").write_text("01\n")
        self._config = self.directory / "openssl.cnf"
        self._config.write_text(CONFIG.format(dir=self.directory))
        self.cert, self._key = self.directory / "ca.crt", self.directory / "ca.key"
        self._openssl("req", "-x509", "-config", self._config, *KEY, "-keyout", self._key, "-out", self.cert, "-days", "2",
                      "-subj", f"/CN=Test {name}")

    @staticmethod
    def _openssl(*argv) -> None:
        done = subprocess.run(["openssl", *map(str, argv)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def issue(self, name: str, san: str = "IP:127.0.0.1,DNS:localhost", expired: bool = False,
              lasts: int | None = None) -> tuple[pathlib.Path, pathlib.Path]:
        """(certificate, key) for the common name `name`, for two days or `lasts` seconds."""
        cert, key, request = (self.directory / f"{name}.{end}" for end in ("crt", "key", "csr"))
        self._openssl("req", "-new", "-config", self._config, *KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}",
                      *(["-addext", f"subjectAltName={san}"] if san else []))
        dates = ("-startdate", "20240101000000Z", "-enddate", "20240201000000Z") if expired else ("-days", "2")
        if lasts is not None:
            dates = ("-enddate", time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + lasts)))
        self._openssl("ca", "-batch", "-notext", "-config", self._config, "-cert", self.cert, "-keyfile", self._key, "-in", request,
                      "-out", cert, *dates)
        return cert, key


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
