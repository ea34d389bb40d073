"""What our ServiceAccounts did, by the API server's own audit log, is what their Roles allow: no more, and no less."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from e2e.conftest import NAMESPACE, RELEASE, Chart
from e2e.kubernetes import Document, apply, completes, due_now, helm, kubectl, run_now

Use = tuple[str, str, str]
"""Verb, resource, name; a creation has no name for RBAC."""


@pytest.fixture
def audit() -> Path:
    if "AUDIT_LOG" not in os.environ:
        pytest.skip("AUDIT_LOG is not set: this cluster's audit log cannot be read (the node of tests/cluster has one)")
    return Path(os.environ["AUDIT_LOG"])


def used(audit: Path, since: int, account: str) -> set[Use]:
    """What this ServiceAccount did after byte `since` of the log; refused requests included."""
    lines = audit.read_bytes()[since:].decode().splitlines()
    events = [json.loads(line) for line in lines]
    mine = [event for event in events if event["user"]["username"] == f"system:serviceaccount:{NAMESPACE}:{account}"]
    return {
        (
            event["verb"],
            event.get("objectRef", {"resource": event["requestURI"]})["resource"],
            "" if event["verb"] == "create" else event.get("objectRef", {}).get("name", ""),
        )
        for event in mine
    }


def rendered(package: Path, values: Path) -> list[Document]:
    """The objects that the chart makes of these values; not those of `helm test`."""
    arguments = ("template", RELEASE, str(package), "-n", NAMESPACE, "--values", str(values), "--skip-tests")
    return [one for one in yaml.safe_load_all(helm("helm4", *arguments).stdout) if one]


def allowed(chart: Chart, package: Path, name: str, more: Document | None = None, **config: object) -> set[Use]:
    """What the Role of this name allows, as the chart renders it."""
    objects = rendered(package, chart.values("rsa-2", more, **config))
    (role,) = [one for one in objects if one["kind"] == "Role" and one["metadata"]["name"] == name]
    return {
        (verb, resource, named)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
        for named in rule.get("resourceNames", [""])
    }


def test_no_verb_unused_and_none_missing(mesh: None, chart: Chart, package: Path, audit: Path) -> None:
    """Through installs, keeps, renewals and `helm test`, each ServiceAccount does exactly what its Role allows."""
    since = audit.stat().st_size

    chart.install("helm4")
    chart.upgrade("helm4")
    chart.upgrade("helm4", cacerts={"validity": "90d"})
    helm("helm4", "test", RELEASE, "-n", NAMESPACE)
    # all that the CronJob may have to do: to begin anew, and to renew
    cron = f"{RELEASE}-renewal"
    kubectl("delete", "secret", "cacerts", "-n", NAMESPACE)
    run_now(cron, "anew", NAMESPACE)
    due_now("cacerts", NAMESPACE)
    run_now(cron, "renewed", NAMESPACE)

    assert used(audit, since, RELEASE) == allowed(chart, package, RELEASE)
    assert used(audit, since, cron) == allowed(chart, package, cron)
    assert used(audit, since, f"{RELEASE}-verify") == {("get", "secrets", "cacerts")}


@pytest.mark.parametrize("mode", ["hook", "argocd", "plain"])
def test_in_every_mode(mesh: None, chart: Chart, package: Path, audit: Path, mode: str) -> None:
    """A first certificate needs all that the Role allows but the change of what is there, however the Job comes."""
    more = {"job": {"mode": mode}}
    since = audit.stat().st_size

    objects = rendered(package, chart.values("rsa-2", more))
    apply(*objects)
    (job,) = [one["metadata"]["name"] for one in objects if one["kind"] == "Job"]
    completes(job, NAMESPACE)

    assert used(audit, since, RELEASE) == allowed(chart, package, RELEASE, more) - {("update", "secrets", "cacerts")}


def test_replacing_may_also_delete(mesh: None, chart: Chart, package: Path, audit: Path) -> None:
    """`whenForeign: replace` adds the one verb that a Secret of another type needs, and it is used."""
    foreign = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": "", "tls.key": ""},
    }
    apply({**foreign, "metadata": {"name": "cacerts", "namespace": NAMESPACE}})
    replacing = {"cacerts": {"whenForeign": "replace"}}
    since = audit.stat().st_size

    chart.install("helm4", **replacing)

    more = allowed(chart, package, RELEASE, **replacing) - allowed(chart, package, RELEASE)
    assert more == {("delete", "secrets", "cacerts")}
    assert more <= used(audit, since, RELEASE) <= allowed(chart, package, RELEASE, **replacing)


def test_no_key_in_the_audit_log(mesh: None, chart: Chart, audit: Path) -> None:
    """The node's audit policy keeps bodies out: a test that leaked keys would teach the wrong thing."""
    since = audit.stat().st_size

    chart.install("helm4")
    text = audit.read_bytes()[since:].decode()

    assert "cacerts" in text
    assert "requestObject" not in text
