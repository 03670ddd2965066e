"""What goes wrong at a destination that worked, what the delivery log has to say of it, and how it is mended."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from destinations import services
from destinations.models import Destination
from tests.adapters.s3_support import Folder
from tests.adapters.supabase_support import set_up
from tests.delivering.log import ACTIVITY
from tests.every_type.receivers import RECEIVERS, Fixtures, Receiver, S3Receiver, SqsReceiver
from tests.services.iam import ACCOUNT, Role, allow
from tests.services.supabase import BUCKET

WRONG = "canary-of-a-wrong-secret"
Act = Callable[[Destination], Any]


@dataclass
class Trouble:
    """One cause: it appears (``spoil``), and is taken away (``mend``)."""

    receiver: Receiver
    spoil: Act
    mend: Act
    code: str  # of every attempt meanwhile
    hint: str  # what the hint has to name
    prepare: Act = lambda destination: None  # once the destination is saved
    body: bytes = ACTIVITY  # of the events; %d in it is their number


def change(**changes: Any) -> Act:
    """Return an operator's edit of the destination."""
    return lambda destination: services.update_destination(destination, **changes)


def postgres_wrong_password(fixture: Fixtures) -> Trouble:
    receiver: Any = RECEIVERS["postgres"](fixture)
    place, user = receiver.place, receiver.place.login.user

    def spoil(destination: Destination) -> None:
        place.run(f"ALTER USER {user} PASSWORD 'canary-of-a-new-password'")
        place.end_sessions()

    mend = change(credentials={"password": "canary-of-a-new-password"})
    return Trouble(receiver, spoil, mend, "28P01", "the password of this destination")


def postgres_dropped_table(fixture: Fixtures) -> Trouble:
    """Its user may not make it again."""
    receiver: Any = RECEIVERS["postgres"](fixture)
    place, user = receiver.place, receiver.place.login.user

    def spoil(destination: Destination) -> None:
        place.run("DROP TABLE terra_data_payloads", f"REVOKE CREATE ON SCHEMA public FROM {user}")

    def mend(destination: Destination) -> None:
        place.run(f"GRANT CREATE ON SCHEMA public TO {user}")

    return Trouble(receiver, spoil, mend, "42501", "GRANT USAGE, CREATE ON SCHEMA")


def mysql_wrong_password(fixture: Fixtures) -> Trouble:
    receiver: Any = RECEIVERS["mysql"](fixture)

    def spoil(destination: Destination) -> None:
        receiver.place.run(f"ALTER USER '{receiver.place.login.user}'@'%' IDENTIFIED BY 'canary-of-a-new-password'")
        receiver.place.end_sessions()

    mend = change(credentials={"password": "canary-of-a-new-password"})
    return Trouble(receiver, spoil, mend, "1045", "the password of this destination")


def mysql_revoked_grant(fixture: Fixtures) -> Trouble:
    receiver: Any = RECEIVERS["mysql"](fixture)
    login = receiver.place.login

    def run(verb: str, word: str) -> Act:
        def act(destination: Destination) -> None:
            receiver.place.run(f"{verb} INSERT ON {login.database}.* {word} '{login.user}'@'%'")
            receiver.place.end_sessions()  # a session keeps the rights on a database that it began with

        return act

    return Trouble(receiver, run("REVOKE", "FROM"), run("GRANT", "TO"), "1142", "Run: GRANT")


def supabase_missing_table(fixture: Fixtures) -> Trouble:
    receiver: Any = RECEIVERS["supabase"](fixture)

    def spoil(destination: Destination) -> None:
        receiver.project.paste("DROP TABLE terra_data_payloads")

    def mend(destination: Destination) -> None:
        receiver.project.paste(services.setup_text(destination))

    return Trouble(receiver, spoil, mend, "PGRST205", "SQL editor")


def supabase_missing_bucket(fixture: Fixtures) -> Trouble:
    receiver: Any = RECEIVERS["supabase"](fixture)

    def spoil(destination: Destination) -> None:
        receiver.project.paste("DELETE FROM storage.buckets")
        del receiver.project.storage.buckets[BUCKET]

    def mend(destination: Destination) -> None:
        set_up(receiver.project)

    return Trouble(receiver, spoil, mend, "NoSuchBucket", "SQL of this destination's set-up")


def s3_missing_bucket(fixture: Fixtures) -> Trouble:
    server = fixture("seaweed")
    folder = Folder(server, server.create_bucket(), "events")

    def spoil(destination: Destination) -> None:
        for name in folder.names():
            server.client().delete_object(Bucket=folder.bucket, Key=f"{folder.prefix}/{name}")
        server.client().delete_bucket(Bucket=folder.bucket)

    def mend(destination: Destination) -> None:
        server.client().create_bucket(Bucket=folder.bucket)

    return Trouble(S3Receiver(folder), spoil, mend, "NoSuchBucket", "make the bucket")


def s3_wrong_secret(fixture: Fixtures) -> Trouble:
    receiver = RECEIVERS["s3"](fixture)
    wrong = change(credentials={"secret_access_key": WRONG})
    right = change(credentials={"secret_access_key": receiver.credentials["secret_access_key"]})
    return Trouble(receiver, wrong, right, "SignatureDoesNotMatch", "secret_access_key")


def gcs_deleted_key(fixture: Fixtures) -> Trouble:
    receiver: Any = RECEIVERS["gcs"](fixture)
    server, key = receiver.place.server, receiver.place.key

    def spoil(destination: Destination) -> None:
        gate_of(server).accounts[key["client_email"]].keys.clear()
        gate_of(server).revoke_tokens()

    def mend(destination: Destination) -> None:
        change(credentials={"service_account_key": server.make_key()})(destination)

    return Trouble(receiver, spoil, mend, "invalid_grant", "gcloud iam service-accounts keys create")


def gcs_revoked_role(fixture: Fixtures) -> Trouble:
    receiver: Any = RECEIVERS["gcs"](fixture)

    def give(role: str) -> Act:
        def act(destination: Destination) -> None:
            gate_of(receiver.place.server).accounts[receiver.place.key["client_email"]].role = role

        return act

    return Trouble(receiver, give("objectViewer"), give("objectAdmin"), "forbidden", "roles/storage.objectAdmin")


def azureblob_missing_container(fixture: Fixtures) -> Trouble:
    receiver: Any = RECEIVERS["azureblob"](fixture)
    place = receiver.place

    def spoil(destination: Destination) -> None:
        place.server.client.delete_container(place.container)

    def mend(destination: Destination) -> None:
        place.server.client.create_container(place.container)

    return Trouble(receiver, spoil, mend, "ContainerNotFound", f"--name {place.container}")


def azureblob_ended_link(fixture: Fixtures) -> Trouble:
    """The signed link to the container, its SAS token, has ended."""
    receiver: Any = RECEIVERS["azureblob"](fixture)
    ended, fresh = receiver.place.token(hours=-1), receiver.place.token(hours=1)
    code = "AuthorizationFailure" if receiver.place.server.process else "AuthenticationFailed"  # Azurite's, or Azure's
    return Trouble(receiver, change(credentials=ended), change(credentials=fresh), code, "Make a new SAS token")


def sqs_missing_queue(fixture: Fixtures) -> Trouble:
    receiver: Any = RECEIVERS["sqs"](fixture)
    queue = receiver.queue

    def spoil(destination: Destination) -> None:
        queue.client.delete_queue(QueueUrl=queue.url)

    def mend(destination: Destination) -> None:
        queue.client.create_queue(QueueName=queue.name)

    return Trouble(receiver, spoil, mend, "QueueDoesNotExist", f"make the queue {queue.name} again")


def sqs_full_size(fixture: Fixtures) -> Trouble:
    """The messages are larger than the queue takes."""
    receiver: Any = RECEIVERS["sqs"](fixture)

    def limit(size: int) -> Act:
        return lambda destination: receiver.queue.set(MaximumMessageSize=str(size))

    body = b'{"type": "healthcheck", "status": "normal", "n": %d, "filler": "' + b"x" * 4000 + b'"}'
    return Trouble(receiver, limit(1024), limit(262_144), "message_too_large", "MaximumMessageSize", body=body)


def sqs_wrong_role(fixture: Fixtures) -> Trouble:
    """The role's trust policy names another external id than this destination's; the session has just ended."""
    server, settings = fixture("sqs"), fixture("settings")
    directory, arn = server.gate.directory, f"arn:aws:iam::{ACCOUNT}:role/terra-hub-trouble"
    key = directory.add_user("hub", allow("sts:AssumeRole"), "canary-of-the-hubs-own-secret", "999999999999")
    identity = {
        "HUB_AWS_ARN": directory.users[key].arn,
        "HUB_AWS_ACCESS_KEY_ID": key,
        "HUB_AWS_SECRET_ACCESS_KEY": "canary-of-the-hubs-own-secret",
        "HUB_AWS_STS_ENDPOINT": server.gate.url,
    }
    for name, value in identity.items():
        setattr(settings, name, value)
    receiver = SqsReceiver(server, server.create_queue(), {}, auth="role", role_arn=arn)
    receiver.environment = identity

    def trusting(external_id: str) -> Role:
        condition = {"StringEquals": {"sts:ExternalId": external_id}}
        statement = {"Principal": {"AWS": identity["HUB_AWS_ARN"]}, "Action": "sts:AssumeRole", "Condition": condition}
        return Role({"Statement": [statement]}, allow("sqs:SendMessage", resource=receiver.queue.arn))

    def let_in(destination: Destination) -> None:
        directory.roles[arn] = trusting(f"terra-hub-{destination.pk}")

    def spoil(destination: Destination) -> None:
        directory.roles[arn] = trusting("terra-hub-of-another-destination")
        change(name="edited, so that a new session begins")(destination)

    def mend(destination: Destination) -> None:
        directory.roles[f"{arn}-2"] = trusting(f"terra-hub-{destination.pk}")
        change(config={"role_arn": f"{arn}-2"})(destination)

    return Trouble(receiver, spoil, mend, "AssumeRole.AccessDenied", "external id terra-hub-", prepare=let_in)


def webhook_refused(fixture: Fixtures) -> Trouble:
    """The receiver wants another token, and its answer repeats the one that it was sent."""
    receiver: Any = RECEIVERS["webhook"](fixture)
    said = json.dumps({"error": f"{receiver.credentials['token']} is not taken"})

    def spoil(destination: Destination) -> None:
        receiver.sink.behave("/hook", status=401, body=said)

    def mend(destination: Destination) -> None:
        receiver.sink.behave("/hook", status=200)
        change(credentials={"token": "canary-token-that-is-taken"})(destination)

    return Trouble(receiver, spoil, mend, "http_401", "authentication")


def gate_of(server: Any) -> Any:
    """Return the gate; skip the test where an existing server is used."""
    if server.gate is None:
        pytest.skip("Keys and roles can be taken away at the gate only: unset HUB_TEST_GCS.")
    return server.gate


TROUBLES: Mapping[str, Callable[[Fixtures], Trouble]] = {
    "postgres: wrong password": postgres_wrong_password,
    "postgres: dropped table, and no right to make it": postgres_dropped_table,
    "mysql: wrong password": mysql_wrong_password,
    "mysql: revoked grant": mysql_revoked_grant,
    "supabase: missing table": supabase_missing_table,
    "supabase: missing bucket": supabase_missing_bucket,
    "s3: missing bucket": s3_missing_bucket,
    "s3: wrong secret": s3_wrong_secret,
    "gcs: deleted key": gcs_deleted_key,
    "gcs: revoked role": gcs_revoked_role,
    "azureblob: missing container": azureblob_missing_container,
    "azureblob: ended link": azureblob_ended_link,
    "sqs: missing queue": sqs_missing_queue,
    "sqs: full message size": sqs_full_size,
    "sqs: wrong role": sqs_wrong_role,
    "webhook: wrong token": webhook_refused,
}
