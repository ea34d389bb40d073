"""Emulators for the tests. Those that only look share one; those that change its state have their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pca_emulator import Emulator, Scenario


@pytest.fixture(scope="session")
def standing() -> Iterator[Emulator]:
    """A root and the CA under it that signs, for tests that leave no trace."""
    with Emulator(Scenario(keys=("EC_prime256v1",), quotas=None)) as emulator:
        yield emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """The same, for one test alone."""
    with Emulator(Scenario(keys=("EC_prime256v1",), quotas=None)) as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def _no_aws_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No variable and no file of the machine's own AWS setup reaches a test."""
    import os

    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nothing = str(tmp_path_factory.mktemp("aws") / "none")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, nothing)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
