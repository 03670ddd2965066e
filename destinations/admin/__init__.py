"""The admin of the control plane, and what the data plane's admin shares with it.

Destinations themselves are registered by ``webhooks.admin``.
"""

from destinations.admin import keys, notices  # noqa: F401  # registers on import
