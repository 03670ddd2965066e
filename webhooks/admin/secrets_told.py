"""What may be told of a destination's secrets, as its page shows it."""

from datetime import datetime

from destinations.crypto import SealError
from destinations.models import Destination
from destinations.registry import adapter_class
from destinations.secrets_about import told
from destinations.specs import complete, spec_fields


def told_of_secrets(row: Destination, last_used_at: datetime | None) -> list[tuple[str, str]] | None:
    """Return the label of each credential, and what may be told of it; ``None`` where they do not open.

    Those of a choice that is not made are left out, unless they are set.
    """
    try:
        lines = told(row, last_used_at)
    except SealError:
        return None
    kind = adapter_class(row.type)
    config = complete(kind.config_spec, row.config)
    fields = [one for one in spec_fields(kind.credentials_spec) if one.name in lines or one.asked_for(config)]
    return [(field.about.label, lines.get(field.name, "Not set.")) for field in fields]
