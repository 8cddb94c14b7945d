"""Tokens of SoftHSM, and a library in front of it that has faults on request (pkcs11_faults.c)."""

import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).parent
SOFTHSM = next((p for p in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
                if pathlib.Path(p).exists()), "")


def build_faults(directory: pathlib.Path) -> pathlib.Path:
    directory.mkdir(parents=True, exist_ok=True)
    library = directory / "faults.so"
    flags = subprocess.run(["pkg-config", "--cflags", "p11-kit-1"], capture_output=True, text=True, check=True).stdout.split()
    compiler = next(c for c in ("clang-19", "clang", "cc", "gcc") if shutil.which(c))
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", *flags, HERE / "pkcs11_faults.c", "-o", library], check=True)
    return library


class Token:
    """A fresh token with a user PIN; `env` is what a process needs to find it."""

    def __init__(self, directory: pathlib.Path, faults: pathlib.Path, label: str = "gate", pin: str = "pin-canary-8842"):
        self.directory, self.label, self.pin = directory, label, pin
        (directory / "tokens").mkdir(parents=True)
        (directory / "softhsm2.conf").write_text(f"directories.tokendir = {directory / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.faults_file, self.log_file, self.pin_file = directory / "faults", directory / "log", directory / "keep-pin"
        self.module = faults
        self.env = {"SOFTHSM2_CONF": str(directory / "softhsm2.conf"), "PKCS11_REAL": SOFTHSM, "PKCS11_FAULTS": str(self.faults_file),
                    "PKCS11_LOG": str(self.log_file)}
        self.pin_file.write_text(pin)
        self.pin_file.chmod(0o600)
        self.util("--init-token", "--free", "--label", label, "--so-pin", "so-pin-1234", "--pin", pin)

    def util(self, *argv) -> str:
        return subprocess.run(["softhsm2-util", *map(str, argv)], env={**os.environ, **self.env}, capture_output=True, text=True, check=True).stdout

    def config(self, **more) -> dict:
        return {"pkcs11": {k: v for k, v in {"module": str(self.module), "token_label": self.label, "pin": {"file": str(self.pin_file)}, **more}.items()
                           if v is not None}}

    def fault(self, words: str = "") -> None:
        self.faults_file.write_text(words)

    def logins(self) -> list[str]:
        """What became of each PIN that was shown: "ok" or "refused"."""
        return self.log_file.read_text().split() if self.log_file.exists() else []

    def objects(self) -> list[dict]:
        """The objects as they lie on disk: "class", and the attributes that are yes or no."""
        found = []
        for file in self.directory.glob("tokens/*/*.object"):
            if file.name == "token.object":
                continue
            text = subprocess.run(["softhsm2-dump-file", file], capture_output=True, text=True).stdout
            flags = re.findall(r"(CKA_\w+)\n[0-9a-f ]+boolean attribute\n(?:00|01|ff)\s+(TRUE|FALSE)", text)
            kind = re.search(r"CKO_\w+", text)
            if kind:  # else it is being destroyed
                found.append({"class": kind[0], **{name: value == "TRUE" for name, value in flags}})
        return found

    def private_keys(self) -> list[dict]:
        return [o for o in self.objects() if o["class"] == "CKO_PRIVATE_KEY"]
