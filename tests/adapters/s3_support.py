"""S3 destinations for the tests."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from destinations.adapters.base import Limits, Message, Outcome, Result
from destinations.adapters.s3 import S3Adapter
from destinations.adapters.s3_config import S3Config, S3Credentials
from destinations.egress import EgressPolicy
from destinations.identity import HubIdentity
from tests.adapters.contract import event
from tests.services import ServiceMissing
from tests.services.seaweedfs import REGION, Key, SeaweedServer

LOCAL = EgressPolicy(allow=("127.0.0.0/8",))


@dataclass(frozen=True)
class Folder:
    """One test's part of the bucket."""

    server: SeaweedServer
    bucket: str
    prefix: str

    def config(self, **values: Any) -> dict[str, Any]:
        """Return the config of a destination here."""
        known = {"bucket": self.bucket, "region": REGION, "prefix": self.prefix, "endpoint_url": self.server.endpoint}
        return {**known, **values}

    def adapter(
        self,
        key: Key | None = None,
        *,
        limits: Limits | None = None,
        identity: HubIdentity | None = None,
        **values: Any,
    ) -> S3Adapter:
        """Return an adapter as an operator would set it up."""
        made = S3Adapter(S3Config(**self.config(**values)), credentials_of(key or self.server.writer), limits, LOCAL)
        made.identity = identity or HubIdentity()
        return made

    def names(self) -> list[str]:
        """Return the keys here, without the prefix."""
        pages = self.server.client().get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/")
        start = len(self.prefix) + 1
        return [item["Key"][start:] for page in found for item in page.get("Contents", ())]

    def read(self, key: str) -> dict[str, Any]:
        """Return an object as boto3 gives it, with its bytes as ``body``."""
        answer = self.server.client().get_object(Bucket=self.bucket, Key=f"{self.prefix}/{key}")
        return {**answer, "body": answer["Body"].read()}

    def bodies(self) -> dict[str, bytes]:
        """Return the bytes of each key here."""
        return {key: self.read(key)["body"] for key in self.names()}

    def user(self, *actions: str) -> Key:
        """Return a user who may do ``actions`` to objects here, and nothing else."""
        resource = f"arn:aws:s3:::{self.bucket}/{self.prefix}/*"
        return self.user_with([{"Effect": "Allow", "Action": list(actions), "Resource": [resource]}])

    def user_with(self, statements: Sequence[Any]) -> Key:
        """Return a user with these statements of a policy; skip the test where users cannot be made."""
        try:
            return self.server.create_user(statements)
        except ServiceMissing as missing:
            pytest.skip(str(missing))


def new_folder(server: SeaweedServer, bucket: str) -> Folder:
    """Return an empty folder of a bucket."""
    return Folder(server, bucket, f"t-{secrets.token_hex(6)}")


def credentials_of(key: Key) -> S3Credentials:
    return S3Credentials(access_key_id=key.id, secret_access_key=key.secret)


def versions(count: int = 2, **about: Any) -> list[Message]:
    """Return events of one key, the older ones first; their bodies differ."""
    first = event(**about)
    return [
        replace(
            event(),
            body=first.body[:-1] + f', "round": {number}}}'.encode(),
            user_id=first.user_id,
            received_at=first.received_at + timedelta(seconds=number),
        )
        for number in range(count)
    ]


def stamped(message: Message, made: datetime) -> Message:
    """Return an event with Terra's own stamp of when it was made."""
    headers = {**message.headers, "x-terra-ordering-timestamp": str(round(made.timestamp() * 1000))}
    return replace(message, headers=headers)


def outcomes(results: Sequence[Result]) -> list[Outcome]:
    return [result.outcome for result in results]


def deliver(adapter: S3Adapter, *messages: Message) -> list[Result]:
    """Deliver one after the other, and close."""
    results = [result for message in messages for result in adapter.deliver([message])]
    adapter.close()
    return results
