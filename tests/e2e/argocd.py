"""A real Argo CD beside the cluster: its two controllers, repo server, Redis, and a Git repository on this machine.

No API server and no web interface: an Application is applied by kubectl, and its status tells the rest.
Source: Argo CD, "Declarative Setup", "Application Specification".
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

import processes
from e2e import examples, istiod
from e2e.kubernetes import Document, apply, established, get, kubectl, namespace, run, wait

NAMESPACE = "argocd"
EXAMPLES = examples.FOLDER / "argocd"
CHART = Path(__file__).parents[2] / "chart"
_REDIS, _REPO_SERVER = 16379, 18081


@dataclass(frozen=True)
class ArgoCD:
    repository: Path
    """A Git work tree; what is committed there can be synced."""
    server: str
    """The cluster's address, as Applications name it."""

    def commit(self, message: str) -> None:
        git = ("git", "-C", str(self.repository), "-c", "user.name=test", "-c", "user.email=test@example.com")
        run(*git, "add", "--all")
        run(*git, "commit", "--quiet", "--message", message)

    def status(self, application: str) -> Document:
        status: Document = get("application", application, NAMESPACE).get("status", {})
        return status

    def refresh(self, application: str) -> None:
        """Look at Git and at the cluster now; and with automated sync, act on it."""
        kubectl(
            "annotate", "application", application, "-n", NAMESPACE, "argocd.argoproj.io/refresh=hard", "--overwrite"
        )

    def uninstall(self, *applications: str) -> None:
        """With all that they brought: what stayed, Helm would take for somebody else's."""
        cascade = {"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}}
        for name in applications:
            kubectl("patch", "application", name, "-n", NAMESPACE, "--type", "merge", "-p", json.dumps(cascade))
        kubectl("delete", "application", *applications, "-n", NAMESPACE, "--timeout=240s")

    def sync(self, application: str, who: str) -> Document:
        """What the button does, pressed by this user; how it ended."""
        wish = {"initiatedBy": {"username": who}, "sync": {"syncStrategy": {"hook": {}}}}
        patch = json.dumps([{"op": "add", "path": "/operation", "value": wish}])
        wait("it to be idle", lambda: self._idle(application))
        kubectl("patch", "application", application, "-n", NAMESPACE, "--type", "json", "-p", patch)
        return self.finished(application, who)

    def _idle(self, application: str) -> bool:
        """Two operations that are asked for at once become one: what it heals after a sync, it does within seconds."""
        found = get("application", application, NAMESPACE)
        ended = found["status"].get("operationState", {}).get("finishedAt")
        return bool(
            "operation" not in found
            and ended
            and datetime.now(UTC) - datetime.fromisoformat(ended) > timedelta(seconds=15)
        )

    def finished(self, application: str, who: str = "") -> Document:
        """The first sync that is over; with a user, the one that this user asked for."""

        def found() -> Document | None:
            state: Document = self.status(application).get("operationState", {})
            asked = state.get("operation", {}).get("initiatedBy", {}).get("username", "")
            return state if state.get("finishedAt") and who in {"", asked} else None

        return wait(f"the sync of {application}", found, 400)

    def healthy(self, application: str) -> None:
        def settled() -> bool:
            self.refresh(application)  # by itself it looks again after minutes
            status = self.status(application)
            return [status.get(part, {}).get("status") for part in ("sync", "health")] == ["Synced", "Healthy"]

        wait(f"{application} to be synced and healthy", settled, 400)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ArgoCD]:
    """Starts it, and takes it away with all that it knows."""
    server = _install()
    argo = ArgoCD(folder / "repository", server)
    run("git", "init", "--quiet", str(argo.repository))
    for name, place in {"istio-pca": CHART, **istiod.PLACES}.items():
        shutil.copytree(place, argo.repository / name)
    argo.commit("charts")
    places = {"TMPDIR": folder / "tmp", "HOME": folder / "home", "HELM_CACHE_HOME": folder / "helm"}
    for place in places.values():
        place.mkdir()
    programs = folder / "programs"
    programs.mkdir()
    for name in ("argocd-repo-server", "argocd-application-controller", "argocd-applicationset-controller"):
        (programs / name).symlink_to(os.environ["ARGOCD"])  # it is the part that it is called by
    helm = shutil.which(os.environ.get("HELM3", "helm3"))
    assert helm is not None
    (programs / "helm").symlink_to(helm)
    environment = {
        **{name: str(place) for name, place in places.items()},
        "PATH": f"{programs}:{os.environ['PATH']}",
        "ARGOCD_GPG_ENABLED": "false",
    }
    redis = f"127.0.0.1:{_REDIS}"
    repo_server = ("--port", str(_REPO_SERVER), "--metrics-port", "18084", "--redis", redis, "--disable-tls")
    controller = ("--kubeconfig", os.environ["KUBECONFIG"], "--namespace", NAMESPACE, "--repo-server-plaintext")
    where = ("--redis", redis, "--repo-server", f"127.0.0.1:{_REPO_SERVER}", "--metrics-port", "18082")
    sets = ("--argocd-repo-server", f"127.0.0.1:{_REPO_SERVER}", "--metrics-addr", "127.0.0.1:18085")
    ports = ("--probe-addr", "127.0.0.1:18086", "--webhook-addr", "127.0.0.1:18087")
    commands = (
        ("redis-server", "--port", _REDIS, "--bind", "127.0.0.1", "--save", "", "--dir", folder),
        (programs / "argocd-repo-server", *repo_server, "--loglevel", "warn"),
        (programs / "argocd-application-controller", *controller, *where, "--loglevel", "warn"),
        (programs / "argocd-applicationset-controller", *controller, *sets, *ports, "--loglevel", "warn"),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(_remove)
        for command in commands:
            stack.enter_context(processes.running(folder, *command, environment=environment))
        yield argo


def _install() -> str:
    """Its kinds, its settings, and the cluster that it may change; the cluster's address."""
    namespace(NAMESPACE)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", os.environ["ARGOCD_CRDS"])
    established("applications.argoproj.io", "applicationsets.argoproj.io", "appprojects.argoproj.io")
    config: Any = yaml.safe_load(kubectl("config", "view", "--minify", "--flatten", "--raw"))
    (here,), (user,) = config["clusters"], config["users"]
    server: str = here["cluster"]["server"]
    tls = {
        "caData": here["cluster"]["certificate-authority-data"],
        "certData": user["user"]["client-certificate-data"],
        "keyData": user["user"]["client-key-data"],
    }
    mine = {"app.kubernetes.io/part-of": "argocd"}
    apply(
        _own("v1", "ConfigMap", "argocd-cm", mine, data={}),
        _own("v1", "Secret", "argocd-secret", mine, data={"server.secretkey": _encoded(secrets.token_hex(16))}),
        cluster("this-cluster", server, tlsClientConfig=tls),
        _own(
            "argoproj.io/v1alpha1",
            "AppProject",
            "default",
            {},
            spec={
                "sourceRepos": ["*"],
                "destinations": [{"namespace": "*", "server": "*"}],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            },
        ),
    )
    return server


def example(argo: ArgoCD, values: Document, file: str = "application.yaml") -> Document:
    """With its marked lines changed; the charts come from Git, and know this cluster's images."""
    known = {"istio-pca": values, "istiod": istiod.here(), "gateway": istiod.gateway_here()}
    document: Document = yaml.safe_load(examples.without_marked_lines((EXAMPLES / file).read_text()))
    document["spec"]["destination"]["server"] = argo.server
    for source in document["spec"]["sources"]:
        name = source.pop("chart")
        source.update(repoURL=f"file://{argo.repository}", path=name, targetRevision="HEAD")
        source["helm"]["valuesObject"] = examples.merged(source["helm"].get("valuesObject", {}), known.get(name, {}))
    return document


def ours(argo: ArgoCD, values: Document, mode: str) -> Document:
    """The example without Istio: what concerns us alone."""
    document = example(argo, examples.merged(values, {"job": {"mode": mode}}))
    document["spec"]["sources"] = document["spec"]["sources"][:1]
    # what it heals by itself right after a sync would become one with the sync that a test asks for
    document["spec"]["syncPolicy"]["automated"]["selfHeal"] = False
    del document["spec"]["syncPolicy"]["retry"]  # one failure is enough to be seen
    return document


def cluster(name: str, server: str, **config: Any) -> Document:
    """One that Argo CD may change."""
    known = {"name": name, "server": server, "config": json.dumps(config)}
    labels = {"argocd.argoproj.io/secret-type": "cluster"}
    return _own("v1", "Secret", name, labels, data={key: _encoded(value) for key, value in known.items()})


def _own(version: str, kind: str, name: str, labels: dict[str, str], **content: Any) -> Document:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _remove() -> None:
    """Its controllers have ended: an Application that waits for them, or for a missing cluster, would stay."""
    for application in kubectl("get", "applications", "-n", NAMESPACE, "-o", "name").split():
        release = json.dumps({"metadata": {"finalizers": None}})
        kubectl("patch", application, "-n", NAMESPACE, "--type", "merge", "-p", release)
    kubectl("delete", "namespace", NAMESPACE, "--timeout=120s")
    kubectl("delete", "-f", os.environ["ARGOCD_CRDS"], "--ignore-not-found")
