"""Which addresses an S3 destination dials, and for how long: with a name server of the test's own."""

import pytest

from tests.nameserver import in_process

pytestmark = pytest.mark.databaseless


def test_a_name_that_turns_to_a_private_address_is_refused_at_the_next_connection() -> None:
    script = """
from destinations.egress import EgressPolicy
from tests.adapters.contract import event
from tests.adapters.test_s3_faults import at
from tests.sink import Sink
with Sink() as sink:
    sink.behave('*', body='', headers={'ETag': '"1"'})
    policy = EgressPolicy(allow=("127.0.0.1/32",))
    for turn, addresses in enumerate((["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1", "127.0.0.2"])):
        zone["store.test"] = addresses
        adapter = at(sink, policy=policy, endpoint_url=sink.url("", host="store.test"))
        (result,) = adapter.deliver([event()])
        adapter.close()
        found[turn] = [result.outcome, result.code]
    found["count"] = sink.count()
    zone.pop("store.test")
    (result,) = at(sink, policy=policy, endpoint_url=sink.url("", host="store.test")).deliver([event()])
    found["gone"] = result.code
"""
    assert in_process({"store.test": ["127.0.0.1"]}, script) == {
        "0": ["delivered", ""],
        "1": ["retry", "egress_refused"],
        "2": ["retry", "egress_refused"],
        "count": 1,
        "gone": "dns_failed",
    }


def test_addresses_that_are_silent_leave_time_for_one_that_answers() -> None:
    script = """
import socket
from destinations.adapters.base import Limits
from destinations.egress import EgressPolicy
from tests.adapters.contract import event
from tests.adapters.test_s3_faults import at
from tests.services.proxy import FaultProxy
from tests.sink import Sink
kept = []
with Sink() as sink, FaultProxy(("127.0.0.1", sink.port), host="127.0.0.9") as proxy:
    sink.behave('*', body='', headers={'ETag': '"1"'}, delay=0.3)
    for address in zone["store.test"][:-1]:  # queues that are full: no more connections are answered
        full = socket.create_server((address, proxy.port), backlog=0)
        kept += [full, socket.create_connection((address, proxy.port))]
        for _ in range(4):
            more = socket.socket()
            more.setblocking(False)
            more.connect_ex((address, proxy.port))
            kept.append(more)
    policy = EgressPolicy(allow=("127.0.0.0/8",))
    adapter = at(sink, limits=Limits(timeout_s=3), policy=policy, endpoint_url=f"http://store.test:{proxy.port}")
    (result,) = adapter.deliver([event()])
    adapter.close()
found["said"] = [result.outcome, result.code]
"""
    addresses = [f"127.0.0.{last}" for last in (2, 3, 9)]
    assert in_process({"store.test": addresses}, script)["said"] == ["delivered", ""]


def test_every_connection_is_made_to_the_address_that_was_judged() -> None:
    """The name is looked up by the hub alone: what it finds is what is dialled."""
    script = """
import sys
from destinations.egress import EgressPolicy
from tests.adapters.contract import event
from tests.adapters.test_s3_faults import at
from tests.sink import Sink
dialled = []
sys.addaudithook(lambda name, args: dialled.append(args[1][0]) if name == "socket.connect" else None)
with Sink() as sink:
    sink.behave('*', body='', headers={'ETag': '"1"'})
    adapter = at(sink, policy=EgressPolicy(allow=("127.0.0.0/8",)), endpoint_url=sink.url("", host="store.test"))
    found["outcome"] = adapter.deliver([event()])[0].outcome
    adapter.close()
found["names"] = [host for host in dialled if isinstance(host, str) and host.endswith(".test")]
"""
    assert in_process({"store.test": ["127.0.0.1"]}, script) == {"outcome": "delivered", "names": []}
