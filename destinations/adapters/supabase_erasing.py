"""A project, as erasing needs it: its bucket is listed folder by folder, and rows are deleted by the Data API."""

from collections.abc import Iterable, Iterator

from destinations.adapters.base import Message, Person
from destinations.adapters.object_erasing import NotErased
from destinations.adapters.sql_erasing import MOST_VALUES, wanted
from destinations.adapters.supabase_api import Api, one_of
from destinations.adapters.supabase_errors import Fault, Judge, Unwell, bad_response, json_of
from destinations.adapters.supabase_flow import fetched, run_alone
from destinations.adapters.supabase_tables import Tables, discover
from destinations.http import HttpClient, HttpRequest

PAGE = 50  # so small that an answer is kept whole


class SupabaseShelf:
    """One bucket. Storage lists one folder at a time, and marks folders by having no id."""

    def __init__(self, client: HttpClient, api: Api, judge: Judge) -> None:
        """Erase in the project's bucket."""
        self._client, self._api, self._judge = client, api, judge

    def folders(self, under: str) -> Iterator[list[str]]:
        """Yield the folders directly under ``under``, page after page."""
        offset = 0
        while page := self._page(under.rstrip("/"), "", offset):
            yield [f"{under}{one.get('name')}/" for one in page if one.get("id") is None]
            offset += len(page)

    def keys(self, start: str) -> Iterator[str]:
        """Yield every key that begins with ``start``."""
        folder, _, name = start.rpartition("/")
        offset = 0
        while page := self._page(folder, name, offset):
            found = (str(one.get("name")) for one in page if one.get("id") is not None)
            yield from (f"{folder}/{one}" for one in found if one.startswith(name))
            offset += len(page)

    def remove(self, key: str) -> bool:
        """Remove an object; Storage keeps no versions."""
        answer = fetched(self._client, self._api.remove_object(key))
        _raise(self._judge.of_removal(answer))
        return False

    def _page(self, folder: str, name: str, offset: int) -> list[dict[str, object]]:
        answer = fetched(self._client, self._api.list_objects(folder, name, PAGE, offset))
        _raise(self._judge.of_object(answer))
        found = json_of(answer)
        if not isinstance(found, list):
            _raise(bad_response("Storage's answer to a list is none, or is longer than 64 KiB", answer))
        return [one for one in found if isinstance(one, dict)]


class RowEraser:
    """Deletes rows; raises ``NotErased``."""

    def __init__(self, client: HttpClient, api: Api, judge: Judge) -> None:
        """Delete from the project's three tables, whatever their form."""
        self._client, self._api, self._judge = client, api, judge

    def erase(self, person: Person, messages: Iterable[Message]) -> None:
        """Delete the person's rows."""
        try:
            tables: Tables = run_alone(self._client, discover(self._api, self._judge))
        except Unwell as unwell:
            raise NotErased(unwell.fault.result()) from None
        for table, column, values in wanted(person, messages):
            for start in range(0, len(values), MOST_VALUES // 5):
                part = values[start : start + MOST_VALUES // 5]  # they stand in a URL
                self._ask(self._api.delete(tables.of(table).name, (column, one_of(part))))

    def _ask(self, request: HttpRequest) -> None:
        _raise(self._judge.of_delete(fetched(self._client, request)))


def _raise(fault: Fault | None) -> None:
    if fault:
        raise NotErased(fault.result())
