"""The form that makes an API key."""

from datetime import UTC, datetime, time, timedelta
from secrets import token_urlsafe
from typing import Any, ClassVar

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from destinations.access.keys import DEFAULT_DAYS, NAME_LENGTH
from destinations.access.scopes import SCOPES, permissions_of, words_of
from destinations.forms import UseCaseForm, choices_of, help_of
from destinations.models import ApiKey

ONCE = "once"  # a value of this very form, by which a second sending of it is known
_NEVER, _ON_A_DAY = "never", "day"
_LIVES = (
    (str(DEFAULT_DAYS), f"in {DEFAULT_DAYS} days"),
    ("30", "in 30 days"), ("365", "in a year"), (_ON_A_DAY, "on the day below"),
    (_NEVER, "never"),
)  # fmt: skip


class ApiKeyForm(UseCaseForm):
    """What a key is for, what it may do, and until when. The use case judges it."""

    by: ClassVar[Any] = None  # who makes it: nobody is offered what they may not do themselves

    class Meta:
        model = ApiKey
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scopes = [(scope, f"{words_of(scope)} ({scope})") for scope in SCOPES if self._may_hand_out(scope)]
        self.fields |= {
            ONCE: forms.CharField(widget=forms.HiddenInput, required=False, max_length=64, initial=token_urlsafe(16)),
            "name": forms.CharField(
                label="Name", max_length=NAME_LENGTH, help_text=help_of(ApiKey, "name"),
                widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Deploy script"}),
            ),
            "scopes": _boxes("What it may do", scopes, "No more than it needs: you can make as many keys as you like."),
            "sources": _boxes("Sources", choices_of("sources"), help_of(ApiKey, "sources")),
            "expires_at": forms.ChoiceField(label="Expires", choices=_LIVES, widget=UnfoldAdminSelectWidget),
            "day": forms.DateField(
                label="Last day", required=False, help_text="It opens nothing after the end of this day, in UTC.",
                widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
            ),
        }  # fmt: skip

    def _may_hand_out(self, scope: str) -> bool:
        return self.by is None or self.by.has_perms(permissions_of([scope]))

    def clean(self) -> Any:
        """Ask for the day where one was promised."""
        cleaned = super().clean()
        if self.cleaned_data.get("expires_at") == _ON_A_DAY and not self.cleaned_data.get("day"):
            self.add_error("day", "Name the day.")
        return cleaned

    def values(self) -> dict[str, Any]:
        """Return what ``make_key`` takes."""
        return {name: self.cleaned_data[name] for name in ("name", "scopes", "sources")} | {"expires_at": self._end()}

    def _end(self) -> datetime | None:
        chosen = self.cleaned_data["expires_at"]
        if chosen == _NEVER:
            return None
        if chosen == _ON_A_DAY:
            return datetime.combine(self.cleaned_data["day"], time.max, UTC)
        return timezone.now() + timedelta(days=int(chosen))


def _boxes(label: str, choices: list[tuple[str, str]], says: str) -> forms.Field:
    return forms.MultipleChoiceField(
        label=label, required=False, choices=choices, widget=UnfoldAdminCheckboxSelectMultipleWidget, help_text=says
    )
