"""What a list says where it has no rows: what would stand here, and what to do next."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Empty:
    """An empty list in words. The button leads to a page of the admin, for those who have its permission."""

    icon: str
    title: str
    says: str
    button: str = ""
    page: str = ""  # the name of a page: "webhooks_source_add"
    permission: str = ""
