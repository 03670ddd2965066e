"""Keeps a destination's secrets out of what is stored about it, also where its other side echoes them."""

import json
from collections.abc import Iterable
from urllib.parse import quote

from destinations.checking import SHORTEST_SECRET, without_secrets


class Scrubber:
    """Knows the secrets of one destination, as they are and as a receiver may spell them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Take the secrets; those that are too short to tell from ordinary words are left out."""
        kept = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        spelled = {form for secret in kept for form in _forms(secret)}
        self._secrets = {str(number): form for number, form in enumerate(sorted(spelled))}
        self._bytes = tuple(form.encode() for form in spelled)

    def is_in(self, data: bytes) -> bool:
        """Tell whether a secret occurs in ``data``: cheaper than scrubbing text that holds none."""
        return any(map(data.__contains__, self._bytes))

    def text(self, text: str, cut: bool = False) -> str:
        """Return ``text`` with stars for each secret; with ``cut``, for the beginning of one at its end too."""
        text = without_secrets(text, self._secrets)
        return self._without_tail(text) if cut else text

    def _without_tail(self, text: str) -> str:
        for secret in self._secrets.values():
            for size in range(len(secret) - 1, SHORTEST_SECRET - 1, -1):
                if text.endswith(secret[:size]):
                    return text[:-size] + "****"
        return text


def _forms(secret: str) -> set[str]:
    escaped = json.dumps(secret)[1:-1]
    return {secret, escaped, escaped.replace("/", "\\/"), quote(secret, safe="")}
