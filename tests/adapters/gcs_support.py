"""GCS destinations for the tests."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from destinations.adapters.base import Limits
from destinations.adapters.gcs import GcsAdapter
from destinations.adapters.gcs_config import GcsConfig, GcsCredentials
from destinations.adapters.gcs_key import rebuilt
from destinations.adapters.objects import EVENT_ID
from destinations.egress import EgressPolicy
from destinations.identity import HubIdentity
from destinations.specs import load
from tests.adapters.contract import Site, Stored
from tests.services.gcs import GcsServer

LOCAL = EgressPolicy(allow=("127.0.0.0/8",))
NOBODY = HubIdentity(gcs_endpoint="http://127.0.0.1:59998", gcs_token_endpoint="http://127.0.0.1:59998/token")


@dataclass(frozen=True)
class GcsSite(Site):
    """A bucket that works. The config names no server: the hub's own settings do."""

    identity: HubIdentity = NOBODY

    def adapter(self, policy: EgressPolicy | None = None, **config: Any) -> Any:
        """Return an adapter; with ``nobody``, where nobody answers."""
        adapter = super().adapter(policy, **config)
        adapter.identity = NOBODY if config.get("nobody") else self.identity
        return adapter

    def wrong_adapter(self) -> Any:
        adapter = super().wrong_adapter()
        adapter.identity = self.identity
        return adapter


@dataclass
class Place:
    """A bucket of a test's own, and an account that may write there."""

    server: GcsServer
    bucket: str
    key: dict[str, Any]

    def adapter(self, key: dict[str, Any] | None = None, limits: Limits | None = None, **config: Any) -> GcsAdapter:
        """Return an adapter for the bucket, with changes of its config."""
        made = load(GcsConfig, {"bucket": self.bucket, **config})
        adapter = GcsAdapter(made, credentials(key or self.key), limits, LOCAL)
        adapter.identity = self.server.identity
        return adapter

    def objects(self) -> dict[str, tuple[bytes, dict[str, str]]]:
        """Return (bytes, metadata) by key."""
        return self.server.objects(self.bucket)

    def stored(self) -> list[Stored]:
        """Return the events that are there."""
        return [Stored(metadata.get(EVENT_ID, "?"), body) for body, metadata in self.objects().values()]


def place_on(server: GcsServer, **key: Any) -> Place:
    return Place(server, server.make_bucket(), server.make_key(**key))


def credentials(key: dict[str, Any]) -> GcsCredentials:
    return GcsCredentials(**as_stored(key))


def as_stored(key: dict[str, Any]) -> dict[str, str]:
    """Return credentials as the hub stores them."""
    return {"service_account_key": _rebuilt_once(json.dumps(key))}


@lru_cache
def _rebuilt_once(key: str) -> str:
    return rebuilt(key)  # judging a private key takes 50 ms
