"""What a button on a destination's page would do to the deliveries that wait there now, with their number."""

from destinations.admin.buttons import Button
from webhooks.admin.condition import waiting
from webhooks.stats import Summary


def consequence(button: Button, about: Summary) -> str:
    """Return what a button says, and what becomes of what waits."""
    say = _SAYS.get(button.name)
    return say(about) if say else button.says


def _pause(about: Summary) -> str:
    return f"Sends nothing until you resume. Deliveries collect; nothing is lost. {_kept(about, 'after Resume')}"


def _resume(about: Summary) -> str:
    return f"Ends the pause. {_sent(about)}"


def _disable(about: Summary) -> str:
    skipped = "Events that come meanwhile get no delivery here: they are skipped, and only a replay sends them later."
    return f"{skipped} {_kept(about, 'after Enable')}"


def _enable(about: Summary) -> str:
    return f"Takes new events again. {_sent(about)}"


_SAYS = {"pause": _pause, "resume": _resume, "disable": _disable, "enable": _enable}


def _kept(about: Summary, until: str) -> str:
    if not about.waiting:
        return "Nothing waits now."
    verb, they = ("waits", "it is") if _one(about) else ("wait", "they are")
    return f"{waiting(about)} {verb} now; {they} kept, and sent {until}."


def _sent(about: Summary) -> str:
    if not about.waiting:
        return "Nothing waits."
    return f"The {waiting(about)} that {'waits is' if _one(about) else 'wait are'} sent as they come due."


def _one(about: Summary) -> bool:
    return about.waiting == 1 and not about.waiting_capped


def saving(about: Summary) -> str:
    """Return what saving the form does to what waits; ``""`` where nothing does."""
    if not about.waiting:
        return ""
    noun = "delivery is" if _one(about) else "deliveries are"
    return f"{waiting(about)} waiting {noun} sent in the new form once you save."
