"""The one error that leaves the emulator as an answer of AWS. It knows no HTTP and no wire format."""

from __future__ import annotations


class ServiceError(Exception):
    """An AWS error: its code and message as AWS writes them."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def not_emulated(what: str) -> ServiceError:
    """What AWS has and the emulator has not. A code of its own, so that nobody takes it for an answer of AWS."""
    return ServiceError("NotEmulatedException", f"{what}: AWS has it, this emulator has not.")
