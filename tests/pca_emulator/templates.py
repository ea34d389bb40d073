"""ACM PCA's certificate templates: what each puts into a certificate.

Source: AWS Private CA User Guide, "Understanding certificate templates". Templates that copy from the CSR or the API
(passthrough, blank) are left out: they are refused as unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pca_emulator.errors import AwsError

DEFAULT: Final = "EndEntityCertificate/V1"
"""What IssueCertificate uses when no template is named: a leaf."""

_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Template:
    ca: bool
    path_length: int | None = None
    purposes: tuple[x509.ObjectIdentifier, ...] = ()

    def extensions(self) -> list[tuple[x509.ExtensionType, bool]]:
        """(extension, critical), without the key identifiers."""
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=not self.ca,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=self.ca,
            crl_sign=self.ca,
            encipher_only=False,
            decipher_only=False,
        )
        made: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(self.ca, self.path_length), self.ca),
            (usage, True),
        ]
        return made + ([(x509.ExtendedKeyUsage(self.purposes), False)] if self.purposes else [])


TEMPLATES: Final = {
    DEFAULT: Template(ca=False, purposes=(_SERVER, _CLIENT)),
    "EndEntityServerAuthCertificate/V1": Template(ca=False, purposes=(_SERVER,)),
    "EndEntityClientAuthCertificate/V1": Template(ca=False, purposes=(_CLIENT,)),
    "RootCACertificate/V1": Template(ca=True),
    **{f"SubordinateCACertificate_PathLen{n}/V1": Template(ca=True, path_length=n) for n in range(4)},
}


def find(template_arn: str, partition: str) -> Template:
    """The template of this ARN; it must be of the CA's own partition."""
    match = re.fullmatch(r"arn:([a-z-]+):acm-pca:::template/(.+)", template_arn)
    if match is None or match[1] != partition or match[2] not in TEMPLATES:
        raise AwsError("InvalidArgsException", f"The template ARN {template_arn} is not valid.")
    return TEMPLATES[match[2]]


def arn(partition: str, name: str = DEFAULT) -> str:
    return f"arn:{partition}:acm-pca:::template/{name}"
