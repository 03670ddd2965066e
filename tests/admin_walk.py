"""A walk through every page of the admin: what each asks the database for, and what is wrong with that."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests import admin_pages
from tests.admin_pages import Page
from tests.admin_plans import problems_of, statements

SLOW_MS = 1000


def walk(client: Any, user: Any, most_read: int, *, combined: bool = False) -> dict[str, Any]:
    """Return what every page costs, and which URLs were left out.

    ``most_read``: rows of a large table that one step of a plan may read. With ``combined``, the large lists are
    asked for with each pair of their filters too; those are not ``timed``.
    """
    found = admin_pages.bare_pages()
    pages = [*found.pages, *admin_pages.replay_dialogs(), *admin_pages.filtered_pages(user)]
    links = admin_pages.Links(pages)
    looked = []
    for page in pages:  # grows by what pages link to
        row, source = ask(client, page, most_read)
        looked.append(row | {"timed": row["status"] == 200 and not row["stream"]})
        if "?" not in page.url:
            pages += links.new(source, page.url)
    if combined:
        known, taken = {page.url for page in pages}, {row["name"] for row in looked if row["status"] == 200}
        more = [page for page in admin_pages.combined_pages(user, taken) if page.url not in known]
        looked += [ask(client, page, most_read)[0] | {"timed": False} for page in more]
    return {"pages": looked, "left_out": found.left_out}


def ask(client: Any, page: Page, most_read: int) -> tuple[dict[str, Any], str]:
    """Ask for a page; return what it cost, and its source."""
    started, cpu = time.perf_counter(), time.thread_time()
    with statements() as found, _quiet():
        response = client.get(page.url)
        stream = "event-stream" in response.headers.get("Content-Type", "")
        source = b"" if stream else _body(response)
    took, worked = (time.perf_counter() - started) * 1000, (time.thread_time() - cpu) * 1000
    problems = problems_of(found, most_read)
    if response.status_code >= 500:
        problems.append(f"answers {response.status_code}")
    if took > SLOW_MS:
        sys.stderr.write(f"{took:.0f} ms: {page.url}\n")
    row = {
        "name": page.name, "url": page.url, "status": response.status_code, "queries": len(found), "stream": stream,
        "bytes": len(source), "first_ms": round(took, 1), "cpu_ms": round(worked, 1), "problems": problems,
    }  # fmt: skip
    return row, source.decode(errors="replace")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what is logged to itself: a list that has not this filter is no error here."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _body(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else bytes(response.content)
