"""People in the admin: users, groups, and log-ins that were locked."""

from typing import Any, ClassVar

from axes.admin import AccessAttemptAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django import forms
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from destinations.admin.empty import Empty
from destinations.admin.lean import LeanAdmin
from destinations.shown import stranger, when
from terra_hub.changes import changes_in_words
from terra_hub.roles import ADMIN, ROLES, chosen

for _model in (User, Group, AccessAttempt, AccessLog, AccessFailureLog):
    admin.site.unregister(_model)


class PermissionChoices(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """Permissions by what they let somebody do, and by the name that the API and the docs use."""

    def label_from_instance(self, obj: Any) -> str:
        """Return a permission's label."""
        return f"{obj.name} ({obj.content_type.app_label}.{obj.codename})"


class PeopleAdmin(LeanAdmin, ModelAdmin):  # type: ignore[misc]  # the bases differ in the stubs only
    """Rights as boxes to tick, and a history that says what was changed."""

    filter_horizontal: ClassVar[Any] = ()
    rights: ClassVar[str] = "permissions"  # the field with permissions

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer groups and permissions as boxes; of permissions those that something in the hub asks for."""
        if db_field.name == self.rights:
            label = db_field.verbose_name.capitalize()
            return PermissionChoices(
                self._offered(request), required=False, label=label, widget=UnfoldAdminCheckboxSelectMultipleWidget
            )
        return super().formfield_for_manytomany(
            db_field, request, **{**kwargs, "widget": UnfoldAdminCheckboxSelectMultipleWidget, "help_text": ""}
        )

    def _offered(self, request: HttpRequest) -> Any:
        """Return the permissions of the roles, and those besides that this very row has: nothing is lost by a save."""
        match = request.resolver_match
        row = self.get_object(request, match.kwargs["object_id"]) if match and "object_id" in match.kwargs else None
        held = Q(pk__in=getattr(row, self.rights).values("pk")) if row else Q()
        rows = Permission.objects.filter(chosen(ROLES[ADMIN]) | held).select_related("content_type")
        return rows.order_by("content_type__app_label", "content_type__model", "codename")

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Say in the history what was changed, from what to what; of a password only that it was."""
        return changes_in_words(form) if not add else super().construct_change_message(request, form, formsets, add)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the objects and say how many; Django would collect, and list, every row that refers to them."""
        names = [str(one) for one in objs]
        return names, {self.opts.verbose_name_plural: len(names)}, set(), []


@admin.register(User)
class UserAdmin(DjangoUserAdmin, PeopleAdmin):  # type: ignore[misc,type-arg]
    """People who may log in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    filter_horizontal: ClassVar[Any] = ()
    rights = "user_permissions"
    list_display = ("username", "first_name", "last_name", "is_active", "is_superuser", "shown_login")
    list_filter: ClassVar[Any] = ()
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("username", "password")}),
        ("Who it is", {"fields": ("first_name", "last_name", "email")}),
        ("What they may do", {"fields": ("is_active", "is_staff", "groups", "is_superuser", "user_permissions")}),
    )
    empty = Empty("person", "Nobody matches.", "Clear the search to see everybody.")

    @admin.display(description="Last log-in", ordering="last_login")
    def shown_login(self, row: User) -> SafeString:
        """Return when they last logged in."""
        return when(row.last_login)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Keep people who have done something: their entries of the history would go with them."""
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        kept = [f"{user}: the history names them. Make them inactive instead." for user in _acted(objs)]
        return found, counts, lacking, [*protected, *kept]


def _acted(users: Any) -> list[User]:
    entries = LogEntry.objects.filter(user=OuterRef("pk")).order_by()
    return list(User.objects.filter(Exists(entries), pk__in=[user.pk for user in users]))


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, PeopleAdmin):  # type: ignore[misc]  # the bases differ in the stubs only
    """Sets of permissions."""

    filter_horizontal: ClassVar[Any] = ()
    empty = Empty("group", "No group matches.", "Clear the search to see all of them.")


@admin.register(AccessAttempt)
class LockedOutAdmin(LeanAdmin, AccessAttemptAdmin, ModelAdmin):  # type: ignore[misc]  # the bases differ in the stubs only
    """Failed log-ins; deleting one unlocks the person at once."""

    list_filter: ClassVar[Any] = ()
    date_hierarchy: ClassVar[Any] = None
    list_display: Any = ("shown_name", "ip_address", "failures_since_start", "shown_time")
    list_display_links: Any = ("shown_name",)
    search_fields: ClassVar[Any] = ("username", "ip_address")
    ordering = ("-attempt_time",)
    empty = Empty("lock_open", "No failed log-ins.", "Eight wrong passwords in a row lock somebody out for a while.")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    @admin.display(description="User name")
    def shown_name(self, row: AccessAttempt) -> SafeString:
        """Return what was typed as the user name: anybody can type anything there."""
        return stranger(row.username or "")

    @admin.display(description="Time")
    def shown_time(self, row: AccessAttempt) -> SafeString:
        """Return when it was."""
        return when(row.attempt_time)
