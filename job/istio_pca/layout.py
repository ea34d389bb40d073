"""Layout: under which names a Secret holds a certificate, its key, the chain and the root. It reads and writes nothing.

Source: Istio, "Plug in CA Certificates"; Istio, "Secure Gateways"; Kubernetes API reference, Secret kubernetes.io/tls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Layout:
    """One way to lay a bundle out."""

    reader: str
    """Who reads such a Secret, for messages."""
    type: str
    """Of the Secret."""
    certificate: str
    key: str
    chain: str
    """The certificate first, then each that signed the one before; may be the same file as `certificate`."""
    root: str
    misread: tuple[str, ...] = ()
    """Keys that make the reader take the Secret for another layout, or for its own."""

    @property
    def files(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys((self.certificate, self.key, self.chain, self.root)))


CACERTS: Final = Layout(
    "istiod",
    "Opaque",
    "ca-cert.pem",
    "ca-key.pem",
    "cert-chain.pem",
    "root-cert.pem",
    misread=("tls.crt", "tls.key", "ca.crt", "istio-generated"),
)
GATEWAY: Final = Layout("the gateway", "kubernetes.io/tls", "tls.crt", "tls.key", "tls.crt", "ca.crt")
