"""One event's payload on its way into the bucket.

Storage has no conditional replacing: an upload either creates (``x-upsert: false``, decided by the database) or
replaces whatever is there. So an event first tries to create its object. Where one is there already, the
metadata that it was uploaded with says which event it is of, and only a newer event takes its place.
"""

from collections.abc import Mapping

from destinations.adapters.objects import EventObject, may_replace, position_in
from destinations.adapters.supabase_api import Api
from destinations.adapters.supabase_errors import Fault, Judge, said_by
from destinations.adapters.supabase_flow import Answer, Steps

EXISTS, MISSING = "KeyAlreadyExists", "NoSuchKey"


def put(api: Api, judge: Judge, made: EventObject, body: bytes) -> Steps[Fault | None]:
    """Make sure that the bucket holds this event under its key, or a newer one; return why it does not."""
    (answer,) = yield [api.create_object(made.key, body, made.metadata)]
    fault = judge.of_upload(answer)
    if fault is None or fault.code != EXISTS:
        return fault
    (answer,) = yield [api.object_info(made.key)]
    fault = judge.of_info(answer)
    if fault and fault.code != MISSING:
        return fault
    held = {} if fault else user_metadata(answer)
    if position_in(held) == made.position or not may_replace(held, made.position):
        return None
    (answer,) = yield [api.replace_object(made.key, body, made.metadata)]
    return judge.of_upload(answer)


def user_metadata(answer: Answer) -> Mapping[str, str]:
    """Return what an object was uploaded with, from an answer of the info route."""
    said = said_by(answer).get("metadata")
    return {name: value for name, value in said.items() if isinstance(value, str)} if isinstance(said, dict) else {}
