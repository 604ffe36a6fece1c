"""pyenv, where no Python can be fetched."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path


def has_pyenv_python(version: str) -> bool:
    """Whether pyenv is here and has installed a release of a Python, say 3.11."""
    if shutil.which("pyenv") is None:
        return False
    done = subprocess.run(
        ["pyenv", "versions", "--bare"], capture_output=True, text=True, check=False
    )
    return any(line.startswith(f"{version}.") for line in done.stdout.split())


def pyenv_of_installed_versions(folder: Path) -> Path:
    """Writes a `pyenv` that names what it could install: what it has installed.

    MLflow takes the newest release that `pyenv install --list` names, and lets pyenv fetch its
    source and compile it. Everything else goes to pyenv itself.

    Returns:
        The folder to put first on PATH.
    """
    real = shutil.which("pyenv")
    if real is None:
        raise FileNotFoundError("pyenv")
    folder.mkdir()
    script = folder / "pyenv"
    script.write_text(
        "#!/bin/sh\n"
        f'if [ "$*" = "install --list" ]; then set -- versions --bare; fi\n'
        f'exec {shlex.quote(real)} "$@"\n'
    )
    script.chmod(0o755)
    return folder
