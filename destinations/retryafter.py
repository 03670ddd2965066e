"""How long another side asks to be left alone: the Retry-After header of an answer."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 24 * 3600.0


def retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, at most 24 h; ``None`` for garbage.

    Seconds or an HTTP date: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)
