"""The allowlist of a source: which addresses may post, and who counts as the sender."""

from pathlib import Path

import pytest

from destinations.services import Refused
from destinations.terra import TERRA_ADDRESSES
from tests.hub import SECRET, Hub, own_hub
from tests.receiving.support import BODY, body_kept, check_refused, events, kept
from webhooks.receiving.sources import create_source, update_source

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_is_off_until_it_is_switched_on(hub: Hub) -> None:
    update_source(hub.source, allowlist=list(TERRA_ADDRESSES))
    assert not hub.source.allowlist_enforced
    assert hub.post(BODY % 1).status == 200


def test_an_address_that_is_not_on_it_is_refused_and_kept(hub: Hub) -> None:
    update_source(hub.source, allowlist=list(TERRA_ADDRESSES), allowlist_enforced=True)
    # Without a trusted proxy, what the sender says of itself counts for nothing.
    answer = hub.post(BODY % 1, {"X-Forwarded-For": TERRA_ADDRESSES[0], "Forwarded": f"for={TERRA_ADDRESSES[0]}"})
    check_refused(answer, 403, "ip_not_allowed")
    assert "127.0.0.1" in answer.json["detail"]
    item = kept(hub, "ip_not_allowed")
    assert (item.remote_address, body_kept(item)) == ("127.0.0.1", BODY % 1)
    assert not events(hub)


def test_addresses_and_ranges(hub: Hub) -> None:
    cases = [
        (["127.0.0.1"], 200),
        (["127.0.0.0/30", "2001:db8::/32"], 200),
        (["127.0.0.77/8"], 200),  # a range as people write it
        (["127.0.0.2", "128.0.0.0/1", "::/0"], 403),
    ]
    for number, (allowlist, status) in enumerate(cases):
        hub.source = create_source(slug=f"list-{number}", secret=SECRET, allowlist=allowlist, allowlist_enforced=True)
        assert hub.post(BODY % 1).status == status, allowlist


def test_what_is_kept_of_a_list_is_what_was_meant(hub: Hub) -> None:
    update_source(hub.source, allowlist=[" 10.0.0.1 ", "10.0.0.1/32", "10.9.9.9/8", "2001:db8::/32", "::1/128"])
    assert hub.source.allowlist == ["10.0.0.1", "10.0.0.0/8", "2001:db8::/32", "::1"]


def test_behind_a_proxy_the_entry_that_it_wrote_counts(transactional_db: None, tmp_path: Path) -> None:
    with own_hub(tmp_path, TRUSTED_PROXY_COUNT="1") as hub:
        update_source(hub.source, allowlist=["203.0.113.0/24", "2001:db8::/32"], allowlist_enforced=True)
        for allowed in ("203.0.113.9", "6.6.6.6, 203.0.113.9", "[2001:db8::1]:443", "::ffff:203.0.113.9"):
            assert hub.post(BODY % 1, {"X-Forwarded-For": allowed}).status == 200, allowed
        # The leftmost is the sender's own word, and so is everything where the proxy wrote nothing.
        for refused in ("203.0.113.9, 6.6.6.6", "6.6.6.6", "", "nonsense", "203.0.113.9, "):
            answer = hub.post(BODY % 1, {"X-Forwarded-For": refused})
            expected = 200 if refused == "203.0.113.9, " else 403
            assert answer.status == expected, refused
        check_refused(hub.post(BODY % 1), 403, "ip_not_allowed")


def test_an_enforced_list_must_hold_something_that_can_be_read(hub: Hub) -> None:
    for allowlist, says in (([], "empty allowlist"), (["10.0.0.1/33"], "no address"), (["terra.co"], "no address")):
        with pytest.raises(Refused, match=says):
            update_source(hub.source, allowlist=allowlist, allowlist_enforced=True)
