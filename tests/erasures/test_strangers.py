"""Erasing one person takes nothing from others, whatever ids people have."""

import json

import pytest

from tests.erasures.stage import BOB, NEW, body_of, carried_on, kept_event
from tests.erasures.stage import refused as kept_apart
from webhooks.keeping.erasures import jobs
from webhooks.models import QuarantinedRequest, Source

pytestmark = pytest.mark.django_db


def test_a_short_reference_id_is_no_length_and_no_port_and_no_other_text_of_somebody_else(source: Source) -> None:
    bobs = body_of(BOB, reference="bob")
    kept = [
        kept_apart(source, bobs, {"content-length": "443"}),
        kept_apart(source, bobs, {"x-forwarded-port": "443"}),
        kept_apart(source, json.dumps({"user": {"user_id": BOB}, "data": [{"code": "443"}]}).encode()),
    ]
    kept_event(NEW, reference_id="443", body=body_of(NEW, reference="443"))
    kept_apart(source, body_of("somebody", reference="443"))
    kept_apart(source, b'cut off: {"reference_id": "443", "da')

    assert carried_on(jobs.start(reference_ids=["443"])).status == "done"

    left = QuarantinedRequest.objects.order_by("pk").values_list("pk", flat=True)
    assert list(left) == [one.pk for one in kept]
