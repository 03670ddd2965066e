"""Sealing: what opens, what does not, and what is never shown."""

import base64
import hashlib
import hmac
import io
import json
import os
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.serializers import serialize
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from destinations.crypto import PREFIX, KeyRing, SealError, as_secret, generate_key, key_id_of
from destinations.digests import hmac_sha256, sha256
from tests.hub import SECRET
from webhooks.models import Source
from webhooks.receiving.sources import create_source

ONE, TWO = generate_key("one"), generate_key("two")
ROW = "webhooks_source:1:signing"
CANARY = "canary-in-a-secret"


@pytest.mark.databaseless
class TestKeyRing:
    @settings(max_examples=50)
    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists), st.text())
    def test_what_is_sealed_opens_again(self, value: Any, bound_to: str) -> None:
        bound_to = bound_to.encode(errors="replace").decode()
        token = KeyRing([ONE]).seal(value, bound_to)
        assert KeyRing([TWO, ONE]).open(token, bound_to) == value

    def test_a_token_names_its_key_and_no_two_are_alike(self) -> None:
        ring = KeyRing([ONE, TWO])
        tokens = [ring.seal({"secret": CANARY}, ROW) for _ in range(2)]
        assert tokens[0] != tokens[1]
        assert all(key_id_of(token) == "one" and token.startswith(PREFIX) for token in tokens)
        raw = base64.urlsafe_b64decode(tokens[0].rsplit(":", 1)[1])
        assert CANARY.encode() not in raw

    def test_a_token_of_another_row_or_field_does_not_open(self) -> None:
        ring = KeyRing([ONE])
        token = ring.seal({"secret": CANARY}, ROW)
        for other in ("webhooks_source:2:signing", "webhooks_source:1:other", ""):
            with pytest.raises(SealError, match="belongs to another row") as error:
                ring.open(token, other)
            assert CANARY not in str(error.value)

    def test_a_wrong_key_and_a_missing_key_are_told_apart_without_a_secret(self) -> None:
        token = KeyRing([ONE]).seal({"secret": CANARY}, ROW)
        same_id = generate_key("one")
        with pytest.raises(SealError, match="does not open with the key 'one'") as wrong:
            KeyRing([same_id]).open(token, ROW)
        with pytest.raises(SealError, match="has no key with the id 'one'") as missing:
            KeyRing([TWO]).open(token, ROW)
        for error in (wrong, missing):
            for hidden in (CANARY, ONE.split(":")[1], same_id.split(":")[1]):
                assert hidden not in str(error.value)

    @pytest.mark.parametrize("change", [lambda t: t[:-8], lambda t: t[:-4] + "AAA=", lambda t: t + "é", lambda t: ""])
    def test_a_damaged_token_does_not_open(self, change: Any) -> None:
        token = KeyRing([ONE]).seal("x", ROW)
        for damaged in (change(token), token.replace("sealed:1", "sealed:2"), token + ":x", "clear text"):
            with pytest.raises(SealError):
                KeyRing([ONE]).open(damaged, ROW)

    @pytest.mark.parametrize(
        ("entries", "says"),
        [
            ([], "CREDENTIAL_KEYS is not set"),
            (["", "  "], "manage.py generate_key"),
            (["no-colon"], "is not 'key id:base64 of 32 bytes'"),
            ([":" + "A" * 43 + "="], "is not 'key id:base64 of 32 bytes'"),
            (["k:" + base64.b64encode(os.urandom(16)).decode()], "32 bytes"),
            (["k:" + "é" * 44], "32 bytes"),
            (["k:" + "A" * 44], "32 bytes"),
            ([ONE, ONE], "names the key 'one' twice"),
            ([ONE, generate_key("one")], "needs an id of its own"),
        ],
    )
    def test_keys_that_cannot_be_used_say_what_to_change(self, entries: list[str], says: str) -> None:
        with pytest.raises(SealError, match=says) as error:
            KeyRing(entries)
        assert "A" * 40 not in str(error.value)

    def test_generate_key_prints_an_entry_that_works_and_no_two_have_one_id(self) -> None:
        printed = []
        for arguments in (["--id", "mine"], []):
            out = io.StringIO()
            call_command("generate_key", *arguments, stdout=out)
            printed.append(out.getvalue().strip())
        assert KeyRing(printed).active_key_id == "mine"
        assert len(printed[1].split(":")[0]) > len("k20260101")  # two keys of one day have two ids

    @pytest.mark.parametrize("key_id", ["", "a:b", "a,b", "a b", "é"])
    def test_generate_key_refuses_an_id_that_an_entry_cannot_hold(self, key_id: str) -> None:
        with pytest.raises(CommandError, match="letters, digits"):
            call_command("generate_key", "--id", key_id, stdout=io.StringIO())

    def test_opened_secrets_are_not_printed(self) -> None:
        value = as_secret({"secret": CANARY})
        for text in (repr(value), str(value), f"{value}", f"{value!r}", repr([value])):
            assert CANARY not in text
        assert value == {"secret": CANARY}

    @pytest.mark.parametrize("size", [0, 1, 2046, 2047, 2048, 4094, 16384, 16385, 100_000])
    def test_digests_in_pieces_are_the_digests(self, size: int) -> None:
        data = os.urandom(size)
        assert sha256(data) == hashlib.sha256(data).digest()
        assert hmac_sha256(b"key", b"prefix.", data) == hmac.digest(b"key", b"prefix." + data, "sha256")


@pytest.mark.django_db
class TestSealedField:
    def test_it_reads_back_and_lies_sealed(self) -> None:
        row = create_source(slug="a", secret=CANARY)
        assert Source.objects.get(pk=row.pk).signing["secrets"][0]["secret"] == CANARY
        assert row.signing["secrets"][0]["secret"] == CANARY
        assert stored_text(row).startswith("sealed:1:test:")

    def test_a_token_pasted_into_another_row_does_not_open(self) -> None:
        one, two = create_source(slug="a", secret=CANARY), create_source(slug="b", secret=SECRET)
        paste(stored_text(one), two)
        pasted = Source.objects.get(pk=two.pk)
        with pytest.raises(SealError, match=f"webhooks_source:{two.pk}:signing") as error:
            _ = pasted.signing
        assert CANARY not in str(error.value)

    def test_a_save_that_does_not_touch_it_keeps_the_token_even_unreadable(self, settings: Any) -> None:
        row = create_source(slug="a", secret=CANARY)
        token = stored_text(row)
        settings.CREDENTIAL_KEYS = [ONE]
        unreadable = Source.objects.get(pk=row.pk)
        unreadable.name = "renamed"
        unreadable.save()
        assert stored_text(row) == token

    def test_a_query_that_leaves_it_out_does_not_lose_it(self) -> None:
        row = create_source(slug="a", secret=CANARY)
        for part in (Source.objects.only("slug").get(pk=row.pk), Source.objects.defer("signing").get(pk=row.pk)):
            assert part.signing["secrets"][0]["secret"] == CANARY
            part.save()
        assert Source.objects.get(pk=row.pk).signing["secrets"][0]["secret"] == CANARY

    def test_a_clear_value_never_reaches_the_database(self) -> None:
        row = create_source(slug="a", secret=SECRET)
        with pytest.raises(TypeError, match="sealed per row"):
            Source.objects.filter(pk=row.pk).update(signing={"secrets": [CANARY]})
        with pytest.raises(TypeError, match="sealed per row"):
            list(Source.objects.filter(signing={"secrets": [CANARY]}))

    def test_an_export_holds_no_secret(self) -> None:
        create_source(slug="a", secret=CANARY)
        assert CANARY not in serialize("json", Source.objects.all())
        assert CANARY not in json.dumps([str(row.__dict__) for row in Source.objects.all()])


def stored_text(row: Source) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT signing FROM webhooks_source WHERE slug = %s", [row.slug])
        return str(cursor.fetchone()[0])


def paste(token: str, row: Source) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE webhooks_source SET signing = %s WHERE slug = %s", [token, row.slug])
