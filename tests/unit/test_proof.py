"""Whether istiod signs with a new intermediate: who is asked, how long, and what is said of who does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from in_process import world
from istio_pca.directory import DirectorySecrets
from istio_pca.errors import DeniedError, TransientError
from istio_pca.istiod import IstiodReplicas
from istio_pca.ports import Clock, Replica
from istio_pca.proof import Proof, proven
from unit import pki
from unit.pki import NOW

CHAIN = pki.ladder(levels=2)
OLD, NEW = pki.bundle(CHAIN), pki.bundle(CHAIN)
A, B = Replica("istiod-a", "10.0.0.1"), Replica("istiod-b", "10.0.0.2")
Since = dict[Replica, float | None]
"""Of each replica, the second from which it serves under the new intermediate; None: it does not answer."""


class Istiods:
    """The port Mesh, on a clock that only sleeping moves."""

    def __init__(self, since: Since, slept: list[float]) -> None:
        self._since, self._slept = since, slept

    def replicas(self) -> tuple[Replica, ...]:
        return tuple(self._since)

    def serves(self, replica: Replica) -> x509.Certificate:
        since = self._since[replica]
        if since is None:
            raise TransientError(f"{replica.name} does not answer")
        bundle = NEW if sum(self._slept) >= since else OLD
        return pki.sign("istiod", pki.new_key(), pki.Issuer(bundle.certificate, bundle.key), ca=False)


def asked(folder: Path, since: Since, deadline: float = 1000, window: float = 150) -> tuple[Proof, float]:
    """What is found, and after how many seconds."""
    slept: list[float] = []
    clock = Clock(lambda: NOW + timedelta(seconds=sum(slept)), lambda: sum(slept), slept.append)
    given = world(DirectorySecrets(folder, "istio-system"), lambda: pytest.fail("AWS is not asked"))
    return proven(NEW, Istiods(since, slept), replace(given, clock=clock, deadline=deadline), window), sum(slept)


def test_all_of_them(tmp_path: Path) -> None:
    """It is confirmed when the last of them serves under the new one, and not before."""
    assert asked(tmp_path, {A: 0, B: 0}) == (Proof(confirmed=True, replicas=2), 0)
    proof, seconds = asked(tmp_path, {A: 0, B: 31})

    assert proof == Proof(confirmed=True, replicas=2)
    assert 31 <= seconds <= 33


@pytest.mark.parametrize(("deadline", "window", "longest"), [(1000, 150, 150), (20, 150, 20), (1000, 0, 0)])
def test_bounded(tmp_path: Path, deadline: float, window: float, longest: float) -> None:
    """The wait ends with its window, and with the run; each that is late is named with its reason."""
    proof, seconds = asked(tmp_path, {A: 0, B: 9999}, deadline, window)

    assert seconds <= longest
    assert (proof.confirmed, proof.replicas, len(proof.late)) == (False, 2, 1)
    assert proof.late[0].startswith("istiod-b still serves under another CA")


def test_one_that_does_not_answer(tmp_path: Path) -> None:
    """It is not taken for one that serves."""
    proof, _ = asked(tmp_path, {A: 0, B: None})

    assert (proof.confirmed, proof.late) == (False, ("istiod-b does not answer",))


def test_nobody(tmp_path: Path) -> None:
    """Without an istiod there is nothing to confirm: the first start reads what was written."""
    assert asked(tmp_path, {}) == (Proof(confirmed=None), 0)


def test_who_may_not_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may not be asked is told, at once, and is no failure."""

    def denied(_: Istiods) -> tuple[Replica, ...]:
        raise DeniedError("endpointslices is forbidden")

    monkeypatch.setattr(Istiods, "replicas", denied)
    proof, seconds = asked(tmp_path, {A: 0})

    assert (proof.confirmed, seconds) == (False, 0)
    assert "endpointslices is forbidden" in proof.late[0]


class Slices:
    """A namespace whose EndpointSlices these are."""

    name = "istio-system"

    def __init__(self, *slices: dict[str, object]) -> None:
        self._slices = slices

    def listed(self, kind: str, *, labels: str) -> list[dict[str, object]]:
        return list(self._slices)


def test_dual_stack() -> None:
    """A Pod with an address of each family is one replica; one that is not ready is none."""

    def endpoints(*addresses: str) -> dict[str, object]:
        names = ("istiod-a", "istiod-b", "istiod-c")
        conditions = ({}, {"ready": True}, {"ready": False})
        return {
            "endpoints": [
                {"addresses": [address], "targetRef": {"name": name}, "conditions": condition}
                for name, address, condition in zip(names, addresses, conditions, strict=True)
            ]
        }

    space = Slices(endpoints("10.0.0.1", "10.0.0.2", "10.0.0.3"), endpoints("fd00::1", "fd00::2", "fd00::3"))

    assert [one.name for one in IstiodReplicas(space).replicas()] == ["istiod-a", "istiod-b"]
