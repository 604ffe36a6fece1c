"""Versions whose code was changed, or whose files are gone, are told and leave nothing behind."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlflow
import pytest

from fraud_model.delivery.bundle import assemble
from fraud_model.errors import CodeChanged, ParameterError, PromotionRefused, RegistryError
from fraud_model.model.directory import ModelDirectory
from fraud_model.monitoring.target import resolve
from fraud_model.registry import versions
from fraud_model.registry.export import export
from fraud_model.registry.files import CODE_DIGEST
from fraud_model.registry.gate_thresholds import GateThresholds
from fraud_model.registry.moves import move
from fraud_model.registry.promotion import promote
from fraud_model.registry.smoke import smoke_test
from fraud_model.serving.origin import resolve as resolve_to_serve
from tests.support.other_models import RELEASE_MODEL, register
from tests.support.store import Store, stages_of

SECRETS = {
    "API_TOKEN": "token-of-the-server",
    "MLFLOW_TRACKING_PASSWORD": "password-of-the-store",
    "AWS_SECRET_ACCESS_KEY": "key-of-the-artifacts",
    "MLFLOW_TRACKING_URI": "postgresql://me:password-of-the-database@host/mlflow",
}
TELLING = """
import json, os
import mlflow
raise RuntimeError(json.dumps(dict(os.environ)))
"""


def files_of(name: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(f"models:/{name}/1"))


@pytest.fixture
def copied(store: Store, exported: Path) -> str:
    """A model with files of its own, whose version 1 stands in Production; its name."""
    original = mlflow.MlflowClient().get_model_version(store.trained.name, store.trained.version)
    name = register(exported, store, **original.tags)
    move(name, "1", "Production")
    return name


@pytest.fixture
def changed(copied: str) -> str:
    """The same, with one byte of its code changed."""
    code = files_of(copied) / "detector.py"
    code.write_text(code.read_text().replace("import", "import ", 1))
    return copied


def test_training_records_the_digest_that_an_export_has(store: Store, exported: Path) -> None:
    version = versions.find_version(store.trained.name, store.trained.version)
    directory = ModelDirectory(exported)
    assert directory.code_files == ["detector.py"]
    assert version.tags[CODE_DIGEST] == directory.code_digest
    assert (directory.origin or {})[CODE_DIGEST] == directory.code_digest


def test_the_digest_covers_what_else_would_run(exported: Path, tmp_path: Path) -> None:
    digest = ModelDirectory(exported).code_digest
    cache = exported / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "detector.pyc").write_bytes(b"bytecode that an import leaves")
    assert ModelDirectory(exported).code_digest == digest
    shutil.rmtree(cache)
    for number, (file, text) in enumerate(
        {"code/extra.py": "import os", "python_model.pkl": "pickled", "MLmodel": ""}.items()
    ):
        path = shutil.copytree(exported, tmp_path / str(number)) / file
        path.parent.mkdir(exist_ok=True)
        if file == "MLmodel":
            loader = "loader_module: mlflow.pyfunc.loaders.code_model"
            text = path.read_text().replace(loader, "loader_module: mlflow.sklearn")
        path.write_text(text)
        assert ModelDirectory(tmp_path / str(number)).code_digest != digest


def test_a_version_whose_code_was_changed_is_not_exported(changed: str, tmp_path: Path) -> None:
    output = tmp_path / "model"
    with pytest.raises(CodeChanged, match=r"version 1: its code \(detector\.py\) .* SHA-256"):
        export(changed, "Production", output)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CodeChanged):
        assemble(tmp_path, changed, "Production")
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_export_stays_where_the_next_one_is_refused(
    copied: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    export(copied, "Production", tmp_path / "model")
    before = ModelDirectory(tmp_path / "model").code_digest
    request.getfixturevalue("changed")
    with pytest.raises(CodeChanged):
        export(copied, "Production", tmp_path / "model")
    assert ModelDirectory(tmp_path / "model").code_digest == before


def test_an_exported_directory_whose_code_was_changed_is_not_delivered(
    exported: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(exported, tmp_path / "model")
    with (model / "detector.py").open("a") as code:
        code.write("\n")
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    with pytest.raises(CodeChanged, match="its code"):
        assemble(bundle, "", "Production", str(model))
    assert list(bundle.iterdir()) == []


def test_a_version_without_a_record_is_let_through_with_a_line(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = register(RELEASE_MODEL)
    move(name, "1", "Production")
    export(name, "Production", tmp_path / "model")
    assert [r.getMessage() for r in caplog.records if CODE_DIGEST in r.getMessage()] == [
        f"{name} version 1 has no record of its code (code_digest), so it cannot be told whether "
        "it was changed"
    ]


@pytest.mark.slow
def test_the_smoke_test_shows_a_version_no_secret(
    copied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (files_of(copied) / "detector.py").write_text(TELLING)
    uri = mlflow.get_tracking_uri()
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    mlflow.set_tracking_uri(uri)
    told = smoke_test(f"models:/{copied}/1")
    assert not told.passed
    seen = json.loads(told.text[told.text.index("{") : told.text.rindex("}") + 1])
    assert "PATH" in seen
    assert not SECRETS.keys() & seen.keys()
    assert not [value for value in SECRETS.values() if value in told.text]
    assert uri not in told.text


def test_files_that_are_gone_are_told_by_every_command(copied: str, tmp_path: Path) -> None:
    shutil.rmtree(files_of(copied))
    gone = r"version 1: its files are gone from the artifact store"
    with pytest.raises(RegistryError, match=gone):
        export(copied, "Production", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RegistryError, match=gone), resolve(copied, "Production", ""):
        pass
    with pytest.raises(RegistryError, match=gone):
        resolve_to_serve(f"models:/{copied}/Production")
    assert "its files are gone" in smoke_test(f"models:/{copied}/1").text
    assert stages_of(copied) == {"1": "Production"}


def test_a_challenger_without_files_leaves_production_as_it_was(
    store: Store, copied: str, exported: Path, run: str
) -> None:
    other = shutil.copytree(exported, Path.cwd() / f"{copied}-challenger")
    mlflow.MlflowClient().create_model_version(copied, str(other))
    shutil.rmtree(other)
    with pytest.raises(PromotionRefused, match="its files are gone"):
        promote(copied, "2", "Production", GateThresholds())
    assert stages_of(copied) == {"1": "Production", "2": "None"}


@pytest.mark.slow
def test_a_champion_without_files_is_told_with_the_way_out(store: Store, copied: str) -> None:
    store.new_version(copied)
    shutil.rmtree(files_of(copied))
    told = (
        "the champion, version 1, cannot be compared: its files are gone from the artifact store. "
        "Put the version before it back with "
    )
    with pytest.raises(PromotionRefused) as refused:
        promote(copied, "2", "Production", GateThresholds())
    assert told in str(refused.value)
    assert "-P champion=none" in str(refused.value)
    assert stages_of(copied) == {"1": "Production", "2": "None"}
    promote(copied, "2", "Production", GateThresholds(), compared=False)
    assert stages_of(copied) == {"1": "Archived", "2": "Production"}


def test_a_directory_that_is_no_export_is_left_alone(copied: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ParameterError, match="left alone"):
        export(copied, "Production", tmp_path / "model")
