"""What istiod serves, Pod by Pod: an adapter behind the port `Mesh`. It compares and decides nothing.

Source: Istio, "Ports used by Istio" (15012); Kubernetes API reference, EndpointSlice v1 discovery.
"""

from __future__ import annotations

import socket
import ssl
from typing import Final

from cryptography import x509

from istio_pca.errors import TransientError, one_line
from istio_pca.kube import Namespace
from istio_pca.ports import Replica

_PORT: Final = 15012
_SECONDS: Final = 3.05
_LABELS: Final = "app=istiod"
"""Of istiod's Service, whatever its revision; its EndpointSlices bear the labels of the Service."""


class IstiodReplicas:
    """The Pods of istiod in one namespace, of every revision."""

    def __init__(self, namespace: Namespace) -> None:
        self._space = namespace

    def replicas(self) -> tuple[Replica, ...]:
        # by name: with two address families a Pod stands in two slices
        found = {
            (endpoint.get("targetRef") or {}).get("name", address): address
            for slice_ in self._space.listed("endpointslices", labels=_LABELS)
            for endpoint in slice_.get("endpoints") or []
            if (endpoint.get("conditions") or {}).get("ready") is not False
            for address in endpoint["addresses"][:1]
        }
        return tuple(Replica(name, address) for name, address in sorted(found.items()))

    def serves(self, replica: Replica) -> x509.Certificate:
        # nothing is sent or believed on this connection: which key signed the certificate is what is asked
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        name = f"istiod.{self._space.name}.svc"
        try:
            with (
                socket.create_connection((replica.address, _PORT), timeout=_SECONDS) as connection,
                context.wrap_socket(connection, server_hostname=name) as tls,
            ):
                return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
        except (OSError, ValueError) as error:
            raise TransientError(f"{replica.name} does not answer on {_PORT}: {one_line(error)}") from None
