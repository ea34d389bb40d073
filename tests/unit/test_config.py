"""The config: what is accepted, and that everything wrong is told at once, by its path."""

from __future__ import annotations

import json

import pytest
from cryptography.x509.oid import NameOID

from istio_pca.config import parse
from istio_pca.errors import ConfigError
from istio_pca.target import cacerts

ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/12345678-1234-1234-1234-123456789012"


def paths(text: str) -> set[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return {problem.path for problem in caught.value.problems}


def test_the_arn_is_enough() -> None:
    """Every other key has a default."""
    config = parse(f"certificateAuthorityArn: {ARN}")

    assert (
        config.cacerts.key_algorithm,
        config.cacerts.validity,
        config.cacerts.path_length,
        config.cacerts.root_in_chain,
    ) == ("RSA_2048", "365d", 0, True)
    assert (config.gateways, config.region, config.retry_for) == ((), "eu-west-1", "210s")


def test_yaml_and_json_are_one() -> None:
    """JSON is what the chart passes, YAML what people write."""
    document = {"certificateAuthorityArn": ARN, "clusterName": "blue", "cacerts": {"keyAlgorithm": "EC_secp384r1"}}

    assert parse(json.dumps(document)) == parse(
        f"certificateAuthorityArn: {ARN}\nclusterName: blue\ncacerts:\n  keyAlgorithm: EC_secp384r1\n"
    )


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
def test_partitions(partition: str) -> None:
    """Every partition of AWS has its own ARNs."""
    arn = f"arn:{partition}:acm-pca:cn-north-1:111122223333:certificate-authority/x"

    assert parse(f"certificateAuthorityArn: {arn}").region == "cn-north-1"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("certificateAuthorityArn: arn:aws:acm:eu-west-1:111122223333:certificate/x", "certificateAuthorityArn"),
        ("certificateAuthorityArn: 5", "certificateAuthorityArn"),
        ("colour: red", "colour"),
        ("cacerts: {colour: red}", "cacerts.colour"),
        ("cacerts: {key_algorithm: RSA_2048}", "cacerts.key_algorithm"),
        ("cacerts: {keyAlgorithm: RSA_1024}", "cacerts.keyAlgorithm"),
        ("cacerts: {validity: 1 year}", "cacerts.validity"),
        ("cacerts: {validity: 0d}", "cacerts.validity"),
        ("cacerts: {validity: 99999999999999999999d}", "cacerts.validity"),
        ("cacerts: {validity: 30d, renewBefore: 30d}", "cacerts"),
        ("cacerts: {pathLength: 4}", "cacerts.pathLength"),
        ("cacerts: {pathLength: -1}", "cacerts.pathLength"),
        ("cacerts: {pathLength: true}", "cacerts.pathLength"),
        ("cacerts: {enabled: 'yes'}", "cacerts.enabled"),
        ("cacerts: {namespace: Istio_System}", "cacerts.namespace"),
        ("cacerts: {namespace: ''}", "cacerts.namespace"),
        ("cacerts: {subject: {country: Germany}}", "cacerts.subject.country"),
        (f"cacerts: {{subject: {{commonName: {'x' * 65}}}}}", "cacerts.subject.commonName"),
        ('cacerts: {subject: {organization: "a\\nb"}}', "cacerts.subject.organization"),
        ("roleArn: my-role", "roleArn"),
        ("retryFor: soon", "retryFor"),
        ("retryFor: ''", "retryFor"),
    ],
)
def test_one_problem(line: str, path: str) -> None:
    """A problem is told by the path of its key, in the names of the document."""
    text = line if line.startswith("certificateAuthorityArn") else f"certificateAuthorityArn: {ARN}\n{line}"

    assert {path} == paths(text)


def test_every_problem_at_once() -> None:
    """Nobody has to correct one key to hear of the next."""
    text = "colour: red\nretryFor: soon\ncacerts: {validity: long, pathLength: 9}"

    assert {"certificateAuthorityArn", "colour", "retryFor", "cacerts.validity", "cacerts.pathLength"} == paths(text)


@pytest.mark.parametrize("text", ["", "- 1", "just words", "{", "a: 1\na: 2", "? [a]\n: 1", "\x00", "&a [*a]"])
def test_no_document(text: str) -> None:
    """What is no mapping, or says one thing twice, is one problem of the whole document."""
    assert paths(text) <= {"(document)", "certificateAuthorityArn", "a"}


def test_a_problem_shows_what_was_given_and_what_is_allowed() -> None:
    """Without both, nobody can correct it."""
    with pytest.raises(ConfigError) as caught:
        parse(f"certificateAuthorityArn: {ARN}\nroleArn: my-role")

    (problem,) = caught.value.problems

    assert (problem.given, problem.allowed) == ("'my-role'", "must be the ARN of an IAM role, or empty")


def test_long_cluster_names_stay_apart() -> None:
    """A common name has 64 characters at most; names of clusters that differ only after that still differ in it."""
    names = {
        cacerts(parse(f"{{certificateAuthorityArn: {ARN}, clusterName: {'c' * 98}{end}}}")).subject
        for end in ("-1", "-2")
    }

    assert {64} == {len(str(name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)) for name in names}
    assert len(names) == 2
