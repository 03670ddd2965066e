"""Sources, events, deliveries and their attempts, replays, tallies, erasures, and what was refused.

Rows on the hot path are narrow and are written by ``receiving.groupcommit`` and
``delivering.outbox``, many at a time.
"""

from webhooks.models.deliveries import Attempt, AttemptOutcome, Delivery, DeliveryStatus, Trigger
from webhooks.models.events import ID_LENGTH, KEY_LENGTH, TYPE_LENGTH, Event, Payload
from webhooks.models.people import NOTE_LENGTH, Erasure, ErasureStatus, PayloadView, Tombstone, TombstoneSalt, UserLink
from webhooks.models.quarantine import REASONS, QuarantinedRequest
from webhooks.models.replays import Replay, ReplayKind, ReplayStatus
from webhooks.models.retention import RetentionMark
from webhooks.models.sources import SLUG, Source
from webhooks.models.tallies import DURATION_BOUNDS_MS, HOUR_S, MINUTE_S, DeliveredTally, ReceivedTally, SplitTally
from webhooks.models.workers import Worker

__all__ = [
    "DURATION_BOUNDS_MS", "HOUR_S", "ID_LENGTH", "KEY_LENGTH", "MINUTE_S", "NOTE_LENGTH", "REASONS", "SLUG",
    "TYPE_LENGTH", "Attempt", "AttemptOutcome", "DeliveredTally", "Delivery", "DeliveryStatus", "Erasure",
    "ErasureStatus", "Event", "Payload", "PayloadView", "QuarantinedRequest", "ReceivedTally", "Replay",
    "ReplayKind", "ReplayStatus", "RetentionMark", "Source", "SplitTally", "Tombstone",
    "TombstoneSalt", "Trigger", "UserLink", "Worker",
]  # fmt: skip
