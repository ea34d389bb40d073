"""Twenty runs at once on the real API server: one certificate, one Secret, all twenty exit 0."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from e2e import emulated_aws
from e2e.conftest import NAMESPACE
from e2e.kubernetes import exists, port_forward, secret_data

RUNS = 20


def test_twenty_at_once(mesh: None) -> None:
    """Optimistic concurrency alone: no lock, so none can be left behind."""
    config = {"certificateAuthorityArn": emulated_aws.arn("ec-2"), "retryFor": "120s"}
    command = [
        sys.executable,
        "-m",
        "istio_pca",
        "ensure",
        "--output",
        "json",
        "--kubeconfig",
        os.environ["KUBECONFIG"],
    ]
    with port_forward("deployment/aws", emulated_aws.NAMESPACE, 8080) as port, ThreadPoolExecutor(RUNS) as pool:
        environment = {
            **os.environ,
            "ISTIO_PCA_CONFIG": json.dumps(config),
            **emulated_aws.laptop(port),
        }
        before = len(emulated_aws.ask("issued"))
        runs = [
            pool.submit(subprocess.run, command, env=environment, capture_output=True, text=True) for _ in range(RUNS)
        ]
        answers = [run.result() for run in runs]

    assert [answer.returncode for answer in answers] == [0] * RUNS, [answer.stderr[-500:] for answer in answers]
    issued = emulated_aws.ask("issued")[before:]
    assert len(issued) == 1
    assert {json.loads(answer.stdout)["serial"] for answer in answers} == {issued[0]["serial"]}
    assert secret_data("cacerts", NAMESPACE)["ca-cert.pem"].decode().strip() == issued[0]["certificate"].strip()
    assert not exists("secret", "cacerts-pending", NAMESPACE)
