"""What the tests of the Supabase destination share."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from destinations.adapters.base import Limits, Message, StepStatus
from destinations.adapters.rows import rows_of
from destinations.adapters.supabase import SupabaseAdapter
from destinations.adapters.supabase_api import Api
from destinations.adapters.supabase_config import SupabaseConfig, SupabaseCredentials
from destinations.adapters.supabase_errors import Fault, Judge
from destinations.adapters.supabase_flow import run_alone
from destinations.adapters.supabase_rows import RowWriter
from destinations.http import HttpClient
from tests.adapters.contract import Stored
from tests.adapters.sql_support import LOCAL, event
from tests.services.supabase import BUCKET, Project
from tests.services.supabase_storage import Object

USERS, DATA, OTHER, MISC = "terra_users", "terra_data_payloads", "terra_other_payloads", "terra_misc_payloads"
# What Terra itself makes in newer projects: docs.tryterra.co, *Supabase*, "Database tables".
NEWER_FORM = """
INSERT INTO storage.buckets (id, name, public) VALUES ('terra-payloads', 'terra-payloads', false);
CREATE TABLE terra_users (
  user_id TEXT PRIMARY KEY, reference_id TEXT, created_at TIMESTAMPTZ, granted_scopes TEXT, provider TEXT, state TEXT);
CREATE TABLE terra_data_payloads (
  payload_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, data_type TEXT, created_at TIMESTAMPTZ, start_time TIMESTAMPTZ,
  end_time TIMESTAMPTZ,
  FOREIGN KEY (user_id) REFERENCES terra_users(user_id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE terra_misc_payloads (
  payload_id TEXT PRIMARY KEY, user_id TEXT NOT NULL, data_type TEXT, payload_type TEXT, created_at TIMESTAMPTZ,
  FOREIGN KEY (user_id) REFERENCES terra_users(user_id) ON DELETE CASCADE ON UPDATE CASCADE);
"""


def adapter_for(project: Project, *, key: str = "", limits: Limits | None = None, **config: Any) -> SupabaseAdapter:
    """Return an adapter as an operator would set it up."""
    made = SupabaseConfig(**({"project_url": project.url} | config))
    return SupabaseAdapter(made, SupabaseCredentials(key or project.key), limits or Limits(timeout_s=20), LOCAL)


def set_up(project: Project, **config: Any) -> Project:
    """Run the set-up's SQL as the project's owner does."""
    project.paste(SupabaseAdapter.setup(SupabaseConfig(**({"project_url": project.url} | config))))
    return project


def of_one_day(at: int, scopes: str) -> Message:
    """Return an event whose object has the key of every other one that this gives."""
    start = [{"metadata": {"start_time": "2026-07-01T00:00:00+00:00"}}]
    return event({"type": "daily", "user": {"user_id": "u", "scopes": scopes}, "data": start}, at)


def key_of(url: str) -> str:
    """Return the key of the object that a row's link names."""
    return unquote(url.partition(f"/object/authenticated/{BUCKET}/")[2])


def stored(project: Project) -> list[Stored]:
    """Return each event that has a row, with the bytes of the object that the row links to.

    Without them where a newer event of the same key has taken the object's place.
    """
    objects = project.storage.buckets[BUCKET].objects
    rows = [row for table in (DATA, OTHER) for row in project.rows(table, "payload_id, payload_url")]
    found = [(event_id, objects[key_of(url)]) for event_id, url in rows]
    return [Stored(event_id, held.body if _is_of(held, event_id) else None) for event_id, held in found]


def _is_of(held: Object, event_id: str) -> bool:
    return held.user_metadata["terra-event-id"] == event_id


def failed(steps: Sequence[Any]) -> Any:
    """Return the step that failed, which is the last one."""
    assert [step.name for step in steps if step.status is StepStatus.FAILED] == [steps[-1].name], steps
    return steps[-1]


def write_rows(project: Project, batch: Sequence[Message]) -> list[Fault | None]:
    """Write the rows of all events as one batch: the adapter makes batches as objects come in."""
    adapter = adapter_for(project)
    judge = Judge(adapter.config.schema, adapter.config.bucket)
    writer = RowWriter(Api(adapter.config, adapter.credentials, 20), judge)
    client = HttpClient(LOCAL)
    try:
        return run_alone(client, writer.write([rows_of(message) for message in batch]))
    finally:
        client.close()
