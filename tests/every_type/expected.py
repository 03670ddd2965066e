"""What becomes of each file of tests/samples at the destinations, written down by hand.

No code of the hub made any of it: keys, rows and fields follow from the files and from Terra's page
*Destinations* ("SQL Database", "S3 Bucket", "SQS") alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FIRST_MADE = datetime(2026, 7, 2, 10, 0, tzinfo=UTC)

ANA = "40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad"
BEN = "8dadb06f-9ce3-4b6e-a7e7-3f7f2c0a9b11"
ANA_AGAIN = "9c8b7a65-4321-4fed-a0b9-87c6d5e4f321"  # her new id, after user_reauth
REFERENCES = {ANA: "your-user-123", BEN: "user-42", ANA_AGAIN: "your-user-123"}

MOMENT = "%Y-%m-%dT%H:%M:%SZ"
MIDNIGHT = "2025-06-01T00:00:00Z"


@dataclass(frozen=True)
class Sample:
    """One file: the key of its object, and what is known of it. ``{made}`` and ``{event_id}`` stand in keys."""

    key: str
    user_id: str | None
    start: str | None = None
    end: str | None = None
    reference: str | None = None  # where no user carries it

    @property
    def reference_id(self) -> str | None:
        return self.reference or (REFERENCES[self.user_id] if self.user_id else None)


# In the order in which the events are made, one second after another.
SAMPLES = {
    "access_revoked": Sample(f"access_revoked/{ANA}-{{made}}.json", ANA),
    "activity-full": Sample(f"2022-03-16/activity/{BEN}-{MIDNIGHT}.json", BEN, MIDNIGHT, MIDNIGHT),
    # The same user, type and start as the one before: one object, and the later event stays.
    "activity-large": Sample(f"2022-03-16/activity/{BEN}-{MIDNIGHT}.json", BEN, MIDNIGHT, MIDNIGHT),
    "activity": Sample(
        f"2022-03-16/activity/{ANA}-2026-07-01T06:04:11Z.json", ANA, "2026-07-01T06:04:11Z", "2026-07-01T06:52:48Z"
    ),
    "athlete-full": Sample(f"2022-03-16/athlete/{BEN}-{{made}}.json", BEN),
    "athlete": Sample(f"2022-03-16/athlete/{ANA}-{{made}}.json", ANA),
    "auth-2": Sample(f"auth/{BEN}-{{made}}.json", BEN),
    "auth-error": Sample(f"auth/{BEN}-{{made}}.json", BEN),
    "auth": Sample(f"auth/{ANA}-{{made}}.json", ANA),
    "auth_cancelled": Sample("auth_cancelled/{event_id}-{made}.json", None, reference="your-user-123"),
    "body-full": Sample(f"2022-03-16/body/{BEN}-{MIDNIGHT}.json", BEN, MIDNIGHT, MIDNIGHT),
    "body": Sample(
        f"2022-03-16/body/{ANA}-2026-06-30T23:00:00Z.json", ANA, "2026-06-30T23:00:00Z", "2026-07-01T23:00:00Z"
    ),
    "connection_error": Sample(f"connection_error/{ANA}-{{made}}.json", ANA),
    "daily-full": Sample(f"2022-03-16/daily/{BEN}-{MIDNIGHT}.json", BEN, MIDNIGHT, MIDNIGHT),
    "daily": Sample(
        f"2022-03-16/daily/{ANA}-2026-06-30T23:00:00Z.json", ANA, "2026-06-30T23:00:00Z", "2026-07-01T23:00:00Z"
    ),
    "deauth": Sample(f"deauth/{ANA}-{{made}}.json", ANA),
    "google_no_datasource": Sample(f"google_no_datasource/{BEN}-{{made}}.json", BEN),
    "health_observation": Sample(f"2022-03-16/health_observation/{BEN}-{MIDNIGHT}.json", BEN, MIDNIGHT, MIDNIGHT),
    "healthcheck": Sample("healthcheck/{event_id}-{made}.json", None),
    "hormone": Sample(f"2022-03-16/hormone/{BEN}-{MIDNIGHT}.json", BEN, MIDNIGHT, MIDNIGHT),
    "lab_report.completed": Sample("lab_report.completed/{event_id}-{made}.json", None, reference="your-patient-123"),
    "lab_report.failed": Sample("lab_report.failed/{event_id}-{made}.json", None, reference="your-patient-123"),
    "large_request_processing": Sample(f"large_request_processing/{ANA}-{{made}}.json", ANA),
    "large_request_sending": Sample(f"large_request_sending/{ANA}-{{made}}.json", ANA),
    "menstruation-full": Sample(f"2022-03-16/menstruation/{BEN}-{MIDNIGHT}.json", BEN, MIDNIGHT, MIDNIGHT),
    "menstruation": Sample(
        f"2022-03-16/menstruation/{ANA}-2026-06-30T23:00:00Z.json", ANA, "2026-06-30T23:00:00Z", "2026-07-01T23:00:00Z"
    ),
    "nutrition-full": Sample(f"2022-03-16/nutrition/{BEN}-{MIDNIGHT}.json", BEN, MIDNIGHT, MIDNIGHT),
    "nutrition": Sample(
        f"2022-03-16/nutrition/{ANA}-2026-06-30T23:00:00Z.json", ANA, "2026-06-30T23:00:00Z", "2026-07-01T23:00:00Z"
    ),
    "permission_change": Sample(f"permission_change/{ANA}-{{made}}.json", ANA),
    "planned_workout": Sample(f"2022-03-16/planned_workout/{BEN}-{MIDNIGHT}.json", BEN, MIDNIGHT, MIDNIGHT),
    "rate_limit_hit": Sample(f"rate_limit_hit/{BEN}-{{made}}.json", BEN),
    "s3_payload-2": Sample("s3_payload/{event_id}-{made}.json", None),
    "s3_payload": Sample("s3_payload/{event_id}-{made}.json", None),
    "sleep-full": Sample(f"2022-03-16/sleep/{BEN}-{MIDNIGHT}.json", BEN, MIDNIGHT, MIDNIGHT),
    "sleep": Sample(
        f"2022-03-16/sleep/{ANA}-2026-06-30T22:12:00Z.json", ANA, "2026-06-30T22:12:00Z", "2026-07-01T06:02:00Z"
    ),
    "user_reauth": Sample(f"user_reauth/{ANA_AGAIN}-{{made}}.json", ANA_AGAIN),
}
DATA_TYPES = {
    "activity", "athlete", "body", "daily", "health_observation", "hormone", "lab_report.completed",
    "lab_report.failed", "menstruation", "nutrition", "planned_workout", "sleep",
}  # fmt: skip

Row = tuple[object, ...]
# terra_users, once every sample is there: user_id, reference_id, created_at, granted_scopes, provider, state.
USERS: Sequence[Row] = (
    (ANA, "your-user-123", None, "ACTIVITY_EXPORT,HEALTH_EXPORT", "GARMIN", "user_reauth"),
    (BEN, "user-42", datetime(2024, 11, 2, 9, 15, 30, tzinfo=UTC), "activity,sleep,daily", "GARMIN", "active"),
    (ANA_AGAIN, "your-user-123", None, "ACTIVITY_EXPORT,HEALTH_EXPORT", "GARMIN", "active"),
)


@dataclass(frozen=True)
class Posted:
    """A sample that the hub has taken in."""

    name: str
    body: bytes
    event_id: str
    made_at: datetime  # what X-Terra-Ordering-Timestamp said

    @property
    def sample(self) -> Sample:
        return SAMPLES[self.name]

    @property
    def type(self) -> str:
        """Return the event type, which is the file's name up to a hyphen."""
        return self.name.partition("-")[0]

    @property
    def is_data(self) -> bool:
        return self.type in DATA_TYPES

    @property
    def key(self) -> str:
        """Return the key of its object, without a prefix."""
        return self.sample.key.format(made=self.made_at.strftime(MOMENT), event_id=self.event_id)

    @property
    def row(self) -> Row:
        """Return its row in ``terra_data_payloads`` or ``terra_other_payloads``, without the link at its end."""
        times = (_moment(self.sample.start), _moment(self.sample.end)) if self.is_data else ()
        return (self.event_id, self.sample.user_id, self.type, self.made_at, *times)

    @property
    def pointer(self) -> dict[str, object]:
        """Return its message in a queue, without the link."""
        return {
            "type": "s3_payload", "status": "success", "expires_in": 600, "payload_reference": self.event_id,
            "event_type": self.type, "user_id": self.sample.user_id, "reference_id": self.sample.reference_id,
        }  # fmt: skip


def moments() -> Iterator[datetime]:
    """Yield when each sample is made."""
    return (FIRST_MADE + timedelta(seconds=number) for number in range(len(SAMPLES)))


def by_key(posted: Sequence[Posted]) -> dict[str, Posted]:
    """Return what lies under each key in the end: of two events of one key, the later one."""
    return {one.key: one for one in posted}


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
