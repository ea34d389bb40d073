"""Whatever comes in, the core answers with its own errors and values: no exception escapes, no case is forgotten."""

from __future__ import annotations

import json
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from istio_pca.bundle import assemble, read
from istio_pca.checks import problems
from istio_pca.config import Config, parse
from istio_pca.errors import ConfigError, ConfigProblem
from istio_pca.layout import CACERTS
from istio_pca.plan import decide
from istio_pca.request import key_pem
from istio_pca.secret import SPEC, Secret
from unit import pki
from unit.pki import NOW
from unit.test_plan import ARN, config, journal

GOOD = pki.bundle(pki.ladder(levels=2))
OTHER = pki.bundle(pki.ladder(levels=1))
PIECES = [b"", b"rubbish", b"\x00\xff", *GOOD.files().values(), *OTHER.files().values()]
PEMS = st.lists(st.sampled_from(PIECES), max_size=4).map(b"".join)
"""Real blocks in any order and number, and rubbish between them."""
DATA = st.dictionaries(
    st.sampled_from([*CACERTS.files, *CACERTS.misread, "other"]), PEMS | st.binary(max_size=80), max_size=8
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "certificateAuthorityArn",
    "clusterName",
    "retryFor",
    "roleArn",
    "cacerts",
    "validity",
    "subject",
    "pathLength",
    "x",
]
DOCUMENTS = st.dictionaries(st.sampled_from(KEYS), JSON | st.sampled_from([ARN, "365d", "1s", "RSA_2048"]), max_size=5)


def accepted(text: str) -> Config | tuple[ConfigProblem, ...]:
    """The config, or the problems with the text."""
    try:
        return parse(text)
    except ConfigError as error:
        return error.problems


@given(st.text() | DOCUMENTS.map(json.dumps))
@settings(max_examples=300, deadline=None)
def test_config(text: str) -> None:
    """Any text is a config, or a ConfigError that names at least one problem."""
    answer = accepted(text)

    if isinstance(answer, Config):
        assert parse(answer.model_dump_json(by_alias=True)) == answer
    else:
        assert answer


@given(DATA)
@settings(max_examples=200, deadline=None)
def test_read_and_judge(data: dict[str, bytes]) -> None:
    """Any data is a bundle or has problems; a bundle is judged without an exception, and is written as it was read."""
    bundle, defects = read(data)

    assert (bundle is None) == bool(defects)
    if bundle is not None:
        problems(bundle, NOW)
        again, _ = read(bundle.files())
        assert again == bundle


@given(PEMS, PEMS, PEMS, st.booleans())
@settings(max_examples=200, deadline=None)
def test_assemble(certificate: bytes, chain: bytes, key: bytes, root_in_chain: bool) -> None:
    """Any answer of the authority is a bundle or has problems."""
    texts = [part.decode(errors="replace") for part in (certificate, chain)]

    bundle, defects = assemble(*texts, key, root_in_chain=root_in_chain, root_before=chain)

    assert (bundle is None) == bool(defects)


@given(
    st.none() | DATA | st.just(GOOD.files()),
    st.sampled_from([None, "", "same", "other"]),
    st.booleans(),
    st.integers(-400, 4000),
    st.sampled_from(["refuse", "replace"]),
)
@settings(max_examples=200, deadline=None)
def test_decide(data: dict[str, bytes] | None, spec: str | None, pending: bool, days: int, when_foreign: str) -> None:
    """Any state of the world has one decision with a reason; and no Secret means that nothing is kept or renewed."""
    wish = config(whenForeign=when_foreign)
    notes = {} if not spec else {SPEC: wish.spec if spec == "same" else spec}
    found = None if data is None else Secret("cacerts", data, notes)

    decision = decide(wish, found, journal(key_pem(GOOD.key)) if pending else None, NOW + timedelta(days=days))

    assert decision.reason
    if found is None:
        assert type(decision).__name__ in {"Issue", "Resume", "Discard", "Wait"}
