"""X.500 names: the API's ASN1Subject to a name, and back. CustomAttributes are not emulated."""

from __future__ import annotations

from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from pca_emulator.errors import not_emulated

_ATTRIBUTES: Final = {
    "Country": NameOID.COUNTRY_NAME,
    "Organization": NameOID.ORGANIZATION_NAME,
    "OrganizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "DistinguishedNameQualifier": NameOID.DN_QUALIFIER,
    "State": NameOID.STATE_OR_PROVINCE_NAME,
    "CommonName": NameOID.COMMON_NAME,
    "SerialNumber": NameOID.SERIAL_NUMBER,
    "Locality": NameOID.LOCALITY_NAME,
    "Title": NameOID.TITLE,
    "Surname": NameOID.SURNAME,
    "GivenName": NameOID.GIVEN_NAME,
    "Initials": NameOID.INITIALS,
    "Pseudonym": NameOID.PSEUDONYM,
    "GenerationQualifier": NameOID.GENERATION_QUALIFIER,
}
"""In the model's order, which is also the order in the name: that of AWS is not known here."""


def from_subject(subject: dict[str, Any]) -> x509.Name:
    if "CustomAttributes" in subject:
        raise not_emulated("CustomAttributes")
    return x509.Name([x509.NameAttribute(_ATTRIBUTES[key], subject[key]) for key in _ATTRIBUTES if subject.get(key)])


def to_subject(name: x509.Name) -> dict[str, str]:
    keys = {oid: key for key, oid in _ATTRIBUTES.items()}
    return {keys[each.oid]: str(each.value) for each in name if each.oid in keys}
