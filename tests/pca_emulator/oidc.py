"""Where the keys come from with which ServiceAccount tokens are checked: a cluster, a file, or an issuer of our own."""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from pca_emulator.sts import AUDIENCE, Keys

_POD: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def from_cluster(server: str = "https://kubernetes.default.svc", pod: Path = _POD) -> Keys:
    """The keys of the cluster that this process runs in, asked anew each time: clusters rotate them."""
    context = ssl.create_default_context(cafile=str(pod / "ca.crt"))

    def get(path: str) -> Any:
        request = urllib.request.Request(  # noqa: S310 -- the API server, https
            server + path, headers={"Authorization": f"Bearer {(pod / 'token').read_text()}"}
        )
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:  # noqa: S310 -- likewise
            return json.load(answer)

    def keys() -> tuple[str, Mapping[str, Any]]:
        return get("/.well-known/openid-configuration")["issuer"], get("/openid/v1/jwks")

    return keys


def from_file(issuer: str, path: Path) -> Keys:
    return lambda: (issuer, json.loads(path.read_text()))


class TokenIssuer:
    """A cluster's token issuer, for tests without a cluster."""

    def __init__(self, issuer: str = "https://oidc.example.com/id/EXAMPLE") -> None:
        self.issuer = issuer
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def keys(self) -> tuple[str, Mapping[str, Any]]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return self.issuer, {"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]}

    def token(self, service_account: str, *, audience: str = AUDIENCE, seconds: float = 3600, **claims: Any) -> str:
        """A projected token for `namespace:name`."""
        content = {
            "iss": self.issuer,
            "sub": f"system:serviceaccount:{service_account}",
            "aud": [audience],  # Kubernetes sends a list
            "exp": int(time.time() + seconds),
            **claims,
        }
        return jwt.encode(content, self._key, algorithm="RS256", headers={"kid": "1"})
