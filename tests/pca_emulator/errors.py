"""An error as AWS answers it."""

from __future__ import annotations


class AwsError(Exception):
    """Becomes the HTTP answer: JSON for ACM PCA, XML for STS."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


class DroppedError(Exception):
    """The connection ends without an answer."""
