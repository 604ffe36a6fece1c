"""What `collect` made: its counts, and what it says of them."""

from __future__ import annotations

from dataclasses import dataclass

from fraud_model.data.sent_rows import Seen

# Counts of what is not in the table.
LEFT_OUT = (
    "double_rows",
    "torn_lines",
    "unreadable_lines",
    "refused_requests",
    "shadow_lines",
    "page_and_test_lines",
    "other_models_lines",
)


@dataclass(frozen=True)
class Collected:
    """What a training table holds, and what of the log is not in it.

    `rows` are those of the table, `new` of them from the log and not in the earlier table;
    `doubles` were left out. `unknown` rows have no label yet, `young` of them because they are
    younger than the label delay. `corrected` labels of the earlier table were changed. `partly` are
    the features that not all versions' rows have, and `as_text` those that some have as text and
    others not.
    """

    seen: Seen
    rows: int
    new: int
    doubles: int
    frauds: int
    unknown: int
    young: int
    corrected: int
    partly: tuple[str, ...]
    as_text: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def genuine(self) -> int:
        """How many rows are labelled genuine."""
        return self.rows - self.frauds - self.unknown

    def counts(self) -> dict[str, int]:
        """What was counted, by name."""
        tally = self.seen.tally
        return {
            "rows": self.rows,
            "new_rows": self.new,
            "frauds": self.frauds,
            "genuine": self.genuine,
            "not_known_yet": self.unknown,
            "younger_than_label_delay": self.young,
            "corrected_labels": self.corrected,
            "versions": len(self.seen.versions),
            "features_of_some_versions": len(self.partly),
            "features_as_text": len(self.as_text),
            "double_rows": self.doubles,
            "lines": tally.lines,
            "torn_lines": tally.torn,
            "unreadable_lines": tally.unreadable,
            "refused_requests": self.seen.refused,
            "shadow_lines": self.seen.shadow,
            "page_and_test_lines": tally.marked.total(),
            "other_models_lines": tally.other_versions.total(),
        }

    def summary(self) -> str:
        """What was collected and what was left out, in lines."""
        count = self.counts()
        said = [
            f"{self.rows:,} rows, {self.new:,} of them new; {self.frauds:,} frauds, "
            f"{self.genuine:,} genuine, {self.unknown:,} not known yet "
            f"({self.young:,} younger than the label delay)",
            f"{count['lines']:,} lines in {self.seen.tally.files} files",
        ]
        for version, rows in self.seen.versions.items():
            said.append(f"scored by version {version or 'unregistered'}: {rows:,}")
        left_out = [f"{count[name]:,} {name.replace('_', ' ')}" for name in LEFT_OUT if count[name]]
        if left_out:
            said.append(f"left out: {', '.join(left_out)}")
        if self.corrected:
            said.append(f"{self.corrected:,} labels of the earlier table have changed")
        if self.partly:
            said.append(
                f"not in the rows of all versions, and empty there: {', '.join(self.partly)}"
            )
        if self.as_text:
            said.append(
                f"text here, because versions took different kinds: {', '.join(self.as_text)}"
            )
        return "\n  ".join(said)
