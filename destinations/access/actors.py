"""Who does something: a user of the admin, an API key, the command line. All of them are a ``by`` of the use cases."""

from collections.abc import Collection, Iterable
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from destinations.access.scopes import permissions_of
from destinations.models import ApiKey

REASON_LENGTH = 100  # of simple_history's column


class Actor:
    """Somebody who is no user of the admin: histories name them in the reason of a change.

    It has as much of Django's user as views and Django REST Framework ask for.
    """

    pk = None
    is_authenticated = is_active = True
    is_anonymous = is_staff = is_superuser = False

    def __init__(self, name: str, permissions: Collection[str] = (), sources: Collection[str] = ()) -> None:
        """Name the actor; ``sources`` are the slugs that it is limited to, none: not limited."""
        self.name, self.permissions, self.sources = name, frozenset(permissions), frozenset(sources)

    def __str__(self) -> str:
        return self.name

    def get_username(self) -> str:
        """Return the name under which histories and logs have what it did."""
        return self.name

    def has_perm(self, permission: str, obj: Any = None) -> bool:
        """Tell whether it may do something, in the words of Django's permissions."""
        return permission in self.permissions

    def has_perms(self, permissions: Iterable[str], obj: Any = None) -> bool:
        """Tell whether it may do all of these."""
        return set(permissions) <= self.permissions


class KeyActor(Actor):
    """An API key at work."""

    def __init__(self, key: ApiKey) -> None:
        """Act with the scopes and the sources of ``key``."""
        super().__init__(f"API key {key.name} ({key.prefix})", permissions_of(key.scopes), key.sources)
        self.key = key


def principal_of(by: Any) -> str:
    """Return a short stable name of who calls: ``user:7``, ``key:<id>``."""
    return f"key:{by.key.pk}" if isinstance(by, KeyActor) else f"user:{by.pk}"


def sources_of(by: Any) -> frozenset[str]:
    """Return the slugs that somebody is limited to; none: not limited."""
    return by.sources if isinstance(by, Actor) else frozenset()


def sign_history(row: Any, by: Any, reason: str) -> None:
    """Say on a row who changes it and why, for the history record of the next save.

    ``by`` is a user, an ``Actor``, or ``None``: then simple_history takes the user of the request, if there is one.
    """
    if isinstance(by, Actor):
        reason = f"{reason} by {by}"
    row._change_reason = reason if len(reason) <= REASON_LENGTH else reason[: REASON_LENGTH - 1] + "…"
    if by is not None:
        row._history_user = by if isinstance(by, AbstractBaseUser) else None
