"""Text that a stranger wrote, made safe to read: nothing in it stays invisible or turns the line round."""

import re

# C0 and C1 controls but tab and line feed, bidi controls (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters),
# zero-width characters that join nothing, line and paragraph separators, and halves of surrogate pairs.
_HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


def visible(text: object) -> str:
    r"""Return ``text`` with each control and bidi character spelled out as ``\uXXXX``; it is not escaped for HTML."""
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", str(text))
