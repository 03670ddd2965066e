"""Pages without the scripts that nothing on them uses."""

from django import forms
from django.contrib import admin

# What makes slugs while somebody types: no form of the hub has that, and it weighs 100 kB.
_UNUSED = ("urlify.js", "prepopulate.js", "xregexp.min.js", "xregexp.js")


class LeanAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Leaves out what Django loads for every model, for the sake of a few."""

    @property
    def media(self) -> forms.Media:
        """Return the scripts that are used."""
        every = super().media
        return forms.Media(
            css=every._css,  # type: ignore[attr-defined]  # not in the stubs
            js=[name for name in every._js if not str(name).endswith(_UNUSED)],  # type: ignore[attr-defined]  # not in the stubs
        )
