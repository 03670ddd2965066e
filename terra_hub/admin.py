"""People in the admin: users, groups, and log-ins that were locked."""

from typing import Any, ClassVar

from axes.admin import AccessAttemptAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

for _model in (User, Group, AccessAttempt, AccessLog, AccessFailureLog):
    admin.site.unregister(_model)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc,type-arg]
    """People who may log in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]  # the bases differ in the stubs only
    """Sets of permissions."""


@admin.register(AccessAttempt)
class LockedOutAdmin(AccessAttemptAdmin, ModelAdmin):  # type: ignore[misc]  # the bases differ in the stubs only
    """Failed log-ins; deleting one unlocks the person at once."""

    list_filter: ClassVar[Any] = ()
    date_hierarchy: ClassVar[Any] = None
    search_fields: ClassVar[Any] = ("username", "ip_address")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False
