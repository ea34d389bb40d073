"""Issuing: from the private CA to a new Secret, by way of the journal.

These are the steps, each with its calls. It does not decide that they are taken: `ensure` does.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import datetime

import tenacity
from cryptography import x509

from istio_pca.authority import Authority
from istio_pca.bundle import Bundle, assemble, certificates, signed_by
from istio_pca.checks import describe, judged
from istio_pca.errors import AuthorityError, ConflictError, RefusedError, RequestRejectedError
from istio_pca.journal import Journal
from istio_pca.plan import renew_at
from istio_pca.ports import PrivateCA, World
from istio_pca.request import SigningRequest, key_pem, new_csr, new_key
from istio_pca.secret import Secret
from istio_pca.target import Target


class Issuing:
    """One run's dealings with the private CA, each call by the run's retry policy."""

    def __init__(self, target: Target, world: World, call: tenacity.Retrying) -> None:
        self._target, self._store, self._world, self._call = target, world.store, world, call
        self._log = world.log

    def _now(self) -> datetime:
        return self._world.clock.now()

    @functools.cached_property
    def _private_ca(self) -> PrivateCA:
        return self._call(self._world.connect)

    @functools.cached_property
    def _chain(self) -> list[x509.Certificate]:
        """The private CA's own certificate and those above it, the root last: asked once, whoever wants it."""
        private_ca = self._private_ca
        with self._log.phase("describe"):
            found = certificates(self._call(private_ca.chain).encode())
        if not found or not signed_by(found[-1], found[-1]):
            raise AuthorityError("the chain that ACM PCA gives for the private CA does not end with a root")
        return found

    def describe(self, present: Bundle | None) -> Authority:
        """Ask about the CA, before anything is bought: can it sign, and has it the root that the mesh trusts?"""
        private_ca = self._private_ca
        with self._log.phase("describe"):
            authority: Authority = self._call(private_ca.describe)
        if self._target.signs_workloads:
            trusted = present.root_pem if present else self._call(self._store.mesh_root)
            if trusted and self._target.when_mesh_runs == "refuse":
                _must_trust(trusted, self._chain[-1])
        return authority

    def signed(self, bundle: Bundle) -> bool:
        """Whether the private CA itself signed it."""
        return list(bundle.path[1:]) == self._chain

    def latest_end(self, authority: Authority) -> tuple[datetime, str]:
        return authority.latest_end(self._target.validity, self._now())

    def draft(self, authority: Authority, csr: str) -> SigningRequest:
        """The request under this authority; that its life had to be cut is told."""
        end, warning = self.latest_end(authority)
        if warning:
            self._log.warning(warning)
        template = authority.template_arn(self._target.template)
        return SigningRequest(authority.arn, template, authority.signing_algorithm, csr, int(end.timestamp()))

    def open(self, authority: Authority, found: Secret | None) -> Journal:
        """Write down the key and the whole request, so that every later run can send the same.

        There can be only one journal: who holds it looks once more whether a run that has ended since made it needless.
        """
        key = new_key(self._target.key_algorithm)
        request = self.draft(authority, new_csr(key, self._target))
        journal = Journal(self._target.name, request, key_pem(key), self._target.spec)
        with self._log.phase("journal"):
            stored = self._call(self._store.create, journal.to_secret())
            now = self._call(self._store.read, self._target.name)
            if (now and now.version) != (found and found.version):
                self._call(self._store.delete, stored)
                raise ConflictError(f"the Secret {self._target} was written by another run")
            return Journal.from_secret(stored)

    def finish(self, found: Secret | None, journal: Journal) -> tuple[Bundle, Secret]:
        """From an open request to the Secret, in place of what was found; the journal goes."""
        ours = found if found and found.ours else None
        try:
            journal = self._issue(journal)
            bundle = self._fetch(journal, ours)
        except RequestRejectedError:
            self._call(self._store.delete, journal.to_secret())  # or every later run would meet the same answer
            raise
        secret = journal.fulfilled(bundle, renew_at(self._target, bundle), ours)
        with self._log.phase("write"):
            self._write(secret, found)
            self._call(self._store.delete, journal.to_secret())
        return bundle, secret

    def _write(self, secret: Secret, found: Secret | None) -> None:
        if found and found.type != secret.type:
            # the type of a Secret cannot be changed; killed here, the next run finds none and the journal
            self._call(self._store.delete, found)
            found = None
        if found:
            self._call(self._store.replace, replace(secret, version=found.version))
        else:
            self._call(self._store.create, secret)

    def _issue(self, journal: Journal) -> Journal:
        if journal.certificate_arn:
            return journal
        with self._log.phase("issue"):
            arn = self._call(self._private_ca.issue, journal.request)
            return Journal.from_secret(self._call(self._store.replace, journal.issued_as(arn).to_secret()))

    def _fetch(self, journal: Journal, found: Secret | None) -> Bundle:
        """Wait for the certificate, and let nothing through that istiod or a workload would refuse."""
        with self._log.phase("wait"):
            issued = self._call(self._private_ca.certificate, journal.certificate_arn)
        target = self._target
        root_before = found.data.get(target.layout.root, b"") if found else b""
        with self._log.phase("verify"):
            taken = assemble(
                issued.certificate,
                issued.chain,
                journal.key,
                root_in_chain=target.root_in_chain,
                root_before=root_before,
                layout=target.layout,
            )
            bundle, defects = judged(taken, self._now(), target.dns_names)
            if bundle is None or defects:
                raise RequestRejectedError(
                    f"the certificate {journal.certificate_arn} fails the checks: {describe(defects)}"
                )
            if root_before and target.when_mesh_runs == "refuse":
                _must_trust(root_before, bundle.path[-1])
        return bundle


def _must_trust(trusted: bytes, root: x509.Certificate) -> None:
    """Raise RefusedError unless the mesh, which trusts the roots in `trusted` (PEM), trusts this one."""
    roots = certificates(trusted)
    if root not in roots:
        names = " and ".join(one.subject.rfc4514_string() for one in roots) or "something unreadable"
        raise RefusedError(
            f"the mesh trusts {names}, not the private CA's root {root.subject.rfc4514_string()}: workloads signed "
            "under the one would not believe those signed under the other",
            hint="Name a private CA under the present root, or let every workload trust the new root first. If nothing "
            "is lost (no istiod or workload runs), set config.cacerts.whenMeshRuns=proceed and restart what runs.",
        )
