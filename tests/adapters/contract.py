"""What every destination type must pass. A type's tests subclass ``AdapterContract`` and give its fixtures.

    class TestWebhookContract(AdapterContract):
        @pytest.fixture
        def site(self) -> Site: ...

docs/adding-a-destination.md says more.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from destinations.adapters.base import Adapter, Effect, ListFeed, Message, Outcome, Result, Step, StepStatus
from destinations.egress import EgressPolicy
from destinations.ids import uuid7
from destinations.specs import load, problems_of, spec_fields
from tests.adapters.terraform_support import HUB, formatted, parsed

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
CANARY = "canary-7f3a91"  # part of every secret in a ``Site``
AnyAdapter = Adapter[Any, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """One event as the other side holds it; ``body`` is None where it holds only a link."""

    event_id: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A destination that works, and how it can be spoilt."""

    kind: type[AnyAdapter]
    config: dict[str, Any]
    credentials: dict[str, Any]  # every secret with CANARY in it
    policy: EgressPolicy
    # What is there now; what a repeat left twice is there twice. A check's own traces count too.
    read_back: Callable[[], Sequence[Stored]]
    # Whether a repeat leaves one effect; a type that cannot promise it repeats under the same id.
    repeats_leave_one: bool
    unreachable: dict[str, Any]  # changes of config under which nobody answers
    # Changes of config and credentials that ``check`` has to find, and the step that finds them.
    wrong_config: dict[str, Any]
    wrong_credentials: dict[str, Any]
    wrong_step: str

    def adapter(self, policy: EgressPolicy | None = None, **config: Any) -> AnyAdapter:
        """Return an adapter for this place, with changes of its config."""
        made = load(self.kind.config_spec, {**self.config, **config})
        return self.kind(made, load(self.kind.credentials_spec, self.credentials), None, policy or self.policy)

    def wrong_adapter(self) -> AnyAdapter:
        """Return an adapter whose set-up is wrong."""
        config = load(self.kind.config_spec, {**self.config, **self.wrong_config})
        credentials = load(self.kind.credentials_spec, {**self.credentials, **self.wrong_credentials})
        return self.kind(config, credentials, None, self.policy)


def event(body: bytes | None = None, **about: Any) -> Message:
    """Return a new event; by default one of a user's data."""
    number = uuid7()
    user = f"user-{number.hex[-8:]}"
    made = {
        "type": "activity",
        "user": {"user_id": user, "provider": "GARMIN", "reference_id": None, "scopes": None},
        "data": [{"metadata": {"start_time": f"2026-07-01T06:00:00.{number.int % 10**6:06}+00:00"}}],
        "version": "2022-03-16",
    }
    values: dict[str, Any] = {
        "type": "activity",
        "user_id": user,
        "provider": "GARMIN",
        "headers": {"terra-reference": f"reference-{number.hex[-8:]}", "dev-id": "testing"},
        "payload_url": f"https://hub.example/payloads/{number}",
    }
    body = json.dumps(made).encode() if body is None else body
    return Message(str(number), body=body, received_at=datetime.now(UTC), **{**values, **about})


def sample_events() -> list[Message]:
    """Return an event of each of Terra's sample bodies, byte for byte."""
    made = []
    for path in sorted(SAMPLES.glob("*.json")):
        body = path.read_bytes()
        read = json.loads(body)
        user = read.get("user") or {}
        made.append(event(body, type=read["type"], user_id=user.get("user_id"), provider=user.get("provider")))
    return made


# Bodies that are no trouble to carry, and names that are: what spoils one must not spoil the next.
AWKWARD: tuple[Callable[[], Message], ...] = (
    lambda: event(user_id="nul\x00 and \u202e and \ud83d"),
    lambda: event(user_id="x" * 100_000),
    lambda: event(user_id="../../etc/passwd"),
    lambda: event(b'{"type": "activity", "user": {"user_id": "a\\u0000b"}, "data": [1e400]}'),
    lambda: event(b'{"type": "activity", "user": "nobody", "data": 7}'),
    lambda: event(headers={"terra-reference": "a\r\nX-Injected: 1", "dev-id": "\x00\ufffe"}),
    lambda: event(b"[" * 100_000),
    lambda: event(b"\xff\xfe not text"),
    lambda: event(b""),
)


def text_of(results: Iterable[Result | Step]) -> str:
    """Return everything that results or steps would show or store, as one text."""
    return json.dumps([dataclasses.asdict(result) for result in results], default=str) + repr(list(results))


class AdapterContract:
    """The suite. ``site`` is a fixture of the subclass: a new, working place for each test."""

    @pytest.fixture
    def site(self) -> Site:
        raise NotImplementedError("The subclass gives its site.")

    @pytest.fixture
    def adapter(self, site: Site) -> Any:
        adapter = site.adapter()
        yield adapter
        adapter.close()

    # --- delivering ----------------------------------------------------------------------
    def test_each_message_gets_its_result_in_order(self, site: Site, adapter: AnyAdapter) -> None:
        batch = [event() for _ in range(min(20, adapter.max_batch))]
        results = adapter.deliver(batch)
        assert [result.outcome for result in results] == [Outcome.DELIVERED] * len(batch)
        assert sorted(one.event_id for one in site.read_back()) == sorted(message.event_id for message in batch)

    def test_an_empty_batch_is_no_trouble(self, adapter: AnyAdapter) -> None:
        assert list(adapter.deliver([])) == []

    def test_bodies_arrive_byte_for_byte(self, site: Site, adapter: AnyAdapter) -> None:
        for message in sample_events():
            (result,) = adapter.deliver([message])
            assert result.outcome is Outcome.DELIVERED, text_of([result])
            # At once: of two events that belong to one key, a bucket keeps the newer one.
            stored = {one.event_id: one.body for one in site.read_back()}
            assert message.event_id in stored
            assert stored[message.event_id] in (None, message.body)

    def test_the_same_event_twice_leaves_one_effect_or_the_same_id(self, site: Site, adapter: AnyAdapter) -> None:
        message = event()
        results = [*adapter.deliver([message]), *adapter.deliver([message, replace(message)])]
        assert [result.outcome for result in results] == [Outcome.DELIVERED] * 3
        stored = [one.event_id for one in site.read_back()]
        assert stored == [message.event_id] * (1 if site.repeats_leave_one else 3)

    @pytest.mark.parametrize("make", AWKWARD)
    def test_an_awkward_message_does_not_hold_its_neighbours(
        self, site: Site, adapter: AnyAdapter, make: Callable[[], Message]
    ) -> None:
        before, awkward, after = event(), make(), event()
        results = adapter.deliver([before, awkward, after])
        assert len(results) == 3
        assert (results[0].outcome, results[2].outcome) == (Outcome.DELIVERED, Outcome.DELIVERED), text_of(results)
        stored = {one.event_id for one in site.read_back()}
        assert {before.event_id, after.event_id} <= stored
        # It was delivered, or it is said to have failed: never one without the other.
        assert (awkward.event_id in stored) == (results[1].outcome is Outcome.DELIVERED)
        if results[1].outcome is not Outcome.DELIVERED:
            assert results[1].code
            assert results[1].detail

    def test_a_stream_takes_everything_and_hands_it_back_once(self, site: Site, adapter: AnyAdapter) -> None:
        batch = [event() for _ in range(50)]
        done = [pair for group in adapter.stream(ListFeed(batch)) for pair in group]
        assert sorted(message.event_id for message, _ in done) == sorted(message.event_id for message in batch)
        assert {result.outcome for _, result in done} == {Outcome.DELIVERED}
        assert sorted(one.event_id for one in site.read_back()) == sorted(message.event_id for message in batch)

    def test_several_workers_may_deliver_at_once(self, site: Site) -> None:
        batches = [[event() for _ in range(10)] for _ in range(4)]

        def deliver(batch: list[Message]) -> Sequence[Result]:
            adapter = site.adapter()
            try:
                return adapter.deliver(batch)
            finally:
                adapter.close()

        with ThreadPoolExecutor(4) as pool:
            results = [result for done in pool.map(deliver, batches) for result in done]
        assert {result.outcome for result in results} == {Outcome.DELIVERED}, text_of(results)
        assert {one.event_id for one in site.read_back()} == {
            message.event_id for batch in batches for message in batch
        }

    # --- failing -------------------------------------------------------------------------
    def test_a_server_that_cannot_be_reached_means_a_retry(self, site: Site) -> None:
        adapter = site.adapter(**site.unreachable)
        results = adapter.deliver([event(), event()])
        adapter.close()
        for result in results:
            assert (result.outcome, result.effect) == (Outcome.RETRY, Effect.FAILURE)
            assert result.code
            assert result.detail

    def test_a_private_address_that_is_not_allowed_is_not_dialled(self, site: Site) -> None:
        adapter = site.adapter(EgressPolicy())
        (result,) = adapter.deliver([event()])
        steps = list(adapter.check())
        adapter.close()
        assert (result.outcome, result.code) == (Outcome.RETRY, "egress_refused")
        assert "EGRESS_ALLOW" in result.hint
        assert steps[-1].status is StepStatus.FAILED
        assert "EGRESS_ALLOW" in steps[-1].hint
        assert list(site.read_back()) == []

    def test_a_closed_adapter_may_be_closed_again(self, site: Site) -> None:
        adapter = site.adapter()
        adapter.deliver([event()])
        adapter.close()
        adapter.close()

    # --- checking ------------------------------------------------------------------------
    def test_the_check_of_a_good_set_up_passes_and_leaves_nothing(self, site: Site, adapter: AnyAdapter) -> None:
        before = list(site.read_back())
        steps = list(adapter.check())
        assert StepStatus.FAILED not in {step.status for step in steps}, text_of(steps)
        assert StepStatus.PASSED in {step.status for step in steps}
        assert len({step.name for step in steps}) == len(steps)
        assert list(site.read_back()) == before

    def test_the_check_of_a_wrong_set_up_names_the_step_and_what_to_change(self, site: Site) -> None:
        adapter = site.wrong_adapter()
        before = list(site.read_back())
        steps = list(adapter.check())
        adapter.close()
        assert [step.name for step in steps if step.status is StepStatus.FAILED] == [site.wrong_step], text_of(steps)
        assert steps[-1].name == site.wrong_step
        assert steps[-1].detail
        assert steps[-1].hint
        assert list(site.read_back()) == before

    # --- keeping secrets -----------------------------------------------------------------
    def test_no_secret_is_shown_anywhere(self, site: Site) -> None:
        for adapter in (site.adapter(), site.wrong_adapter(), site.adapter(**site.unreachable)):
            shown = [adapter.target(), repr(adapter), repr(adapter.config), repr(adapter.credentials)]
            shown += [text_of(adapter.deliver([event()])), text_of(adapter.check()), adapter.setup(adapter.config)]
            adapter.close()
            assert CANARY in json.dumps(site.credentials)
            for text in shown:
                assert CANARY not in text

    # --- being set up --------------------------------------------------------------------
    def test_its_fields_are_described_and_the_set_up_is_valid(self, site: Site) -> None:
        kind = site.kind
        assert kind.type
        assert kind.label
        assert kind.summary
        assert problems_of(kind.config_spec, site.config) == {}
        assert problems_of(kind.credentials_spec, site.credentials) == {}
        assert kind.validate(load(kind.config_spec, site.config)) == {}
        names = {item.name for item in dataclasses.fields(kind.config_spec)}
        assert kind.host_fields <= names
        assert kind.host_fields

    def test_a_field_of_a_choice_names_a_choice_that_there_is(self, site: Site) -> None:
        config = {field.name: field for field in spec_fields(site.kind.config_spec)}
        for field in [*config.values(), *spec_fields(site.kind.credentials_spec)]:
            if only_if := field.about.only_if:
                choices = dict(config[only_if.field].about.choices)
                assert set(only_if.values) <= set(choices), field.name
                assert not any(" " in value for value in only_if.values), field.name
                assert field.kind is str or not field.required, f"{field.name} needs a default"

    def test_every_field_has_an_example_and_a_line_of_help(self, site: Site) -> None:
        for field in [*spec_fields(site.kind.config_spec), *spec_fields(site.kind.credentials_spec)]:
            about = field.about
            assert about.help, field.name
            assert "\n" not in about.help
            assert about.placeholder or about.choices or field.kind is bool, field.name

    def test_its_set_up_is_named_and_says_the_same_to_terraform(self, site: Site) -> None:
        config = load(site.kind.config_spec, site.config)
        assert site.kind.setup_label != Adapter.setup_label
        assert site.kind.icon != Adapter.icon
        text = site.kind.terraform(config, HUB)
        assert CANARY not in text
        if text:
            assert parsed(text)
            assert formatted(text) == text

    def test_its_target_is_one_line(self, adapter: AnyAdapter) -> None:
        assert adapter.target()
        assert "\n" not in adapter.target()
