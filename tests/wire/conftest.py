"""The built wheel as a process, the emulator as AWS: nothing between them is replaced."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import shipped
from pca_emulator import Emulator, Scenario

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ships: the package as the wheel installs it."""
    return shipped.wheel(tmp_path_factory.mktemp("wheel"))


SERVICE_ACCOUNT = "istio-system/istio-pca"


def irsa_environment(emulator: Emulator, folder: Path) -> dict[str, str]:
    """A Pod's way in: a ServiceAccount token in a file, exchanged at STS for the emulator's role."""
    token = folder / "token"
    token.write_text(emulator.token(SERVICE_ACCOUNT))
    role = "arn:aws:iam::111122223333:role/istio-pca"
    return {**emulator.endpoints(), "AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": str(token)}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Scenario(levels=2, keys=("EC_prime256v1",))) as running:
        yield running


@dataclass
class Cli:
    """The command line, with its Secrets in a folder."""

    wheel: Path
    folder: Path
    environment: dict[str, str] = field(repr=False)

    @property
    def secrets(self) -> Path:
        return self.folder / "out" / "istio-system"

    def run(
        self, *arguments: str, config: str | dict[str, Any] | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.wheel), **self.environment, **more}
        if config is not None:
            variables["ISTIO_PCA_CONFIG"] = config if isinstance(config, str) else json.dumps(config)
        command = [sys.executable, "-P", "-m", "istio_pca", *arguments, "--output-dir", str(self.folder / "out")]
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100, check=False)

    def result(self, verb: str, **config: Any) -> dict[str, Any]:
        """The result document of a run that must succeed."""
        answer = self.run(verb, "--output", "json", config=config)
        assert answer.returncode == 0, answer.stderr
        document: dict[str, Any] = json.loads(answer.stdout)
        return document

    def failure(self, verb: str, **config: Any) -> dict[str, Any]:
        """The last line of the log of a run that must fail, and its exit code."""
        answer = self.run(verb, config=config)
        assert answer.returncode != 0, answer.stdout
        assert "Traceback" not in answer.stderr
        document: dict[str, Any] = json.loads(answer.stderr.splitlines()[-1])
        assert document["exitCode"] == answer.returncode
        return document


@pytest.fixture
def cli(wheel: Path, tmp_path: Path, emulator: Emulator) -> Cli:
    return Cli(wheel, tmp_path, emulator.environment())
