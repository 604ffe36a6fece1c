"""Promotions and rollbacks that race each other, or are killed at every write.

    python -m benchmarks.registry --rounds 200 --store both

In the environment of requirements.txt; `postgresql` needs PostgreSQL and psycopg2, and starts
`mlflow server` on it. The gate is replaced by one that always passes, so that a round is the moves
alone. Three kinds of rounds:

- `stages`: one version is promoted to Staging and to Production at once,
- `rollback`: two promotions race a rollback,
- `kills`: a promotion, one out of Staging, or a rollback is killed at its first, second, … write,
  until it has none left, and run again.

A round is good if one version stands in Production and loads, each alias is where its stage is, no
ledger entry is unfinished, the last one names what stands there, and no command said that it put a
version into a stage where the next entry does not start from it. Prints what went wrong, and how
often.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import multiprocessing
import os
import random
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, get_args

import mlflow
import pandas as pd

from benchmarks import registry_stores
from fraud_model.errors import FraudModelError
from fraud_model.registry import gate, ledger, promotion, versions
from fraud_model.registry.gate import GateResult
from fraud_model.registry.gate_thresholds import Check, GateThresholds
from fraud_model.registry.versions import Stage, State
from fraud_model.tracking import open_run

STORES = {"sqlite": registry_stores.sqlite, "postgresql": registry_stores.postgresql}
KINDS = ("stages", "rollback", "kills")
PATIENCE_SECONDS = 120.0
MEETING_SECONDS = 2.0
SPREAD_SECONDS = 0.03
KILLED = 9

# What a command writes with, whether it calls the client or mlflow's functions.
WRITES = (
    "log_batch",
    "log_artifact",
    "set_tag",
    "set_terminated",
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "transition_model_version_stage",
)

spawn = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Command:
    """A promotion of `version` to a stage, or a rollback of it where `version` is empty."""

    stage: Stage
    version: str = ""

    def run(self, name: str) -> str:
        """Runs it; returns the version that it says it put there."""
        with open_run("promote" if self.version else "rollback"):
            if self.version:
                return promotion.promote(name, self.version, self.stage, GateThresholds()).version
            return promotion.rollback(name, self.stage).version


@dataclass
class Tally:
    """Rounds of one kind on one store, and what was wrong at their ends."""

    rounds: int = 0
    good: int = 0
    wrong: Counter[str] = field(default_factory=Counter)

    def add(self, problems: list[str]) -> None:
        """Counts a round."""
        self.rounds += 1
        self.good += not problems
        self.wrong.update(problems)


class Passing:
    """Stands in for the gate; commands that race leave it together."""

    def __init__(self, together: Barrier | None = None) -> None:
        self.together = together

    def check(self, *_: object) -> Check:
        """A check that passes."""
        if self.together is not None:
            # One that was refused before its gate is not waited for.
            with contextlib.suppress(threading.BrokenBarrierError):
                self.together.wait(MEETING_SECONDS)
            time.sleep(random.uniform(0, SPREAD_SECONDS))
        return Check("none", "", "", True)

    def gate(self, *_: object) -> GateResult:
        """A gate that passes."""
        return GateResult([self.check()])

    def install(self) -> None:
        """Replaces the gate in this process."""
        for name, replacement in (("run_gate", self.gate), ("smoke_check", self.check)):
            setattr(gate, name, replacement)


def main() -> None:
    """Runs the rounds and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200, help="of each kind (default 200)")
    parser.add_argument("--store", choices=[*STORES, "both"], default="both")
    parser.add_argument("--kind", choices=[*KINDS, "all"], default="all")
    arguments = parser.parse_args()
    spawn.set_forkserver_preload(["benchmarks.registry"])
    Passing().install()
    print("| store | rounds | good | wrong |\n|---|---|---|---|")
    for store, opened in STORES.items():
        if arguments.store not in (store, "both"):
            continue
        with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as uri:
            source = prepare(uri, Path(folder))
            for kind in KINDS:
                if arguments.kind in (kind, "all"):
                    report(store, kind, measure(kind, arguments.rounds, uri, source))


def report(store: str, kind: str, tally: Tally) -> None:
    """Prints a row of the table."""
    wrong = "; ".join(f"{count} times: {text}" for text, count in tally.wrong.most_common())
    print(f"| {store} | {kind} | {tally.good} of {tally.rounds} | {wrong} |", flush=True)


def prepare(uri: str, folder: Path) -> str:
    """Logs a small model; returns its address, which every version is made of."""
    quieten()
    mlflow.set_tracking_uri(uri)
    if uri.startswith("sqlite:"):
        mlflow.create_experiment("fraud-detector", artifact_location=f"file://{folder}/artifacts")
    code = folder / "same.py"
    code.write_text(
        "import mlflow\n"
        "class Same(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input\n"
        "mlflow.models.set_model(Same())\n"
    )
    with open_run("train"):
        logged = mlflow.pyfunc.log_model(
            name="model", python_model=str(code), pip_requirements=["mlflow"]
        )
    return str(logged.model_id)


def quieten() -> None:
    """Keeps MLflow's own lines out of the table."""
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    warnings.simplefilter("ignore")
    for logger in ("mlflow", "alembic", "fraud_model.registry"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)


def measure(kind: str, rounds: int, uri: str, source: str) -> Tally:
    """Runs rounds of one kind."""
    tally = Tally()
    if kind == "kills":
        while tally.rounds < rounds:
            for problems in kills(uri, source):
                tally.add(problems)
                if tally.rounds == rounds:
                    break
        return tally
    racing: list[Command] = [Command("Staging", "2"), Command("Production", "2")]
    if kind == "rollback":
        racing = [Command("Production"), Command("Production", "3"), Command("Production", "4")]
    with workers(uri, len(racing)) as connections:
        for _ in range(rounds):
            name = new_model(source, 4)
            for version in ("1", "2")[: 2 if kind == "rollback" else 1]:
                Command("Production", version).run(name)
            for connection, command in zip(connections, racing, strict=True):
                connection.send((name, command))
            said = [connection.recv() for connection in connections]
            tally.add(problems_of(name, racing, said))
    return tally


def new_model(source: str, count: int) -> str:
    """A registered model with that many versions."""
    name = f"model-{random.getrandbits(48):x}"
    for _ in range(count):
        versions.register(name, source, "", description="", tags={})
    return name


@contextlib.contextmanager
def workers(uri: str, count: int) -> Iterator[list[Any]]:
    """Processes that run commands at once; yields the connections to them."""
    together = spawn.Barrier(count)
    pairs = [spawn.Pipe() for _ in range(count)]
    processes = [
        spawn.Process(target=work, args=(uri, theirs, together), daemon=True) for _, theirs in pairs
    ]
    for process in processes:
        process.start()
    yield [ours for ours, _ in pairs]
    for ours, _ in pairs:
        ours.send(None)
    for process in processes:
        process.join(PATIENCE_SECONDS)


def work(uri: str, connection: Any, together: Barrier) -> None:
    """Runs what comes in; answers with the version that stands there, or the refusal."""
    quieten()
    mlflow.set_tracking_uri(uri)
    Passing(together).install()
    while (received := connection.recv()) is not None:
        name, command = received
        try:
            connection.send(("done", command.run(name)))
        except FraudModelError as error:
            connection.send(("refused", str(error)))
        except Exception as error:  # whatever it is belongs into the table
            text = str(error).splitlines()[0] if str(error) else ""
            connection.send(("failed", f"{type(error).__name__}: {text[:120]}"))


def kills(uri: str, source: str) -> Iterator[list[str]]:
    """Kills each command at its first write, its second, and so on; yields what was wrong."""
    cases = {
        "promotion": (["1"], Command("Production", "2")),
        "promotion out of Staging": (["1", "S2"], Command("Production", "2")),
        "rollback": (["1", "2", "3"], Command("Production")),
    }
    left = dict(cases)
    for write in range(1, 100):
        for title, (before, command) in list(left.items()):
            name = new_model(source, 3)
            for version in before:
                stage: Stage = "Staging" if version.startswith("S") else "Production"
                Command(stage, version.removeprefix("S")).run(name)
            process = spawn.Process(target=die, args=(uri, name, command, write))
            process.start()
            process.join(PATIENCE_SECONDS)
            if process.exitcode != KILLED:
                del left[title]
                continue
            problems = availability(name)
            try:
                said = ("done", command.run(name))
            except FraudModelError as error:
                said = ("failed", str(error).splitlines()[0].replace(name, "…"))
            problems += problems_of(name, [command], [said])
            if standing(name, "Production") != ["2"]:
                problems.append("the rerun put another version there")
            yield [f"{title}: {problem}" for problem in problems]
        if not left:
            return


def die(uri: str, name: str, command: Command, write: int) -> None:
    """Runs a command, and kills this process at one of its writes."""
    quieten()
    mlflow.set_tracking_uri(uri)
    Passing().install()
    left = write

    def dying(method: str) -> None:
        original = getattr(mlflow.MlflowClient, method)

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(KILLED)
            return original(*args, **kwargs)

        setattr(mlflow.MlflowClient, method, call)

    for method in WRITES:
        dying(method)
    command.run(name)


def standing(name: str, stage: Stage) -> list[str]:
    """The versions in a stage."""
    return sorted(State.of(name).standing[stage])


def availability(name: str) -> list[str]:
    """Whether one version in Production loads, at any moment."""
    there = standing(name, "Production")
    if len(there) != 1:
        return [f"{len(there)} versions in Production"]
    mlflow.pyfunc.load_model(f"models:/{name}/Production").predict(pd.DataFrame({"a": [1.0]}))
    return []


def problems_of(name: str, commands: list[Command], said: list[tuple[str, str]]) -> list[str]:
    """What is wrong at the end of a round."""
    problems = availability(name)
    for stage in get_args(Stage):
        there, alias = standing(name, stage), State.of(name).alias[stage]
        if there != ([] if alias is None else [alias]):
            problems.append(f"{stage} and its alias differ")
        problems += problems_of_ledger(name, stage, there)
    for command, (how, text) in zip(commands, said, strict=True):
        if how == "failed":
            problems.append(text)
        if how == "done" and [text] != standing(name, command.stage):
            moves = [e for e in ledger.entries(name, command.stage) if e.outcome == "done"]
            if text not in [e.origin for e in moves] and text not in standing(name, "Production"):
                problems.append("a command said done, and nothing tells what came after")
    return problems


def problems_of_ledger(name: str, stage: Stage, there: list[str]) -> list[str]:
    """What is wrong with the ledger of a stage."""
    history = ledger.entries(name, stage)
    if any(entry.outcome == "moving" for entry in history):
        return ["a ledger entry is unfinished"]
    moves = [entry for entry in history if entry.outcome == "done"]
    if there and (not moves or [moves[-1].target] != there):
        return [f"the ledger of {stage} does not name what stands there"]
    return []


if __name__ == "__main__":
    main()
