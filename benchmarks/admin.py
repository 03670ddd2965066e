"""The admin at full size: every page, its plans and its time, over two million events and ten million attempts.

Pages are found as ``tests.admin_pages`` says; each is asked for in the hub's own process first, where its
statements and their plans are seen, then over HTTP from the real server, by one client and by four at once.
"""

import http.client
import math
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from benchmarks.hub import BenchmarkFailed, Hub
from benchmarks.measuring import Case, Figure, Sample
from benchmarks.seeded import FULL, SMALL, seeded_hub
from benchmarks.seeding import ADMIN

CLIENTS = (1, 4)
ROUNDS, QUICK_ROUNDS = 20, 3
PROCESSES = 2  # web processes, as README.md starts them
MOST_MS = 300.0
MOST_QUERIES = 30
# Of one table, in one step of a plan: some pages of a list, a capped count, a probe for each destination.
MOST_READ = 25_000
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def cases(quick: bool, keep: Path | None = None) -> Sequence[Case]:
    """Return the one case; a quick one has a hundredth of the rows."""
    sizes, rounds = (SMALL, QUICK_ROUNDS) if quick else (FULL, ROUNDS)
    figures = [
        Figure("worst_p95", "ms", below=MOST_MS), Figure("worst_p95_of_4", "ms"), Figure("median_p50", "ms"),
        Figure("pages", "pages"), Figure("slow_pages", "pages", below=1), Figure("most_queries", "queries", below=31),
        Figure("bad_plans", "pages", below=1),
    ]  # fmt: skip
    name = f"every page, {sizes['attempts']:,} attempts"
    parameters = {**sizes, "rounds": rounds, "clients": list(CLIENTS), "web_processes": PROCESSES}
    return [Case(name, parameters, figures, lambda: measure(sizes, rounds, keep))]


def measure(sizes: dict[str, int], rounds: int, keep: Path | None) -> Sample:
    """Look at every page, then time those that answer."""
    with seeded_hub(sizes, keep, LOG_LEVEL="CRITICAL") as (hub, facts):
        looked = hub.run_django("benchmarks.admin_look", {"most_read": MOST_READ}, quiet=False)
        hub.serve(PROCESSES)
        pages = [page for page in looked["pages"] if page["timed"]]
        browsers = [Browser(hub, facts["password"]) for _ in range(max(CLIENTS))]
        times = {count: timed(browsers[:count], [page["url"] for page in pages], rounds) for count in CLIENTS}
    rows = [_row(page, {count: times[count][page["url"]] for count in CLIENTS}) for page in pages]
    return _sample(rows, looked, facts)


def _row(page: dict[str, Any], times: dict[int, list[float]]) -> dict[str, Any]:
    held = {key: page[key] for key in ("name", "url", "queries", "bytes", "cpu_ms")}
    for count, taken in times.items():
        held |= {f"p50_of_{count}": nearest(taken, 0.5), f"p95_of_{count}": nearest(taken, 0.95)}
    return held


def nearest(values: Sequence[float], share: float) -> float:
    """Return the smallest value that ``share`` of all are not above: of twenty the nineteenth for 0.95."""
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(len(ordered) * share) - 1)], 2)


def _sample(rows: list[dict[str, Any]], looked: dict[str, Any], facts: dict[str, Any]) -> Sample:
    problems = [
        {"url": page["url"], "queries": page["queries"], "problems": page["problems"]}
        for page in looked["pages"]
        if page["problems"] or page["queries"] > MOST_QUERIES
    ]
    slow = [row for row in rows if row["p95_of_1"] >= MOST_MS]
    for page in problems:
        for problem in page["problems"][:3]:
            print(f"  {page['url']}: {problem[:300]}", flush=True)
    for row in sorted(slow, key=lambda row: -row["p95_of_1"]):
        print(f"  {row['p95_of_1']:,.0f} ms: {row['url']}", flush=True)
    return {
        "worst_p95": max(row["p95_of_1"] for row in rows), "worst_p95_of_4": max(row["p95_of_4"] for row in rows),
        "median_p50": nearest([row["p50_of_1"] for row in rows], 0.5), "pages": len(rows), "slow_pages": len(slow),
        "most_queries": max(page["queries"] for page in looked["pages"]),
        "bad_plans": sum(1 for page in problems if page["problems"]), "asked": len(looked["pages"]),
        "rows": facts["rows"], "problems": problems, "left_out": looked["left_out"], "timed": rows,
    }  # fmt: skip


class Browser:
    """Somebody who is logged in, over one connection that is kept."""

    def __init__(self, hub: Hub, password: str) -> None:
        """Log in as people do."""
        self._connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
        self._cookies: dict[str, str] = {}
        _, page = self.get("/admin/login/")
        token = _TOKEN.search(page.decode())
        form = {"username": ADMIN, "password": password, "csrfmiddlewaretoken": token[1] if token else ""}
        status, _ = self._ask("POST", "/admin/login/", urlencode(form))
        if status != 302:
            raise BenchmarkFailed(f"The log-in was answered {status}.")

    def get(self, url: str) -> tuple[int, bytes]:
        """Ask for a page; return the status and what came."""
        return self._ask("GET", url)

    def _ask(self, method: str, url: str, body: str | None = None) -> tuple[int, bytes]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self._origin}
        try:
            self._connection.request(method, url, body, headers)
            answer = self._connection.getresponse()
        except ConnectionError:  # the server closes what was idle for a while
            self._connection.close()
            self._connection.request(method, url, body, headers)
            answer = self._connection.getresponse()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                cookie, _, rest = value.partition("=")
                self._cookies[cookie] = rest.partition(";")[0]
        return answer.status, answer.read()

    @property
    def _origin(self) -> str:
        return f"http://127.0.0.1:{self._connection.port}"


def timed(browsers: Sequence[Browser], urls: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Ask for every page ``rounds`` times, by all browsers at once; return the times of each, in ms.

    A first round is not counted: it reads from the disk what the database has not read yet.
    """
    found: dict[str, list[float]] = {url: [] for url in urls}

    def go_round(browser: Browser, start: int, count: int) -> None:
        for _ in range(count):
            for url in (*urls[start:], *urls[:start]):
                began = time.perf_counter()
                status, _ = browser.get(url)
                found[url].append((time.perf_counter() - began) * 1000)
                if status != 200:
                    raise BenchmarkFailed(f"{url} was answered {status}.")

    with ThreadPoolExecutor(len(browsers)) as pool:
        share = len(urls) // len(browsers)
        for counts in (1, max(1, rounds // len(browsers))):
            found |= {url: [] for url in urls}
            going = [pool.submit(go_round, one, number * share, counts) for number, one in enumerate(browsers)]
            for one in going:
                one.result()
    return found
