"""The port SecretStore as folders. The same laws hold in a cluster: tests/e2e/test_store.py."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from istio_pca.directory import DirectorySecrets
from istio_pca.errors import ConfigError, ConflictError
from istio_pca.secret import Secret

SECRET = Secret("cacerts", {"ca-key.pem": b"key", "ca-cert.pem": b"cert"}, {"a": "1"}, {"l": "2"})


@pytest.fixture
def store(tmp_path: Path) -> DirectorySecrets:
    return DirectorySecrets(tmp_path / "out", "istio-system")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


def test_what_is_written_is_read(store: DirectorySecrets) -> None:
    """Data, labels, annotations, type and version come back as they were."""
    written = store.create(SECRET)

    assert store.read("cacerts") == written
    assert replace(written, version="", created=None) == SECRET


def test_looking_makes_nothing(store: DirectorySecrets, tmp_path: Path) -> None:
    """Reading what is not there leaves the disk as it was."""
    assert store.read("cacerts") is None
    store.delete(SECRET)

    assert list(tmp_path.iterdir()) == []


def test_modes(store: DirectorySecrets, tmp_path: Path) -> None:
    """Nobody else can read a file, or look into a folder."""
    store.create(SECRET)

    modes = {stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "out").rglob("*") if not path.is_symlink()}

    assert modes == {0o600, 0o700}


def test_create_once(store: DirectorySecrets) -> None:
    """Of two that create, the second is told."""
    store.create(SECRET)

    with pytest.raises(ConflictError):
        store.create(SECRET)


def test_replace_only_what_was_seen(store: DirectorySecrets) -> None:
    """Whoever read an older version may not overwrite the newer."""
    first = store.create(SECRET)
    second = store.replace(replace(first, data={"ca-key.pem": b"two"}))

    with pytest.raises(ConflictError):
        store.replace(replace(first, data={"ca-key.pem": b"three"}))
    found = store.read("cacerts")

    assert found == second
    assert dict(second.data) == {"ca-key.pem": b"two"}


def test_delete_only_what_was_seen(store: DirectorySecrets) -> None:
    """A newer version is not deleted; none there is as good as deleted."""
    first = store.create(SECRET)
    second = store.replace(first)

    with pytest.raises(ConflictError):
        store.delete(first)
    store.delete(second)
    store.delete(second)

    assert store.read("cacerts") is None


def test_nothing_is_left_over(store: DirectorySecrets, tmp_path: Path) -> None:
    """An old version goes with its key; what a killed run left is swept by the next write."""
    store.replace(store.create(SECRET))
    killed = tmp_path / "out" / "istio-system" / ".cacerts.0123456789abcdef"
    (killed / "data").mkdir(parents=True)
    (killed / "data" / "ca-key.pem").write_bytes(b"half")
    (tmp_path / "out" / "istio-system" / ".cacerts.0123456789abcdef.link").symlink_to("nowhere")

    store.create(replace(SECRET, name="cacerts-pending"))

    assert {name.split(".")[1] for name in names(tmp_path / "out") if name.startswith(".")} == {
        "cacerts",
        "cacerts-pending",
    }
    assert not killed.exists()
    assert "ca-key.pem" in names(tmp_path / "out")


def test_a_folder_that_is_not_ours(store: DirectorySecrets, tmp_path: Path) -> None:
    """A folder that somebody made by hand is not replaced."""
    (tmp_path / "out" / "istio-system" / "cacerts").mkdir(parents=True)

    with pytest.raises(ConfigError):
        store.create(SECRET)


def test_a_place_that_is_no_folder(tmp_path: Path) -> None:
    """It is bad config, and is told as such."""
    (tmp_path / "out").write_text("a file")

    with pytest.raises(ConfigError):
        DirectorySecrets(tmp_path / "out", "istio-system").create(SECRET)
