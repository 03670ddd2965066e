"""People in a role, as the migration makes it. It is made anew where another test has emptied the database."""

from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client

from terra_hub.roles import make_roles
from tests.admin_support import Person
from tests.api_support import make_user


def user_in(role: str) -> User:
    """Make a user whose only permissions are those of the role."""
    make_roles(apps, "default")
    user = make_user()
    user.groups.add(Group.objects.get(name=role))
    return user


class PersonIn(Person):
    """Somebody in a role, who uses the admin."""

    def __init__(self, role: str) -> None:
        self.user = user_in(role)
        self.client = Client()
        self.client.force_login(self.user)
