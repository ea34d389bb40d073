"""`python -m bench FOLDER`: what a run costs, by phase, and against its peers; JSON and a plot in the folder.

Everything that is compared is measured in turn in the same run; medians are shown.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.config

import shipped
from bench import image, parts, peer, plot
from bench.measure import Cost, interleaved, median, process, timed
from bench.parts import Parts
from in_process import environment
from pca_emulator import Emulator, Scenario
from tools import tools

ROUNDS = 7
ISSUING = 0.5
"""Seconds until the emulator has signed."""
CHART = Path(__file__).parents[2] / "chart"


class Bench:
    """One emulator, one installed wheel, and the works that are compared."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        self._folder, self._emulator = folder, emulator
        installed = shipped.wheel(folder / "wheel")
        wish = {"certificateAuthorityArn": emulator.ca_arn, "clusterName": "bench"}
        self.variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(installed),
            "ISTIO_PCA_CONFIG": json.dumps(wish),
            **emulator.environment(),
        }
        subprocess.run([sys.executable, "-m", "compileall", "-q", str(installed)], check=True)
        self.kept = folder / "kept"
        self.ensure(self.kept)

    def ensure(self, folder: Path) -> Cost:
        run = [sys.executable, "-P", "-m", "istio_pca", "ensure", "--output", "json", "--output-dir", str(folder)]
        return process(run, self.variables)

    def issue(self) -> Cost:
        with tempfile.TemporaryDirectory(dir=self._folder) as empty:
            return self.ensure(Path(empty))

    def keep(self) -> Cost:
        return self.ensure(self.kept)

    def start(self) -> Cost:
        return process([sys.executable, "-c", "pass"], self.variables)

    def imports(self) -> Cost:
        return process([sys.executable, "-c", "import istio_pca.__main__, istio_pca.directory"], self.variables)

    def floor(self) -> float:
        """A key by openssl, then the same three calls by a client that is there already, polled without a pause."""

        def work() -> None:
            csr = self._csr()
            self._client.describe_certificate_authority(CertificateAuthorityArn=self._emulator.ca_arn)
            self._issued(csr)

        return timed(work)

    def waiter(self, seconds: float) -> float:
        """IssueCertificate, then the SDK's own waiter at this pace."""
        csr = self._csr()

        def work() -> None:
            arn = self._asked(csr)
            waiter = self._client.get_waiter("certificate_issued")
            which = {"CertificateAuthorityArn": self._emulator.ca_arn, "CertificateArn": arn}
            waiter.wait(**which, WaiterConfig={"Delay": seconds, "MaxAttempts": 20})
            self._client.get_certificate(**which)

        return timed(work)

    @property
    def _client(self) -> Any:
        if not hasattr(self, "_made"):
            with environment(self._emulator.environment()):
                once = botocore.config.Config(retries={"max_attempts": 0})
                self._made = boto3.client("acm-pca", region_name="eu-west-1", config=once)
                self._made.describe_certificate_authority(CertificateAuthorityArn=self._emulator.ca_arn)
        return self._made

    def _csr(self) -> bytes:
        key = [
            "openssl",
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "/dev/null",
            "-subj",
            "/CN=Istio CA",
        ]
        return subprocess.run(key, check=True, capture_output=True).stdout

    def _asked(self, csr: bytes) -> str:
        answer = self._client.issue_certificate(
            CertificateAuthorityArn=self._emulator.ca_arn,
            Csr=csr,
            SigningAlgorithm="SHA256WITHRSA",
            TemplateArn="arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1",
            Validity={"Type": "ABSOLUTE", "Value": int((datetime.now(UTC) + timedelta(days=300)).timestamp())},
        )
        return str(answer["CertificateArn"])

    def _issued(self, csr: bytes) -> None:
        arn = self._asked(csr)
        while True:
            try:
                self._client.get_certificate(CertificateAuthorityArn=self._emulator.ca_arn, CertificateArn=arn)
                return
            except self._client.exceptions.RequestInProgressException:
                continue

    def render(self) -> float:
        arn = f"config.certificateAuthorityArn={self._emulator.ca_arn}"
        helm = [str(tools() / "helm-4.3"), "template", "x", str(CHART), "--set", arn]
        return timed(lambda: subprocess.run(helm, check=True, capture_output=True))


def measured(folder: Path, built: Parts | str) -> dict[str, Any]:
    """`built` is what the other route and the image need, or why there is none of it."""
    with Emulator(Scenario(levels=2, keys=("RSA_2048",), issue_delay=ISSUING, quotas=None)) as emulator:
        bench = Bench(folder, emulator)
        emulator.clear_requests()
        bench.issue()
        calls = [request.operation for request in emulator.requests]
        emulator.clear_requests()
        bench.keep()
        assert emulator.requests == []
        found = interleaved(
            ROUNDS,
            {
                "issue": bench.issue,
                "keep": bench.keep,
                "start": bench.start,
                "imports": bench.imports,
                "floor": bench.floor,
                "waiter 1 s": lambda: bench.waiter(1),
                "waiter 3 s": lambda: bench.waiter(3),
                "render": bench.render,
            },
        )
        route = peer.measured(folder, emulator, bench.variables, built) if isinstance(built, Parts) else built
    costs = {name: found[name] for name in ("issue", "keep", "start", "imports")}
    results = {name: [json.loads(one.output)["phases"] for one in costs[name]] for name in ("issue", "keep")}
    start, imported = (median([one.wall for one in costs[name]]) for name in ("start", "imports"))
    phases = {
        name: {
            "interpreter": start,
            "imports": imported - start,
            **{phase: median([one[phase] for one in many]) for phase in many[0]},
        }
        for name, many in results.items()
    }
    waits = [one["issue"] + one["wait"] for one in results["issue"]]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "issuingDelay": ISSUING,
        "calls": calls,
        "wall": {name: median([one.wall for one in many]) for name, many in costs.items()},
        "cpu": {name: median([one.cpu for one in many]) for name, many in costs.items()},
        "rss": {name: max(one.rss for one in many) for name, many in costs.items()},
        "phases": phases,
        "peers": {
            "ours, issue and wait": median(waits),
            "SDK waiter, 1 s": median(found["waiter 1 s"]),
            "SDK waiter, 3 s": median(found["waiter 3 s"]),
        },
        "floor": median(found["floor"]),
        "render": median(found["render"]),
        "certManager": route,
        "image": image.weight(built.job / "job.tar") if isinstance(built, Parts) else built,
    }


def lines(document: dict[str, Any]) -> list[str]:
    wall, rss, peers = document["wall"], document["rss"], document["peers"]
    least = document["floor"]
    told = [
        f"{document['date']}, {document['machine']}; the emulator signs after {document['issuingDelay']} s",
        f"issue  {wall['issue']:.2f} s wall, {document['cpu']['issue']:.2f} s CPU, {rss['issue']:.0f} MiB; goal "
        f"{1.15 * least + 1:.2f} s (1.15 x the floor of {least:.2f} s, plus 1 s), 80 MiB",
        f"keep   {wall['keep']:.2f} s wall, {document['cpu']['keep']:.2f} s CPU, {rss['keep']:.0f} MiB; goal 0.60 s, 60 MiB",
        f"calls  {', '.join(document['calls'])}",
        f"helm template {document['render']:.2f} s",
    ]
    for name, phases in document["phases"].items():
        told.append(f"{name:<6} " + ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in phases.items()))
    told += [
        f"{name}: {seconds:.2f} s, {seconds / peers['ours, issue and wait']:.2f} x ours"
        for name, seconds in peers.items()
    ]
    told += _route(document["certManager"])
    told += _image(document["image"])
    return told


def _route(found: dict[str, Any] | str) -> list[str]:
    """What is told of cert-manager with aws-privateca-issuer."""
    if isinstance(found, str):
        return [f"cert-manager with aws-privateca-issuer: left out, {found}"]
    wall, throttled = found["wall"], found["throttled"]
    late = f"{throttled['theirs']:.1f} s" if throttled["theirs"] else f"none within {throttled['watched']:.0f} s"
    memory = ", ".join(f"{name} {size:.0f} MiB" for name, size in found["memory"].items())
    return [
        f"to the Secret in a cluster: cert-manager with aws-privateca-issuer {wall['theirs']:.2f} s, ours {wall['ours']:.2f} s "
        f"({wall['ours'] / wall['theirs']:.2f} x), no start of a Pod counted for either",
        f"  theirs: {found['pods']} pods, {found['crds']} CRDs, calls {', '.join(found['calls'])}; resident all the time: {memory}",
        f"  the first five IssueCertificate throttled: ours {throttled['ours']:.1f} s, theirs {late}, "
        f"failed attempts {throttled['failedIssuanceAttempts']} (the next after an hour)",
    ]


def _image(found: dict[str, Any] | str) -> list[str]:
    if isinstance(found, str):
        return [f"image: left out, {found}"]
    sizes = f"image  {found['uncompressed']} MB above its base, {found['compressed']} MB compressed"
    return [sizes, *(f"  {size:>6} MB  {name}" for name, size in found["parts"].items())]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        document = measured(Path(temporary), parts.built())
    (folder / "bench.json").write_text(json.dumps(document, indent=1))
    (folder / "bench.svg").write_text(plot.phases(document["phases"]))
    print("\n".join(lines(document)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
