"""An attempt as a command that can be pasted into a shell: with names of variables where secrets were."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from destinations.texts import visible

MASK = "****"
_NAME = re.compile(r"[^A-Z0-9]+")
_IN_URL = "SECRET_IN_URL"


def curl_of(request: Mapping[str, Any], file: str) -> str:
    """Return the command for a logged HTTP request; empty for what was none.

    A variable stands where a secret was masked, and a line before the command says what to set it to. Signatures
    are no secrets: they are right for this body, and for a while.
    """
    url, headers = request.get("url"), request.get("headers")
    if not isinstance(url, str) or not isinstance(headers, dict) or not request.get("method"):
        return ""
    sent = {str(name): str(value) for name, value in headers.items()}
    lines = [f"curl -X {shlex.quote(str(request['method']))} {_quoted(url, _IN_URL)}"]
    lines += [f"-H {_quoted(f'{name}: {value}', _variable(name))}" for name, value in sent.items()]
    lines.append(f"--data-binary @{shlex.quote(file)}")
    return visible("\n".join([*_to_set(url, sent), " \\\n  ".join(lines)]))


def _to_set(url: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each variable, to be filled in."""
    if MASK in url:
        yield f"{_IN_URL}='put the secret part of the URL here'"
    for name, value in headers.items():
        if MASK in value:
            yield f"{_variable(name)}={shlex.quote(f'put the secret part of the header {name} here')}"


def _variable(name: str) -> str:
    variable = _NAME.sub("_", name.upper()).strip("_")
    return variable if variable and not variable[0].isdigit() else f"SECRET_{variable}".rstrip("_")


def _quoted(text: str, variable: str) -> str:
    """Return text in quotes for a shell, with a variable for each mask."""
    parts = [shlex.quote(part) if part else "" for part in text.split(MASK)]
    return f'"${{{variable}}}"'.join(parts)
