"""A check as one self-contained HTML page, whose first lines are for someone on call."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape

from matplotlib.figure import Figure

from fraud_model.monitoring.plots import darken, draw
from fraud_model.monitoring.report_tables import feature_tables, performance_table, shadow_tables
from fraud_model.monitoring.result import Check, Event
from fraud_model.monitoring.summary import NextSteps, happened, headline, read_line

STYLE = """
:root{--ground:#fff;--ink:#222;--muted:#555;--line:#d5d5d5;--even:#f4f4f4;--alarm:#b3261e;
--quiet:#2e6b34;--unknown:#7a5000;--link:#1c5a9e;--code:#eef1f4}
@media(prefers-color-scheme:dark){:root{--ground:#11151a;--ink:#e5e9ee;--muted:#a9b3bf;
--line:#38424e;--even:#1a2028;--alarm:#ff9a82;--quiet:#7fd08a;--unknown:#f0c060;--link:#7fb3ea;
--code:#222a34}}
*{box-sizing:border-box}html{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:980px;
margin:0 auto;padding:1em;overflow-wrap:anywhere}
h1{font-size:1.35em;line-height:1.3;margin:.2em 0 .6em}h2{font-size:1.1em;margin:2em 0 .5em}
h1.alarm,h1.quiet,h1.unknown{border-left:.35em solid currentColor;padding-left:.5em}
.alarm{color:var(--alarm)}.quiet{color:var(--quiet)}.unknown{color:var(--unknown)}
.muted{color:var(--muted)}a{color:var(--link)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.4em 1em;margin:0}dt{font-weight:600}
dd{margin:0;min-width:0}code{background:var(--code);border-radius:3px;padding:.1em .35em}
pre{margin:.4em 0 0;white-space:pre-wrap}pre code{display:block;padding:.5em .7em}
ul{margin:.3em 0;padding-left:1.2em}li{margin:.3em 0}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9em}
td,th{padding:.2em .7em;text-align:right;vertical-align:top;overflow-wrap:normal}
td{white-space:nowrap}
thead th{border-bottom:1px solid var(--line)}
tbody th{font-weight:400;min-width:7em;max-width:20em;overflow-wrap:anywhere}
td:first-child,th:first-child{text-align:left}
tbody tr:nth-child(even){background:var(--even)}td.alarm{font-weight:700}
img{display:block;width:100%;min-width:600px}
summary{cursor:pointer;margin:.6em 0;color:var(--link);width:fit-content}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
@media(max-width:600px){dl{grid-template-columns:1fr;gap:.1em}dd{margin-bottom:.6em}}
"""
CAPTIONS = {
    "features_moved_most": "The distributions that moved most",
    "scores": "The scores",
    "features_by_window": "Which features moved, and when",
    "gaps": "Missing and unknown values",
    "timeline": "The traffic over time",
    "performance": "Performance on labelled transactions",
}


def page(check: Check, steps: NextSteps) -> str:
    """The check as HTML."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    first = headline(check)
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{escape(check.version)}: {check.status}</title><style>{STYLE}</style></head>",
        f"<body><main><h1 class='{check.status}'>{escape(first[0].upper() + first[1:])}</h1>",
        _told(check, steps),
        *(_another(event, steps) for event in check.events[1:]),
        _list(f"{f.kind}: {f.text}" for f in check.findings if f.kind != "alarm"),
        f"<p class='muted'>{escape(check.version)}, checked {now}: {escape(read_line(check))}.</p>",
        performance_table(check),
        feature_tables(check),
    ]
    figures = draw(check)
    for name in sorted(figures, key=lambda name: [*CAPTIONS, name].index(name)):
        caption = CAPTIONS.get(name, "Champion and shadow on the same transactions")
        parts.append(_picture(caption, figures[name]))
    parts += shadow_tables(check)
    return "\n".join([*parts, "</main></body></html>\n"])


def _told(check: Check, steps: NextSteps) -> str:
    """How sure, what to do, where it is recorded."""
    if check.events:
        rows = _rows(check.events[0], steps)
    elif check.status == "unknown":
        rows = [("Do", f"check again once there is more, or in other windows{_code(steps.again)}")]
    else:
        rows = [("Do", "nothing")]
    if steps.run:
        link = f"<a href='{escape(steps.run)}'>{escape(steps.run)}</a>"
        shown = f", shown by <code>{escape(steps.ui)}</code>" if steps.ui else ""
        rows.append(("Run", link + shown))
    return _terms(rows)


def _another(event: Event, steps: NextSteps) -> str:
    return f"<h2>Another alarm {escape(happened(event))}</h2>{_terms(_rows(event, steps))}"


def _rows(event: Event, steps: NextSteps) -> list[tuple[str, str]]:
    return [
        ("How sure", escape(event.sure)),
        ("Do", f"<strong>{escape(event.advice.action)}</strong>{_code(steps.command(event))}"),
        ("Because", _list(finding.text for finding in event.evidence)),
    ]


def _terms(rows: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in rows) + "</dl>"


def _code(command: str) -> str:
    return f"<pre><code>{escape(command)}</code></pre>" if command else ""


def _list(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _picture(caption: str, figure: Figure) -> str:
    title = figure.get_suptitle() or figure.axes[0].get_title()
    light = _png(figure)
    darken(figure)
    return (
        f"<h2>{escape(caption)}</h2><div class='wide' role='region' tabindex='0' "
        f"aria-label='{escape(caption)}'><picture>"
        f"<source media='(prefers-color-scheme: dark)' srcset='{_png(figure)}'>"
        f"<img alt='{escape(title, quote=True)}' src='{light}'></picture></div>"
    )


def _png(figure: Figure) -> str:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=100)
    return f"data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}"
