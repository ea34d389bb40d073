"""What the chart makes, compared as data, with the oldest and the newest Helm."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard

from chart.conftest import ARN, CHART, HELMS, IRSA, ROLE, Document, Render, annotations, helm, only
from chart.values_schema import FILE, generated
from istio_pca.config import parse
from istio_pca.errors import IstioPcaError
from unit.test_errors import every

Template = Callable[..., subprocess.CompletedProcess[str]]


def pod(objects: list[Document]) -> Document:
    spec: Document = only(objects, "Job")["spec"]["template"]["spec"]
    return spec


def container(objects: list[Document]) -> Document:
    (one,) = pod(objects)["containers"]
    found: Document = one
    return found


def environment(objects: list[Document]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container(objects)["env"]}


@pytest.mark.parametrize("version", HELMS)
def test_lint(package: Path, version: str) -> None:
    """`helm lint --strict` has nothing to say, with and without values."""
    assert helm(version, "lint", "--strict", str(package)).returncode == 0
    assert (
        helm(version, "lint", "--strict", str(package), "--set", f"config.certificateAuthorityArn={ARN}").returncode
        == 0
    )


def test_hooks(render: Render) -> None:
    """Everything runs before the install and before the upgrade, identity first; a failed Job stays to be looked at."""
    hooks = {
        one["kind"]: {key.removeprefix("helm.sh/"): value for key, value in one["metadata"]["annotations"].items()}
        for one in render()
        if annotations(one, "helm.sh").get("hook", "test") != "test"
    }
    identity = {
        "hook": "pre-install,pre-upgrade",
        "hook-weight": "-10",
        "hook-delete-policy": "before-hook-creation,hook-succeeded",
    }

    assert hooks == {
        "ServiceAccount": identity,
        "Role": identity,
        "RoleBinding": identity,
        "Job": {
            "hook": "pre-install,pre-upgrade",
            "hook-weight": "0",
            "hook-delete-policy": "before-hook-creation",
            "hook-output-log-policy": "hook-failed",
        },
    }


def test_annotations_of_the_user_do_not_take_the_hook_away(render: Render) -> None:
    """They are merged into one map; the hook's own win."""
    mine = {"eks.amazonaws.com/role-arn": ROLE, "helm.sh/hook": "none", "mine": "yes"}

    found = only(render({"serviceAccount": {"annotations": mine}}), "ServiceAccount")["metadata"]["annotations"]

    assert found["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert (found["mine"], found["eks.amazonaws.com/role-arn"]) == ("yes", ROLE)


def test_role(render: Render) -> None:
    """Creation unnamed, since RBAC cannot name it; all else by name, and no verb more than is used."""
    rules = only(render(), "Role")["rules"]

    assert rules == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["cacerts"], "verbs": ["get", "update"]},
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["cacerts-pending"],
            "verbs": ["get", "update", "delete"],
        },
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["istio-ca-root-cert"],
            "verbs": ["get"],
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]},
    ]


def test_role_that_replaces(render: Render) -> None:
    """To delete cacerts is allowed only to who shall replace a foreign one, whose type cannot be changed."""
    rules = only(render({"config": {"cacerts": {"whenForeign": "replace"}}}), "Role")["rules"]

    assert rules[1]["verbs"] == ["get", "update", "delete"]


def test_who_tests_may_only_look(render: Render) -> None:
    """`helm test` has an identity of its own, which reads one Secret and has no way to AWS."""
    objects = render(IRSA)
    spec = only(objects, "Pod", test=True)["spec"]

    assert only(objects, "Role", test=True)["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["cacerts"], "verbs": ["get"]}
    ]
    assert spec["serviceAccountName"] == only(objects, "ServiceAccount", test=True)["metadata"]["name"]
    assert spec["serviceAccountName"] != pod(objects)["serviceAccountName"]
    assert {one["name"] for one in spec["containers"][0]["env"]} == {"ISTIO_PCA_CONFIG", "AWS_EC2_METADATA_DISABLED"}
    assert "volumes" not in spec


def test_another_namespace(render: Render) -> None:
    """The Role is where cacerts is; the Job and its identity are where the release is."""
    objects = render({"config": {"cacerts": {"namespace": "mesh"}}})
    places = {one["kind"]: one["metadata"]["namespace"] for one in objects}

    assert places == {
        "ServiceAccount": "platform",
        "Job": "platform",
        "CronJob": "platform",
        "Pod": "platform",
        "Role": "mesh",
        "RoleBinding": "mesh",
    }
    assert only(objects, "RoleBinding")["subjects"][0]["namespace"] == "platform"


def test_irsa(render: Render) -> None:
    """With a role, token and variables are in the Pod: EKS' webhook has nothing to add, and no race to lose."""
    objects = render({**IRSA, "config": {"clusterName": "blue/1"}})
    given = environment(objects)

    assert given["AWS_ROLE_ARN"] == ROLE
    mounted = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
    assert given["AWS_WEB_IDENTITY_TOKEN_FILE"] == f"{mounted}/token"
    assert given["AWS_ROLE_SESSION_NAME"] == "istio-pca-blue-1"
    assert container(objects)["volumeMounts"] == [{"name": "aws-iam-token", "mountPath": mounted, "readOnly": True}]
    token = {"audience": "sts.amazonaws.com", "expirationSeconds": 86400, "path": "token"}
    assert pod(objects)["volumes"] == [
        {"name": "aws-iam-token", "projected": {"defaultMode": 0o440, "sources": [{"serviceAccountToken": token}]}}
    ]


def test_no_irsa(render: Render) -> None:
    """Without a role nothing of it is there: others put in their own. The node's role is shut out."""
    objects = render()

    # the session's name is for a role that EKS' webhook injects
    assert set(environment(objects)) == {"ISTIO_PCA_CONFIG", "AWS_EC2_METADATA_DISABLED", "AWS_ROLE_SESSION_NAME"}
    assert environment(objects)["AWS_EC2_METADATA_DISABLED"] == "true"
    assert not {"volumes"} & set(pod(objects))


def test_session_name_fits_sts(render: Render) -> None:
    """At most 64 of the characters that STS takes, whatever the cluster is called."""
    name = environment(render({**IRSA, "config": {"clusterName": "ü" * 90}}))["AWS_ROLE_SESSION_NAME"]

    assert re.fullmatch(r"[\w+=,.@-]{2,64}", name, re.ASCII)


def test_config_is_passed_on_as_it_is(render: Render) -> None:
    """The Job reads what stands in values.yaml, and accepts the chart's defaults."""
    wanted = {"clusterName": "blue", "cacerts": {"validity": "90d", "subject": {"organization": "Example"}}}

    config = parse(environment(render({"config": wanted}))["ISTIO_PCA_CONFIG"])

    assert (config.cluster_name, config.cacerts.validity, config.cacerts.subject.organization) == (
        "blue",
        "90d",
        "Example",
    )
    assert config.cacerts.key_algorithm == "RSA_2048"


def test_defaults_are_the_jobs_own() -> None:
    """values.yaml and the model have the same keys with the same defaults."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())["config"]

    parsed = parse(json.dumps({**values, "certificateAuthorityArn": ARN}))
    bare = parse(json.dumps({"certificateAuthorityArn": ARN}))

    assert parsed == bare
    assert bare.model_dump(mode="json", by_alias=True) == {**values, "certificateAuthorityArn": ARN}


def test_restricted(render: Render) -> None:
    """Every Pod passes the Pod Security Standard "restricted", and more."""
    objects = render(IRSA)
    for spec in (pod(objects), only(objects, "Pod", test=True)["spec"]):
        own = spec["containers"][0]["securityContext"]

        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert own == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_no_sidecar(render: Render) -> None:
    """Neither a sidecar nor ambient: both would stand in the way of a Job that runs before istiod."""
    metadata = only(render(), "Job")["spec"]["template"]["metadata"]

    assert metadata["labels"]["sidecar.istio.io/inject"] == "false"
    assert metadata["labels"]["istio.io/dataplane-mode"] == "none"


def test_exit_codes(render: Render) -> None:
    """What no repetition changes ends the Job at once; what may pass is tried in a new Pod."""
    rules = only(render(), "Job")["spec"]["podFailurePolicy"]["rules"]
    final = {kind.exit_code for kind in every(IstioPcaError)} - {1, 20}

    assert [rule["action"] for rule in rules] == ["Ignore", "FailJob"]
    assert rules[1]["onExitCodes"] == {
        "containerName": container(render())["name"],
        "operator": "In",
        "values": sorted(final),
    }


def test_exit_codes_in_the_readme(render: Render) -> None:
    """The README's table has every code, and says of each what the Job's policy does."""
    text = (CHART.parent / "README.md").read_text()
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", text, re.MULTILINE)
    final = only(render(), "Job")["spec"]["podFailurePolicy"]["rules"][1]["onExitCodes"]["values"]

    assert {int(code) for code, _ in rows} == {kind.exit_code for kind in every(IstioPcaError)} | {0}
    assert [int(code) for code, fate in rows if fate == "fails at once"] == final


def test_times_nest(render: Render) -> None:
    """retryFor < activeDeadlineSeconds < Helm's five minutes, so that whoever gives up can still say why."""
    spec = only(render(), "Job")["spec"]

    assert 210 < spec["activeDeadlineSeconds"] < 300
    assert sum(10 * 2**n for n in range(spec["backoffLimit"])) < spec["activeDeadlineSeconds"]
    assert spec["ttlSecondsAfterFinished"] >= 600


OPTIONS: dict[str, Any] = {
    "resources": {"limits": {"memory": "1Gi"}, "requests": {"cpu": "1"}},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
    "imagePullSecrets": [{"name": "pull"}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy"}],
    "dnsPolicy": "Default",
}


def test_options_of_the_pod(render: Render) -> None:
    """Each option lands where Kubernetes reads it, on the Job's Pod and on the test's."""
    objects = render({**OPTIONS, "podLabels": {"team": "mesh"}, "podAnnotations": {"note": "x"}})
    for metadata, spec in (
        (only(objects, "Job")["spec"]["template"]["metadata"], pod(objects)),
        (only(objects, "Pod", test=True)["metadata"], only(objects, "Pod", test=True)["spec"]),
    ):
        own = spec["containers"][0]

        assert metadata["labels"]["team"] == "mesh"
        assert metadata["annotations"]["note"] == "x"
        assert OPTIONS["extraEnv"][0] in own["env"]
        assert OPTIONS["extraVolumeMounts"] == own["volumeMounts"]
        assert OPTIONS["extraVolumes"] == spec["volumes"]
        assert OPTIONS["resources"]["limits"] == own["resources"]["limits"]
        assert {name: spec[name] for name in spec if name in OPTIONS} == {
            name: value for name, value in OPTIONS.items() if not name.startswith("extra") and name != "resources"
        }


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "ghcr.io/istio-pca/istio-pca:0.1.0"),
        ({"tag": "2"}, "ghcr.io/istio-pca/istio-pca:2"),
        ({"repository": "r/i", "tag": "2", "digest": "sha256:" + "a" * 64}, "r/i@sha256:" + "a" * 64),
    ],
)
def test_image(render: Render, image: Document, expected: str) -> None:
    """The chart's version by default; a digest wins over a tag."""
    assert container(render({"image": image}))["image"] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("mesh-istio-pca", True)),
        ({"name": "mine"}, ("mine", True)),
        ({"create": False, "name": "theirs"}, ("theirs", False)),
        ({"create": False}, ("default", False)),
    ],
)
def test_service_account(render: Render, given: Document, expected: tuple[str, bool]) -> None:
    """One of the chart's own, or one that exists."""
    objects = render({"serviceAccount": given})
    made = [
        one
        for one in objects
        if one["kind"] == "ServiceAccount" and annotations(one, "helm.sh").get("hook", "test") != "test"
    ]

    assert (pod(objects)["serviceAccountName"], bool(made)) == expected
    assert only(objects, "RoleBinding")["subjects"][0]["name"] == expected[0]


BAD: dict[str, tuple[Document, str]] = {
    "no ARN": ({"config": {"certificateAuthorityArn": ""}}, "config.certificateAuthorityArn is required"),
    "malformed ARN": ({"config": {"certificateAuthorityArn": "arn:aws:acm:x"}}, "certificateAuthorityArn"),
    "unknown key": ({"colour": "red"}, "colour"),
    "unknown key of the config": ({"config": {"colour": "red"}}, "colour"),
    "unknown key of cacerts": ({"config": {"cacerts": {"colour": "red"}}}, "colour"),
    "unknown key algorithm": ({"config": {"cacerts": {"keyAlgorithm": "RSA_1024"}}}, "keyAlgorithm"),
    "malformed validity": ({"config": {"cacerts": {"validity": "a year"}}}, "validity"),
    "path length as text": ({"config": {"cacerts": {"pathLength": "0"}}}, "pathLength"),
    "malformed role": ({"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "admin"}}}, "role-arn"),
    "malformed digest": ({"image": {"digest": "latest"}}, "digest"),
    "window longer than the deadline": ({"config": {"retryFor": "5m"}}, "config.retryFor (5m) must be at least"),
    "window as long as the deadline": (
        {"job": {"activeDeadlineSeconds": 239}},
        "config.retryFor (210s) must be at least",
    ),
    "deadline as long as Helm waits": ({"job": {"activeDeadlineSeconds": 300}}, "job.installerTimeoutSeconds (300)"),
    "waits longer than the deadline": (
        {"config": {"retryFor": "30s"}, "job": {"activeDeadlineSeconds": 60}},
        "job.backoffLimit (3) does not fit",
    ),
    "too many tries": ({"job": {"backoffLimit": 10}}, "backoffLimit"),
    "unknown mode": ({"job": {"mode": "magic"}}, "mode"),
    "unknown hook": ({"job": {"hook": "during"}}, "hook"),
    "malformed schedule": ({"renewal": {"schedule": "daily"}}, "schedule"),
    "gone at once": ({"job": {"ttlSecondsAfterFinished": 0}}, "ttlSecondsAfterFinished"),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(template: Template, case: str) -> None:
    """What cannot work is refused before anything is sent to a cluster, and the message names the key."""
    values, named = BAD[case]
    answer = template({**values, "config": {"certificateAuthorityArn": ARN, **values.get("config", {})}})

    assert answer.returncode != 0
    assert named in answer.stderr


def test_as_a_subchart(render: Render) -> None:
    """A parent's `global` and its condition's `enabled` are let through."""
    assert only(render({"global": {"hub": "x"}, "enabled": True}), "Job")["kind"] == "Job"


@pytest.mark.parametrize("kubernetes", ["1.30", "1.37"])
def test_kubernetes_schemas(render: Render, kubernetes: str) -> None:
    """Every object is one of Kubernetes', in the oldest version promised and in the newest known."""
    for one in render({**IRSA, **OPTIONS}):
        kubernetes_validate.validate(one, kubernetes, strict=True)


@pytest.mark.parametrize(
    ("kubernetes", "works"), [("v1.33.5-eks-3cfe0ce", True), ("v1.30.0", True), ("v1.29.9", False)]
)
def test_kubernetes_versions(template: Template, kubernetes: str, works: bool) -> None:
    """EKS' versions are pre-releases to semver, and are taken all the same."""
    answer = template({"config": {"certificateAuthorityArn": ARN}}, "--kube-version", kubernetes)

    assert (answer.returncode == 0) == works


def keys(values: Document, path: str = ".Values") -> set[str]:
    found = set()
    for name, value in values.items():
        below = keys(value, f"{path}.{name}") if isinstance(value, dict) and value and name != "config" else set()
        found |= below or {f"{path}.{name}"}
    return found


def test_every_value_is_used() -> None:
    """No option without an effect, and none that values.yaml does not explain."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    text = "".join(file.read_text() for file in (CHART / "templates").rglob("*.*")).replace("$values.", ".Values.")
    used = set(re.findall(r"\.Values(?:\.\w+)+", text))

    def covers(one: str, other: str) -> bool:
        return one == other or other.startswith(one + ".")

    assert {path for path in keys(values) if not any(covers(one, path) for one in used)} == set()
    mine = {one for one in used if not one.startswith(".Values.config")}
    assert {one for one in mine if not any(covers(one, path) for path in keys(values))} == set()


def test_schema_is_generated() -> None:
    """chart/values.schema.json says what job/istio_pca/config.py says."""
    assert FILE.read_text() == generated()


def test_one_version() -> None:
    """Package, chart and image have one version."""
    project = tomllib.loads((CHART.parent / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    namespace: dict[str, Any] = {}
    exec((CHART.parent / "job/istio_pca/__init__.py").read_text(), namespace)  # noqa: S102 -- our own file

    assert {chart["version"], chart["appVersion"], project} == {namespace["__version__"]}


GATEWAYS = [
    {"namespace": "ingress", "secretName": "shop", "dnsNames": ["shop.example.com"]},
    {"namespace": "ingress", "secretName": "pay", "dnsNames": ["pay.example.com"], "whenForeign": "replace"},
    {"namespace": "istio-system", "secretName": "admin", "dnsNames": ["admin.example.com"]},
]


def granted(objects: list[Document], account: str) -> dict[str, set[tuple[str, str, str]]]:
    """By namespace: verb, resource and name that the Roles bound to this ServiceAccount allow."""
    bound = {
        (one["metadata"]["namespace"], one["roleRef"]["name"])
        for one in objects
        if one["kind"] == "RoleBinding" and one["subjects"][0]["name"] == account
    }
    found: dict[str, set[tuple[str, str, str]]] = {}
    for one in objects:
        place = one["metadata"].get("namespace"), one["metadata"]["name"]
        if one["kind"] == "Role" and place in bound:
            found.setdefault(place[0], set()).update(
                (verb, resource, name)
                for rule in one["rules"]
                for verb in rule["verbs"]
                for resource in rule["resources"]
                for name in rule.get("resourceNames", [""])
            )
    return found


@pytest.mark.parametrize("account", ["mesh-istio-pca", "mesh-istio-pca-renewal"])
def test_gateways(render: Render, account: str) -> None:
    """In each gateway's namespace a grant by name, and no verb more than is used; cacerts' own is as it was."""
    found = granted(render({"config": {"gateways": GATEWAYS}}), account)
    alone = granted(render(), account)["istio-system"]
    creation = {("create", "secrets", ""), ("create", "events", "")}

    def of(name: str) -> set[tuple[str, str, str]]:
        own = {(verb, "secrets", name) for verb in ("get", "update")}
        return own | {(verb, "secrets", f"{name}-pending") for verb in ("get", "update", "delete")}

    assert found == {
        "ingress": creation | of("shop") | of("pay") | {("delete", "secrets", "pay")},
        "istio-system": alone | of("admin"),
    }


def test_gateways_alone(render: Render) -> None:
    """Without cacerts nothing is granted on it; who tests may only look."""
    values = {"config": {"cacerts": {"enabled": False}, "gateways": GATEWAYS[:1]}}
    objects = render(values)

    assert set(granted(objects, "mesh-istio-pca")) == {"ingress"}
    assert granted(objects, "mesh-istio-pca-verify") == {"ingress": {("get", "secrets", "shop")}}


@pytest.mark.parametrize("kubernetes", ["1.30", "1.37"])
def test_gateways_schemas(render: Render, kubernetes: str) -> None:
    """Every object is one of Kubernetes'."""
    for one in render({"config": {"gateways": GATEWAYS}}):
        kubernetes_validate.validate(one, kubernetes, strict=True)


def test_monitoring(render: Render) -> None:
    """Off by default; when on, a rule and a dashboard with the labels by which others find them."""
    on = {"prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}}
    objects = render({"monitoring": on})
    board = only([one for one in objects if one["kind"] == "ConfigMap"], "ConfigMap")

    assert {"PrometheusRule", "ConfigMap"} & {one["kind"] for one in render()} == set()
    assert len(only(objects, "PrometheusRule")["spec"]["groups"][0]["rules"]) == 4
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["istio-pca.json"])["uid"] == "istio-pca"


def test_dashboard_loads(render: Render) -> None:
    """Grafana's own model reads it, every key of it: what the model does not know would be lost on the way back."""
    plugins.register_default_plugins()

    def loaded(board: Document) -> Document:
        model = dashboard.Dashboard.from_json(board)
        back: Document = json.loads(JSONEncoder(sort_keys=True).encode(model))
        return back

    def kept(given: Any, back: Any) -> bool:
        """Whether all that is given came back; the model adds what it takes for granted."""
        if isinstance(given, dict):
            return isinstance(back, dict) and all(key in back and kept(one, back[key]) for key, one in given.items())
        if isinstance(given, list):
            return len(given) == len(back) and all(map(kept, given, back))
        return bool(given == back)

    (board,) = [one for one in render({"monitoring": {"dashboard": {"enabled": True}}}) if one["kind"] == "ConfigMap"]
    text = board["data"]["istio-pca.json"]
    misspelled = json.loads(text.replace('"fieldConfig"', '"fieldConfigs"'))

    assert kept(json.loads(text), loaded(json.loads(text)))
    assert not kept(misspelled, loaded(misspelled))
