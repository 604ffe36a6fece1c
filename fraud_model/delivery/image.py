"""Builds the serving image, and tags it only if it gives the same answers as the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import requests

from fraud_model.delivery import container
from fraud_model.delivery.bundle import Bundle
from fraud_model.errors import ImageError
from fraud_model.registry.smoke import TOLERANCE

DEFAULT_NAME = "fraud-detector"
SECONDS = 30


@dataclass(frozen=True)
class Image:
    """A checked image: its name with the version as tag, bytes, and seconds to the first answer."""

    name: str
    size: int
    seconds: float


def build_image(bundle: Bundle, name: str) -> Image:
    """Builds the bundle, runs it once, and tags it `name:version` and `name:latest`.

    Raises:
        ImageError: it cannot be built or run, or its answers differ; then no tag has moved.
    """
    candidate = f"{name}:candidate"
    container.build(bundle.folder, candidate)
    try:
        with container.running(candidate) as (url, seconds):
            check_answers(url, bundle)
        for tag in (bundle.version, "latest"):
            container.tag(candidate, f"{name}:{tag}")
        return Image(f"{name}:{bundle.version}", container.size(candidate), seconds)
    finally:
        container.untag(candidate)


def check_answers(url: str, bundle: Bundle) -> None:
    """Checks the version that a server serves, and its scores of the known rows.

    Raises:
        ImageError: it does not answer, serves another version, or scores a row differently.
    """
    try:
        health = requests.get(f"{url}/health", timeout=SECONDS)
        payload = {"dataframe_split": bundle.rows.to_dict("split", index=False)}
        # Known rows are nobody's transactions: an audit log there must tell.
        marked = {"X-Request-Source": "test"}
        answer = requests.post(f"{url}/invocations", json=payload, headers=marked, timeout=SECONDS)
    except requests.RequestException as error:
        raise ImageError(f"{url} does not answer: {error}") from error
    if not (health.ok and answer.ok):
        raise ImageError(
            f"{url} answers /health with {health.status_code} and /invocations with "
            f"{answer.status_code}: {answer.text[:500]}"
        )
    served = health.json()
    if (served["model_name"], served["model_version"]) != (bundle.name, bundle.version):
        raise ImageError(
            f"{url} serves {served['model_name']} version {served['model_version']}, not "
            f"{bundle.name} version {bundle.version}."
        )
    scored = [row["fraud_probability"] for row in answer.json()["predictions"]]
    off = np.abs(np.asarray(scored) - bundle.probability)
    if not (off <= TOLERANCE).all():
        row = int(off.argmax())
        raise ImageError(
            f"{bundle.name} version {bundle.version}: the image scores known row {row} with "
            f"{scored[row]:.9f}, the model itself with {bundle.probability[row]:.9f}. Versions of "
            "numpy or lightgbm in requirements.txt may differ from those it was trained with: "
            "train again, or build from the commit it was trained from."
        )
