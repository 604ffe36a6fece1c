"""A check in words, for someone on call: what, since when, how sure, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from fraud_model.monitoring.result import Check, Event


@dataclass(frozen=True)
class NextSteps:
    """What can be done after a check: the command that repeats it, and the one that learns anew.

    `learn` is empty where no command can learn from the traffic as it is.
    `run` is the address of the check in MLflow, and `ui` the command that shows it there, None
    where a server does.
    """

    again: str
    learn: str
    run: str = ""
    ui: str | None = None

    def command(self, event: Event) -> str:
        """The command that belongs to what is recommended."""
        return self.learn if event.advice.retrain else self.again


def headline(check: Check) -> str:
    """The outcome in one sentence, with the window since which it is so."""
    if check.events:
        return f"alarm {happened(check.events[0])}"
    if check.status == "unknown":
        return "unknown: there is too little traffic to judge"
    judged = check.judged
    windows = f"{len(judged):,} window{'s' * (len(judged) != 1)}"
    labels = judged[0].label if len(judged) == 1 else f"{judged[0].label} to {judged[-1].label}"
    return f"quiet: nothing calls for action in {windows}, {labels}"


def happened(event: Event) -> str:
    """What happened, since when."""
    return f"since {event.advice.since}: {event.advice.looks_like}"


def lines(check: Check, steps: NextSteps) -> list[str]:
    """The check for a terminal: each event with its evidence, then what else there is to say."""
    told = []
    for number, event in enumerate(check.events):
        told += [f"another alarm {happened(event)}"] if number else [headline(check)]
        told += [
            f"  how sure: {event.sure}",
            f"  recommended: {event.advice.action}",
            *(f"    {command}" for command in [steps.command(event)] if command),
            *(f"  because: {found.text}" for found in event.evidence),
        ]
    others = [f"{f.kind}: {f.text}" for f in check.findings if f.kind != "alarm"]
    return told + others if told else [headline(check), *others]


def read_line(check: Check) -> str:
    """What was read, in a line."""
    tally, overall = check.tally, check.overall.window
    others = ", ".join(
        f"{count:,} of {name}" for name, count in tally.other_versions.most_common(5)
    )
    left_out = [
        f"{tally.torn:,} torn" if tally.torn else "",
        f"{tally.unreadable:,} unreadable" if tally.unreadable else "",
        f"other versions: {others}" if others else "",
        f"{tally.marked.total():,} from the page or a test" if tally.marked else "",
    ]
    return (
        f"{tally.lines:,} lines in {tally.files} file{'s' * (tally.files != 1)}, "
        f"{overall.rows:,} scored transactions, {overall.refused:,} refused requests, "
        f"{overall.incomplete:,} incomplete transactions"
        + "".join(f"; {part}" for part in left_out if part)
    )
