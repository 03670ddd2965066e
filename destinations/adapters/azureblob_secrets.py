"""The two secrets that open a container: how they are read, what may be shown of them, and what must not.

SAS tokens: https://learn.microsoft.com/rest/api/storageservices/create-service-sas
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

MAX_TOKEN = 4096
KEY_BYTES = range(16, 129)  # Azure's have 64; other servers let one choose
NEEDED = {"r": "read (r)", "w": "write (w)"}  # of a token that lists its rights; write includes create
_PAIR = re.compile(r"[A-Za-z0-9_-]{1,32}=[\x21-\x25\x27-\x7e]{1,2048}")  # visible, and no ampersand
_GET_ONE = "Make one as the set-up text says: az storage container generate-sas."
_CONNECTION_STRING = "This is a connection string: give the value of {} in it alone."


def read_token(value: Any) -> str:
    """Return a SAS token as it is stored: without its question mark or the URL before it, each value encoded once.

    Raises ``ValueError`` with what to change, without a word of the token.
    """
    fields = _fields_of(value)
    if missing := [name for name in ("sv", "sig") if name not in fields]:
        raise ValueError(f"A SAS token has a field {missing[0]}, and this has none. {_GET_ONE}")
    if fields.get("sr", "c") != "c":
        raise ValueError(f"It opens {_KINDS.get(fields['sr'], 'something else')}, not a container. {_GET_ONE}")
    if "ss" in fields and not ("b" in fields["ss"] and "o" in fields.get("srt", "")):
        raise ValueError(f"It is a token of the account, and not for blobs (ss=b, srt=o). {_GET_ONE}")
    return "&".join(f"{name}={quote(text, safe='')}" for name, text in fields.items())


_KINDS = {"b": "one blob", "bv": "one version of a blob", "bs": "one snapshot of a blob", "d": "one directory"}


def _fields_of(value: Any) -> Mapping[str, str]:
    if not isinstance(value, str):
        raise ValueError(f"Must be text. {_GET_ONE}")
    text = value.strip().strip("\"'").rpartition("?")[2]
    if "AccountKey=" in text or "SharedAccessSignature=" in text:
        raise ValueError(_CONNECTION_STRING.format("SharedAccessSignature"))
    pairs = text.split("&")
    if len(text) > MAX_TOKEN or not all(map(_PAIR.fullmatch, pairs)):
        raise ValueError(f"Not a SAS token, which looks like sv=…&sr=c&sig=…. {_GET_ONE}")
    fields = dict(pair.split("=", 1) for pair in pairs)
    if len(fields) < len(pairs):
        raise ValueError(f"A field of the SAS token is there twice. {_GET_ONE}")
    return {name: unquote(text) for name, text in fields.items()}


def fields_of_stored(token: str) -> Mapping[str, str]:
    """Return the fields of a stored token; none where nothing is stored."""
    return {name: unquote(text) for name, _, text in (pair.partition("=") for pair in token.split("&")) if name}


def facts_of_token(token: str) -> dict[str, str | None]:
    """Return what may be shown of a stored token: what it allows, and when it ends, as far as it says so itself."""
    fields = fields_of_stored(token)
    return {name: fields.get(field) for name, field in _FACTS.items()}


_FACTS = {"sas_permissions": "sp", "sas_expires": "se", "sas_policy": "si"}


def expiry_of(token: str) -> datetime | None:
    """Return when a stored token ends; ``None`` where its access policy says so, or where it is no time."""
    try:
        moment = datetime.fromisoformat(fields_of_stored(token).get("se", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def rights_to_spare(token: str) -> list[str]:
    """Return which rights that the hub does not need a stored token lists; none where its access policy lists them."""
    listed = fields_of_stored(token).get("sp", "")
    return [name for letter, name in _SPARE.items() if letter in listed]


_SPARE = {"d": "delete blobs (d)", "x": "delete versions (x)", "y": "delete for good (y)", "l": "list blobs (l)"}


def rights_lacking(token: str) -> list[str]:
    """Return which rights that the hub needs a stored token does not list; none where its access policy lists them."""
    listed = fields_of_stored(token).get("sp")
    return [] if listed is None else [name for letter, name in NEEDED.items() if letter not in listed]


def read_key(value: Any) -> str:
    """Return an account key as it is stored; raise ``ValueError`` with what to change, without a word of the key."""
    if not isinstance(value, str):
        raise ValueError("Must be text.")
    text = value.strip()
    if "AccountKey=" in text:
        raise ValueError(_CONNECTION_STRING.format("AccountKey"))
    if "sig=" in text:
        raise ValueError("This is a SAS token: choose to sign in with one, and put it into its own field.")
    if not key_bytes(text):
        raise ValueError("Not an account key, which is 88 letters of base64: az storage account keys list.")
    return text


def key_bytes(key: str) -> bytes:
    """Return the bytes of an account key; none where it is no key."""
    try:
        found = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return found if len(found) in KEY_BYTES else b""


def secret_texts(sas_token: str, account_key: str) -> list[str]:
    """Return every text that must not be shown: the whole of both, and the signature alone."""
    return [sas_token, fields_of_stored(sas_token).get("sig", ""), account_key]
