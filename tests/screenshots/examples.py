"""What an operator types into the form of each type, for the pictures. None of it exists."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.services.gcs import key_file

QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/terra.fifo"
ROLE = "arn:aws:iam::123456789012:role/terra-hub"

# A bucket that the hub enters by a role: its set-up has most to say.
ROLE_TYPED = {
    "config.bucket": "acme-terra", "config.region": "eu-west-1", "config.prefix": "terra", "config.role_arn": ROLE,
}  # fmt: skip


@dataclass(frozen=True)
class Example:
    """One filled form; fields are named as in the form."""

    name: str
    typed: Mapping[str, str]
    chosen: Mapping[str, str] = field(default_factory=dict)  # of lists
    files: Mapping[str, str] = field(default_factory=dict)  # the text of each
    # Typed over before it is saved: saving looks up the host's name, and a picture is no reason to ask anybody.
    saved: Mapping[str, str] = field(default_factory=dict)


EXAMPLES: Mapping[str, Example] = {
    "webhook": Example(
        "Research API",
        {"config.url": "https://api.example.com/webhooks/terra", "credentials.token": "a-token-of-the-receiver"},
        {"config.auth": "bearer"},
        saved={"config.url": "http://127.0.0.1:8443/webhooks/terra"},
    ),
    "postgres": Example(
        "Research warehouse",
        {
            "config.host": "db.example.com", "config.database": "health", "config.username": "terra_user",
            "credentials.password": "your_password",
        },
        saved={"config.host": "127.0.0.1"},
    ),
    "mysql": Example(
        "Reporting",
        {
            "config.host": "db.example.com", "config.database": "health_data", "config.username": "terra_user",
            "credentials.password": "your_password",
        },
        saved={"config.host": "127.0.0.1"},
    ),
    "supabase": Example(
        "App backend",
        {
            "config.project_url": "https://abcdefghijklmnopqrst.supabase.co",
            "credentials.api_key": "sb_secret_of_nobody",
        },
        saved={"config.project_url": "http://127.0.0.1:8443"},
    ),
    "s3": Example(
        "Archive",
        {
            "config.bucket": "acme-terra", "config.region": "eu-west-1", "config.prefix": "terra",
            "credentials.access_key_id": "AKIAIOSFODNN7EXAMPLE", "credentials.secret_access_key": "of-nobody",
        },
    ),
    "gcs": Example(
        "Data lake",
        {"config.bucket": "acme-terra", "config.prefix": "terra"},
        files={"credentials.service_account_key": json.dumps(key_file("terra-hub@acme.iam.gserviceaccount.com", "0"))},
    ),
    "azureblob": Example(
        "Archive at Azure", {
            "config.account": "acmehealth", "config.container": "terra", "config.prefix": "terra",
            "credentials.sas_token": "sv=2024-11-04&sr=c&si=terra-hub"
            "&sig=ZXhhbXBsZS1leGFtcGxlLWV4YW1wbGUtZXhhbXBsZTE%3D",
        },
        saved={"config.endpoint_url": "http://127.0.0.1:10000/acmehealth"},
    ),
    "sqs": Example(
        "Ingest queue", {"config.queue": QUEUE, "config.role_arn": ROLE}, {"config.auth": "role"},
    ),
}  # fmt: skip
