"""The admin of the control plane, and what the data plane's admin shares with it."""

from destinations.admin import destination  # noqa: F401  # registers on import
