"""Reads the hub's settings from the environment, and says in one line what is wrong with one.

No message holds a value that may be a secret: numbers, switches and choices are shown, texts and URLs are not.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

ValueT = TypeVar("ValueT")
_SHOWN = 40  # characters of a value
_SWITCH = {
    **dict.fromkeys(("true", "on", "yes", "y", "ok", "1"), True),
    **dict.fromkeys(("false", "off", "no", "n", "0"), False),
}


class BadSetting(ImproperlyConfigured):
    """A setting that cannot be used; the message is one line for people."""

    def __init__(self, name: str, problem: str, example: str = "") -> None:
        """Name the setting, say what is wrong with it, and give a value that would do."""
        super().__init__(f"{name} {problem}{f' Example: {name}={example}' if example else ''}")


class Environment:
    """The variables of a process, each as ``NAME``, or as ``NAME_FILE`` with the path of a file that holds it."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        """Read the process's own variables, or those given."""
        self._variables = os.environ if variables is None else variables

    def text(self, name: str, default: str = "") -> str:
        """Return a text as it is, without the line break at a file's end."""
        path = self._variables.get(f"{name}_FILE")
        if not path:
            return self._variables.get(name, default)
        try:
            text = Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text in UTF-8"
            # What is plainly no path may be the secret itself.
            shown = f"{path}: " if path.startswith(("/", ".")) else ""
            raise BadSetting(f"{name}_FILE", f"names a file that cannot be read: {shown}{why}.") from None
        return text.removesuffix("\n").removesuffix("\r")

    def listed(self, name: str, default: Sequence[str] = ()) -> list[str]:
        """Return the parts between commas, without spaces round them."""
        return [part.strip() for part in self.text(name, ",".join(default)).split(",") if part.strip()]

    def whole(self, name: str, default: int, least: int = 0) -> int:
        """Return a whole number that is not less than ``least``; an empty one is the default."""
        wanted = f"is no whole number of {least} or more"
        return self._read(name, default, lambda text: _not_less(int(text), least), wanted)

    def number(self, name: str, default: float, least: float = 0.0) -> float:
        """Return a number that is not less than ``least``; an empty one is the default."""
        wanted = f"is no number of {least:g} or more"
        return self._read(name, default, lambda text: _not_less(float(text), least), wanted)

    def switch(self, name: str, default: bool) -> bool:
        """Return a switch; an empty one is the default."""
        return self._read(name, default, lambda text: _SWITCH[text.lower()], "is neither true nor false")

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        """Return one of ``choices``; an empty one is the default."""
        by_lower = {choice.lower(): choice for choice in choices}
        wanted = f"is not one of {', '.join(choices)}"
        return self._read(name, default, lambda text: by_lower[text.lower()], wanted)

    def url(self, name: str, default: str = "", example: str = "https://api.example.com") -> str:
        """Return a web address, or ``""``."""
        url = self.text(name, default).strip()
        if url and (problem := _url_problem(url)):
            raise BadSetting(name, problem, example)
        return url

    def hosts(self, name: str, default: Sequence[str]) -> list[str]:
        """Return host names as Django's ``ALLOWED_HOSTS`` has them: without a scheme, a port or a path."""
        found = self.listed(name, default)
        for host in found:
            if "/" in host or (":" in host and not (host.startswith("[") and host.endswith("]"))):
                raise BadSetting(name, f"has {_shown(host)}, which is more than a host name.", ",".join(default))
        return found

    def _read(self, name: str, default: ValueT, read: Callable[[str], ValueT], wanted: str) -> ValueT:
        text = self.text(name).strip()
        if not text:
            return default
        try:
            return read(text)
        except (ValueError, KeyError):
            raise BadSetting(name, f"is {_shown(text)}, which {wanted}.", _spelled(default)) from None


NumberT = TypeVar("NumberT", int, float)


def _not_less(number: NumberT, least: float) -> NumberT:
    if not math.isfinite(number) or number < least:
        raise ValueError
    return number


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _url_problem(url: str) -> str:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # reading it judges it
    except ValueError:
        return "is no URL: its host or its port is malformed."
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "does not begin with https:// or http:// and a host."
    if "@" in parts.netloc:
        return "holds a user name or a password, which do not belong there."
    return "has a query or a fragment, which do not belong there." if parts.query or parts.fragment else ""
