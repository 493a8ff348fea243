"""The certificates of the sandbox: authority and servers get new ones at each start, the client keeps its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


def write_private(path: Path, content: bytes) -> None:
    """Write a file only its owner can read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


@dataclass(frozen=True)
class Certificates:
    """Files of the certificate authority and the server's certificate.

    Attributes:
        ca_file: What clients must trust.
        certificate_file: The server's certificate, for ``127.0.0.1``, ``localhost`` and the names asked for.
        key_file: Its key.
    """

    ca_file: Path
    certificate_file: Path
    key_file: Path

    @staticmethod
    def make(folder: Path, names: Sequence[str] = ()) -> Certificates:
        """Make an authority and a server certificate; the authority's key is thrown away.

        Args:
            folder: Where the files go.
            names: Further names of the server.
        """
        folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        authority = trustme.CA(path_length=0, organization_name="Sandbox certificate authority")
        server = authority.issue_cert(
            "localhost",
            "127.0.0.1",
            *names,
            common_name="localhost",
            not_before=now - timedelta(days=1),
            not_after=now + timedelta(days=365),
        )
        certificates = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
        authority.cert_pem.write_to_path(certificates.ca_file)
        server.cert_chain_pems[0].write_to_path(certificates.certificate_file)
        write_private(certificates.key_file, server.private_key_pem.bytes())
        return certificates


def client_certificate(path: Path) -> x509.Certificate:
    """The certificate that the client may sign in with, made when the file is missing; the file holds its key too."""
    if path.exists():
        return x509.load_pem_x509_certificate(path.read_bytes())
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sandbox client")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=730))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(path, pem + certificate.public_bytes(serialization.Encoding.PEM))
    return certificate
