"""A service account's key, as Google hands it out: what is taken from the file, and what is not.

Google's file: https://cloud.google.com/iam/docs/keys-create-delete. Everything in it but four fields
is dropped, ``token_uri`` above all: a client that believed it would send what the key signed to
whoever wrote the file.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
UNIVERSE = "googleapis.com"
MAX_BYTES = 16 * 1024
MAX_KEY_BITS = 4096
MIN_KEY_BITS = 2048
_SHORTEST_LINE = 16  # a shorter one could be an ordinary word
_MAX_TEXT = 1024  # of an e-mail address or a name
_SERVICE_ACCOUNT = "service_account"
_FIELDS = ("client_email", "private_key", "private_key_id", "project_id")
_NAME = re.compile(r"[\x21-\x7e]+")
_EMAIL = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+")
_GET_ONE = "Upload the JSON file of a service account's key: gcloud iam service-accounts keys create."
# What people have at hand besides, by the field "type" of Google's own files.
_OTHER_TYPES = {
    "authorized_user": "a person's own log-in (gcloud auth application-default login)",
    "external_account": "a configuration of workload identity federation, which holds no key",
    "external_account_authorized_user": "a configuration of workforce identity federation, which holds no key",
    "impersonated_service_account": "a log-in that impersonates a service account, which holds no key",
    "gdch_service_account": "a key of Google Distributed Cloud",
}


@dataclass(frozen=True, slots=True)
class ServiceAccountKey:
    """The four fields of a service account's key that the hub uses."""

    client_email: str
    private_key: str  # PEM
    private_key_id: str
    project_id: str

    def __repr__(self) -> str:
        return f"<ServiceAccountKey of {self.client_email}>"

    def as_info(self) -> dict[str, str]:
        """Return the key in the shape of Google's file; its ``token_uri`` is always Google's own."""
        return {"type": _SERVICE_ACCOUNT, **{name: getattr(self, name) for name in _FIELDS}, "token_uri": TOKEN_URI}


def rebuilt(value: Any) -> str:
    """Return the JSON text that is stored for a key that came as text or as a JSON object.

    Raises ``ValueError`` with what to change, without a word of the key.
    """
    return json.dumps(read_key(value).as_info())


def stored_key(stored: str) -> ServiceAccountKey:
    """Read what ``rebuilt`` made, and believe no other field of it; raise ``ValueError`` where one is missing.

    The private key was judged when it came, which takes as long as fifty deliveries.
    """
    texts = {name: _stored_text(stored, name) for name in _FIELDS}
    if not all(texts.values()):
        raise ValueError("The stored key of the service account is incomplete.")
    return ServiceAccountKey(**texts)


def public_facts(stored: str) -> dict[str, str | None]:
    """Return what may be shown of a stored key: whose it is."""
    return {"service_account_email": _stored_text(stored, "client_email") or None}


def secret_texts(stored: str) -> list[str]:
    """Return every text of a stored key that must not be shown: the whole, and each line of the private key."""
    pem = _stored_text(stored, "private_key")
    lines = [line for line in pem.splitlines() if len(line) >= _SHORTEST_LINE and not line.startswith("-----")]
    return [stored, pem, "".join(lines), *lines, _stored_text(stored, "private_key_id")]


def _stored_text(stored: str, name: str) -> str:
    """Return one field of a key that was read before; ``""`` where nothing is stored."""
    try:
        value = json.loads(stored)[name]
    except (ValueError, KeyError, TypeError):
        return ""
    return value if isinstance(value, str) else ""


def read_key(value: Any) -> ServiceAccountKey:
    """Read a key from text or from a JSON object; raise ``ValueError`` with what to change."""
    info = _object_of(value)
    _check_kind(info)
    texts = {name: _text_of(info, name) for name in _FIELDS}
    if not _EMAIL.fullmatch(texts["client_email"]):
        raise ValueError(f"client_email is no e-mail address. {_GET_ONE}")
    for name in ("private_key_id", "project_id"):
        if not _NAME.fullmatch(texts[name]):
            raise ValueError(f"{name} has characters that Google's never have. {_GET_ONE}")
    _check_private_key(texts["private_key"])
    return ServiceAccountKey(**texts)


def _object_of(value: Any) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        value = json.dumps(value)
    if not isinstance(value, str):
        raise ValueError(f"Must be the key's JSON, as text or as an object. {_GET_ONE}")
    text = value.strip().removeprefix("\ufeff")
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise ValueError(f"Larger than {MAX_BYTES // 1024} KB; a key's file has about 2.5 KB. {_GET_ONE}")
    if text.startswith("-----BEGIN"):
        raise ValueError(f"This is the PEM text of a key or a certificate alone, without its account. {_GET_ONE}")
    try:
        info = json.loads(text)
    except (ValueError, RecursionError):
        # Not the parser's words: a fragment of the file might be part of the key.
        raise ValueError(f"Not JSON. {_GET_ONE}") from None
    if not isinstance(info, dict):
        raise ValueError(f"JSON, but not an object. {_GET_ONE}")
    return info


def _check_kind(info: Mapping[str, Any]) -> None:
    kind = info.get("type")
    if kind == _SERVICE_ACCOUNT:
        if info.get("universe_domain", UNIVERSE) != UNIVERSE:
            raise ValueError(f"This key belongs to another cloud than Google's own ({UNIVERSE}). {_GET_ONE}")
        return
    if isinstance(info.get("installed") or info.get("web"), dict) or ("client_secret" in info and kind is None):
        raise ValueError(f"This is an OAuth client's file, not a service account's key. {_GET_ONE}")
    if isinstance(kind, str) and kind in _OTHER_TYPES:
        raise ValueError(f"This is {_OTHER_TYPES[kind]}: its type is {kind}, and must be service_account. {_GET_ONE}")
    raise ValueError(f"Its type must be service_account. {_GET_ONE}")


def _text_of(info: Mapping[str, Any], name: str) -> str:
    value = info.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing. {_GET_ONE}")
    if name != "private_key" and len(value) > _MAX_TEXT:
        raise ValueError(f"{name} is longer than {_MAX_TEXT} characters. {_GET_ONE}")
    return value


def _check_private_key(pem: str) -> None:
    if "\n" not in pem and "\\n" in pem:
        raise ValueError("The line ends of private_key were written as \\\\n twice. Upload the file as Google made it.")
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise ValueError(f"private_key is encrypted. {_GET_ONE}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"private_key is no private key in PEM form, or a part of it is missing. {_GET_ONE}") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"private_key is no RSA key. {_GET_ONE}")
    if not MIN_KEY_BITS <= key.key_size <= MAX_KEY_BITS:
        raise ValueError(
            f"private_key has {key.key_size} bits; it must have {MIN_KEY_BITS} to {MAX_KEY_BITS}. {_GET_ONE}"
        )
