"""Policy: what AWS must allow for exactly this config, as documents. It grants nothing and asks nobody.

Source: AWS Private CA User Guide, "Resource-based policies" and "Actions, resources, and condition keys";
IAM User Guide, "Roles for OpenID Connect"; EKS User Guide, "Pod Identity" (role trust, session tags).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from istio_pca.authority import template_arn
from istio_pca.config import Config
from istio_pca.errors import ConfigError, ConfigProblem
from istio_pca.target import SERVER_TEMPLATE, ca_template, targets

Document = dict[str, Any]

READING = ("DescribeCertificateAuthority", "GetCertificate", "GetCertificateAuthorityCertificate")
SERVICE_ACCOUNTS = ("istio-pca", "istio-pca-renewal")
"""Of the chart, when its release is called istio-pca."""
PROVIDER = "arn:aws:iam::ACCOUNT:oidc-provider/OIDC_PROVIDER"
"""To be filled in where none is given."""
_POD_IDENTITY = "pods.eks.amazonaws.com"
USES = {
    "permissions": "of the role that asks the private CA",
    "trust": "of the role of the Job's Pod: who may be it",
    "assume": "of the role of the Job's Pod, which assumes the one above",
    "share": "of the private CA, in its account: aws acm-pca put-policy --resource-arn CA_ARN --policy file://share.json",
    "ram": "instead of it, in the CA's account: aws ram create-resource-share --cli-input-json file://ram.json",
}
"""What each document is for."""
_SHARED = frozenset({SERVER_TEMPLATE, ca_template(0)})
"""The templates of ours that ACM PCA lets another account use."""
_RAM_PERMISSION = "AWSRAMSubordinateCACertificatePathLen0IssuanceCertificateAuthority"
"""The one of AWS' own for RAM that has a template of ours."""


@dataclass(frozen=True)
class Identity:
    """How Pods of a cluster become a role."""

    account: str
    """Of the cluster and the role; empty if it is not known."""
    trust: Document
    """Who may be the role: the ServiceAccounts of the chart, and nobody else."""


def irsa(provider: str, service_accounts: Sequence[str]) -> Identity:
    """By the cluster's IAM OIDC provider, whose ARN this is; `service_accounts` are "NAMESPACE/NAME"."""
    issuer = provider.partition(":oidc-provider/")[2]
    subjects = [f"system:serviceaccount:{one.replace('/', ':')}" for one in service_accounts]
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subjects}},
    }
    return Identity("" if provider == PROVIDER else _account(provider), _policy(statement))


def pod_identity(account: str, service_accounts: Sequence[str]) -> Identity:
    """By EKS Pod Identity in this account; EKS tags each session with the Pod's namespace and ServiceAccount."""
    namespaces, names = (sorted(set(part)) for part in zip(*(one.split("/") for one in service_accounts), strict=True))
    tags = {"aws:RequestTag/kubernetes-namespace": namespaces, "aws:RequestTag/kubernetes-service-account": names}
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": _POD_IDENTITY},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": tags},
    }
    return Identity(account, _policy(statement))


def documents(config: Config, identity: Identity) -> dict[str, Document]:
    """By name: `permissions` and `trust` of the role, and what else its account makes needed.

    Raises:
        ConfigError: ACM PCA shares no such template with another account.
    """
    made = {"permissions": permissions(config), "trust": identity.trust}
    if config.role_arn:
        made["assume"] = _policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": config.role_arn})
    elif identity.account not in {"", _account(config.certificate_authority_arn)}:
        made |= _shares(config, identity.account)
    return made


def as_hcl(made: Mapping[str, Document]) -> str:
    """For Terraform: locals, policies as JSON text (an HCL expression may be written as JSON)."""

    def local(name: str, one: Document) -> str:
        text = json.dumps(one, indent=2)
        return f"  # {USES[name]}\n  istio_pca_{name} = {text if name == 'ram' else f'jsonencode({text})'}"

    body = "\n".join(local(name, one) for name, one in made.items())
    return f"locals {{\n{body}\n}}"


def as_cloudformation(made: Mapping[str, Document]) -> Document:
    """A fragment with the role, and with the share of a CA of another account: each is made only in its own account.

    CloudFormation has no type for a CA's own policy (`share`).
    """
    # where a role of the CA's account is assumed, that one has the permissions
    name = "assume" if "assume" in made else "permissions"
    inline = [{"PolicyName": f"istio-pca-{name}", "PolicyDocument": made[name]}]
    role = {"AssumeRolePolicyDocument": made["trust"], "Policies": inline}
    resources: Document = {"IstioPcaRole": {"Type": "AWS::IAM::Role", "Properties": role}}
    if "ram" not in made:
        return {"Resources": resources}
    share = {key[0].upper() + key[1:]: value for key, value in made["ram"].items()}
    resources["IstioPcaShare"] = {"Type": "AWS::RAM::ResourceShare", "Properties": share}
    (cluster,), (authority,) = share["Principals"], {_account(arn) for arn in share["ResourceArns"]}
    accounts = {"IstioPcaRole": ("AccountOfCluster", cluster), "IstioPcaShare": ("AccountOfAuthority", authority)}
    for name, (condition, _) in accounts.items():
        resources[name]["Condition"] = condition
    conditions = {name: {"Fn::Equals": [{"Ref": "AWS::AccountId"}, one]} for name, one in accounts.values()}
    return {"Conditions": conditions, "Resources": resources}


def permissions(config: Config) -> Document:
    """What the role that asks ACM PCA needs: the wanted templates of one CA, and to read what they give."""
    arn = config.certificate_authority_arn
    reading = sorted(f"acm-pca:{action}" for action in READING)
    return _policy(_issuing(config), {"Effect": "Allow", "Action": reading, "Resource": arn})


def _shares(config: Config, account: str) -> dict[str, Document]:
    """Two ways to let another account use the CA; where RAM has no permission for what is wanted, one."""
    wanted = {target.template for target in targets(config)}
    if wanted - _SHARED:
        allowed = "must be 0 for a private CA of another account, which shares no other template; or set roleArn"
        raise ConfigError((ConfigProblem("cacerts.pathLength", str(config.cacerts.path_length), allowed),))
    made = {"share": _share(config, account)}
    if wanted == {ca_template(0)}:
        arn = config.certificate_authority_arn
        made["ram"] = {
            "name": "istio-pca",
            "resourceArns": [arn],
            "principals": [account],
            "permissionArns": [f"arn:{arn.split(':')[1]}:ram::aws:permission/{_RAM_PERMISSION}"],
        }
    return made


def _share(config: Config, account: str) -> Document:
    """The policy of the CA itself, for another account."""
    arn = config.certificate_authority_arn
    who = {"Principal": {"AWS": account}}
    # these five or none: ACM PCA refuses a resource policy with fewer
    reading = sorted(f"acm-pca:{action}" for action in (*READING, "ListPermissions", "ListTags"))
    return _policy(
        {"Sid": "Read", "Effect": "Allow", **who, "Action": reading, "Resource": arn},
        {"Sid": "Issue", **who, **_issuing(config)},
    )


def _issuing(config: Config) -> Document:
    arn = config.certificate_authority_arn
    templates = sorted({template_arn(arn, target.template) for target in targets(config)})
    return {
        "Effect": "Allow",
        "Action": "acm-pca:IssueCertificate",
        "Resource": arn,
        "Condition": {"StringEquals": {"acm-pca:TemplateArn": templates[0] if len(templates) == 1 else templates}},
    }


def _policy(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _account(arn: str) -> str:
    return arn.split(":")[4]
