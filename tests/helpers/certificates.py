"""Certificates for TLS, made for a test."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _certificate(name, key, issuer, issuer_key, *, is_ca):
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    return builder.sign(issuer_key, hashes.SHA256())


def _pem(key, passphrase=None):
    locked = serialization.NoEncryption()
    if passphrase is not None:
        locked = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)


def certificates(folder):
    """Files of a new authority and of somebody it vouches for: ca.pem, cert.pem, key.pem, locked.pem.

    The last is the key under a passphrase. Returns the folder.
    """
    folder.mkdir()
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("authority", "somebody")]
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in names]
    authority = _certificate(names[0], keys[0], names[0], keys[0], is_ca=True)
    somebody = _certificate(names[1], keys[1], names[0], keys[0], is_ca=False)
    files = {
        "ca.pem": authority.public_bytes(serialization.Encoding.PEM),
        "cert.pem": somebody.public_bytes(serialization.Encoding.PEM),
        "key.pem": _pem(keys[1]),
        "locked.pem": _pem(keys[1], b"secret"),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def tls_options(folder):
    """The options of Dask's own commands for them."""
    fields = tls_fields(folder)
    return [word for name, file in fields.items() for word in ("--" + name.replace("_", "-"), file)]


def tls_fields(folder):
    """The fields of `DaskScheduler` for them."""
    return {"tls_ca_file": folder / "ca.pem", "tls_cert": folder / "cert.pem", "tls_key": folder / "key.pem"}
