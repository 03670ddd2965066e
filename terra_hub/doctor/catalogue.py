"""Every check of ``hub doctor``, in the order in which they are run."""

from collections.abc import Sequence

from terra_hub.doctor.databases import bloat, keeps_commits, version
from terra_hub.doctor.places import payload_folder
from terra_hub.doctor.public import Public
from terra_hub.doctor.running import Check
from terra_hub.doctor.surroundings import api_keys, deploy_settings, leaks, sealed_values
from terra_hub.healthchecks import CHECKS as OF_HEALTH

# Asked more thoroughly here.
_REPLACED = frozenset({"database", "credential keys", "stored secrets"})


def all_checks() -> Sequence[Check]:
    """Return the checks, with nothing asked yet."""
    health = {check.name: Check(check.name.replace(" ", "-"), check.run) for check in OF_HEALTH}
    left = [health[name] for name in health if name not in {*_REPLACED, "migrations", "clocks"}]
    public = Public()
    return (
        Check("settings", deploy_settings, 60),
        Check("database", version),
        health["migrations"],
        Check("commits", keeps_commits),
        Check("bloat", bloat),
        Check("keys", sealed_values, 60),
        Check("api-keys", api_keys),
        Check("payload-folder", payload_folder, 30),
        *left,
        Check("environment", leaks),
        health["clocks"],
        Check("public-url", public.url, 30),
        Check("public-clock", public.clock, 30),
        Check("tls", public.tls, 30),
        Check("large-body", public.large_body, 180),
        Check("chunked-body", public.chunked_body, 60),
        Check("client-address", public.client_address, 30),
    )
