"""Secrets as folders of files: an adapter behind the port `SecretStore`, for laptops, demos and other tools.

`DIR/<namespace>/<name>/` holds one file for each key, mode 0600. The folder is a symbolic link that is swapped in one
step, so that it is seen whole or not at all, whenever the process dies. It decides nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from istio_pca.errors import ConfigError, ConfigProblem, ConflictError
from istio_pca.ports import Announcement
from istio_pca.secret import Secret

_FILES: Final = "data"
_NOTES: Final = "notes.json"


class DirectorySecrets:
    """The Secrets of one namespace, as folders below `folder`."""

    def __init__(self, folder: Path, namespace: str) -> None:
        """Nothing is made before the first write: looking changes nothing."""
        self._folder = folder / namespace

    def read(self, name: str) -> Secret | None:
        version = self._version(name)
        if not version:
            return None
        stored = self._folder / version
        try:
            notes = json.loads((stored / _NOTES).read_text())
            data = {file.name: file.read_bytes() for file in sorted((stored / _FILES).iterdir())}
        except FileNotFoundError:  # another run swapped the link after we followed it
            raise ConflictError(f"{self._folder / name} was changed by another run") from None
        return Secret(
            name=name,
            data=data,
            annotations=notes["annotations"],
            labels=notes["labels"],
            type=notes["type"],
            version=version,
            created=datetime.fromisoformat(notes["created"]),
        )

    def announce(self, news: Announcement) -> None:
        """Nobody watches a folder."""

    def latest_news(self, about: str) -> Announcement | None:
        return None

    def mesh_root(self) -> bytes:
        """A copy of the ConfigMap may lie there; in a folder there is no mesh that would have put it there."""
        try:
            return (self._folder / "istio-ca-root-cert" / "root-cert.pem").read_bytes()
        except OSError:
            return b""

    def create(self, secret: Secret) -> Secret:
        return self._write(replace(secret, version=""))

    def replace(self, secret: Secret) -> Secret:
        return self._write(secret)

    def delete(self, secret: Secret) -> None:
        if not self._version(secret.name):
            return  # before the lock, which would make the folder
        with self._locked():
            present = self._version(secret.name)
            if not present:
                return
            self._must_be(secret, present)
            (self._folder / secret.name).unlink()
            shutil.rmtree(self._folder / present)

    def _write(self, secret: Secret) -> Secret:
        with self._locked():
            self._sweep()
            present = self._version(secret.name)
            self._must_be(secret, present)
            version = f".{secret.name}.{secrets.token_hex(8)}"
            created = datetime.now(UTC)
            self._lay_down(secret, self._folder / version, created)
            link = self._folder / f"{version}.link"
            link.symlink_to(Path(version) / _FILES)
            link.replace(self._folder / secret.name)  # the one step: before it the old, after it the new
            _sync(self._folder)
            if present:
                shutil.rmtree(self._folder / present)
        return replace(secret, version=version, created=created)

    def _lay_down(self, secret: Secret, place: Path, created: datetime) -> None:
        (place / _FILES).mkdir(mode=0o700, parents=True)
        place.chmod(0o700)
        notes = {
            "type": secret.type,
            "created": created.isoformat(),
            "labels": dict(secret.labels),
            "annotations": dict(secret.annotations),
        }
        _write_file(place / _NOTES, json.dumps(notes, indent=2).encode())
        for name, content in secret.data.items():
            _write_file(place / _FILES / name, content)
        _sync(place / _FILES)

    def _version(self, name: str) -> str:
        """The name of the folder that the link leads to; empty if there is none."""
        try:
            return (self._folder / name).readlink().parts[0]
        except FileNotFoundError:
            return ""
        except OSError:
            raise _bad_folder(self._folder / name, "must not be there, or be made by istio-pca") from None

    def _must_be(self, secret: Secret, present: str) -> None:
        """Only what has been seen may be changed."""
        if present != secret.version:
            raise ConflictError(f"{self._folder / secret.name} was changed by another run")

    def _sweep(self) -> None:
        """Remove what a killed run left beside the links: it was never seen as a Secret, and may hold a key."""
        used = {
            link.readlink().parts[0]
            for link in self._folder.iterdir()
            if link.is_symlink() and not link.name.startswith(".")
        }
        for rest in self._folder.glob(".*.*"):
            if rest.is_symlink():
                rest.unlink()
            elif rest.is_dir() and rest.name not in used:
                shutil.rmtree(rest)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the folder. The kernel lets the lock go when the process dies, so that none is left behind.

        Raises:
            ConfigError: the folder cannot be made or written.
        """
        descriptor = -1
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._folder, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise _bad_folder(self._folder, f"must be a folder that can be written: {error.strerror}") from None
        finally:
            if descriptor >= 0:
                os.close(descriptor)


def _bad_folder(path: Path, allowed: str) -> ConfigError:
    return ConfigError((ConfigProblem("--output-dir", str(path), allowed),))


def _write_file(path: Path, content: bytes) -> None:
    """With mode 0600 from its first instant, and on the disk before it is linked to."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
