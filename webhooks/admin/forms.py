"""The form of a source."""

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from destinations.formfields import PRIVATE
from destinations.forms import UseCaseForm, help_of
from webhooks.models import Source
from webhooks.receiving.sources import SETTINGS, TERRA_ADDRESSES


class AllowlistWidget(UnfoldAdminTextareaWidget):
    """A text area with a button that adds Terra's addresses."""

    template_name = "webhooks/allowlist.html"

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Add Terra's addresses."""
        return {**super().get_context(name, value, attrs), "addresses": TERRA_ADDRESSES}


class LinesField(forms.CharField):
    """A list of texts, one per line (commas do as well)."""

    widget = AllowlistWidget(attrs={"rows": 4})

    def to_python(self, value: Any) -> Any:
        """Return a list; the use case judges its entries."""
        return value if isinstance(value, list) else str(value or "").replace(",", " ").split()

    def prepare_value(self, value: Any) -> Any:
        """Return one entry per line."""
        return "\n".join(value) if isinstance(value, list) else value


class SourceForm(UseCaseForm):
    """A source: its address, its first signing secret, and whom it believes."""

    class Meta:
        model = Source
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.editing = not self.instance._state.adding
        if not self.editing:
            self.fields |= _first_fields()
        self.fields |= {name: self._setting(name) for name in SETTINGS}

    def _setting(self, name: str) -> forms.Field:
        field = _field_class(name)(
            label=_LABELS[name],
            help_text=help_of(Source, name),
            initial=getattr(self.instance, name),
            required=name in ("tolerance_s", "stale_window_s"),
        )
        if type(field) in _WIDGETS:
            field.widget = _WIDGETS[type(field)]()
        return field

    def values(self) -> dict[str, Any]:
        """Return what ``create_source`` takes."""
        return {name: self.cleaned_data[name] for name in self.fields}

    def changes(self) -> dict[str, Any]:
        """Return what ``update_source`` takes: only what differs from what is stored."""
        return self.sent(SETTINGS)

    @classmethod
    def fieldsets(cls, adding: bool) -> list[tuple[str | None, dict[str, Any]]]:
        """Return the form's parts."""
        first = ["slug", "name", "secret"] if adding else ["name"]
        return [
            (None, {"fields": [*first, "dev_id", "active"]}),
            ("Who may post", {"fields": ["allowlist", "allowlist_enforced"]}),
            ("Advanced", {"fields": ["tolerance_s", "stale_window_s", "strict"], "classes": ["collapse"]}),
        ]


_LABELS = {
    "name": "Name",
    "dev_id": "Terra dev-id",
    "active": "Active",
    "tolerance_s": "Tolerance (seconds)",
    "stale_window_s": "Stale window (seconds)",
    "strict": "Strict",
    "allowlist": "Allowlist",
    "allowlist_enforced": "Enforce the allowlist",
}
_WIDGETS: dict[type[forms.Field], Any] = {
    forms.CharField: UnfoldAdminTextInputWidget,
    forms.IntegerField: UnfoldAdminIntegerFieldWidget,
    forms.BooleanField: UnfoldBooleanSwitchWidget,
}


def _field_class(name: str) -> type[forms.Field]:
    kinds: dict[str, type[forms.Field]] = {
        "BooleanField": forms.BooleanField,
        "PositiveIntegerField": forms.IntegerField,
        "JSONField": LinesField,
    }
    return kinds.get(Source._meta.get_field(name).get_internal_type(), forms.CharField)


def _first_fields() -> dict[str, forms.Field]:
    return {
        "slug": forms.CharField(
            label="Slug",
            widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "production"}),
            help_text=help_of(Source, "slug"),
        ),
        "secret": forms.CharField(
            label="Signing secret",
            required=False,
            widget=UnfoldAdminPasswordWidget(attrs=PRIVATE),
            help_text="From Terra's dashboard. Without one, every request is refused and kept in quarantine.",
        ),
    }
