"""The command line's grammar, and where the config comes from. It runs nothing."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from istio_pca import __version__
from istio_pca.config import Config, parse
from istio_pca.errors import ConfigError, ConfigProblem

CONFIG_VARIABLE: Final = "ISTIO_PCA_CONFIG"
_HINT: Final = f"Put it into the variable {CONFIG_VARIABLE}, or name a file: --config FILE."


class _Parser(argparse.ArgumentParser):
    """Wrong arguments are bad config, with its exit code: argparse's own 2 would be tried again in a new Pod."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError((ConfigProblem("arguments", " ".join(sys.argv[1:]) or "none", message),))


def command_line(verbs: Mapping[str, str]) -> argparse.ArgumentParser:
    """The parser; `verbs` are names with their help."""
    common = _Parser(add_help=False)
    common.add_argument("--config", metavar="FILE", help=f"the config (default: the variable {CONFIG_VARIABLE})")
    common.add_argument(
        "--kubeconfig", metavar="FILE", help="the cluster (default: the Pod's own, then ~/.kube/config)"
    )
    common.add_argument("--context", help="the context of the kubeconfig")
    common.add_argument("--output-dir", metavar="DIR", help="keep Secrets as folders of files there, not in a cluster")
    common.add_argument("--output", choices=("text", "json"), default="text", help="form of the result")
    parser = _Parser(prog="istio-pca", description="Istio's intermediate CA, signed by AWS Private CA.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    below = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Parser)
    for name, text in verbs.items():
        one = below.add_parser(name, help=text, description=text, parents=[common])
        if name == "policy":
            _of_policy(one)
    return parser


def _of_policy(parser: argparse.ArgumentParser) -> None:
    trusted = parser.add_mutually_exclusive_group()
    trusted.add_argument(
        "--oidc-provider",
        metavar="ARN",
        type=_provider,
        help="the IAM OIDC provider of the cluster (default: to be filled in)",
    )
    trusted.add_argument(
        "--pod-identity", metavar="ACCOUNT", type=_account, help="EKS Pod Identity in this account, instead of IRSA"
    )
    parser.add_argument(
        "--format",
        choices=("json", "hcl", "cloudformation"),
        default="json",
        help="json: the documents; hcl: locals for Terraform; cloudformation: a fragment with the role",
    )
    parser.add_argument(
        "--service-account",
        metavar="NAMESPACE/NAME",
        type=_service_account,
        action="append",
        help="who may assume the role; may be repeated (default: those of the chart)",
    )


def _provider(text: str) -> str:
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/\S+", text):
        raise argparse.ArgumentTypeError("must be the ARN of an IAM OIDC provider")
    return text


def _account(text: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", text):
        raise argparse.ArgumentTypeError("must be the 12 digits of an AWS account")
    return text


def _service_account(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9.-]+", text):
        raise argparse.ArgumentTypeError("must be NAMESPACE/NAME")
    return text


def config_of(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Config:
    """The config that they name.

    Raises:
        ConfigError: there is none, or it cannot be used.
    """
    if arguments.config:
        try:
            return parse(Path(arguments.config).read_text())
        except (OSError, UnicodeDecodeError) as error:
            problem = ConfigProblem("--config", arguments.config, f"must be a text file that can be read: {error}")
            raise ConfigError((problem,)) from None
    if not environment.get(CONFIG_VARIABLE):
        raise ConfigError((ConfigProblem("(document)", "nothing", "is required"),), hint=_HINT)
    return parse(environment[CONFIG_VARIABLE])
