"""The CronJob's own run on a real cluster: it renews what is due, and istiod signs with it without a restart."""

from __future__ import annotations

import time
from pathlib import Path

from cryptography import x509

from e2e import emulated_aws, istiod
from e2e.conftest import NAMESPACE, RELEASE, Chart
from e2e.kubernetes import exists, get, kubectl, pods, result, run_now, secret_data

CRON = f"{RELEASE}-renewal"


def intermediate() -> x509.Certificate:
    return x509.load_pem_x509_certificate(secret_data("cacerts", NAMESPACE)["ca-cert.pem"])


def test_keeps_then_renews(mesh: None, chart: Chart, gate: Path) -> None:
    """Before its day it asks AWS nothing; from then on it renews: a new key, the same root, no restart."""
    life, before_end = 24 * 3600, 24 * 3600 - 60
    chart.install("helm4", cacerts={"validity": f"{life}s", "renewBefore": f"{before_end}s"})
    due = time.monotonic() + 60
    emulated_aws.order("reset")

    run_now(CRON, "early", NAMESPACE)

    assert emulated_aws.calls() == []
    before = secret_data("cacerts", NAMESPACE)
    old = intermediate()
    istiod.install("helm4", gate)
    istiod.ready()
    time.sleep(max(0.0, due - time.monotonic()))

    run_now(CRON, "due", NAMESPACE)

    after, new = secret_data("cacerts", NAMESPACE), intermediate()
    assert after["root-cert.pem"] == before["root-cert.pem"]
    assert after["ca-key.pem"] != before["ca-key.pem"]
    assert emulated_aws.calls().count("IssueCertificate") == 1
    assert not exists("secret", "cacerts-pending", NAMESPACE)
    assert result("due", NAMESPACE)["istiodConfirmed"] is True
    assert signer() == new.serial_number != old.serial_number
    told = kubectl("get", "events", "-n", NAMESPACE, "--field-selector", "reason=Renewed", "-o", "jsonpath={..message}")
    assert "confirmed by 1 istiod" in told
    (pod,) = pods("app=istiod", NAMESPACE)
    assert [one["restartCount"] for one in pod["status"]["containerStatuses"]] == [0]


def signer() -> int:
    """The serial of the CA that stands above a workload's certificate."""
    leaf, *above = [one for part in istiod.workload_certificate() for one in x509.load_pem_x509_certificates(part)]
    leaf.verify_directly_issued_by(above[0])
    return above[0].serial_number


def test_it_stays(mesh: None, chart: Chart) -> None:
    """The hook's identity goes when the hook is over; the CronJob and its own stay, also over an upgrade."""
    chart.install("helm4")
    chart.upgrade("helm4")

    assert not exists("role", RELEASE, NAMESPACE)
    assert all(exists(kind, CRON, NAMESPACE) for kind in ("cronjob", "role", "rolebinding", "serviceaccount"))
    assert get("cronjob", CRON, NAMESPACE)["spec"]["concurrencyPolicy"] == "Forbid"
