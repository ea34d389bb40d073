"""ServiceAccount tokens: whose keys they are checked with, and the check. It knows no roles and no policies.

Texts are AWS' own where public reports quote them.
"""

from __future__ import annotations

import json
import ssl
import threading
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import jwt
from jwt.types import Options

from pca_emulator.errors import ServiceError
from pca_emulator.scenario import Oidc

_ALGORITHMS: Final = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]
"""Asymmetric ones only: with HS256 a public key would be a password that all know."""
_SIGNATURE_ONLY: Final[Options] = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
"""The claims are judged here, by the injected clock and in AWS' words."""
_IN_CLUSTER: Final = "https://kubernetes.default.svc"
_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
Fetch = Callable[[], dict[str, Any]]


class Provider:
    """The IAM OIDC provider: issuer, audiences and keys, fetched when they are needed."""

    def __init__(self, audiences: tuple[str, ...], issuer: Fetch | str, jwks: Fetch) -> None:
        self.audiences = audiences
        self._issuer = issuer
        self._jwks = jwks
        self._keys: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def issuer(self) -> str:
        with self._lock:
            if not isinstance(self._issuer, str):
                self._issuer = str(_fetched(self._issuer)["issuer"])
            return self._issuer

    def key(self, kid: str | None) -> Any:
        """The key of this id; an unknown id makes the set be fetched again, as keys are rotated."""
        with self._lock:
            if kid not in self._keys:
                self._keys = {
                    each.get("kid"): jwt.PyJWK(each).key
                    for each in _fetched(self._jwks).get("keys", [])
                    if each.get("kty") in {"RSA", "EC"}
                }
            if kid not in self._keys:
                raise ServiceError(
                    "InvalidIdentityToken",
                    "Couldn't retrieve verification key from your identity provider, please reference "
                    "AssumeRoleWithWebIdentity documentation for requirements",
                )
            return self._keys[kid]

    def arn(self, partition: str, account: str) -> str:
        return f"arn:{partition}:iam::{account}:oidc-provider/{self.issuer.removeprefix('https://')}"

    def claims(self, token: str, wall: datetime, wanted: tuple[str, ...] = ()) -> dict[str, Any]:
        """The claims of a token that is genuine, of this issuer, valid now, and for a wanted audience or our own."""
        unverified = _unverified(token)
        if unverified.get("iss") != self.issuer:
            issuer = unverified.get("iss")
            raise ServiceError("InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {issuer}")
        claims = self._verified(token)
        _check_times(claims, wall)
        found = claims.get("aud", [])
        audiences = found if isinstance(found, list) else [found]  # Kubernetes sends a list
        if not any(each in (wanted or self.audiences) for each in audiences):
            raise ServiceError("InvalidIdentityToken", "Incorrect token audience")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise ServiceError("InvalidIdentityToken", "Missing a required claim: sub")
        return claims

    def _verified(self, token: str) -> dict[str, Any]:
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            claims: dict[str, Any] = jwt.decode(token, self.key(kid), algorithms=_ALGORITHMS, options=_SIGNATURE_ONLY)
        except (jwt.PyJWTError, TypeError, ValueError):
            text = "The ID Token provided could not be validated: its signature is not valid."
            raise ServiceError("InvalidIdentityToken", text) from None
        return claims


def _unverified(token: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        text = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
        raise ServiceError("InvalidIdentityToken", text) from None
    return claims


def _check_times(claims: dict[str, Any], wall: datetime) -> None:
    now = int(wall.timestamp())
    end, start = claims.get("exp"), claims.get("nbf", claims.get("iat"))
    if not isinstance(end, int) or not isinstance(claims.get("iat"), int):
        raise ServiceError("InvalidIdentityToken", "Missing a required claim: exp, iat")
    if now >= end:
        raise ServiceError(
            "ExpiredTokenException",
            f"Token expired: current date/time {now} must be before the expiration date/time {end}",
        )
    if isinstance(start, int) and start > now + 300:  # clocks differ a little
        raise ServiceError("InvalidIdentityToken", "The ID Token provided is not valid yet.")


def provider(spec: Oidc) -> Provider:
    """The provider of a scenario.

    Raises:
        ValueError: it has no source of keys, or no issuer.
    """
    if spec.from_cluster:
        fetch = _from_url(
            f"{_IN_CLUSTER}/openid/v1/jwks", str(_SERVICE_ACCOUNT / "token"), str(_SERVICE_ACCOUNT / "ca.crt")
        )
        discovery = _from_url(
            f"{_IN_CLUSTER}/.well-known/openid-configuration",
            str(_SERVICE_ACCOUNT / "token"),
            str(_SERVICE_ACCOUNT / "ca.crt"),
        )
        return Provider(spec.audiences, spec.issuer or discovery, fetch)
    if not spec.issuer:
        raise ValueError("oidc: the issuer is missing")
    if spec.jwks:
        return Provider(spec.audiences, spec.issuer, lambda: json.loads(Path(spec.jwks).read_text()))
    if spec.jwks_url:
        return Provider(spec.audiences, spec.issuer, _from_url(spec.jwks_url, spec.token_file, spec.ca_file))
    raise ValueError("oidc: one of jwks, jwksUrl and fromCluster is needed")


def _from_url(url: str, token_file: str, ca_file: str) -> Fetch:
    def fetch() -> dict[str, Any]:
        if not url.startswith(("https://", "http://")):
            raise ValueError(f"oidc: {url} is not an address of the web")
        headers = {"Accept": "application/json, application/jwk-set+json"}
        if token_file:  # read each time: the kubelet renews it
            headers["Authorization"] = f"Bearer {Path(token_file).read_text().strip()}"
        context = ssl.create_default_context(cafile=ca_file or None)
        # no proxy: the API server is in the cluster
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(urllib.request.Request(url, headers=headers), timeout=5) as answer:
            found: dict[str, Any] = json.loads(answer.read(1 << 20))
            return found

    return fetch


def _fetched(fetch: Fetch) -> dict[str, Any]:
    try:
        return fetch()
    except (OSError, ValueError) as error:
        text = f"An error occurred while reading the identity provider's keys: {type(error).__name__}"
        raise ServiceError("IDPCommunicationError", text) from None
