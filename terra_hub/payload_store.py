"""How the hub opens its payload store: entries of ``STORAGES`` for the file system, S3 and Google Cloud Storage.

The options are those of Django and django-storages; ``webhooks/keeping/stores/`` has the backends, which
are imported on first use.
"""

import json
from typing import Any

STORES = ("file", "s3", "gcs")


def payload_storage(kind: str, **stores: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of the chosen one of ``STORES``."""
    return stores[kind]


def file_store(folder: str) -> dict[str, Any]:
    """Return the entry of a folder. It holds health data: for the hub's own user alone."""
    options = {"location": folder, "file_permissions_mode": 0o600, "directory_permissions_mode": 0o700}
    return {"BACKEND": "webhooks.keeping.stores.files.FilePayloadStore", "OPTIONS": options}


def s3_store(
    *, bucket: str, prefix: str, region: str, endpoint: str, key_id: str, secret_key: str
) -> dict[str, Any]:  # fmt: skip
    """Return the entry of a bucket. Without a key, boto3 looks for the identity of the host."""
    options = {
        "bucket_name": bucket,
        "location": prefix.strip("/"),
        "region_name": region or ("us-east-1" if endpoint else None),
        "endpoint_url": endpoint or None,
        # Stripped: a file that holds a value often ends with a line break, which no signature would fit.
        "access_key": key_id.strip() or None,
        "secret_key": secret_key.strip() or None,
        # What the environment may hold of these belongs to another identity.
        "security_token": None,
        "session_profile": None,
    }
    return {"BACKEND": "webhooks.keeping.stores.s3.S3PayloadStore", "OPTIONS": options}


def gcs_store(*, bucket: str, prefix: str, key: str, endpoint: str) -> dict[str, Any]:
    """Return the entry of a bucket. Without a key, Google's client looks for the identity of the host."""
    options = {
        "bucket_name": bucket,
        "location": prefix.strip("/"),
        "service_account_key": key,
        "api_endpoint": endpoint.rstrip("/"),
    }
    return {"BACKEND": "webhooks.keeping.stores.gcs.GcsPayloadStore", "OPTIONS": options}


def missing_settings(settings: Any) -> list[str]:
    """Return what the chosen store still needs, in words."""
    needs = {"s3": _missing_for_s3, "gcs": _missing_for_gcs}.get(settings.PAYLOAD_STORE)
    return needs(settings) if needs else []


def _missing_for_s3(settings: Any) -> list[str]:
    missing = []
    if not settings.PAYLOAD_S3_BUCKET:
        missing.append("PAYLOAD_S3_BUCKET is not set: the bucket that payloads go to.")
    if not settings.PAYLOAD_S3_REGION and not settings.PAYLOAD_S3_ENDPOINT:
        missing.append("PAYLOAD_S3_REGION is not set: the bucket's region, such as eu-west-1.")
    if bool(settings.PAYLOAD_S3_ACCESS_KEY_ID) != bool(settings.PAYLOAD_S3_SECRET_ACCESS_KEY):
        missing.append("PAYLOAD_S3_ACCESS_KEY_ID and PAYLOAD_S3_SECRET_ACCESS_KEY go together: set both or none.")
    return missing


def _missing_for_gcs(settings: Any) -> list[str]:
    missing = []
    if not settings.PAYLOAD_GCS_BUCKET:
        missing.append("PAYLOAD_GCS_BUCKET is not set: the bucket that payloads go to.")
    if settings.PAYLOAD_GCS_KEY and not _is_service_account(settings.PAYLOAD_GCS_KEY):
        missing.append("PAYLOAD_GCS_KEY is not the JSON key of a service account.")
    return missing


def _is_service_account(key: str) -> bool:
    try:
        held = json.loads(key)
    except ValueError:
        return False
    return isinstance(held, dict) and held.get("type") == "service_account"
