"""An example of the request and of the answer of every operation, for the schema.

``tests/test_api_examples.py`` sends every request to a hub that has these ids, and holds every answer against it.
"""

import json
from pathlib import Path
from typing import Any

# First part of the path -> the id that examples have there.
IDS: dict[str, str] = {
    "api-keys": "019a6f2e-4d0b-7c33-8f10-5b6a7c8d9e0f",
    "attempts": "815",
    "deliveries": "4711",
    "destination-types": "postgres",
    "destinations": "019a6f2e-5c1a-7d52-9b7e-2f3c8a4d1e60",
    "events": "019a6f2e-6b10-7f02-8a51-0c9d7e5b4a31",
    "erasures": "019a6f2e-7a44-7b91-9c02-4d5e6f7a8b9c",
    "quarantine": "019a6f2e-6f21-7d13-b2c4-6a7b8c9d0e1f",
    "replays": "12",
    "sources": "coaching",
}
_WEBHOOK = {
    "type": "webhook",
    "name": "Coaching app",
    "config": {"url": "https://app.example.com/hooks/terra"},
    "event_types": ["daily", "sleep"],
}
_QUEUE = {
    "type": "sqs",
    "name": "Pipeline",
    "config": {"queue": "123456789012/terra", "region": "eu-west-1"},
    "credentials": {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "the key that AWS shows once"},
}
# operationId -> body
REQUESTS: dict[str, Any] = {
    "api_keys_create": {"name": "nightly report", "scopes": ["events:read"], "expires_at": "2099-01-01T00:00:00Z"},
    "deliveries_cancel_many": {"ids": [int(IDS["deliveries"])]},
    "deliveries_resend_many": {"ids": [int(IDS["deliveries"])]},
    "destinations_create": _WEBHOOK,
    "destinations_batch_create": {"destinations": [_WEBHOOK, _QUEUE]},
    "destinations_partial_update": {"event_types": ["daily", "sleep"], "config": {"headers": {"X-Team": "eu"}}},
    "destinations_check_draft": {"type": "webhook", "config": {"url": "https://app.example.com/hooks/terra"}},
    "destinations_disable_create": {"reason": "The receiver moves on Monday."},
    "destinations_test_create": {"event_type": ""},
    "destinations_rotate_secret_create": {"grace_s": 86400},
    "events_resend_create": {"destinations": [IDS["destinations"]]},
    "quarantine_admit_many": {"filter": {"reason": "signature_mismatch"}},
    "replays_create": {
        "kind": "failed", "destinations": [IDS["destinations"]], "since": "2026-03-12T06:00:00Z", "rate_per_s": 50,
    },
    "sources_create": {"slug": "production", "name": "Production", "secret": "the secret of Terra's dashboard"},
    "sources_partial_update": {"name": "Coaching, EU", "allowlist": ["18.133.218.210"], "allowlist_enforced": False},
    "sources_rotate_secret_create": {"secret": "the new secret of Terra's dashboard", "grace_s": 86400},
    "sources_send_test_create": {"type": "sleep"},
    "erasures_create": {"reference_id": "your-user-123", "destinations": "all"},
    "erasures_resume_create": {"skip_failed": True},
}  # fmt: skip
# "operationId status" -> body
ANSWERS: dict[str, Any] = json.loads(Path(__file__).with_name("answers.json").read_text())
