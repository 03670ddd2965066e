"""Answers that are not Supabase's own or come too slowly, and what is in hand meanwhile: nothing is lost by them."""

from collections.abc import Iterator

import pytest

from destinations.adapters import supabase_stream
from destinations.adapters.base import Effect, Limits, ListFeed, Message, Outcome
from destinations.adapters.supabase import SupabaseAdapter
from destinations.rules import credentials_to_send_again
from tests.adapters.sql_support import daily, event, only, outcomes
from tests.adapters.supabase_support import DATA, OTHER, USERS, adapter_for, of_one_day
from tests.services.supabase import Project
from tests.services.supabase_storage import Reply

pytestmark = pytest.mark.databaseless


@pytest.fixture
def adapter(project: Project) -> Iterator[SupabaseAdapter]:
    made = adapter_for(project)
    yield made
    made.close()


HTML = {"content-type": "text/html"}
PORTAL = Reply(200, b"<html>a portal</html>", HTML)
NOTHING = Reply(204)


@pytest.mark.parametrize("reply", [PORTAL, NOTHING, Reply(200)], ids=["page", "204", "empty"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/storage/"), ("POST", f"/rest/v1/{OTHER}"), ("GET", f"/rest/v1/{USERS}"), ("GET", f"/rest/v1/{OTHER}")],
)
def test_only_supabases_own_answer_is_a_success(
    project: Project, adapter: SupabaseAdapter, method: str, path: str, reply: Reply
) -> None:
    message = event({"type": "healthcheck"})
    project.reply_next(method, path, reply)
    (result,) = adapter.deliver([message])
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "bad_response", Effect.FAILURE)
    assert outcomes(adapter.deliver([message])) == [Outcome.DELIVERED]
    assert len(project.rows(OTHER)) == 1


@pytest.mark.parametrize("reply", [PORTAL, NOTHING, Reply(200, b"{}")], ids=["page", "204", "object"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/object/info/"), ("PUT", "/storage/")])
def test_a_replacement_that_nobody_confirms_is_tried_again(
    project: Project, adapter: SupabaseAdapter, method: str, path: str, reply: Reply
) -> None:
    older, newer = (of_one_day(at, "some") for at in (1, 2))
    adapter.deliver([older])
    project.reply_next(method, path, reply)
    assert only(adapter.deliver([newer])).code == "bad_response"
    assert list(project.objects().values()) == [older.body]
    assert outcomes(adapter.deliver([newer])) == [Outcome.DELIVERED]


def test_an_upsert_that_made_no_row_is_a_success_also_where_it_is_answered_200(
    project: Project, adapter: SupabaseAdapter
) -> None:
    """PostgREST's newer versions do so: docs.postgrest.org, *Tables and Views*, "Upsert"."""
    project.reply_next("POST", f"/rest/v1/{OTHER}", Reply(200, headers={"content-range": "*/*"}))
    assert outcomes(adapter.deliver([event({"type": "healthcheck"})])) == [Outcome.DELIVERED]


HOSTILE = [b"[1]", b"[{}]", b"[null]", b"null", b"[" * 60_000, b'[{"user_id": "\\ud800"}]', b"1" * 6000]
HOSTILE_IDS = ["number", "no column", "null row", "null", "deep", "half a pair", "long number"]


@pytest.mark.parametrize("body", HOSTILE, ids=HOSTILE_IDS)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "user_id=in."),
        ("GET", "order=created_at"),
        ("PATCH", USERS),
        ("POST", "/storage/"),
        ("POST", f"/rest/v1/{DATA}"),
    ],
)
def test_hostile_answers_are_results(
    project: Project, adapter: SupabaseAdapter, method: str, path: str, body: bytes
) -> None:
    adapter.deliver([daily(at=1)])
    for status, code in ((200, "bad_response"), (400, "http_400")):
        project.reply_next(method, path, Reply(status, body))
        (result,) = adapter.deliver([daily(at=2, scopes="more")])
        assert (result.outcome, result.code) == (Outcome.RETRY, code)


@pytest.mark.parametrize("status", [200, 500])
def test_a_long_page_instead_of_rows_rejects_no_event(project: Project, adapter: SupabaseAdapter, status: int) -> None:
    project.reply_next("GET", "user_id=in.", Reply(status, b"<html>" + b"x" * 70_000, HTML))
    (result,) = adapter.deliver([daily()])
    assert (result.outcome, result.effect) == (Outcome.RETRY, Effect.FAILURE)


def test_the_time_limit_is_that_of_all_requests_of_an_event(project: Project) -> None:
    """Each answer comes in time; all of them together do not, and the hub stops asking."""
    project.delay_s = 0.4
    adapter = adapter_for(project, limits=Limits(timeout_s=0.5))
    try:
        result = only(adapter.deliver([daily()]))
    finally:
        adapter.close()
        project.delay_s = 0.0
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "timeout", Effect.FAILURE)
    assert len(project.requests) <= 3


class Watched(ListFeed):
    """Counts the bytes that are in the adapter's hands."""

    held = most = 0

    def take(self, most: int) -> list[Message]:
        taken = super().take(most)
        if taken:
            self.most = max(self.most, self.held)
        self.held += sum(len(message.body) for message in taken)
        return taken


def test_no_more_is_taken_while_many_bytes_are_in_hand(
    project: Project, adapter: SupabaseAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supabase_stream, "MOST_BYTES", 500_000)
    pad = [{"pad": "x" * 100_000}]
    feed = Watched([event({"type": "daily", "user": {"user_id": f"u{at}"}, "data": pad}, at) for at in range(30)])
    finished = []
    for group in adapter.stream(feed):
        finished += group
        feed.held -= sum(len(message.body) for message, _ in group)
    assert [result.outcome for _, result in finished] == [Outcome.DELIVERED] * 30
    assert feed.most < 500_000


@pytest.mark.parametrize("change", [{"bucket": "another"}, {"schema": "another"}])
def test_a_stored_key_is_sent_again_before_it_is_used_elsewhere(change: dict[str, str]) -> None:
    old = {"project_url": "https://x.supabase.co"}
    found = credentials_to_send_again(SupabaseAdapter, old, old | change, {"api_key": "sb_secret_x"}, ())
    assert list(found) == ["credentials.api_key"]
