"""The outcome of a check: windows judged, findings, and the status that follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fraud_model.data.labels import LabelRule
from fraud_model.data.traffic import Tally
from fraud_model.model.profile import Profile
from fraud_model.monitoring.drift import FeatureDrift
from fraud_model.monitoring.flagged import FlaggedShift
from fraud_model.monitoring.gaps import Gap
from fraud_model.monitoring.performance import Performance
from fraud_model.monitoring.score_band import ScoreShift
from fraud_model.monitoring.shadow_comparison import ShadowComparison
from fraud_model.monitoring.windows import Window

Status = Literal["quiet", "alarm", "unknown"]

About = Literal["refused", "missing", "unknown", "feature", "scores", "performance"]

# The first of these that fits is named, and seen to first: a model must not learn a broken feed.
Cause = Literal["feed", "model", "population", "unseen values", "inputs", "fraud"]

OVERALL = "all windows"


@dataclass(frozen=True)
class Finding:
    """One line of what was found: an alarm, a note, or something unknown.

    `about` says what it is about. Of a share that rose: the feature, the share before and now. Of
    what moved, the label of the window since which it has. `place`, `last` and `worst` are the
    numbers of the first, the last and the plainest of its `windows`, which are so many of `judged`
    ones. `p_value` bounds how likely chance alone is to do so, where that is known.
    """

    kind: Literal["alarm", "note", "unknown"]
    text: str
    feature: str | None = None
    before: float | None = None
    now: float | None = None
    since: str | None = None
    about: About | None = None
    place: int | None = None
    last: int | None = None
    worst: int | None = None
    windows: int = 0
    judged: int = 0
    p_value: float | None = None


@dataclass(frozen=True)
class Advice:
    """What the alarms of an event look like, since which window, and what to do about them.

    `retrain` tells whether learning from transactions since then would help, and can: enough of
    their labels are known.
    """

    cause: Cause
    looks_like: str
    action: str
    retrain: bool
    since: str | None = None


@dataclass(frozen=True)
class Event:
    """Alarms that have one cause, and are evidence of it: one thing that happened.

    `sure` says how sure that is.
    """

    advice: Advice
    evidence: tuple[Finding, ...]
    sure: str


@dataclass(frozen=True)
class Judged:
    """A window, and how far it moved; `features` is empty and `scores` None if it is too small.

    `gaps` counts rows that could not be scored as well, and is empty if all of them are too few.
    A window that is not `whole` is not judged: the traffic ends, or begins, in its midst.
    `expected` is the reference at the window's hours. `flagged` is None of a version that does not
    know its hours.

    `number` counts windows from time 0, or from the first row; `start` is in seconds since 1970, or
    None if that is unknown.
    """

    number: int
    label: str
    start: float | None
    window: Window
    features: dict[str, FeatureDrift]
    scores: ScoreShift | None
    gaps: list[Gap]
    expected: Profile
    whole: bool = True
    flagged: FlaggedShift | None = None

    @property
    def ratio(self) -> float:
        """How far the scores, or the number that is flagged, moved beside what chance brings.

        Above 1 they have moved; 0 if the window is too small.
        """
        return max((shift.ratio for shift in (self.scores, self.flagged) if shift), default=0.0)


@dataclass(frozen=True)
class Check:
    """The outcome of a check; `version` is what the checked version is called.

    `overall` is all of the traffic. `score_together` is how far the scores of all judged windows
    have moved together, as `ratio` of a window, and `score_rest` how far without the window that
    moved most; 0 where there are too few. `performance` is None without labels; they are known as
    `rule` says. Times count from 1970 if `in_calendar`.
    `events` are the alarms among the findings by what happened, the one to see to first in front.
    """

    version: str
    profile: Profile
    tally: Tally
    windows: list[Judged]
    overall: Judged
    score_together: float
    score_rest: float
    performance: Performance | None
    shadows: list[ShadowComparison]
    rule: LabelRule
    in_calendar: bool
    findings: list[Finding] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def status(self) -> Status:
        """`alarm` if a finding is one; else `unknown` if nothing could be judged; else `quiet`."""
        if any(finding.kind == "alarm" for finding in self.findings):
            return "alarm"
        return "quiet" if self.judged else "unknown"

    @property
    def judged(self) -> list[Judged]:
        """The windows that hold enough to be judged."""
        return [window for window in self.windows if window.scores is not None]

    @property
    def advice(self) -> Advice | None:
        """What to do first; None without an alarm."""
        return self.events[0].advice if self.events else None

    @property
    def shown(self) -> Judged:
        """The window in which the first alarm is plainest; without one, all of the traffic."""
        places = (found.worst for event in self.events for found in event.evidence)
        worst = next((place for place in places if place is not None), None)
        return next((one for one in self.windows if one.number == worst), self.overall)

    @property
    def retrain(self) -> bool:
        """Whether retraining is the recommended action."""
        return self.advice is not None and self.advice.retrain
