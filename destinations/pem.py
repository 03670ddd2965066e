"""Certificates in PEM form, as an operator pastes them."""

from cryptography import x509

EXAMPLE = "-----BEGIN CERTIFICATE-----"
MALFORMED = "Must be one or more certificates in PEM form (-----BEGIN CERTIFICATE-----)."


def is_pem(text: str) -> bool:
    """Tell whether ``text`` holds certificates in PEM form, and all of them can be read."""
    try:
        return bool(x509.load_pem_x509_certificates(text.encode()))
    except ValueError:
        return False
