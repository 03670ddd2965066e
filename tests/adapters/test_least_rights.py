"""A check says what credentials can do that the hub does not need, and changes nothing to find out."""

from collections.abc import Iterable

import pytest

from destinations.adapters.base import Step, StepStatus
from destinations.adapters.mysql_check import _beyond
from tests.adapters.azureblob_support import Place as AzurePlace
from tests.adapters.gcs_support import place_on
from tests.adapters.mysql_support import MysqlPlace
from tests.adapters.postgres_support import PostgresPlace
from tests.adapters.s3_support import Folder, new_folder
from tests.adapters.sql_support import Place as SqlPlace
from tests.adapters.sqs_support import SECRET, make
from tests.services.gcs import GcsServer
from tests.services.iam import allow
from tests.services.ministack import SqsServer
from tests.services.seaweedfs import SeaweedServer

pytestmark = pytest.mark.databaseless

NAME = "least rights"


@pytest.fixture
def folder(seaweed: SeaweedServer, bucket: str) -> Folder:
    return new_folder(seaweed, bucket)


def noted(steps: Iterable[Step]) -> Step | None:
    """Return the note, if there is one; the check has passed with it."""
    found = list(steps)
    assert StepStatus.FAILED not in {step.status for step in found}, found
    step = next((step for step in found if step.name == NAME), None)
    assert step is None or step.status is StepStatus.WARNING
    return step


def test_a_key_that_may_delete_and_list_more_than_the_test_object(folder: Folder) -> None:
    wide = folder.user("s3:PutObject", "s3:GetObject", "s3:DeleteObject")
    step = noted(folder.adapter(wide).check())
    assert step
    assert "The key can also delete objects (s3:DeleteObject)." in step.detail
    assert "You only need s3:PutObject" in step.hint
    assert folder.names() == []
    assert noted(folder.adapter(folder.user("s3:PutObject")).check()) is None


def test_a_sender_that_may_list_the_accounts_queues(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    rights = allow("sqs:SendMessage", "sqs:GetQueueUrl", "sqs:ListQueues", resource="*")
    key = sqs.gate.directory.add_user("lister", rights, SECRET)
    step = noted(make(sqs, queue, credentials={"access_key_id": key, "secret_access_key": SECRET}).check())
    assert step
    assert "sqs:ListQueues" in step.detail
    assert noted(make(sqs, queue).check()) is None
    assert queue.messages() == []


def test_an_account_that_may_delete_the_bucket(gcs: GcsServer) -> None:
    wide = place_on(gcs, role="admin")
    step = noted(wide.adapter().check())
    assert step
    assert "delete the bucket (storage.buckets.delete)" in step.detail
    assert "You only need roles/storage.objectAdmin" in step.hint
    assert noted(place_on(gcs).adapter().check()) is None


@pytest.mark.parametrize(
    ("rights", "said"),
    [("rcw", ""), ("rcwl", "list blobs (l)"), ("rcwd", "delete blobs (d)"), ("key", "anything in the whole account")],
)
def test_a_token_that_may_do_more_and_a_key_that_always_may(azure_place: AzurePlace, rights: str, said: str) -> None:
    credentials = azure_place.key if rights == "key" else azure_place.token(rights)
    step = noted(azure_place.adapter(credentials).check())
    assert bool(step) is bool(said)
    assert step is None or (said in step.detail and "rcw" in step.hint)


def sql_note(place: SqlPlace) -> str:
    adapter = place.adapter()
    step = noted(adapter.check())
    adapter.close()
    return step.detail if step else ""


def test_a_user_of_postgres_that_may_make_databases(postgres_place: PostgresPlace) -> None:
    assert sql_note(postgres_place) == ""
    postgres_place.run(f"ALTER USER {postgres_place.login.user} CREATEDB")
    assert "can also make databases (CREATEDB)." in sql_note(postgres_place)


def test_a_user_of_mysql_with_more_grants_than_the_page(mysql_place: MysqlPlace) -> None:
    assert sql_note(mysql_place) == ""
    account = f"'{mysql_place.login.user}'@'%'"
    mysql_place.run(f"GRANT DROP ON `{mysql_place.login.database}`.* TO {account}", f"GRANT SELECT ON *.* TO {account}")
    said = sql_note(mysql_place)
    assert "DROP on a database" in said
    assert "SELECT on every database" in said


@pytest.mark.parametrize(
    ("grant", "said"),
    [
        ("GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'", ""),
        ("GRANT ALL PRIVILEGES ON `health`.* TO `a`@`%`", "ALL PRIVILEGES on a database"),
        ("GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION", "ALL PRIVILEGES on every database"),
        ("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON `health`.* TO `a`@`%`", ""),
        ("GRANT `reader`@`%` TO `a`@`%`", ""),
    ],
)
def test_what_a_server_says_of_grants_is_read_without_the_passwords_hash(grant: str, said: str) -> None:
    assert _beyond(grant) == said
