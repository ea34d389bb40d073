"""The IAM policy of the README is enough, and each part of it is needed: the emulator enforces it."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pca_emulator import Emulator, Scenario, User
from wire.conftest import ROOT, Cli
from wire.test_ensure import config, operations

README = (ROOT / "README.md").read_text()


def policy() -> dict[str, Any]:
    found = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    assert found
    document: dict[str, Any] = json.loads(found[1].replace('"CA_ARN"', '"*"'))
    return document


def actions(statement: dict[str, Any]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


ALL = [action for statement in policy()["Statement"] for action in actions(statement)]


def without(action: str) -> dict[str, Any]:
    document = copy.deepcopy(policy())
    for statement in document["Statement"]:
        statement["Action"] = [one for one in actions(statement) if one != action]
    document["Statement"] = [statement for statement in document["Statement"] if statement["Action"]]
    return document


def test_enough(wheel: Path, tmp_path: Path) -> None:
    """An issue and a renewal need these actions, all of them, and no other."""
    with Emulator(Scenario(keys=("EC_prime256v1",), users=(User(policy=policy()),))) as emulator:
        cli = Cli(wheel, tmp_path, emulator.environment())
        cli.result("ensure", **config(emulator))
        cli.result("ensure", **config(emulator, cacerts={"validity": "90d"}))

        assert {f"acm-pca:{name}" for name in operations(emulator)} == set(ALL)


@pytest.mark.parametrize("action", ALL)
def test_needed(wheel: Path, tmp_path: Path, action: str) -> None:
    """Without any one of them an issue or the renewal after it is denied, and the message names it."""
    with Emulator(Scenario(keys=("EC_prime256v1",), users=(User(policy=without(action)),))) as emulator:
        cli = Cli(wheel, tmp_path, emulator.environment())
        runs = [
            cli.run("ensure", config=config(emulator, retryFor="1s", cacerts={"validity": validity}))
            for validity in ("365d", "90d")
        ]

    assert 13 in {run.returncode for run in runs}
    assert action in next(run for run in runs if run.returncode == 13).stderr.splitlines()[-1]


def test_only_this_template(wheel: Path, tmp_path: Path) -> None:
    """The condition binds the role to CAs below which no CA can stand."""
    with Emulator(Scenario(keys=("EC_prime256v1",), users=(User(policy=policy()),))) as emulator:
        wish = config(emulator, retryFor="1s", cacerts={"pathLength": 1})
        failure = Cli(wheel, tmp_path, emulator.environment()).failure("ensure", **wish)

    assert (failure["exitCode"], "acm-pca:IssueCertificate" in failure["message"]) == (13, True)
