"""Identifiers that sort by the time they were made."""

import uuid

from uuid_utils.compat import uuid7 as _uuid7


def uuid7() -> uuid.UUID:
    """Return a new UUID version 7 (RFC 9562): 48 bits of Unix milliseconds, then random."""
    return _uuid7()


def parsed_uuid(text: str) -> uuid.UUID | None:
    """Return the UUID that a text is, in its hyphenated form; else ``None``."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None
