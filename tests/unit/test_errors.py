"""The tree of errors is a contract with the chart."""

from __future__ import annotations

from istio_pca import errors
from istio_pca.errors import IstioPcaError, one_line

CODES = {1, 10, 11, 12, 13, 20}


def every(kind: type[IstioPcaError]) -> set[type[IstioPcaError]]:
    return {kind}.union(*(every(below) for below in kind.__subclasses__()))


def test_one_root() -> None:
    """Every exception of the package is in the tree, so that catching the root catches all."""
    ours = {thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, Exception)}

    assert ours == every(IstioPcaError)


def test_every_class_says_how_it_ends() -> None:
    """Each has an exit code of the contract, a reason of its own in CamelCase, and a hint."""
    kinds = every(IstioPcaError)

    assert {kind.exit_code for kind in kinds} == CODES
    assert all(kind.hint and kind.reason.isalnum() for kind in kinds)
    assert len({kind.reason for kind in kinds}) == len(kinds)


def test_what_is_final_is_not_retried() -> None:
    """Config, refusal and an authority that cannot: no repetition changes them."""
    assert {kind.retriable for kind in every(IstioPcaError) if kind.exit_code in {1, 10, 11, 12}} == {False}


def test_foreign_text_is_cut() -> None:
    """What others say is put on one line, and is not quoted at length."""
    assert one_line("a\n  b\tc") == "a b c"
    assert len(one_line("x" * 10_000)) == 301
