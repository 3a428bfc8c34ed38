"""Whether users are served, tasks flow and the ledger captures all, as the last samples say it in a sentence each."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ops.pulse.sampling import Sample
from ops.pulse.series import Signal

_SLOW_SECONDS, _STUCK_SECONDS = 30, 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer; `tone` is ok, warn or bad."""

    question: str
    answer: str
    tone: str
    about: str


def verdicts(samples: Sequence[Sample], signals: Sequence[Signal]) -> list[Verdict]:
    """Return the three answers. There must be a sample."""
    share = next(signal.now for signal in signals if signal.key == "errors")
    return [_users(share), _tasks(samples[-1]), _ledger(samples)]


def _users(share: float | None) -> Verdict:
    question = "Are users served?"
    if share is None:
        return Verdict(question, "Nobody asks", "ok", "No request within the last minute.")
    if share < 0.001:
        return Verdict(question, "Yes", "ok", "No server errors to speak of within the last minute.")
    tone, answer = ("warn", "Mostly") if share < 0.01 else ("bad", "Not all")
    return Verdict(question, answer, tone, f"{share:.1%} of the last minute's requests ended as server errors.")


def _tasks(last: Sample) -> Verdict:
    question = "Do tasks flow?"
    if last.workers < 1:
        return Verdict(question, "No", "bad", "No worker takes tasks. They wait, and none is lost.")
    about = f"The oldest message has waited for {last.oldest_seconds:.0f} s."
    if last.oldest_seconds > _STUCK_SECONDS:
        return Verdict(question, "No", "bad", about)
    if last.oldest_seconds > _SLOW_SECONDS:
        return Verdict(question, "Slowly", "warn", about)
    return Verdict(question, "Yes", "ok", "There is a worker, and no message waits for long.")


def _ledger(samples: Sequence[Sample]) -> Verdict:
    question = "Is the ledger whole?"
    undone = round(sum(max(0.0, later.undone - earlier.undone) for earlier, later in pairwise(samples)))
    if undone:
        about = f"{undone} changes within the hour were undone, since the ledger couldn't be written."
        return Verdict(question, "It can't be written", "bad", about)
    return Verdict(question, "It captures all", "ok", "Within the hour no change was undone for its sake.")
