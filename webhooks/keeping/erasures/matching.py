"""Whether a kept request or a text names a person."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MASK = "[erased]"
# A shorter id (a row number of the operator's, "42") stands in many texts without meaning the person.
_TELLING = 8
_FIELDS = frozenset({"user_id", "reference_id"})


@dataclass(frozen=True, slots=True)
class Ids:
    """The ids of one person, and what finds them."""

    ids: frozenset[str]
    _found: "re.Pattern[str]" = field(init=False)
    _told: "re.Pattern[str]" = field(init=False)  # the same for ids that mean the person wherever they stand
    _spelled: frozenset[str] = field(init=False)  # looked for first: a pattern of many ids is slow

    def __post_init__(self) -> None:
        """Make the pattern that finds the ids in a text, whole and never as a part of a longer word."""
        object.__setattr__(self, "_spelled", frozenset(text for one in self.ids for text in _spellings(one)))
        object.__setattr__(self, "_found", _any_of(self.ids))
        object.__setattr__(self, "_told", _any_of(one for one in self.ids if len(one) >= _TELLING))

    def in_text(self, text: str) -> bool:
        """Tell whether a text names one of the ids; a short one only in quotes."""
        return self._is_in(text, self._found)

    def _is_in(self, text: str, pattern: "re.Pattern[str]") -> bool:
        return any(one in text for one in self._spelled) and pattern.search(text) is not None

    def masked(self, text: str) -> str:
        """Return a text without the ids."""
        return self._found.sub(MASK, text)

    def in_body(self, body: bytes) -> bool:
        """Tell whether a body names one of the ids: anywhere in it, and a short one only in a field for ids.

        In what is no JSON that is anywhere in quotes.
        """
        text = body.decode(errors="replace")
        if self._is_in(text, self._told):
            return True
        try:
            return any(one in self.ids for one in _named(json.loads(body)))
        except (ValueError, RecursionError):
            return self.in_text(text)

    def in_request(self, headers: Mapping[str, Any], body: bytes | None) -> bool:
        """Tell whether a kept request names one of the ids. A header that is a short one is a length or a port."""
        return any(map(self.in_text, map(str, headers.values()))) or (body is not None and self.in_body(body))


def _any_of(ids: Iterable[str]) -> "re.Pattern[str]":
    return re.compile("|".join(map(_pattern, sorted(ids))) or r"(?!)")


def _spellings(one: str) -> set[str]:
    return {one, json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1]}


def _pattern(one: str) -> str:
    texts = "|".join(map(re.escape, sorted(_spellings(one))))
    if len(one) >= _TELLING:
        return rf"(?<![\w-])(?:{texts})(?![\w-])"
    return rf'(?<=")(?:{texts})(?=")'


def _named(value: Any) -> Iterator[str]:
    """Yield the texts in every field for ids, however deep."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name in _FIELDS and isinstance(inner, str):
                yield inner
            else:
                yield from _named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner)
