"""Target: one Secret that is wanted, and the certificate in it. A config asks for some of these.

A value: nothing is done here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from cryptography import x509
from cryptography.x509.oid import NameOID

from istio_pca.config import Config, Gateway, KeyAlgorithm, Subject, duration
from istio_pca.layout import CACERTS, GATEWAY, Layout
from istio_pca.secret import NAME

SERVER_TEMPLATE: Final = "EndEntityServerAuthCertificate/V1"
"""Source: AWS Private CA User Guide, "Certificate templates"."""
_LONGEST_COMMON_NAME: Final = 64  # RFC 5280, ub-common-name


def ca_template(path_length: int) -> str:
    """Never AWS' default, which is a leaf."""
    return f"SubordinateCACertificate_PathLen{path_length}/V1"


@dataclass(frozen=True)
class Target:
    """One Secret."""

    path: str
    """Where it stands in the config, for messages that say what to set: `cacerts`, `gateways[0]`."""
    namespace: str
    name: str
    layout: Layout
    authority_arn: str
    template: str
    """Name of the ACM PCA template, without the partition's prefix."""
    subject: x509.Name
    dns_names: tuple[str, ...]
    """Of the server; empty for a CA, from which istiod signs workloads."""
    key_algorithm: KeyAlgorithm
    validity: timedelta
    renew_before: timedelta | None
    """None: a third of the life."""
    root_in_chain: bool
    when_foreign: Literal["refuse", "replace"]
    when_mesh_runs: Literal["refuse", "proceed"]
    retry_for: timedelta

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def to_leave_it(self) -> str:
        """What to do for istio-pca to let it alone, for messages."""
        return "set config.cacerts.enabled=false" if self.signs_workloads else f"take config.{self.path} out"

    @property
    def signs_workloads(self) -> bool:
        return not self.dns_names

    @property
    def spec(self) -> str:
        """Digest of what makes a certificate another one. A Secret that bears another was made for another wish.

        `renewBefore` is not part of it: it changes when to renew, not what.
        """
        wanted = {
            "certificateAuthorityArn": self.authority_arn,
            "template": self.template,
            "subject": self.subject.rfc4514_string(),
            "dnsNames": sorted(self.dns_names),
            "keyAlgorithm": self.key_algorithm,
            "validity": self.validity.total_seconds(),
            "rootInChain": self.root_in_chain,
        }
        return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:32]


def targets(config: Config) -> tuple[Target, ...]:
    """What the config asks for, in the order in which it is done: without a CA no gateway has a mesh behind it."""
    gateways = tuple(_gateway(config, number, one) for number, one in enumerate(config.gateways))
    return (cacerts(config), *gateways) if config.cacerts.enabled else gateways


def cacerts(config: Config) -> Target:
    """The intermediate CA, whether or not it is enabled."""
    wish = config.cacerts
    common_name = wish.subject.common_name or f"Istio CA {config.cluster_name}".strip()
    return Target(
        path="cacerts",
        namespace=wish.namespace,
        name=NAME,
        layout=CACERTS,
        authority_arn=config.certificate_authority_arn,
        template=ca_template(wish.path_length),
        subject=_name(wish.subject, common_name),
        dns_names=(),
        key_algorithm=wish.key_algorithm,
        validity=duration(wish.validity),
        renew_before=duration(wish.renew_before) if wish.renew_before else None,
        root_in_chain=wish.root_in_chain,
        when_foreign=wish.when_foreign,
        when_mesh_runs=wish.when_mesh_runs,
        retry_for=duration(config.retry_for),
    )


def _gateway(config: Config, number: int, wish: Gateway) -> Target:
    return Target(
        path=f"gateways[{number}]",
        namespace=wish.namespace,
        name=wish.secret_name,
        layout=GATEWAY,
        authority_arn=config.certificate_authority_arn,
        template=SERVER_TEMPLATE,
        # ACM PCA refuses a CSR with neither subject nor SAN; clients look at the SAN alone
        subject=_name(wish.subject, wish.subject.common_name or wish.dns_names[0]),
        dns_names=wish.dns_names,
        key_algorithm=wish.key_algorithm,
        validity=duration(wish.validity),
        renew_before=duration(wish.renew_before) if wish.renew_before else None,
        root_in_chain=False,  # a server sends no root (RFC 8446 section 4.4.2): its clients have it
        when_foreign=wish.when_foreign,
        when_mesh_runs="proceed",
        retry_for=duration(config.retry_for),
    )


def _name(subject: Subject, common_name: str) -> x509.Name:
    attributes = (
        (NameOID.COUNTRY_NAME, subject.country),
        (NameOID.STATE_OR_PROVINCE_NAME, subject.state_or_province),
        (NameOID.LOCALITY_NAME, subject.locality),
        (NameOID.ORGANIZATION_NAME, subject.organization),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, subject.organizational_unit),
        (NameOID.COMMON_NAME, _short(common_name)),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes if value])


def _short(name: str) -> str:
    """A common name. Names of EKS clusters and of hosts may be too long for it: those end in a digest."""
    if len(name) <= _LONGEST_COMMON_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_COMMON_NAME - 9]}-{digest}"
