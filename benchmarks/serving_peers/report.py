"""The tables of benchmarks/serving.py, as Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass

from benchmarks.serving_peers import servers

CONNECTIONS = 16
LARGE = 1_000
# What `serving` compares of one-row requests, and the most that each may take of the other's time.
NUMBERS, TYPED = "30 numbers / floor", "10 numbers, 20 categories / 30 numbers"
KINDS = {NUMBERS: 1.0, TYPED: 1.5}

RECORDS = "dataframe_records"
OURS_RECORDS = (servers.OURS.name, RECORDS)
FLOOR = (servers.FLOOR.name, "")
# The most of their latency and the least multiple of their throughput at 16 connections.
PEERS = (
    ((servers.MLSERVER.name, "one tensor"), 0.5, 2.0),
    ((servers.MLSERVER_ALONE.name, "one tensor"), 0.5, 2.0),
    ((servers.BENTO.name, "list of numbers"), 0.25, 5.0),
    ((servers.BENTO.name, "named features"), 0.25, 5.0),
    ((servers.PLAIN.name, RECORDS), 0.1, 20.0),
)


@dataclass(frozen=True)
class Sample:
    """One round: median milliseconds and requests per second on 1 connection, and on 16."""

    milliseconds: float
    rate: float
    rate_of_many: float


Measured = Mapping[tuple[str, str], Sequence[Sample]]
Pairs = Sequence[tuple[float, float]]


def print_servers(measured: Measured) -> None:
    """The table of one-row requests."""
    ours = measured[OURS_RECORDS]
    print(f"| server | request | ms | / ours | req/s, 1 | req/s, {CONNECTIONS} | / ours |")
    print("|---|---|---|---|---|---|---|")
    for (server, name), samples in measured.items():
        milliseconds, rate, rate_of_many = (
            statistics.median(values) for values in zip(*map(astuple, samples), strict=True)
        )
        slower = _ratio([(x.milliseconds, y.milliseconds) for x, y in _rounds(samples, ours)])
        faster = _ratio([(x.rate_of_many, y.rate_of_many) for x, y in _rounds(samples, ours)])
        print(
            f"| {server} | {name} | {milliseconds:.2f} | {slower:.2f} | {rate:,.0f} | "
            f"{rate_of_many:,.0f} | {faster:.2f} |"
        )


def print_pairs(
    recording: Pairs,
    shadow: Pairs,
    kinds: Mapping[str, Pairs],
    large: Mapping[str, Pairs],
    starts: Pairs,
) -> None:
    """The table of recording, the shadow, large requests and start-up."""
    print(
        f"\n| recording, shadow, {LARGE:,} rows, start | ours | bare | ratio |\n|---|---|---|---|"
    )
    lines = [
        ("metrics and audit log, ms", recording, 3),
        ("shadow beside an audit log, ms", shadow, 3),
        *((f"{name}, ms", pairs, 3) for name, pairs in kinds.items()),
        *((f"{name}, ms", pairs, 1) for name, pairs in large.items()),
        ("start, s", starts, 2),
    ]
    for name, pairs, digits in lines:
        ours, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(f"| {name} | {ours:.{digits}f} | {bare:.{digits}f} | {_ratio(pairs):.2f} |")


def print_limits(
    measured: Measured,
    recording: Pairs,
    shadow: Pairs,
    kinds: Mapping[str, Pairs],
    large: Mapping[str, Pairs],
    starts: Pairs,
) -> None:
    """What the project promises, and whether this run keeps it."""

    def latency(ours: tuple[str, str], other: tuple[str, str]) -> float:
        both = _rounds(measured[ours], measured[other])
        return _ratio([(x.milliseconds, y.milliseconds) for x, y in both])

    def throughput(other: tuple[str, str]) -> float:
        both = _rounds(measured[OURS_RECORDS], measured[other])
        return _ratio([(x.rate_of_many, y.rate_of_many) for x, y in both])

    print("\n| limit | at most | at least | measured | |\n|---|---|---|---|---|")

    def line(text: str, value: float, most: float = math.inf, least: float = -math.inf) -> None:
        bounds = [f"{bound:g}" if math.isfinite(bound) else "" for bound in (most, least)]
        kept = "kept" if least <= value <= most else "missed"
        print(f"| {text} | {' | '.join(bounds)} | {value:.2f} | {kept} |")

    for name in servers.OURS.formats:
        line(f"latency of {name} / floor", latency((servers.OURS.name, name), FLOOR), 1)
    for other, most, least in PEERS:
        text = ", ".join(other)
        line(f"latency / {text}", latency(OURS_RECORDS, other), most)
        line(f"throughput at {CONNECTIONS} / {text}", throughput(other), least=least)
    line("latency with metrics and audit / without", _ratio(recording), 1.1)
    line("latency with a shadow / without", _ratio(shadow), 1.05)
    for name, most in KINDS.items():
        line(f"latency of {name}", _ratio(kinds[name]), most)
    for name, pairs in large.items():
        line(f"{LARGE:,} rows, {name} / bare", _ratio(pairs), 1.5)
    line("start / imports", _ratio(starts), 1.5)


def _rounds(some: Sequence[Sample], others: Sequence[Sample]) -> Iterable[tuple[Sample, Sample]]:
    return zip(some, others, strict=True)


def _ratio(pairs: Iterable[tuple[float, float]]) -> float:
    return statistics.median(one / other for one, other in pairs)
