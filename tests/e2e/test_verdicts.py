"""istiod's own verdict on bundles, and a workload's, against ours: what either of them would reject, we reject.

Each bundle is given to an istiod of its own, a Pod made from the template of the real one. It starts or it does not;
if it does, a workload certificate is asked of it and verified as a workload would.
"""

from __future__ import annotations

import base64
import copy
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from e2e import istiod
from e2e.conftest import NAMESPACE, Chart
from e2e.kubernetes import apply, get, kubectl, wait
from istio_pca.bundle import Bundle, pem, read
from istio_pca.checks import judged
from reliability_rows import VERDICTS
from unit import pki

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
LIFE = {"begins": NOW - DAY, "ends": NOW + 100 * DAY}
ROOT, ISSUER = pki.ladder(levels=2, begins=NOW - 2 * DAY)
NO_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
Files = dict[str, bytes]


def of(**settings: Any) -> Bundle:
    return pki.bundle((ROOT, ISSUER), **{**LIFE, **settings})


def under(**settings: Any) -> Bundle:
    return pki.bundle(pki.ladder(levels=1, **{"begins": NOW - 2 * DAY, **settings}), **LIFE)


def cases() -> dict[str, Files]:
    good = of()
    files = good.files()
    other = pki.ladder(levels=1, begins=NOW - 2 * DAY)[0].certificate
    return {
        "good": files,
        "root not in the chain": replace(good, chain=good.chain[:-1]).files(),
        "two roots": replace(good, root_pem=pem(other) + good.root_pem).files(),
        "another key": replace(good, key=pki.new_key()).files(),
        "another root": replace(good, root_pem=pem(other)).files(),
        "a leaf": of(ca=False, key_cert_sign=False).files(),
        "may not sign": of(key_cert_sign=False).files(),
        "for servers only": of(purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)).files(),
        "ended": of(begins=NOW - 2 * DAY, ends=NOW - DAY).files(),
        "begins tomorrow": of(begins=NOW + DAY).files(),
        "names that exclude SPIFFE": of(permitted="example.com").files(),
        "the issuer allows no CA below": under(path_length=0).files(),
        "the issuing CA ended": under(ends=NOW - DAY).files(),
        "reversed chain": replace(good, chain=good.chain[::-1]).files(),
        "intermediate missing": replace(good, chain=good.chain[1:]).files(),
        "the subordinate is missing": replace(good, chain=(good.chain[0], good.chain[2])).files(),
        "chain is empty": {**files, "cert-chain.pem": b""},
        "chain is garbage": {**files, "cert-chain.pem": NO_CERTIFICATE},
        "certificate is garbage": {**files, "ca-cert.pem": b"garbage"},
        "key is garbage": {**files, "ca-key.pem": b"garbage"},
        "no root": {name: data for name, data in files.items() if name != "root-cert.pem"},
        "no key": {name: data for name, data in files.items() if name != "ca-key.pem"},
    }


CASES = cases()


def pod(template: dict[str, Any], name: str) -> dict[str, Any]:
    """An istiod that reads this Secret, is no part of the Service, and is not started again."""
    spec = copy.deepcopy(template["spec"])
    spec["restartPolicy"] = "Never"
    for volume in spec["volumes"]:
        if volume["name"] in {"cacerts", "cacerts-required"}:
            volume["secret"] = {"secretName": name}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": "verdict", "sidecar.istio.io/inject": "false"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def starts(name: str) -> bool:
    """Whether this istiod gets ready; it does or it ends."""

    def ended() -> str:
        status = get("pod", name, NAMESPACE)["status"]
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))
        return "ready" if ready else "ended" if status["phase"] in {"Failed", "Succeeded"} else ""

    return wait(f"the verdict {name}", ended, 400) == "ready"


def serves(name: str, files: Files, folder: Path) -> bool:
    """Whether a workload that trusts root-cert.pem gets a certificate from it and believes the chain (openssl)."""
    try:
        leaf, *above = istiod.workload_certificate(target=f"pod/{name}", root=files["root-cert.pem"], seconds=30)
    except istiod.NoCertificateError:
        return False
    folder.mkdir()
    for file, content in {"leaf": leaf, "above": b"".join(above), "root": files["root-cert.pem"]}.items():
        (folder / file).write_bytes(content)
    command = ["openssl", "verify", "-CAfile", "root", "-untrusted", "above", "-purpose", "sslserver", "leaf"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


@pytest.fixture
def verdicts(mesh: None, chart: Chart, gate: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """By case: `ended` (istiod does not start), `unusable` (no workload can use what it signs) or `serves`."""
    chart.install("helm4")
    istiod.install("helm4", gate)
    istiod.ready()
    template = get("deployment", "istiod", NAMESPACE)["spec"]["template"]
    names = {case: f"verdict-{number}" for number, case in enumerate(CASES)}
    for case, name in names.items():
        data = {key: base64.b64encode(value).decode() for key, value in CASES[case].items()}
        metadata = {"name": name, "namespace": NAMESPACE}
        apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}, pod(template, name))

    def verdict(case: str) -> str:
        if not starts(names[case]):
            return "ended"
        found = "serves" if serves(names[case], CASES[case], tmp_path / names[case]) else "unusable"
        kubectl("delete", "pod", names[case], "-n", NAMESPACE, "--grace-period=1", "--wait=false")
        return found

    with ThreadPoolExecutor(4) as pool:
        yield dict(zip(CASES, pool.map(verdict, CASES), strict=True))


def test_we_are_stricter(verdicts: dict[str, str]) -> None:
    """istiod's verdicts and ours are those of docs/reliability.md: what istiod or a workload rejects, we reject."""
    ours = {case: not judged(read(files), NOW)[1] for case, files in CASES.items()}

    assert {case: (verdicts[case], ours[case]) for case in CASES} == VERDICTS
    assert {case for case, (fate, accepted) in VERDICTS.items() if accepted and fate != "serves"} == set()
