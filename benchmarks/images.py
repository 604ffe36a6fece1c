"""The project's serving image against the one that `mlflow models build-docker` makes.

    python -m benchmarks.images

In the environment of requirements.txt, with Docker or an engine with its command line. Trains a
small model, builds both images of it, and starts each in turn. Prints Markdown: megabytes in all
and on top of the base image, and the median of the seconds from the start to the first scored row.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests
from tqdm import tqdm

from benchmarks.small_model import make_model
from fraud_model.delivery import container
from fraud_model.delivery.bundle import Bundle, assemble
from fraud_model.registry import versions
from fraud_model.registry.moves import move

BASE = "python:3.11-slim"
OURS, PLAIN = "fraud-benchmark:ours", "fraud-benchmark:build-docker"
PORTS = {OURS: 7860, PLAIN: 8080}


def main() -> None:
    """Builds, starts and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bundle = build(Path(folder))
    taken: dict[str, list[float]] = {image: [] for image in PORTS}
    for _ in tqdm(range(arguments.repeats), unit="round"):
        for image, seconds in taken.items():
            seconds.append(start(image, bundle))
    base = container.size(BASE)
    print("| image | MB | on top of its base, MB | start to first answer, s |\n|---|---|---|---|")
    for image, seconds in taken.items():
        size = container.size(image)
        print(
            f"| {image} | {size / 1e6:,.0f} | {(size - base) / 1e6:,.0f} | "
            f"{statistics.median(seconds):.1f} |"
        )


def build(folder: Path) -> Bundle:
    """Trains a model and builds both images of it."""
    model = make_model(folder)
    move(versions.DEFAULT_MODEL_NAME, "1", "Production")
    (folder / "bundle").mkdir()
    bundle = assemble(folder / "bundle", versions.DEFAULT_MODEL_NAME, "Production")
    container.build(bundle.folder, OURS)
    mlflow = Path(sys.executable).with_name("mlflow")
    command = [str(mlflow), "models", "build-docker", "-m", model, "--env-manager", "local"]
    path = f"{mlflow.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([*command, "-n", PLAIN], env={**os.environ, "PATH": path}, check=True)
    return bundle


def start(image: str, bundle: Bundle) -> float:
    """Seconds from `docker run` to the first answer with a score."""
    port = PORTS[image]
    payload = {"dataframe_split": bundle.rows.head(1).to_dict("split", index=False)}
    command = ["docker", "run", "--detach", "--publish", f"127.0.0.1:{port}:{port}", image]
    begin = time.perf_counter()
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    try:
        while True:
            with contextlib.suppress(requests.ConnectionError):
                url = f"http://127.0.0.1:{port}/invocations"
                if requests.post(url, json=payload, timeout=60).ok:
                    return time.perf_counter() - begin
            if time.perf_counter() - begin > container.START_SECONDS:
                raise RuntimeError(f"{image} does not answer; see docker logs {run.stdout}")
            time.sleep(container.POLL_SECONDS)
    finally:
        subprocess.run(["docker", "rm", "--force", run.stdout.strip()], check=True)


if __name__ == "__main__":
    main()
