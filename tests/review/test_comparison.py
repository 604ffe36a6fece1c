"""Champion against challenger: who is better, what is written, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fraud_model.errors import ParameterError
from fraud_model.model.detector import DECISION_FILE
from fraud_model.registry import versions
from fraud_model.registry.candidate import Candidate
from fraud_model.registry.gate import Opponents
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.review.comparison import PICTURE, compare, markdown, write_comparison
from fraud_model.review.github import Repository
from fraud_model.review.pull_request import prepare, publish
from tests.support.environment import REPOSITORY, own_environment
from tests.support.fake_github import TOKEN, running_github
from tests.support.machine import traces
from tests.support.other_models import register
from tests.support.store import Store

THRESHOLDS = GateThresholds()


@pytest.mark.slow
def test_without_a_champion_the_gate_decides(store: Store) -> None:
    challenger = versions.find_version(store.new_model(), "1")
    assert compare(challenger, Opponents(), THRESHOLDS).better
    refused = compare(challenger, Opponents(), GateThresholds(min_average_precision=1.0))
    assert not refused.better
    assert "does not pass the gate: average precision" in refused.verdict


@pytest.mark.slow
def test_the_same_model_is_no_better_than_itself(store: Store, exported: Path) -> None:
    challenger = versions.find_version(store.new_model(), "1")
    compared = compare(challenger, Opponents(Candidate.exported(exported)), THRESHOLDS)
    assert not compared.better
    assert "is not distinguishable from the champion, the exported version 1" in compared.verdict
    assert "min_new_days=0" in compared.verdict
    assert compared.sides["challenger"].metrics == compared.sides["champion"].metrics


@pytest.mark.slow
def test_a_champion_that_ranks_the_other_way_round_is_beaten(
    store: Store, exported: Path, tmp_path: Path
) -> None:
    worse = tmp_path / "model"
    shutil.copytree(exported, worse)
    decision = worse / "artifacts" / DECISION_FILE
    content = json.loads(decision.read_text())
    decision.write_text(json.dumps(content | {"slope": -content["slope"]}))
    challenger = versions.find_version(store.new_model(), "1")
    compared = compare(challenger, Opponents(Candidate.exported(worse)), THRESHOLDS)
    assert compared.better
    assert compared.gate.difference
    assert compared.gate.difference.low > 0

    write_comparison(compared, tmp_path / "comparison")
    written = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    assert written["better"] is True
    assert written["metrics"]["challenger"]["average_precision"] == pytest.approx(
        written["metrics"]["champion"]["average_precision"] + written["difference"]["value"]
    )
    own = challenger.tags["decision"]
    assert written["decisions"] == {"challenger": own, "champion": own}
    assert written["standing"] == "better"
    text = markdown(compared)
    difference = compared.gate.difference
    ends = f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
    shares = r"[01]\.\d{3} \[[01]\.\d{3}, [01]\.\d{3}\]"
    row = rf"\| average precision \| {shares} \| {shares} \| {re.escape(ends)} \|"
    assert re.search(row, text)
    assert re.search(rf"\| recall at the threshold \| {shares} \| {shares} \| [+-]0\.\d", text)
    beside = (tmp_path / "comparison" / "comparison.md").read_text()
    assert "](curves.png)" in beside
    assert re.search(
        r"\| evaluation models, .* frauds that neither learned \| challenger \| champion \|"
        r" difference \|",
        text,
    )
    prepare(challenger, compared, tmp_path / "proposal")
    carried = {path.name for path in (tmp_path / "proposal" / "model").iterdir()}
    assert {"MLmodel", "origin.json", "comparison.md", "curves.png"} <= carried
    assert traces(tmp_path / "proposal") == []


@pytest.mark.slow
def test_a_challenger_that_does_not_load_is_compared_without_metrics(
    store: Store, exported: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(exported, broken)
    (broken / "artifacts" / "booster.lgb").write_text("no booster")
    challenger = versions.find_version(register(broken, store), "1")
    compared = compare(challenger, Opponents(Candidate.exported(exported)), THRESHOLDS)
    assert "does not pass the gate: loads and scores known rows" in compared.verdict
    write_comparison(compared, tmp_path / "comparison")
    written = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    assert (written["better"], written["metrics"]) == (False, {})


def test_a_champion_that_is_no_directory_or_another_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="missing' does not exist"):
        Candidate.exported(tmp_path / "missing")
    with pytest.raises(ParameterError, match="holds no exported model"):
        Candidate.exported(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["propose"], "error: GITHUB_REPOSITORY and GITHUB_TOKEN not set"),
        (["report_failure"], "error: GITHUB_REPOSITORY and GITHUB_TOKEN not set"),
    ],
)
def test_outside_a_workflow_it_says_what_is_needed(command: list[str], said: str) -> None:
    environment = {k: v for k, v in own_environment().items() if not k.startswith("GITHUB_")}
    done = subprocess.run(
        [sys.executable, "-m", f"entrypoints.{command[0]}"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert said in done.stderr


def test_nothing_is_pushed_where_nothing_was_proposed(tmp_path: Path) -> None:
    nobody = Repository("owner/fraud", "token", "http://127.0.0.1:9", "http://127.0.0.1:9", "")
    with pytest.raises(ParameterError, match="holds no proposal"):
        publish(tmp_path, tmp_path, nobody)


def test_the_curves_are_shown_in_the_pull_request(exported: Path, tmp_path: Path) -> None:
    proposal, clone = tmp_path / "proposal", tmp_path / "clone"
    shutil.copytree(exported, proposal / "model")
    content = {"title": "Serve m version 2", "body": f"better{PICTURE}"}
    (proposal / "pull_request.json").write_text(json.dumps(content))
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "hub.git"], check=True)
    subprocess.run(["git", "clone", "-q", tmp_path / "hub.git", clone], check=True)
    with running_github() as (github, url):
        publish(proposal, clone, Repository("owner/fraud", TOKEN, url, "https://github", "7"))
    (pull,) = github.pulls
    (picture,) = re.findall(r"!\[[^]]+\]\((.*)\)", pull["body"])
    commit = subprocess.run(
        ["git", "-C", tmp_path / "hub.git", "rev-parse", "retrained-model"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert picture == f"https://github/owner/fraud/blob/{commit}/model/curves.png?raw=true"
