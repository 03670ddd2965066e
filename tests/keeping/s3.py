"""Room of a test's own in a real S3 server, and a hub that keeps its payloads there."""

import uuid
from typing import Any

from terra_hub.payload_store import s3_store
from tests.services.seaweedfs import REGION, Key, SeaweedServer


class Bucket:
    """A prefix of the test's own, empty, in a bucket."""

    def __init__(self, server: SeaweedServer, name: str) -> None:
        self.server, self.name, self.prefix = server, name, f"hub-{uuid.uuid4().hex[:12]}"
        self.client = server.client()

    @property
    def place(self) -> str:
        """Return how the hub names it."""
        return f"s3://{self.name}/{self.prefix}"

    def settings(self, **changed: str) -> dict[str, str]:
        """Return the environment of a hub that keeps its payloads here."""
        return {
            "PAYLOAD_STORE": "s3", "PAYLOAD_S3_BUCKET": self.name, "PAYLOAD_S3_PREFIX": f"{self.prefix}/",
            "PAYLOAD_S3_ENDPOINT": self.server.endpoint, "PAYLOAD_S3_REGION": REGION,
            "PAYLOAD_S3_ACCESS_KEY_ID": self.server.admin.id, "PAYLOAD_S3_SECRET_ACCESS_KEY": self.server.admin.secret,
            **changed,
        }  # fmt: skip

    def use(self, settings: Any, **changed: str) -> None:
        """Keep this process's payloads here."""
        options = {
            "bucket": self.name, "prefix": self.prefix, "region": REGION, "endpoint": self.server.endpoint,
            "key_id": self.server.admin.id, "secret_key": self.server.admin.secret,
        }  # fmt: skip
        settings.STORAGES = settings.STORAGES | {"payloads": s3_store(**options | changed)}

    def user_who_may(self, *actions: str) -> Key:
        """Return the key of a user with these rights on the test's objects."""
        resource = f"arn:aws:s3:::{self.name}/{self.prefix}/*"
        return self.server.create_user([{"Effect": "Allow", "Action": list(actions), "Resource": resource}])

    def keys(self) -> list[str]:
        """Return the keys of everything that lies here."""
        found = self.client.list_objects_v2(Bucket=self.name, Prefix=f"{self.prefix}/").get("Contents", [])
        return [item["Key"] for item in found]

    def bodies(self) -> list[bytes]:
        return [self.client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in self.keys()]
