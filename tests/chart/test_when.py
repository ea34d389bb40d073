"""When the Job comes: by the mode of the chart, and by the CronJob."""

from __future__ import annotations

import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.conftest import ARN, HELMS, IRSA, ROLE, Document, Render, annotations, only
from tools import tools

MODES = ("hook", "argocd", "plain")


def in_mode(mode: str, **more: Any) -> Document:
    return {**more, "job": {"mode": mode, **more.get("job", {})}}


@pytest.mark.parametrize("mode", MODES)
def test_the_same_job_in_every_mode(render: Render, mode: str) -> None:
    """A mode says when the Job comes, not what it does."""
    assert only(render(in_mode(mode)), "Job")["spec"] == only(render(), "Job")["spec"]


def test_argocd(render: Render) -> None:
    """Identity in wave -10 as ordinary objects, the Job as a Sync hook in wave -5; no Helm hook but the test."""
    objects = render(in_mode("argocd", **IRSA))

    for kind in ("ServiceAccount", "Role", "RoleBinding", "ConfigMap"):
        assert annotations(only(objects, kind), "argocd.argoproj.io") == {"sync-wave": "-10"}
    assert annotations(only(objects, "Job"), "argocd.argoproj.io") == {
        "hook": "Sync",
        "hook-delete-policy": "BeforeHookCreation",
        "sync-wave": "-5",
    }
    hooks = {one["kind"] for one in objects if annotations(one, "helm.sh").get("hook", "test") != "test"}
    assert hooks == set()


def test_argocd_sees_a_change(render: Render) -> None:
    """Any change of the config changes an object that is no hook, or Argo CD would not sync; no change, none."""
    digests = [
        only(render(in_mode("argocd", config=config)), "ConfigMap")["data"]["digest"]
        for config in ({}, {}, {"clusterName": "green"}, {"cacerts": {"validity": "90d"}})
    ]

    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_plain(render: Render) -> None:
    """No hook at all but the test; the Job's name follows its spec, which cannot be changed."""
    objects = render(in_mode("plain"))
    names = {
        only(render(in_mode("plain", **more)), "Job")["metadata"]["name"]
        for more in ({}, {"config": {"clusterName": "green"}}, {"image": {"tag": "other"}}, {"podLabels": {"a": "b"}})
    }

    assert [one["kind"] for one in objects if annotations(one, "argocd.argoproj.io")] == []
    assert annotations(only(objects, "Job"), "helm.sh") == {}
    assert len(names) == 4
    assert all(re.fullmatch(r"mesh-istio-pca-[0-9a-f]{8}", name) for name in names)


def test_post_hook(render: Render) -> None:
    """After the rest of the release, for one that also holds a gated istiod; on both events."""
    objects = render({"job": {"hook": "post"}})

    assert {annotations(only(objects, kind), "helm.sh")["hook"] for kind in ("Job", "Role", "ServiceAccount")} == {
        "post-install,post-upgrade"
    }


def test_no_logs_for_flux(render: Render) -> None:
    """Where Flux is, the Job asks for no output of its logs, by which Flux would crash; else nothing differs."""
    here, there = render(), render(None, "--api-versions", "helm.toolkit.fluxcd.io/v2")
    policy = only(here, "Job")["metadata"]["annotations"].pop("helm.sh/hook-output-log-policy")

    assert policy == "hook-failed"
    assert here == there


def test_renewal(render: Render) -> None:
    """The CronJob does what the Job does, as another ServiceAccount with the same role in AWS and the same rules."""
    objects = render(IRSA)
    cron = only(objects, "CronJob", renewal=True)["spec"]
    job, renewed = only(objects, "Job")["spec"], cron["jobTemplate"]["spec"]
    account = renewed["template"]["spec"].pop("serviceAccountName")
    job["template"]["spec"].pop("serviceAccountName")

    assert renewed == job
    assert account == only(objects, "ServiceAccount", renewal=True)["metadata"]["name"] == "mesh-istio-pca-renewal"
    assert annotations(only(objects, "ServiceAccount", renewal=True), "eks.amazonaws.com") == {"role-arn": ROLE}
    assert only(objects, "Role", renewal=True)["rules"] == only(objects, "Role")["rules"]
    assert only(objects, "RoleBinding", renewal=True)["subjects"][0]["name"] == account
    assert (cron["concurrencyPolicy"], cron["suspend"]) == ("Forbid", False)
    hooks = [one for one in objects if one["metadata"]["name"] == account and annotations(one, "helm.sh")]
    assert hooks == []


def test_renewal_off_or_suspended(render: Render) -> None:
    """Without it nothing of it is left; suspended it stays and sleeps."""
    off = render({"renewal": {"enabled": False}})
    asleep = render({"renewal": {"suspend": True, "schedule": "@weekly"}})

    assert [one["kind"] for one in off if one["metadata"]["name"].endswith("-renewal")] == []
    cron = only(asleep, "CronJob", renewal=True)["spec"]
    assert (cron["suspend"], cron["schedule"]) == (True, "@weekly")


def test_a_fleet_does_not_call_at_once(render: Render) -> None:
    """The minute differs between clusters, stays the same for one, and is one of the day's 1440."""

    def schedule(name: str) -> str:
        found: str = only(render({"config": {"clusterName": name}}), "CronJob", renewal=True)["spec"]["schedule"]
        return found

    times = [schedule(f"cluster-{number}") for number in range(12)]

    assert times[0] == schedule("cluster-0")
    assert len(set(times)) >= 11
    assert all(int(time.split()[0]) < 60 and int(time.split()[1]) < 24 for time in times)


def test_kustomize(render: Render, package: Path, version: str, tmp_path: Path) -> None:
    """By kustomize's `helmCharts` the objects are those of `helm template`."""
    values = in_mode("plain", config={"certificateAuthorityArn": ARN}, **IRSA)
    with tarfile.open(package) as archive:
        archive.extractall(tmp_path / "charts", filter="data")
    entry = {
        "name": "istio-pca",
        "releaseName": "mesh",
        "namespace": "platform",
        "valuesInline": values,
        "skipTests": True,
    }
    document = {"helmGlobals": {"chartHome": "charts"}, "helmCharts": [entry]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(document))

    command = [str(tools() / "kubectl"), "kustomize", "--enable-helm", "--helm-command", str(tools() / HELMS[0]), "."]
    answer = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)

    def named(objects: list[Document]) -> Document:
        return {f"{one['kind']} {one['metadata']['name']}": one for one in objects}

    rendered = [one for one in render(values) if annotations(one, "helm.sh").get("hook") != "test"]
    assert named([one for one in yaml.safe_load_all(answer.stdout) if one]) == named(rendered)
