"""Policy: what AWS must allow for exactly this config, as documents. It grants nothing and asks nobody.

Source: AWS Private CA User Guide, "Resource-based policies" and "Actions, resources, and condition keys";
IAM User Guide, "Roles for OpenID Connect".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from istio_pca.authority import template_arn
from istio_pca.config import Config
from istio_pca.target import targets

Document = dict[str, Any]

READING = ("DescribeCertificateAuthority", "GetCertificate", "GetCertificateAuthorityCertificate")
SERVICE_ACCOUNTS = ("istio-pca", "istio-pca-renewal")
"""Of the chart, when its release is called istio-pca."""
PROVIDER = "arn:aws:iam::ACCOUNT:oidc-provider/OIDC_PROVIDER"
"""To be filled in where none is given."""


def documents(config: Config, provider: str, service_accounts: Sequence[str]) -> dict[str, Document]:
    """By name: `permissions` and `trust` of the role, and what else its account makes needed.

    `provider` is the ARN of the IAM OIDC provider of the cluster, `service_accounts` are "NAMESPACE/NAME".
    """
    made = {"permissions": permissions(config), "trust": _trust(provider, service_accounts)}
    if config.role_arn:
        made["assume"] = _policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": config.role_arn})
    account = _account(provider)
    if provider != PROVIDER and account != _account(config.certificate_authority_arn) and not config.role_arn:
        made["share"] = _share(config, account)
    return made


def as_hcl(made: Mapping[str, Document]) -> str:
    """For Terraform: locals, each the JSON of one document (an HCL expression may be written as JSON)."""
    body = "\n".join(f"  istio_pca_{name} = jsonencode({json.dumps(one, indent=2)})" for name, one in made.items())
    return f"locals {{\n{body}\n}}"


def as_cloudformation(made: Mapping[str, Document]) -> Document:
    """A fragment with the role. The share is another account's, and CloudFormation has no type for a CA's policy."""
    # where a role of the CA's account is assumed, that one has the permissions
    name = "assume" if "assume" in made else "permissions"
    inline = [{"PolicyName": f"istio-pca-{name}", "PolicyDocument": made[name]}]
    role = {"AssumeRolePolicyDocument": made["trust"], "Policies": inline}
    return {"Resources": {"IstioPcaRole": {"Type": "AWS::IAM::Role", "Properties": role}}}


def permissions(config: Config) -> Document:
    """What the role that asks ACM PCA needs: the wanted templates of one CA, and to read what they give."""
    arn = config.certificate_authority_arn
    reading = sorted(f"acm-pca:{action}" for action in READING)
    return _policy(_issuing(config), {"Effect": "Allow", "Action": reading, "Resource": arn})


def _trust(provider: str, service_accounts: Sequence[str]) -> Document:
    """Who may be the role: these ServiceAccounts of this cluster, and nobody else."""
    issuer = provider.partition(":oidc-provider/")[2]
    subjects = [f"system:serviceaccount:{one.replace('/', ':')}" for one in service_accounts]
    return _policy(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subjects}},
        }
    )


def _share(config: Config, account: str) -> Document:
    """The policy of the CA itself, for another account; a RAM share with the same permissions writes the like."""
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
