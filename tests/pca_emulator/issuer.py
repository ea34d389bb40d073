"""A stand-in for a cluster's issuer of ServiceAccount tokens, for tests without a cluster."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from pca_emulator import keys

_LIFE: Final = 3600


class Issuer:
    """Signs RS256, as a cluster does. The key is made when it is first needed."""

    url = "https://oidc.emulator.test/cluster"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: list[rsa.RSAPrivateKey] = []

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one stays in the set."""
        key = keys.generate("RSA_2048")
        assert isinstance(key, rsa.RSAPrivateKey)
        with self._lock:
            self._keys.append(key)

    def jwks(self) -> dict[str, Any]:
        with self._lock:
            public = [json.loads(RSAAlgorithm.to_jwk(key.public_key())) for key in self._keys]
        return {"keys": [{**each, "kid": f"key-{n}", "use": "sig", "alg": "RS256"} for n, each in enumerate(public)]}

    def token(self, subject: str, wall: datetime, **claims: Any) -> str:
        if not self._keys:
            self.rotate()
        now = int(wall.timestamp())
        content = {
            "iss": self.url,
            "sub": f"system:serviceaccount:{subject.replace('/', ':')}",
            "aud": ["sts.amazonaws.com"],
            "iat": now,
            "nbf": now,
            "exp": now + _LIFE,
            **claims,
        }
        return jwt.encode(content, self._keys[-1], algorithm="RS256", headers={"kid": f"key-{len(self._keys) - 1}"})
