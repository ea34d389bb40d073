"""EKS Pod Identity: what a node's agent answers a Pod for its ServiceAccount token, and EKS Auth behind the agent.

Agent and EKS Auth are one here: the call between them, which the node's own role signs, is left out.
Source: EKS Auth API reference, "AssumeRoleForPodIdentity"; AWS SDKs reference, "Container credential provider".
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Final

from pca_emulator import iam, oidc
from pca_emulator.clock import Clock
from pca_emulator.errors import ServiceError
from pca_emulator.iam import Decision, Principal
from pca_emulator.identities import Identities, role_arn
from pca_emulator.scenario import Role

PATH: Final = "/v1/credentials"
OPERATION: Final = "AssumeRoleForPodIdentity"
AUDIENCE: Final = "pods.eks.amazonaws.com"
_SESSION_SECONDS: Final = 3600
_RENAMED: Final = {"InvalidIdentityToken": "InvalidTokenException", "IDPCommunicationError": "InternalServerException"}


class PodIdentity:
    """The associations of a cluster: which role a ServiceAccount has."""

    def __init__(self, known: Identities, provider: oidc.Provider | None, clock: Clock) -> None:
        self._known, self._provider, self._clock = known, provider, clock

    def credentials(self, token: str) -> tuple[Principal, dict[str, Any]]:
        """Who the Pod is now, and the answer that its SDK reads.

        Raises:
            ServiceError: not a token of this cluster for this audience, a ServiceAccount without an association,
            or a role that does not trust EKS for it.
        """
        claims = self._claims(token)
        account = claims["sub"].removeprefix("system:serviceaccount:").replace(":", "/")
        role = next((role for role in self._known.roles.values() if account in role.pod_identities), None)
        if role is None:
            text = f"No association found for service account {account}"
            raise ServiceError("ResourceNotFoundException", text, 404)
        _must_trust_eks(role, account)
        pod = claims.get("kubernetes.io", {}).get("pod", {}).get("name", "pod")
        # EKS' own form, in the 64 characters that a session name may have
        name = f"eks-cluster-{pod}"[:27] + f"-{uuid.uuid4()}"
        key, principal = self._known.open_session(role, name, _SESSION_SECONDS, self._clock.now())
        assert key.expires is not None
        return principal, {
            "AccessKeyId": key.access_key_id,
            "SecretAccessKey": key.secret_access_key,
            "Token": key.session_token,
            "AccountId": principal.account,
            "Expiration": _moment(key.expires),
        }

    def _claims(self, token: str) -> dict[str, Any]:
        if self._provider is None:
            raise ServiceError("ResourceNotFoundException", "No cluster found", 404)
        try:
            return self._provider.claims(token, self._clock.wall(), (AUDIENCE,))
        except ServiceError as error:
            raise ServiceError(_RENAMED.get(error.code, error.code), error.message) from None


def _must_trust_eks(role: Role, account: str) -> None:
    """EKS assumes the role, and tags its session with whose Pod it is."""
    namespace, _, name = account.partition("/")
    tags = {"kubernetes-namespace": namespace, "kubernetes-service-account": name}
    context = {f"aws:RequestTag/{key}": [value] for key, value in tags.items()}
    trust = [role.trust_policy or iam.pod_identity_trust_policy()]
    for action in ("sts:AssumeRole", "sts:TagSession"):
        if iam.evaluate(trust, action, role_arn(role), context, {AUDIENCE}) is not Decision.ALLOWED:
            text = f"The trust policy of {role_arn(role)} does not let {AUDIENCE} perform {action}"
            raise ServiceError("AccessDeniedException", text, 403)


def _moment(end: datetime) -> str:
    return f"{end:%Y-%m-%dT%H:%M:%SZ}"
