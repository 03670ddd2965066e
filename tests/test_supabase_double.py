"""The tests' doubles of Supabase: Storage answers as the recorded one, and the official clients work with both."""

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from postgrest import APIError, SyncPostgrestClient
from storage3 import SyncStorageClient
from storage3.exceptions import StorageApiError

from tests.services import provide
from tests.services.supabase import Project, new_project
from tests.services.supabase_storage import Bucket, Reply, Request, Storage

pytestmark = pytest.mark.databaseless

TRANSCRIPT = json.loads((Path(__file__).parent / "data/supabase-storage-transcript.json").read_text())
SECRET = "the-jwt-secret-of-a-project-of-the-tests"
CUT_AT = 600
# What differs from run to run, always of the same length: ids, moments, and tokens' payloads and signatures.
_CHANGING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|(?<=\?token=)[\w.-]+"
)
# The sizes of these answers depend on buckets and bodies that the transcript does not hold in full.
_OTHER_SIZE = {"list buckets", "list"}


class Replay:
    """Plays the transcript's requests in their order, an hour of which is nobody's time."""

    def __init__(self) -> None:
        self.now = 1_795_440_119.5
        self.storage = Storage(SECRET, clock=lambda: self.now)
        first = Bucket("hub-1795440050")
        limited = Bucket("hub-1795440050l", file_size_limit=10, allowed_mime_types=["application/json"])
        self.storage.buckets = {one.name: one for one in (first, limited)}  # there before the recording
        self.token = ""

    def play(self, case: dict[str, Any]) -> Reply:
        self.now += 3 if case["name"] == "signed get expired" else 0.001
        body, headers = BODIES.get(case["name"], b""), dict(case["req_headers"])
        if isinstance(body, tuple):
            body, headers["content-type"] = body
        if key := self._key(case["key"]):
            headers["authorization"] = f"Bearer {key}"
        reply = self.storage.answer(Request(case["method"], self._path(case), headers, body))
        if case["name"] in ("sign", "sign 1s"):
            self.token = json.loads(reply.body)["signedURL"].partition("token=")[2]
        return reply

    def _path(self, case: dict[str, Any]) -> str:
        path, mark, _ = case["path"].partition("?token=")
        changed = self.token[:-3] + ("abc" if self.token[-3:] != "abc" else "xyz")
        return path + mark + (changed if "tampered" in case["name"] else self.token if mark else "")

    def _key(self, name: str | None) -> str:
        if name is None or name == "sbsecret":
            return "sb_secret_abc" if name else ""
        claims = {"role": "anon" if name == "anon" else "service_role"}
        claims |= {"exp": int(self.now) - 99} if name == "expired" else {}  # type: ignore[dict-item]
        return jwt.encode(claims, "y" * 40 if name == "badsig" else SECRET, "HS256")


def _form() -> tuple[bytes, str]:
    mark = uuid.uuid4().hex
    parts = [
        'name="cacheControl"\r\n\r\n3600',
        'name="file"; filename="m.json"\r\nContent-Type: application/json\r\n\r\n{}',
    ]
    body = "".join(f"--{mark}\r\nContent-Disposition: form-data; {part}\r\n" for part in parts) + f"--{mark}--\r\n"
    return body.encode(), f"multipart/form-data; boundary={mark}"


def _asked(**value: Any) -> bytes:
    return json.dumps(value).encode()


# The transcript holds no request bodies; these are those that it was recorded with.
BODIES: dict[str, Any] = {
    "create bucket": _asked(id="capb", name="capb", public=False),
    "create bucket dup": _asked(id="capb", name="capb"),
    "create bucket limited": _asked(
        id="capl", name="capl", file_size_limit=10, allowed_mime_types=["application/json"]
    ),
    "upload raw": b'{"x":1}',
    "upload dup": b"{}",
    "upload upsert": b'{"x":2}',
    "upload multipart (as storage3)": _form(),
    "update PUT": b'{"x":3}',
    "update PUT missing": b'{"x":3}',
    "upload colon/space/plus key": b"1",
    "upload no content-type": b"x",
    "upload missing bucket": b"1",
    "too large": b"1" * 50,
    "wrong mime": b"1",
    "list": _asked(prefix="d", limit=10, offset=0, sortBy={"column": "name", "order": "asc"}),
    "sign": _asked(expiresIn=60),
    "sign missing": _asked(expiresIn=60),
    "sign 1s": _asked(expiresIn=1),
    "remove": _asked(prefixes=["d/e.json", "nokey"]),
    "empty": b"{}",
}


def masked(body: str) -> str:
    return _CHANGING.sub(lambda found: "#" * len(found[0]), body)


def fixed(headers: dict[str, str], case: str) -> dict[str, str]:
    """Return the headers that do not depend on the moment."""
    changing = {"last-modified"} | ({"content-length"} if case in _OTHER_SIZE else set())
    return {name: value for name, value in headers.items() if name not in changing}


def test_the_whole_transcript_is_answered_as_it_was_recorded() -> None:
    replay = Replay()
    cases = TRANSCRIPT["cases"]
    assert len(cases) == 44
    for case in cases:
        reply = replay.play(case)
        sent = {"content-length": str(len(reply.body)), **reply.headers}
        got = {name: sent[name] for name in case["headers"] if name in sent}
        assert reply.status == case["status"], case["name"]
        assert masked(reply.body.decode()[:CUT_AT]) == masked(case["body"]), case["name"]
        assert got.keys() == case["headers"].keys(), case["name"]
        assert fixed(got, case["name"]) == fixed(case["headers"], case["name"]), case["name"]


# --- the official clients against the tests' project -------------------------------------------------
@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    made = provide(new_project)
    yield made
    made.close()


def headers_of(project: Project, key: str = "") -> dict[str, str]:
    return {"apikey": key or project.key, "Authorization": f"Bearer {key or project.key}"}


def test_the_official_storage_client_works_with_the_double(project: Project) -> None:
    bucket_name = "of-the-client"
    client = SyncStorageClient(f"{project.url}/storage/v1/", headers_of(project))
    client.create_bucket(bucket_name)
    assert [one.name for one in client.list_buckets()] == [bucket_name]
    bucket = client.from_(bucket_name)
    about = {"content-type": "application/json", "metadata": {"terra-event-id": "1"}}
    bucket.upload("a/b.json", b'{"x":1}', about)  # type: ignore[arg-type]
    with pytest.raises(StorageApiError, match="already exists"):
        bucket.upload("a/b.json", b"2", about)  # type: ignore[arg-type]
    bucket.upload("a/b.json", b'{"x":2}', {**about, "upsert": "true"})  # type: ignore[arg-type]
    assert bucket.download("a/b.json") == b'{"x":2}'
    assert bucket.info("a/b.json")["metadata"] == {"terra-event-id": "1"}
    assert [one["name"] for one in bucket.list("a")] == ["b.json"]
    assert httpx.get(bucket.create_signed_url("a/b.json", 60)["signedURL"]).content == b'{"x":2}'
    with pytest.raises(StorageApiError, match="Invalid key"):
        bucket.upload("a/é.json", b"1", about)  # type: ignore[arg-type]
    anon = SyncStorageClient(f"{project.url}/storage/v1/", headers_of(project, project.token("anon")))
    with pytest.raises(StorageApiError, match="row-level security"):
        anon.from_(bucket_name).upload("z", b"1")
    bucket.remove(["a/b.json"])
    with pytest.raises(StorageApiError, match="not found"):
        bucket.download("a/b.json")


def test_the_official_table_client_works_with_the_double(project: Project) -> None:
    project.paste("CREATE TABLE things (id text PRIMARY KEY, n int CHECK (n < 100), at timestamptz)")
    client = SyncPostgrestClient(f"{project.url}/rest/v1", headers=headers_of(project))

    def things() -> Any:
        return client.from_("things")

    assert len(things().insert([{"id": str(n), "n": n} for n in range(5)]).execute().data) == 5
    assert things().upsert({"id": "1", "n": 7}, on_conflict="id").execute().data[0]["n"] == 7
    assert things().upsert({"id": "1", "n": 9}, on_conflict="id", ignore_duplicates=True).execute().data == []
    assert [one["n"] for one in things().select("n").in_("id", ["1", "2"]).order("n", desc=True).execute().data] == [
        7,
        2,
    ]
    assert things().update({"n": 8}).eq("id", "1").is_("at", "null").execute().data[0]["n"] == 8
    assert things().update({"n": 8}).eq("id", "1").eq("n", 7).execute().data == []
    things().delete().eq("id", "4").execute()
    assert len(things().select("id").execute().data) == 4
    anon = SyncPostgrestClient(f"{project.url}/rest/v1", headers=headers_of(project, project.token("anon")))
    project.paste("ALTER TABLE things ENABLE ROW LEVEL SECURITY")
    for code, call in {
        "23505": things().insert({"id": "1"}),
        "23514": things().insert({"id": "x", "n": 100}),
        "22P02": things().insert({"id": "x", "n": "abc"}),
        "PGRST204": things().insert({"id": "x", "zz": 1}),
        "42703": things().select("zz"),
        "PGRST205": client.from_("nope").select("*"),
        "42501": anon.from_("things").insert({"id": "y"}),
        "42P10": things().upsert({"id": "1", "n": 1}, on_conflict="n"),
    }.items():
        with pytest.raises(APIError) as caught:
            call.execute()
        assert caught.value.code == code
