"""Roles: three groups of people, and what each may do. docs/roles.md says the same in words.

A migration makes the groups; later changes of them are the operator's own. A permission that is added here needs a
migration which calls ``make_roles``: that gives it to those groups which nobody has changed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions
from django.db.models import Q

VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"

# Everything but payloads, secrets and people.
_VIEWS = (
    "webhooks.view_source",
    "webhooks.view_event",
    "webhooks.view_quarantinedrequest",
    "webhooks.view_delivery",
    "webhooks.view_replay",
    "webhooks.view_erasure",
    "destinations.view_destination",
    "destinations.view_notice",
)
# What is done at three in the morning: look closer, send again, hold back. Nothing of it changes a setting.
_OPERATES = (
    "webhooks.view_payload",
    "webhooks.resend_delivery",
    "webhooks.cancel_delivery",
    "webhooks.add_replay",
    "webhooks.change_replay",
    "webhooks.admit_quarantinedrequest",
    "destinations.check_destination",
    "destinations.test_destination",
    "destinations.pause_destination",
)
# What the hub is set up with, and who may log in.
_ADMINISTERS = (
    "webhooks.add_source",
    "webhooks.change_source",
    "webhooks.add_erasure",
    "webhooks.change_erasure",
    "destinations.view_apikey",
    "destinations.add_apikey",
    "destinations.change_apikey",
    "destinations.add_destination",
    "destinations.change_destination",
    "destinations.delete_destination",
    "auth.view_user",
    "auth.add_user",
    "auth.change_user",
    "auth.delete_user",
    "auth.view_group",
    "auth.add_group",
    "auth.change_group",
    "auth.delete_group",
    "axes.view_accessattempt",
    "axes.delete_accessattempt",  # unlocks somebody
)
ROLES: Mapping[str, frozenset[str]] = {
    VIEWER: frozenset(_VIEWS),
    OPERATOR: frozenset((*_VIEWS, *_OPERATES)),
    ADMIN: frozenset((*_VIEWS, *_OPERATES, *_ADMINISTERS)),
}


def make_roles(apps: Any, database: str, before: Mapping[str, frozenset[str]] | None = None) -> None:
    """Make the groups that are missing, and bring those up to date that hold just what they held ``before``.

    Any other group of that name is somebody's own, and stays as it is.
    """
    make_permissions(database)
    groups = apps.get_model("auth", "Group").objects.using(database)
    permissions = apps.get_model("auth", "Permission").objects.using(database)
    for name, names in ROLES.items():
        group, made = groups.get_or_create(name=name)
        if made or (before and _held(group) == before.get(name)):
            group.permissions.set(permissions.filter(chosen(names)))


def remove_roles(apps: Any, database: str) -> None:
    """Remove the groups that are as they were made and that nobody is in."""
    for group in apps.get_model("auth", "Group").objects.using(database).filter(name__in=ROLES):
        if _held(group) == ROLES[group.name] and not group.user_set.exists():
            group.delete()


def make_permissions(database: str) -> None:
    """Make the rows of every permission, which Django makes only once all migrations have run."""
    for config in installed.get_app_configs():
        create_permissions(config, verbosity=0, interactive=False, using=database)


def chosen(names: Iterable[str]) -> Q:
    """Return what selects the rows of these permissions."""
    wanted = Q(pk__in=[])
    for name in names:
        app, _, codename = name.partition(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    return wanted


def _held(group: Any) -> frozenset[str]:
    pairs = group.permissions.values_list("content_type__app_label", "codename")
    return frozenset(f"{app}.{codename}" for app, codename in pairs)
