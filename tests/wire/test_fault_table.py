"""Every fault of the emulator on every call of a renewal: how it ends; nothing bad is written or bought twice."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from in_process import Then, command, environment, world
from istio_pca import pca
from istio_pca.config import parse
from istio_pca.directory import DirectorySecrets
from istio_pca.ensure import ensure
from istio_pca.errors import IstioPcaError
from istio_pca.layout import CACERTS
from istio_pca.target import cacerts
from kill_sweep import Place
from pca_emulator import AuthoritySpec, Emulator, Role, Scenario
from reliability import rows
from wire.conftest import SERVICE_ACCOUNT, irsa_environment
from wire.test_ensure import config

ROWS = {f"{operation} {kind}": (operation, kind, fault) for operation, kind, fault in rows()}
MENDED = {"crlf"}
"""Not retried: put right."""
SLOW = 1.5
"""Seconds, longer than the read timeout of these runs."""


@dataclass(frozen=True)
class Renewal:
    """A folder with a bundle that is to be renewed, and the command line on it, in this process."""

    emulator: Emulator
    place: Place
    capsys: pytest.CaptureFixture[str]

    def ensure(self, **more: Any) -> tuple[int, dict[str, Any]]:
        """Exit code, and the last line of the log."""
        wish = config(self.emulator, cacerts={"validity": "90d"}, **more)
        folder = ("--output-dir", self.place.argument)
        return command(self.capsys, self.place.environment, wish, "ensure", "--output", "json", *folder)

    def calls(self, operation: str) -> int:
        return sum(request.operation == operation for request in self.emulator.requests)

    def bought(self) -> int:
        """ACM PCA bills no request that it gives up."""
        return sum(not one.failed for one in self.emulator.issued)


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    spec = AuthoritySpec(levels=3, keys=("EC_prime256v1",))
    with Emulator(Scenario((spec,), roles=(Role(service_accounts=(SERVICE_ACCOUNT,)),))) as running:
        yield running


@pytest.fixture(scope="module")
def variables(aws: Emulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return irsa_environment(aws, tmp_path_factory.mktemp("token"))


@pytest.fixture(scope="module")
def issued(aws: Emulator, variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the first certificate is."""
    folder = tmp_path_factory.mktemp("issued")
    aws.clear_faults()
    status, _ = Place(DirectorySecrets(folder, "istio-system"), str(folder), variables).run(config(aws))
    assert status == 0
    return folder


@pytest.fixture
def renewal(
    aws: Emulator,
    variables: dict[str, str],
    issued: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Renewal]:
    monkeypatch.setattr(pca, "_READ_SECONDS", 1)  # ten seconds in each of many rows would only be waited for
    folder = tmp_path / "out"
    shutil.copytree(issued, folder, symlinks=True)
    aws.clear_faults()
    aws.clear_requests()
    yield Renewal(aws, Place(DirectorySecrets(folder, "istio-system"), str(folder), variables), capsys)
    aws.clear_faults()


def carry_out(renewal: Renewal, operation: str, kind: str, calls: str, expected: int, **more: Any) -> None:
    """A run under the fault, then one without: the first ends as expected and harms nothing, the second is good."""
    before = renewal.place.data()
    seconds = SLOW if kind == "slow" else 0.0
    renewal.emulator.fault(operation, kind, calls=calls, seconds=seconds)

    status, last = renewal.ensure(**more)

    assert status == expected, last
    assert status == 0 or renewal.place.data() == before
    assert status == 0 or (last["exitCode"] == status and last["message"] and last["hint"])
    renewal.emulator.clear_faults()
    assert renewal.ensure()[0] == 0
    bundle = renewal.place.good()
    assert bundle is not None
    assert bundle.serial == renewal.emulator.issued[-1].serial
    assert renewal.place.data()[CACERTS.root] == before[CACERTS.root]
    assert renewal.place.store.read("cacerts-pending") is None


@pytest.mark.parametrize("row", ROWS)
def test_once(renewal: Renewal, row: str) -> None:
    """What passes is tried once more and no more often; what lies is told, and costs what the table says."""
    operation, kind, fault = ROWS[row]
    bought = renewal.bought()

    carry_out(renewal, operation, kind, "1", fault.once)

    assert renewal.bought() - bought == fault.bought
    if fault.once == 0 and kind not in MENDED:
        assert renewal.calls(operation) == 2


@pytest.mark.parametrize("row", ROWS)
def test_without_end(renewal: Renewal, row: str) -> None:
    """It is given up when the window is over, with the exit code that says what to do."""
    operation, kind, fault = ROWS[row]

    carry_out(renewal, operation, kind, "*", fault.always, retryFor="1s")


@pytest.mark.parametrize("seconds", [1, 7])
def test_retry_after(renewal: Renewal, seconds: int) -> None:
    """A wait that AWS asks for is kept, with a jitter on top."""
    renewal.emulator.fault("IssueCertificate", "throttle-retry-after", calls="1", seconds=seconds)
    wish = parse(json.dumps(config(renewal.emulator, cacerts={"validity": "90d"})))
    given = world(renewal.place.store, lambda: pca.AcmPca(wish))
    slept: list[float] = []

    with environment(renewal.place.environment):
        ensure(cacerts(wish), replace(given, clock=replace(given.clock, sleep=slept.append)))

    assert [seconds < waited < seconds + 1 for waited in slept] == [True]


@pytest.mark.parametrize(("after", "expected"), [("describe", 12), ("issue", 0)])
def test_disabled_in_mid_run(renewal: Renewal, after: str, expected: int) -> None:
    """The CA is disabled between two calls: told, harmless, and finished with one certificate when it is back."""
    bought, before = renewal.bought(), renewal.place.data()
    wish = parse(json.dumps(config(renewal.emulator, cacerts={"validity": "90d"}, retryFor="1s")))
    disable = functools.partial(renewal.emulator.set_status, "DISABLED")
    status = 0
    try:
        with environment(renewal.place.environment):
            ensure(
                cacerts(wish), world(renewal.place.store, lambda: Then(pca.AcmPca(wish), after, disable), retry_for=1)
            )
    except IstioPcaError as error:
        status = error.exit_code
    renewal.emulator.set_status("ACTIVE")

    assert status == expected
    assert status == 0 or renewal.place.data() == before
    assert renewal.ensure()[0] == 0
    assert renewal.bought() == bought + 1
    assert renewal.place.good()
