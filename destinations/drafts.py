"""The id of a destination that is being added: decided before it is saved, and by the hub alone.

What is made from the id (a role's external id) has to be the same in the set-up text beside the form, in the check
before saving, and afterwards. The form carries the id signed and for one user, so that nobody can have the hub
speak for another one's destination: https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
"""

from typing import Any
from uuid import UUID

from django.core.signing import BadSignature, Signer

from destinations.ids import uuid7
from destinations.models import Destination

_SALT = "destinations.drafts"
STALE = (
    "A destination was made of this form already, or the form is somebody else's. What you typed is still here. "
    "Look at the set-up again before you save: it is for a new destination now."
)


def new_draft(user: Any) -> str:
    """Return a fresh id, signed for ``user``."""
    return _signer(user).sign(str(uuid7()))


def draft_id(token: str, user: Any) -> UUID | None:
    """Return the id in a token; ``None`` where it is not one of this user's, or a destination has or had that id."""
    try:
        found = UUID(_signer(user).unsign(token))
    except (BadSignature, ValueError):
        return None
    return None if Destination.objects.filter(pk=found).exists() else found


def _signer(user: Any) -> Signer:
    return Signer(salt=f"{_SALT}.{user.pk}")
