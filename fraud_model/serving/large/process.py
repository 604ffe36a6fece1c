"""The process in which a worker scores large requests: `python -m` this module.

Standard input is a line of JSON, which says what to serve and with which settings, and then
questions. Standard output is an empty line once the version is loaded, and then answers.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow

from fraud_model.serving import child
from fraud_model.serving.audit import AuditLog
from fraud_model.serving.failure import describe, silence_libraries
from fraud_model.serving.large import frames
from fraud_model.serving.loading import load_served
from fraud_model.serving.origin import Origin
from fraud_model.serving.reply import FAILED
from fraud_model.serving.scoring import Scoring, log
from fraud_model.serving.settings import Settings
from fraud_model.serving.unseen import Watch

# Answers to small requests go first; on an idle machine this costs nothing. Where cores are busy,
# Linux gives a process its share in turns of up to 4 ms: at 10 one comes every 40 ms, and holds up
# more than one small request in a hundred; at 19 every 270 ms.
NICENESS = 19


def main() -> None:
    """Loads the version and scores until the input ends."""
    child.run(_serve, NICENESS)


def _serve(stream: BinaryIO, output: BinaryIO, reading: threading.Event) -> None:
    line = stream.readline()
    if not line:
        return
    order = orjson.loads(line)
    origin, settings = Origin(**order["origin"]), Settings(**order["settings"])
    audit = None
    if settings.audit_log:
        audit = AuditLog(
            Path(settings.audit_log),
            settings.audit_max_bytes,
            origin,
            settings.audit_keep_seconds,
        )
    served = load_served(origin)
    scoring = Scoring(served, settings, audit)
    # Only the shadow and some metrics look at them. Collecting them takes as long as reading rows.
    with_values = bool(settings.shadow_model_uri or Watch(served).names)
    silence_libraries()
    # Arrow's own allocator reserves a gigabyte, which a limit of memory would take for used.
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    reading.set()
    output.write(b"\n")
    output.flush()
    while question := frames.read_question(stream):
        try:
            answer = frames.pack_answer(scoring.score(*question), with_values=with_values)
        except Exception as error:
            log.error("request %s failed: %s", question.request_id, describe(error))
            answer = frames.pack_answer(FAILED, with_values=False)
        output.write(answer)
        output.flush()
        # Memory that is given back to the system is asked for again by the next request, which that
        # slows down by a tenth; the process ends anyway when none comes.
        del question, answer


if __name__ == "__main__":
    main()
