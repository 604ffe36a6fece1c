"""The outcome of a check: windows judged, findings, and the status that follows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fraud_model.data.traffic import Tally
from fraud_model.model.profile import Profile
from fraud_model.monitoring.drift import FeatureDrift
from fraud_model.monitoring.gaps import Gap
from fraud_model.monitoring.performance import Performance
from fraud_model.monitoring.score_band import ScoreShift
from fraud_model.monitoring.shadow_comparison import ShadowComparison
from fraud_model.monitoring.windows import Window

Status = Literal["quiet", "alarm", "unknown"]

OVERALL = "all windows"


@dataclass(frozen=True)
class Finding:
    """One line of what was found: an alarm, a note, or something unknown.

    Of a share that rose: the feature, the share before and now, and the label of the window since
    which it has been so high.
    """

    kind: Literal["alarm", "note", "unknown"]
    text: str
    feature: str | None = None
    before: float | None = None
    now: float | None = None
    since: str | None = None


@dataclass(frozen=True)
class Judged:
    """A window, and how far it moved; `features` is empty and `scores` None if it is too small.

    `gaps` counts rows that could not be scored as well, and is empty if all of them are too few.

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

    @property
    def ratio(self) -> float:
        """How far the scores moved, in bands; 0 if the window is too small."""
        return self.scores.ratio if self.scores else 0.0


@dataclass(frozen=True)
class Check:
    """The outcome of a check; `version` is what the checked version is called."""

    version: str
    profile: Profile
    tally: Tally
    windows: list[Judged]
    overall: Judged
    performance: Performance | None
    shadows: list[ShadowComparison]
    findings: list[Finding] = field(default_factory=list)

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
    def retrain(self) -> bool:
        """Whether retraining is the recommended action."""
        return self.status == "alarm"
