"""The laws of the port SecretStore. They hold for folders (tests/unit) and for the API server (tests/e2e) alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from istio_pca.errors import ConflictError
from istio_pca.ports import Announcement, SecretStore
from istio_pca.secret import Secret

SECRET = Secret("cacerts", {"ca-key.pem": b"key\x00\xff", "ca-cert.pem": b"cert"}, {"a/b": "1"}, {"l": "2"})


class StoreLaws:
    """To be inherited where a fixture `store` gives an empty store."""

    def test_what_is_written_is_read(self, store: SecretStore) -> None:
        """Data, labels, annotations, type and version come back as they were."""
        assert store.read("cacerts") is None

        written = store.create(SECRET)

        assert store.read("cacerts") == written
        assert replace(written, version="", created=None) == SECRET

    def test_create_once(self, store: SecretStore) -> None:
        """Of two that create, the second is told."""
        store.create(SECRET)

        with pytest.raises(ConflictError):
            store.create(SECRET)

    def test_replace_only_what_was_seen(self, store: SecretStore) -> None:
        """Whoever read an older version may not overwrite the newer; nor make anew what was deleted."""
        first = store.create(SECRET)
        second = store.replace(replace(first, data={"ca-key.pem": b"two"}))

        with pytest.raises(ConflictError):
            store.replace(replace(first, data={"ca-key.pem": b"three"}))
        assert store.read("cacerts") == second
        assert dict(second.data) == {"ca-key.pem": b"two"}
        store.delete(second)
        with pytest.raises(ConflictError):
            store.replace(second)

    def test_news_are_told_or_not(self, store: SecretStore) -> None:
        """However long they are, and told twice at once: no exception, and no Secret is touched."""
        kept = store.create(SECRET)
        news = Announcement("cacerts", "Issued", "x" * 5000, datetime.now(UTC))

        store.announce(news)
        store.announce(news)

        assert store.read("cacerts") == kept

    def test_delete_only_what_was_seen(self, store: SecretStore) -> None:
        """A newer version is not deleted; none there is as good as deleted."""
        first = store.create(SECRET)
        second = store.replace(replace(first, data={"ca-key.pem": b"two"}))

        with pytest.raises(ConflictError):
            store.delete(first)
        store.delete(second)
        store.delete(second)

        assert store.read("cacerts") is None
