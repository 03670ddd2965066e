"""Headers and query parameters of a webhook whose values are secret: how they are read, stored, and told of.

Both are credentials: stored as one sealed JSON text of names with values, of which the names alone are shown.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

MOST = 32
MAX_NAME, MAX_VALUE = 100, 4096
MAX_TEXT = 64 * 1024

# Names of what is plainly a credential. One that is caught and is none is sent from the sealed field just as well.
_CREDENTIAL = re.compile(
    r"api[-_.]?key|token|secret|passw|passphrase|passcode|cookie|credential|authori[sz]ation|functions[-_.]code"
    r"|(^|[-_.])(auth|authentication|key|pwd|pin|jwt|session|signature|sig)($|[-_.])",
    re.IGNORECASE,
)
# An authentication scheme before something: https://www.rfc-editor.org/rfc/rfc9110#section-11.4
_SCHEME = re.compile(r"(bearer|basic|token|apikey)\s+\S", re.IGNORECASE)
_QUERY_ONLY = frozenset({"code"})  # Azure Functions call their keys so
# https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2; values without control characters.
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
HEADER_TEXT = r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?"
# As they stand in a URL, percent-encoded where they have to be.
_QUERY_NAME = re.compile(r"[\x21-\x7e]{1,100}(?<![&#=])")
_QUERY_VALUE = re.compile(r"[!\"$-%'-~]+")
# Made by the hub, or by its HTTP client for the connection.
_TAKEN = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "dev-id", "expect",
        "host", "keep-alive", "te", "trailer", "trailers", "transfer-encoding", "upgrade", "user-agent",
    }
)  # fmt: skip
_TAKEN_PREFIXES = ("terra-", "x-terra-", "webhook-", "proxy-")


def is_credential(name: str, value: str = "") -> bool:
    """Tell whether a header of this name, or with this value, plainly carries a credential."""
    return bool(_CREDENTIAL.search(name) or _SCHEME.match(value))


def is_query_credential(name: str) -> bool:
    """Tell whether a query parameter of this name plainly carries a credential."""
    return is_credential(name) or name.lower() in _QUERY_ONLY


def header_name_problem(name: str) -> str:
    """Return what is wrong with a header's name, or ``""``."""
    lower = name.lower()
    if not HEADER_NAME.fullmatch(name):
        return f"{name[:MAX_NAME]!a} is not a header name: use letters, digits and hyphens."
    if lower in _TAKEN or lower.startswith(_TAKEN_PREFIXES):
        return f"{name} is set by the hub itself."
    return ""


# --- what is sent to the hub -> what is stored -------------------------------------------------------
def headers_read(value: Any) -> str:
    """Return the JSON text that is stored for secret headers; raise ``ValueError`` with what to change.

    ``value`` is an object, its JSON text, or a text with one ``Name: value`` per line. No message holds a value.
    """
    return _read(value, _header_problem)


def query_read(value: Any) -> str:
    """Return the JSON text that is stored for secret query parameters; raise ``ValueError`` with what to change."""
    return _read(value, _query_problem)


def _read(value: Any, problem_of: Callable[[str, str], str]) -> str:
    pairs = _pairs(value)
    if len(pairs) > MOST:
        raise ValueError(f"Must be at most {MOST}.")
    for name, text in pairs.items():
        if problem := problem_of(name, text):
            raise ValueError(problem)
    return json.dumps(pairs) if pairs else ""


def _pairs(value: Any) -> dict[str, str]:
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        value = _from_json(value) if value.lstrip().startswith("{") else _from_lines(value)
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise ValueError('Must be one "Name: value" per line, or a JSON object of texts.')
    return _without_twins([(name.strip(), text.strip()) for name, text in value.items()])


def _from_json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_twins)
    except RecursionError:
        return None
    except json.JSONDecodeError:  # not the parser's words: what it quotes may be a secret
        raise ValueError('Not JSON. Write one "Name: value" per line, or a JSON object of texts.') from None


def _from_lines(text: str) -> dict[str, str]:
    lines = [line.partition(":") for line in text.splitlines() if line.strip()]
    for number, (_, colon, _) in enumerate(lines, 1):
        if not colon:
            raise ValueError(f'Line {number} has no colon. Write one "Name: value" per line.')
    return _without_twins([(name.strip(), rest.strip()) for name, _, rest in lines])


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    lower = [name.lower() for name, _ in pairs]
    twice = next((name for name in lower if lower.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice[:MAX_NAME]!a} is given more than once.")
    return dict(pairs)


def _header_problem(name: str, value: str) -> str:
    if len(value) > MAX_VALUE or not re.fullmatch(HEADER_TEXT, value):
        return f"The value of {name[:MAX_NAME]!a} must be 1 to {MAX_VALUE} printable ASCII characters."
    return header_name_problem(name)


def _query_problem(name: str, value: str) -> str:
    if not _QUERY_NAME.fullmatch(name) or any(sign in name for sign in "&#="):
        return f"{name[:MAX_NAME]!a} is not a parameter's name. Write it as it stands in the URL."
    if len(value) > MAX_VALUE or not _QUERY_VALUE.fullmatch(value):
        return f"The value of {name!a} must be as it stands in a URL: percent-encoded, at most {MAX_VALUE} characters."
    return ""


# --- what is stored -> what is sent on, or shown -----------------------------------------------------
def stored_pairs(stored: str) -> dict[str, str]:
    """Return the names and values of a stored text; raise ``ValueError`` where it is none."""
    return _pairs(stored) if stored else {}


def header_names(stored: str) -> dict[str, str | None]:
    """Return what may be shown of stored secret headers: their names."""
    return {"secret_header_names": ", ".join(stored_pairs(stored)) or None}


def query_names(stored: str) -> dict[str, str | None]:
    """Return what may be shown of stored secret query parameters: their names."""
    return {"secret_query_names": ", ".join(stored_pairs(stored)) or None}


def with_query(url: str, pairs: Mapping[str, str]) -> str:
    """Return a URL with more parameters at the end of its query, as they are; its fragment, never sent, falls away."""
    if not pairs:
        return url
    plain = url.partition("#")[0].rstrip()
    query = "&".join(f"{name}={value}" for name, value in pairs.items())
    return f"{plain}{'&' if '?' in plain else '?'}{query}"


def credentials_in_query(url: str) -> list[str]:
    """Return the names of a URL's query parameters that plainly carry a credential."""
    query = url.partition("#")[0].partition("?")[2]
    pairs = (pair.partition("=") for pair in query.split("&"))
    return [name for name, _, value in pairs if value and is_query_credential(name)]
