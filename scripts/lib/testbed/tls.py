"""Certificates of a bed: an authority of its own, and one certificate for all its servers.

They are made once, by the openssl program, and stay as long as the bed.
"""

import os
import subprocess

from . import packages
from .report import BedError

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
DAYS = "3650"
# A client that checks the name must find it, whether it uses a name or an address.
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n"
AUTHORITY = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]


def authority_path(bed):
    """The file that clients have to trust."""
    return bed.file("tls", "ca.pem")


def certificate_path(bed):
    return bed.file("tls", "server.pem")


def key_path(bed):
    return bed.file("tls", "server.key")


def ensure(bed):
    """Make the certificates unless they are there."""
    # The certificate is written last.
    if os.path.exists(certificate_path(bed)):
        return
    os.makedirs(bed.file("tls"), mode=0o700, exist_ok=True)
    authority_key, request, names = (bed.file("tls", name) for name in ("ca.key", "server.csr", "names.cnf"))
    with open(names, "w", encoding="ascii") as f:
        f.write(NAMES)
    extensions = [word for extension in AUTHORITY for word in ("-addext", extension)]
    _openssl(
        "req", "-x509", *KEY, "-keyout", authority_key, "-out", authority_path(bed),
        "-days", DAYS, "-subj", "/CN=Longshore test bed", *extensions,
    )  # fmt: skip
    _openssl("req", *KEY, "-keyout", key_path(bed), "-out", request, "-subj", "/CN=localhost")
    _openssl(
        "x509", "-req", "-in", request, "-CA", authority_path(bed), "-CAkey", authority_key, "-CAcreateserial",
        "-days", DAYS, "-extfile", names, "-out", certificate_path(bed),
    )  # fmt: skip


def _openssl(*words):
    program = packages.program_of_debian("openssl", "openssl")
    done = subprocess.run(
        [program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BedError(f"openssl {words[0]} failed: {done.stderr.strip()}")
