"""Takes out of an installation what the Job never imports (`prune.py FOLDER`), and tries the rest (`prune.py --check`).

It runs while the image is built. Two kinds of weight: data and code of services and objects that we do not talk to
(listed by what is kept), and packages that only the unused half of a dependency needs (listed by name).
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

# botocore has a folder of models for each of 400 services
SERVICES = {"acm-pca", "sts"}
BOTOCORE_FILES = {"endpoints.json", "partitions.json", "sdk-default-configuration.json", "_retry.json"}
# the Kubernetes client's asyncio twin, and its typed APIs and models: cluster.py speaks plain JSON (docs/adr/0002)
KUBERNETES = ("aio", "client/api", "client/models", "client/apis")
# only kubernetes.aio needs them
PACKAGES = (
    "aiohttp",
    "aiohttp_retry",
    "aiohappyeyeballs",
    "aiosignal",
    "attr",
    "attrs",
    "frozenlist",
    "multidict",
    "propcache",
    "yarl",
)
# of no use at run time
USELESS = ("*.pyi", "*.pyx", "*.pxd", "*.h", "*.c", "tests", "examples")


def prune(folder: Path) -> None:
    for path in (folder / "botocore" / "data").iterdir():
        kept = path.name in SERVICES if path.is_dir() else path.name.removesuffix(".gz") in BOTOCORE_FILES
        if not kept:
            remove(path)
    remove(folder / "boto3" / "data")
    remove(folder / "bin")
    for name in KUBERNETES:
        remove(folder / "kubernetes" / name)
    # the client looks types up in this package by name; we ask for none, but it must be there
    models = folder / "kubernetes" / "client" / "models"
    models.mkdir()
    (models / "__init__.py").touch()
    for package in PACKAGES:
        for path in (folder / package, *folder.glob(f"{package}-*.dist-info")):
            remove(path)
    for pattern in USELESS:
        for path in list(folder.rglob(pattern)):
            remove(path)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def check() -> None:
    """Load what each path of the Job loads, up to the first packet on the network."""
    from istio_pca import __main__, cluster, config, directory, pca  # noqa: F401, PLC0415 -- only in a pruned folder

    arn = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/check"
    for service in SERVICES:
        pca._session("eu-west-1").client(service, aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106, SLF001 -- no secret: nothing is sent
    assert __main__.main(["plan", "--config", "/dev/null"]) == 10  # noqa: S101 -- python without -O runs this
    assert config.parse(f"certificateAuthorityArn: {arn}").region == "eu-west-1"  # noqa: S101 -- likewise


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        check()
    else:
        prune(Path(sys.argv[1]))
