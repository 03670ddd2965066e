"""Several messages at once: each gets its result, none waits for a slow one, and what fails says so."""

import threading

import pytest

from destinations.adapters.base import ListFeed, Message, Outcome, Result
from destinations.adapters.pool import Pool
from tests.adapters.contract import event

pytestmark = pytest.mark.databaseless


def named(message: Message) -> Result:
    return Result(Outcome.DELIVERED, message.event_id)


def test_results_are_in_the_order_of_the_batch_also_for_one_that_comes_twice() -> None:
    pool, one = Pool(4), event()
    batch = [event(), one, event(), one]
    assert [result.code for result in pool.deliver(batch, named)] == [message.event_id for message in batch]
    pool.close()


def test_a_slow_message_holds_up_no_other_and_no_more_run_than_may() -> None:
    pool, batch, free = Pool(3), [event() for _ in range(20)], threading.Event()
    lock, running, most = threading.Lock(), 0, 0

    def work(message: Message) -> Result:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if message is batch[0]:
            assert free.wait(60)
        with lock:
            running -= 1
        return named(message)

    seen = []
    for group in pool.stream(ListFeed(batch), work):
        seen += [message for message, _ in group]
        if len(seen) == 19:
            assert batch[0] not in seen
            free.set()
    assert len(seen) == 20
    assert 2 <= most <= 3
    pool.close()


def test_a_fault_of_the_program_is_raised_where_results_are_taken() -> None:
    def work(message: Message) -> Result:
        raise ZeroDivisionError

    pool = Pool(2)
    with pytest.raises(ZeroDivisionError):
        pool.deliver([event(), event()], work)
    assert pool.deliver([], named) == []
    pool.close()
    pool.close()
