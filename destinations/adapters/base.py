"""What every destination type is: the interface, its messages and its results.

An adapter knows one external system. It imports no Django model and no other adapter, and it
can be used without a database: give it a config, credentials and messages.
"""

import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from destinations.egress import EgressPolicy
from destinations.identity import HubIdentity

ConfigT = TypeVar("ConfigT")
CredentialsT = TypeVar("CredentialsT")


class Outcome(StrEnum):
    """What became of one message."""

    DELIVERED = "delivered"
    RETRY = "retry"  # may succeed later: the schedule decides when
    REJECTED = "rejected"  # will never succeed as it is: dead letter at once


class Effect(StrEnum):
    """What a result says about the whole destination, beyond its one message."""

    NONE = ""
    FAILURE = "failure"  # the destination is unwell: counts towards the breaker
    PAUSE = "pause"  # asked to be left alone for retry_after seconds
    DISABLE = "disable"  # told us to stop for good (410 Gone)


@dataclass(slots=True)  # nobody changes one; ``frozen`` would triple the time that making one takes
class Message:
    """One event on its way to one destination."""

    event_id: str  # UUID of the hub, in its hyphenated form
    type: str
    body: bytes  # exactly as received
    received_at: datetime  # aware, UTC
    user_id: str | None = None
    reference_id: str | None = None
    provider: str | None = None
    # The request's headers that are handed on, in lower case: terra-reference, dev-id,
    # x-terra-trace-id, x-terra-ordering-timestamp.
    headers: Mapping[str, str] = field(default_factory=dict)
    # A link of the hub to the exact body, for destinations that store or send a link;
    # how long it opens: ``Adapter.link_lifetime_s``.
    payload_url: str = ""
    delivery_id: int = 0


@dataclass(slots=True)  # as ``Message``
class Result:
    """What one try of one message gave."""

    outcome: Outcome
    code: str = ""  # stable, for grouping: "http_500", "timeout", "tls_failed", "42501"
    detail: str = ""  # one line for people, without secrets
    hint: str = ""  # what to change, naming the setting or the grant
    retry_after: float | None = None  # seconds, a lower bound of the next wait
    effect: Effect = Effect.NONE
    status_code: int | None = None  # HTTP only
    duration_ms: int = 0
    request: Mapping[str, Any] = field(default_factory=dict)  # what was sent, secrets masked
    response: Mapping[str, Any] = field(default_factory=dict)  # what came back, capped


class StepStatus(StrEnum):
    """How a step of a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    WARNING = "warning"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One named step of ``check``."""

    name: str  # "resolve", "connect", "TLS", "authenticate", "permission", "write", "read back", "clean up"
    status: StepStatus
    detail: str = ""
    hint: str = ""
    duration_ms: int = 0
    code: str = ""  # of what failed, as a ``Result`` has it


@dataclass(frozen=True, slots=True)
class Person:
    """Who is erased: every id that Terra and the operator have for one person."""

    user_ids: tuple[str, ...] = ()  # Terra's
    reference_ids: tuple[str, ...] = ()  # the operator's own


@dataclass(frozen=True, slots=True)
class Erased:
    """What erasing a person at a destination gave."""

    count: int = 0  # rows or objects that are gone
    failed: Result | None = None  # why it is not finished; erasing again goes on, REJECTED: once somebody has mended it
    detail: str = ""  # what was done, or what is left for the operator to do, in one line


class Feed(Protocol):
    """Where a streaming adapter takes its messages from.

    It never waits: an empty list means "none right now". Only what was taken counts as tried,
    so an adapter takes what it has room for and no more.
    """

    def take(self, most: int) -> list[Message]:
        """Return up to ``most`` messages, in order; an empty list where none is ready."""
        ...

    @property
    def closed(self) -> bool:
        """Tell whether no more messages will come."""
        ...


# A message with its result, as ``stream`` hands them back.
Outcomes = Sequence[tuple[Message, Result]]


class ListFeed:
    """A feed over a fixed list, for checks, tests and use without a worker."""

    def __init__(self, messages: Sequence[Message]) -> None:
        """Serve ``messages`` in order."""
        self._messages = list(messages)

    def take(self, most: int) -> list[Message]:
        """Return up to ``most`` of what is left."""
        taken, self._messages = self._messages[:most], self._messages[most:]
        return taken

    @property
    def closed(self) -> bool:
        """Tell whether everything was taken."""
        return not self._messages


def deliver_by_stream(stream: Callable[[Feed], Iterator[Outcomes]], batch: Sequence[Message]) -> list[Result]:
    """Return what ``stream`` gives for each message, in the order of ``batch``."""
    own = [replace(message) for message in batch]  # so that each has an identity, also one that came twice
    results = {id(message): result for group in stream(ListFeed(own)) for message, result in group}
    return [results[id(message)] for message in own]


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard the hub may press one destination."""

    timeout_s: float = 30.0  # wall clock, for one try
    concurrency: int = 16  # tries under way at once, per worker


class Adapter(ABC, Generic[ConfigT, CredentialsT]):
    """One destination that is set up: config, credentials, and how to write to it.

    Made per (destination, version) and kept until either changes. One thread uses it at a time.
    """

    type: ClassVar[str]
    label: ClassVar[str]
    summary: ClassVar[str]  # one line: what the operator gets
    on_repeat: ClassVar[str]  # one or two sentences: what becomes of an event that was delivered already
    config_spec: ClassVar[builtins.type[Any]]  # a frozen dataclass of option(...) fields
    credentials_spec: ClassVar[builtins.type[Any]]
    max_batch: ClassVar[int] = 100
    max_bytes: ClassVar[int] = 64 * 1024 * 1024  # of one message's body
    # The config fields that say where credentials are sent: changing one of them asks for the
    # credentials again, else a stored password could be sent to another host.
    host_fields: ClassVar[frozenset[str]] = frozenset()
    erases: ClassVar[bool] = False  # whether ``erase`` can remove what was delivered
    icon: ClassVar[str] = "output"  # a name of Material Symbols: the vendors' own signs are theirs
    setup_label: ClassVar[str] = "Set-up"  # what ``setup`` is: "SQL", "AWS CLI"
    # Who the hub is towards the other side; set before the first use, by who makes the adapter.
    identity: HubIdentity = HubIdentity()

    def __init__(
        self,
        config: ConfigT,
        credentials: CredentialsT,
        limits: Limits | None = None,
        policy: EgressPolicy | None = None,
    ) -> None:
        """Keep the set-up; open no connection yet. Without a policy, no private address is dialled."""
        self.config = config
        self.credentials = credentials
        self.limits = limits or Limits()
        self.policy = policy or EgressPolicy()

    @abstractmethod
    def target(self) -> str:
        """Return one line for people, without secrets: ``https://api.example.com/hook``."""

    @abstractmethod
    def check(self) -> Iterator[Step]:
        """Try the set-up step by step; leave nothing behind. Stops after a failed step."""

    @abstractmethod
    def deliver(self, batch: Sequence[Message]) -> Sequence[Result]:
        """Deliver at most ``max_batch`` messages; return one result per message, in order.

        An expected failure is a result, never an exception. A poison message gets a result of
        its own and never holds its neighbours.
        """

    def wants_payload_url(self) -> bool:
        """Tell whether messages need their link; making one costs a signature each."""
        return True

    def link_lifetime_s(self) -> int | None:
        """Return for how many seconds a message's ``payload_url`` opens, from when the message is built.

        ``None``: until the destination's links are revoked. A number is what a type promises beside
        the link (``expires_in``): a link that is older is answered 410.
        """
        return None

    def stream(self, feed: Feed) -> Iterator[Outcomes]:
        """Deliver what ``feed`` has until it is closed; hand back results as they are known.

        Adapters that can have many tries under way at once override this.
        """
        while batch := feed.take(self.max_batch):
            yield list(zip(batch, self.deliver(batch), strict=True))

    @classmethod
    def setup(cls, config: ConfigT) -> str:
        """Return what the operator pastes on the other side (grants, policy), filled in."""
        return ""

    @classmethod
    def setup_for(cls, config: ConfigT, identity: HubIdentity) -> str:
        """Return ``setup`` for one saved destination of this hub, where the text has to name the hub."""
        return cls.setup(config)

    @classmethod
    def terraform(cls, config: ConfigT, identity: HubIdentity) -> str:
        """Return what ``setup_for`` says as a module's resources; ``""`` where Terraform has nothing to set up.

        It holds no secret: what is secret is a variable, or an output that is marked so.
        """
        return ""

    @classmethod
    def validate(cls, config: ConfigT) -> Mapping[str, str]:
        """Return what is wrong with a config, per field, beyond what its options say."""
        return {}

    @classmethod
    def validate_credentials(cls, config: ConfigT, credentials: CredentialsT) -> Mapping[str, str]:
        """Return which credentials do not fit a config, per field, beyond what their options say."""
        return {}

    def erase(self, person: Person, messages: Iterable[Message]) -> Erased:
        """Remove what was delivered of a person; doing it again finds nothing. Only where ``erases`` is true.

        ``messages`` are the person's events that the hub still has and has delivered here, without their bodies.
        What can be found by the person's ids is removed too, also of events that the hub has pruned. An expected
        failure is in the answer, never an exception.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give back connections. The adapter is not used afterwards."""


def run_step(name: str, action: Callable[[], str]) -> Step:
    """Run one step of a check and time it; ``StepFailed`` becomes a failed step."""
    from time import monotonic

    started = monotonic()
    try:
        detail, hint, status, code = action(), "", StepStatus.PASSED, ""
    except StepFailed as failure:
        detail, hint, status, code = failure.detail, failure.hint, failure.status, failure.code
    return Step(name, status, detail, hint, round((monotonic() - started) * 1000), code)


class StepFailed(Exception):
    """Raised inside a step of a check: what went wrong and what to change."""

    def __init__(self, detail: str, hint: str = "", status: StepStatus = StepStatus.FAILED, *, code: str = "") -> None:
        """Say what failed; ``status`` may lower it to a warning or a skipped step."""
        super().__init__(detail)
        self.detail, self.hint, self.status, self.code = detail, hint, status, code
