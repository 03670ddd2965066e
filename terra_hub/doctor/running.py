"""Running checks one after the other, each for so long at most, whatever hangs."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError, connection

from destinations.services import Refused
from terra_hub.healthchecks import Finding, Level, Unwell

SECONDS = 15.0  # that a check may take, unless it says otherwise


class Skipped(Exception):
    """A check that cannot be tried here: why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, what it runs, and for how many seconds at most."""

    name: str
    run: Callable[[], Finding]
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found."""

    check: str
    finding: Finding

    @property
    def failed(self) -> bool:
        """Tell whether it has to be acted on."""
        return self.finding.level is Level.FAILED

    def as_dict(self) -> dict[str, str]:
        """Return it for JSON."""
        return {"check": self.check, **self.finding.as_dict()}


def chosen(checks: Sequence[Check], only: Collection[str] = (), skip: Collection[str] = ()) -> list[Check]:
    """Return the checks that are named by ``only``, without those of ``skip``; raise ``Refused`` for unknown names."""
    names = {check.name for check in checks}
    for option, given in (("only", only), ("skip", skip)):
        unknown = sorted(set(given) - names)
        if unknown:
            told = f"There is no check {', '.join(unknown)}. There are: {', '.join(check.name for check in checks)}."
            raise Refused({option: [told]}, code="unknown_check")
    return [check for check in checks if (not only or check.name in only) and check.name not in skip]


def examine(checks: Sequence[Check]) -> Iterator[Result]:
    """Run checks in order; yield what each found."""
    for check in checks:
        yield Result(check.name, _bounded(check))


@dataclass
class _Run:
    """A check in a thread of its own, which is left behind where it hangs."""

    check: Check
    found: list[Finding] = field(default_factory=list)

    def __call__(self) -> None:
        try:
            self.found.append(_found(self.check))
        finally:
            connection.close()


def _bounded(check: Check) -> Finding:
    run = _Run(check)
    thread = threading.Thread(target=run, daemon=True, name=f"doctor: {check.name}")
    thread.start()
    thread.join(check.seconds)
    if run.found:
        return run.found[0]
    said = f"No result within {check.seconds:.0f} s."
    return Finding(Level.FAILED, said, "What it asks hangs, or answers very slowly.", "Look at what it asks.")


def _found(check: Check) -> Finding:
    try:
        return check.run()
    except Skipped as skipped:
        return Finding(Level.SKIPPED, str(skipped))
    except Unwell as unwell:
        return unwell.finding
    except (DatabaseError, InterfaceError) as error:
        return Finding(
            Level.FAILED, f"The database does not answer this ({type(error).__name__}).",
            "It is down or unreachable, or refuses the hub's user.", "Start it, and look at DATABASE_URL.",
        )  # fmt: skip
    except Exception as error:  # a check that breaks is no reason to hide what the others found
        said = f"The check itself failed: {type(error).__name__}: {error}"
        return Finding(Level.FAILED, said, "A defect of the hub, or a host that it does not know.", "Report it.")
