"""Many at once on one place: one certificate, one Secret, nobody fails. In a cluster: tests/e2e/test_raced.py."""

from __future__ import annotations

import functools
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from in_process import Then, environment, world
from istio_pca.config import parse
from istio_pca.directory import DirectorySecrets
from istio_pca.ensure import ensure
from istio_pca.pca import AcmPca
from istio_pca.target import cacerts
from pca_emulator import Emulator, Scenario
from wire.conftest import Cli
from wire.test_ensure import config

RUNS = 20


def test_twenty_at_once(wheel: Path, tmp_path: Path) -> None:
    """One writes the journal; the others go on with the same key and the same token, or keep what is there."""
    with Emulator(Scenario(keys=("EC_prime256v1",), issue_delay=0.5)) as emulator:
        cli = Cli(wheel, tmp_path, emulator.environment())
        with ThreadPoolExecutor(RUNS) as pool:
            runs = [pool.submit(cli.result, "ensure", **config(emulator)) for _ in range(RUNS)]
            results = [run.result() for run in runs]

        assert len(emulator.issued) == 1
        assert {result["serial"] for result in results} == {emulator.issued[0].serial}
        assert not (cli.secrets / "cacerts-pending").exists()
        assert cli.result("verify", **config(emulator))["healthy"]


def test_two_wishes_at_once(wheel: Path, tmp_path: Path) -> None:
    """Two configs: one wins cleanly. The other waits for it, and then makes its own wish true or says why not."""
    with Emulator(Scenario(keys=("EC_prime256v1",), issue_delay=2.0)) as emulator:
        cli = Cli(wheel, tmp_path, emulator.environment())
        one, two = (config(emulator, retryFor="30s", cacerts={"validity": span}) for span in ("90d", "30d"))
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda wish: cli.run("ensure", "--output", "json", config=wish), (one, two)))
        outcomes = [
            json.loads(answer.stdout)["action"] if answer.returncode == 0 else answer.returncode for answer in answers
        ]

        assert "issued" in outcomes
        assert set(outcomes) <= {"issued", "renewed", 20}
        assert len(emulator.issued) == len([outcome for outcome in outcomes if outcome != 20])
        assert not (cli.secrets / "cacerts-pending").exists()
        assert cli.result("verify", **one)["healthy"]


@pytest.mark.parametrize("renewing", [False, True])
def test_overtaken(wheel: Path, tmp_path: Path, renewing: bool) -> None:
    """Between a run's look and its journal another run begins and ends: the late one buys and leaves nothing."""
    with Emulator(Scenario(keys=("EC_prime256v1",))) as emulator, environment(emulator.environment()):
        cli = Cli(wheel, tmp_path, emulator.environment())
        if renewing:
            cli.result("ensure", **config(emulator, cacerts={"validity": "90d"}))
        wish = parse(json.dumps(config(emulator)))
        bought = len(emulator.issued)
        store = DirectorySecrets(tmp_path / "out", "istio-system")
        other_run = functools.partial(cli.result, "ensure", **config(emulator))

        late = ensure(cacerts(wish), world(store, lambda: Then(AcmPca(wish), "describe", other_run)))

        assert late.action == "kept"
        assert len(emulator.issued) == bought + 1
        assert late.bundle.serial == emulator.issued[-1].serial
        assert not (cli.secrets / "cacerts-pending").exists()
