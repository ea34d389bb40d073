"""The port SecretStore as folders: its laws, and what folders must do besides."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from istio_pca.directory import DirectorySecrets
from istio_pca.errors import ConfigError, ConflictError
from store_laws import SECRET, StoreLaws


@pytest.fixture
def store(tmp_path: Path) -> DirectorySecrets:
    return DirectorySecrets(tmp_path / "out", "istio-system")


class TestLaws(StoreLaws):
    """Of the port, on folders."""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*")}


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


def test_a_version_that_goes_while_it_is_read(store: DirectorySecrets, tmp_path: Path) -> None:
    """A reader that followed the link just before it was swapped is told to look again; no other error escapes."""
    written = store.create(SECRET)
    shutil.rmtree(tmp_path / "out" / "istio-system" / written.version)

    with pytest.raises(ConflictError):
        store.read("cacerts")
