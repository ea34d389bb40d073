"""AWS Private CA by boto3: the adapter behind the port `PrivateCA`. With `aws_errors`, all that knows AWS.

It makes each call once; what goes wrong leaves it as one of our errors, and `ensure` retries. It decides nothing.
Source: AWS Private CA API Reference.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Final

import boto3
import botocore.config
import botocore.session

from istio_pca.authority import Authority
from istio_pca.aws_errors import translated
from istio_pca.config import Config
from istio_pca.errors import DeniedError, IstioPcaError, NoCredentialsError
from istio_pca.ports import Issued
from istio_pca.request import SigningRequest

_CONNECT_SECONDS: Final = 3.05
_READ_SECONDS: Final = 10


class AcmPca:
    """One private CA. Credentials come from boto3's ordinary chain; the region from the CA's ARN."""

    def __init__(self, config: Config) -> None:
        """Find credentials, and assume `roleArn` if there is one.

        Raises:
            NoCredentialsError: there are none at all.
            DeniedError, TransientError: STS did not give them.
        """
        self._arn = config.certificate_authority_arn
        session = _session(config.region)
        with translated("find AWS credentials"):
            if session.get_credentials() is None:
                raise NoCredentialsError("there are no AWS credentials in the environment")
        if config.role_arn:
            session = _assumed(session, config)
        self._session = session
        self._client = session.client("acm-pca")

    def describe(self) -> Authority:
        with self._asking("acm-pca:DescribeCertificateAuthority", self._arn):
            answer = self._client.describe_certificate_authority(CertificateAuthorityArn=self._arn)
            found = answer["CertificateAuthority"]
            not_after = found.get("NotAfter")
            return Authority(
                arn=self._arn,
                status=found["Status"],
                usage_mode=found.get("UsageMode", "GENERAL_PURPOSE"),
                key_algorithm=found["CertificateAuthorityConfiguration"]["KeyAlgorithm"],
                signing_algorithm=found["CertificateAuthorityConfiguration"]["SigningAlgorithm"],
                not_after=not_after.astimezone(UTC) if not_after else None,
            )

    def chain(self) -> str:
        with self._asking("acm-pca:GetCertificateAuthorityCertificate", self._arn):
            answer = self._client.get_certificate_authority_certificate(CertificateAuthorityArn=self._arn)
            return f"{answer['Certificate']}\n{answer.get('CertificateChain') or ''}"

    def issue(self, request: SigningRequest) -> str:
        with self._asking("acm-pca:IssueCertificate", self._arn):
            answer = self._client.issue_certificate(
                CertificateAuthorityArn=request.authority_arn,
                Csr=request.csr.encode(),
                SigningAlgorithm=request.signing_algorithm,
                TemplateArn=request.template_arn,
                Validity={"Type": "ABSOLUTE", "Value": request.not_after},
                IdempotencyToken=request.token,
            )
            return str(answer["CertificateArn"])

    def certificate(self, certificate_arn: str) -> Issued:
        with self._asking("acm-pca:GetCertificate", certificate_arn):
            answer = self._client.get_certificate(CertificateAuthorityArn=self._arn, CertificateArn=certificate_arn)
            return Issued(answer["Certificate"], answer["CertificateChain"])

    @contextmanager
    def _asking(self, action: str, resource: str) -> Iterator[None]:
        """As `translated`; a denial says who was denied, which is seldom who was meant."""
        try:
            with translated(action, resource):
                yield
        except DeniedError as error:
            raise DeniedError(f"{error.message}; this Pod or shell is {self._identity}", hint=error.hint) from None

    @functools.cached_property
    def _identity(self) -> str:
        """Its ARN. Asked once, and only when denied; it needs no permission."""
        try:
            with translated("sts:GetCallerIdentity"):
                return str(self._session.client("sts").get_caller_identity()["Arn"])
        except IstioPcaError:
            return "somebody whom STS does not name"


def _session(region: str, **credentials: str) -> boto3.Session:
    core = botocore.session.get_session()
    # for every client of this session, also those to STS inside botocore's credential providers:
    # each call is made once, since two retry policies would multiply, and none hangs for long
    core.set_config_variable("max_attempts", 1)
    core.set_default_client_config(botocore.config.Config(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS))
    return boto3.Session(botocore_session=core, region_name=region, **credentials)


def _session_name(config: Config) -> str:
    """CloudTrail shows it: which cluster. At most 64 of the characters that STS takes."""
    return re.sub(r"[^\w+=,.@-]", "-", f"istio-pca-{config.cluster_name}", flags=re.ASCII)[:64].rstrip("-")


def _assumed(session: boto3.Session, config: Config) -> boto3.Session:
    with translated("sts:AssumeRole", config.role_arn):
        answer = session.client("sts").assume_role(RoleArn=config.role_arn, RoleSessionName=_session_name(config))
        given = answer["Credentials"]
        return _session(
            config.region,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )
