"""Certificates of an engine that others reach: given ones, or one that it makes itself."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

VALID_DAYS = 3650


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What an engine shows. `fingerprint`: SHA-256 of the certificate, 64 hexadecimal digits, for clients to pin."""

    context: ssl.SSLContext
    fingerprint: str


def load_certificate(cert: Path, key: Path | None) -> ServerCertificate:
    """A certificate (PEM, its chain after it) and its key; raises ValueError with a message for people."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
        text = cert.read_text(encoding="ascii")
        first = text[text.index("-----BEGIN CERTIFICATE-----") :]
        der = ssl.PEM_cert_to_DER_cert(first[: first.index("-----END CERTIFICATE-----") + 25])
    except ssl.SSLError as error:
        raise ValueError(
            f"{cert} and {key or 'the key in it'} are no certificate and its key in PEM form ({error.reason or error})"
        ) from None
    except OSError as error:
        raise ValueError(f"{error.filename or cert} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{cert} holds no certificate in PEM form") from None
    return ServerCertificate(context, hashlib.sha256(der).hexdigest())


def own_certificate(folder: Path, host: str) -> ServerCertificate:
    """The certificate in `folder`, made when there is none: clients pin its fingerprint, so it is made only once."""
    cert, key = folder / "engine-cert.pem", folder / "engine-key.pem"
    if not (cert.exists() and key.exists()):
        _make(folder, cert, key, host)
    return load_certificate(cert, key)


def _make(folder: Path, cert: Path, key: Path, host: str) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sightline engine")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(secret, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    pem = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _names(host: str) -> list[x509.GeneralName]:
    from cryptography import x509

    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    own = socket.gethostname()
    if own.isascii() and own and own != "localhost":
        names.append(x509.DNSName(own))
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if host not in ("localhost", own):
            names.append(x509.DNSName(host))
    else:
        if not address.is_unspecified and str(address) != "127.0.0.1":
            names.append(x509.IPAddress(address))
    return names
