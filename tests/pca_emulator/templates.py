"""Certificate templates: what ACM PCA puts into a certificate whatever the CSR says.

Source: AWS Private CA User Guide, "Understanding certificate templates". The passthrough variants are not emulated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pca_emulator.errors import ServiceError, not_emulated

DEFAULT: Final = "EndEntityCertificate/V1"
"""A leaf! IssueCertificate without TemplateArn makes no CA."""


@dataclass(frozen=True)
class Template:
    name: str
    is_ca: bool
    path_length: int | None
    extended_key_usage: tuple[x509.ObjectIdentifier, ...] = ()

    def extensions(self) -> list[tuple[x509.ExtensionType, bool]]:
        """What the template sets, each with its criticality; SKI, AKI and SAN come from elsewhere."""
        constraints = x509.BasicConstraints(ca=self.is_ca, path_length=self.path_length)
        found: list[tuple[x509.ExtensionType, bool]] = [(constraints, self.is_ca), (self._key_usage(), True)]
        if self.extended_key_usage:
            found.append((x509.ExtendedKeyUsage(self.extended_key_usage), False))
        return found

    def _key_usage(self) -> x509.KeyUsage:
        return x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=self.is_ca,
            crl_sign=self.is_ca,
            key_encipherment=not self.is_ca,
            content_commitment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )


_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
ROOT: Final = Template("RootCACertificate/V1", is_ca=True, path_length=None)
_TEMPLATES: Final = {
    template.name: template
    for template in (
        ROOT,
        *(Template(f"SubordinateCACertificate_PathLen{n}/V1", is_ca=True, path_length=n) for n in range(4)),
        Template(DEFAULT, is_ca=False, path_length=None, extended_key_usage=(_SERVER, _CLIENT)),
        Template("EndEntityServerAuthCertificate/V1", False, None, (_SERVER,)),
        Template("EndEntityClientAuthCertificate/V1", False, None, (_CLIENT,)),
    )
}
_OTHERS_OF_AWS: Final = re.compile(
    r"(RootCACertificate_APIPassthrough"
    r"|SubordinateCACertificate_PathLen[0-3]_(API|CSR|APICSR)Passthrough"
    r"|BlankSubordinateCACertificate_PathLen[0-3]_(API|CSR|APICSR)Passthrough"
    r"|EndEntity(ClientAuth|ServerAuth)?Certificate_(API|CSR|APICSR)Passthrough"
    r"|BlankEndEntityCertificate_(CriticalBasicConstraints_)?(API|CSR|APICSR)Passthrough"
    r"|(CodeSigning|OCSPSigning)Certificate(_(API|CSR|APICSR)Passthrough)?)/V1"
)


def subordinate(path_length: int) -> Template:
    return _TEMPLATES[f"SubordinateCACertificate_PathLen{path_length}/V1"]


def default_arn(partition: str) -> str:
    return f"arn:{partition}:acm-pca:::template/{DEFAULT}"


def find(template_arn: str, partition: str) -> Template:
    """The template of this ARN, which must be in the CA's own partition.

    Raises:
        ServiceError: there is none. AWS' code and text are not known here: ValidationException is assumed.
    """
    prefix, _, name = template_arn.partition("template/")
    if prefix != f"arn:{partition}:acm-pca:::" or (name not in _TEMPLATES and not _OTHERS_OF_AWS.fullmatch(name)):
        raise ServiceError("ValidationException", f"The template ARN {template_arn} is not valid.")
    if name not in _TEMPLATES:
        raise not_emulated(f"The template {name}")
    return _TEMPLATES[name]
