"""Config: what the user wants, as one frozen document. The chart's `.Values.config` is this document.

Reads text, not files or the environment. Every problem is collected and reported at once, in the names of the document.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from istio_pca.errors import ConfigError, ConfigProblem, one_line

KeyAlgorithm = Literal["RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1"]
"""ACM PCA's own names. Those that istiod, Envoy and ztunnel all accept."""

ARN_PATTERN: Final = r"^arn:aws[a-z-]*:acm-pca:[a-z0-9-]+:[0-9]{12}:certificate-authority/[A-Za-z0-9-]+$"
ROLE_PATTERN: Final = r"^(arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+)?$"
DURATION_PATTERN: Final = r"^[1-9][0-9]*[smhd]$"
OPTIONAL_DURATION_PATTERN: Final = r"^([1-9][0-9]*[smhd])?$"
DNS_NAME: Final = r"^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
COUNTRY_PATTERN: Final = r"^([A-Z]{2})?$"
DNS_LABEL: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
SUBJECT_PATTERN: Final = r"^[^\x00-\x1f]*$"

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_ALLOWED: Final = {
    ARN_PATTERN: "must be the ARN of a private CA, "
    "such as arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/UUID",
    ROLE_PATTERN: "must be the ARN of an IAM role, or empty",
    DURATION_PATTERN: "must be a number with a unit s, m, h or d, such as 365d",
    OPTIONAL_DURATION_PATTERN: "must be a number with a unit s, m, h or d, or empty",
    DNS_LABEL: "must be a Kubernetes name: lower-case letters, digits and '-', at most 63",
    DNS_NAME: "must be a DNS name in lower-case letters, such as shop.example.com or *.example.com",
    COUNTRY_PATTERN: "must be two capital letters (ISO 3166), or empty",
    SUBJECT_PATTERN: "must not hold control characters",
}
_LONGEST_SHOWN: Final = 80
_LONGEST_DURATION: Final = len("3155760000s")


def duration(text: str) -> timedelta:
    """`"365d"` as a time span. The text must match DURATION_PATTERN."""
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def _short_enough(text: str) -> str:
    """A century: more cannot be written into a certificate by any CA, and larger numbers overflow dates."""
    if text and (len(text) > _LONGEST_DURATION or duration(text) > timedelta(days=36525)):
        raise ValueError("must be at most 36525d")
    return text


Duration = Annotated[str, Field(pattern=DURATION_PATTERN), AfterValidator(_short_enough)]
OptionalDuration = Annotated[str, Field(pattern=OPTIONAL_DURATION_PATTERN), AfterValidator(_short_enough)]
KubernetesName = Annotated[str, Field(pattern=DNS_LABEL)]
DnsName = Annotated[str, Field(max_length=253, pattern=DNS_NAME)]
SubjectText = Annotated[str, Field(max_length=64, pattern=SUBJECT_PATTERN)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, strict=True)


class Subject(_Document):
    """A certificate's subject (RFC 5280, appendix A: at most 64 characters each)."""

    organization: SubjectText = "Istio"
    common_name: SubjectText = Field(
        default="", description='Empty: "Istio CA <clusterName>"; of a gateway its first DNS name.'
    )
    organizational_unit: SubjectText = ""
    country: Annotated[str, Field(pattern=COUNTRY_PATTERN)] = ""
    locality: SubjectText = ""
    state_or_province: SubjectText = ""


class Cacerts(_Document):
    """The Secret `cacerts`, from which istiod signs every workload."""

    enabled: bool = True
    namespace: KubernetesName = Field(default="istio-system", description="The namespace of istiod.")
    subject: Subject = Subject()
    key_algorithm: KeyAlgorithm = "RSA_2048"
    validity: Duration = Field(default="365d", description="Life of the intermediate; cut to what the CA allows.")
    renew_before: OptionalDuration = Field(default="", description="Empty: a third of the life.")
    path_length: Annotated[int, Field(ge=0, le=3)] = Field(
        default=0, description="How many CAs may stand below the intermediate. Istio needs none."
    )
    when_foreign: Literal["refuse", "replace"] = Field(
        default="refuse", description="What to do about a cacerts that the private CA did not sign."
    )
    when_mesh_runs: Literal["refuse", "proceed"] = Field(
        default="refuse", description="What to do when the mesh trusts another root than the private CA's."
    )
    root_in_chain: bool = Field(default=True, description="cert-chain.pem ends with the root, as Istio's tooling does.")

    @model_validator(mode="after")
    def _renewal_inside_life(self) -> Cacerts:
        _must_fit(self.renew_before, self.validity)
        return self


class Gateway(_Document):
    """A TLS certificate for an Istio ingress gateway: a Secret of type kubernetes.io/tls, for its `credentialName`."""

    namespace: KubernetesName = Field(description="The namespace of the gateway's Pods.")
    secret_name: KubernetesName = Field(description="The credentialName of the Gateway.")
    dns_names: Annotated[tuple[DnsName, ...], Field(min_length=1, max_length=100, strict=False)] = Field(
        description="The names that clients ask for."
    )
    subject: Subject = Subject(organization="")
    key_algorithm: KeyAlgorithm = "EC_prime256v1"
    validity: Duration = Field(default="90d", description="Life of the certificate; cut to what the CA allows.")
    renew_before: OptionalDuration = Field(default="", description="Empty: a third of the life.")
    when_foreign: Literal["refuse", "replace"] = Field(
        default="refuse", description="What to do about a Secret of this name that istio-pca did not make."
    )

    @model_validator(mode="after")
    def _renewal_inside_life(self) -> Gateway:
        _must_fit(self.renew_before, self.validity)
        return self


def _must_fit(renew_before: str, validity: str) -> None:
    if renew_before and duration(renew_before) >= duration(validity):
        raise ValueError("renewBefore must be shorter than validity")


class Config(_Document):
    """The whole document."""

    certificate_authority_arn: Annotated[str, Field(pattern=ARN_PATTERN)] = Field(
        description="The private CA that signs. Region, partition and account are taken from it."
    )
    role_arn: Annotated[str, Field(pattern=ROLE_PATTERN)] = Field(
        default="", description="A role to assume in the account of the CA."
    )
    cluster_name: Annotated[str, Field(max_length=100, pattern=SUBJECT_PATTERN)] = Field(
        default="", description="Told apart in the subject of the intermediate: one for each cluster under one root."
    )
    cacerts: Cacerts = Cacerts()
    gateways: Annotated[tuple[Gateway, ...], Field(max_length=100, strict=False)] = Field(
        default=(), description="TLS certificates for ingress gateways."
    )
    retry_for: Duration = Field(default="210s", description="Everything transient is retried inside this window.")

    @model_validator(mode="after")
    def _one_each(self) -> Config:
        places = [f"{one.namespace}/{one.secret_name}" for one in self.gateways]
        # the Secrets in which open requests are kept
        places += [f"{self.cacerts.namespace}/cacerts", *(f"{place}-pending" for place in places)]
        places.append(f"{self.cacerts.namespace}/cacerts-pending")
        if twice := [place for place, count in Counter(places).items() if count > 1]:
            raise ValueError(f"each Secret can be asked for once, and not with -pending: {', '.join(twice)}")
        return self

    @property
    def region(self) -> str:
        return self.certificate_authority_arn.split(":")[3]


def parse(text: str) -> Config:
    """Read the document from YAML or JSON text.

    Raises:
        ConfigError: with every problem found.
    """
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 -- a SafeLoader that also refuses repeated keys
    except yaml.YAMLError as error:
        problem = ConfigProblem("(document)", _shown(text), f"must be YAML or JSON: {one_line(str(error))}")
        raise ConfigError((problem,)) from None
    if not isinstance(document, dict):
        raise ConfigError((ConfigProblem("(document)", _shown(document), "must be a mapping of config keys"),))
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError(tuple(map(_problem, error.errors(include_url=False)))) from None


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML would silently take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 -- PyYAML's signature
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def _problem(error: Any) -> ConfigProblem:
    """pydantic's words, said again in the names of the document."""
    path = ".".join(map(str, error["loc"])) or "(document)"
    match error["type"]:
        case "missing":
            return ConfigProblem(path, "nothing", "is required")
        case "extra_forbidden":
            return ConfigProblem(path, _shown(error["input"]), "is not a known key")
        case "string_pattern_mismatch":
            pattern = error["ctx"]["pattern"]
            return ConfigProblem(path, _shown(error["input"]), _ALLOWED.get(pattern, f"must match {pattern}"))
        case "value_error":
            given = error["input"] if isinstance(error["input"], str) else "both"
            return ConfigProblem(path, _shown(given), str(error["ctx"]["error"]))
        case _:
            return ConfigProblem(path, _shown(error["input"]), one_line(error["msg"]))


def _shown(value: object) -> str:
    return one_line(repr(value) if isinstance(value, str) else value, _LONGEST_SHOWN)
