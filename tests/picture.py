"""docs/status.svg: what `istio-pca status` prints on a terminal, of two Secrets that are made here."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from istio_pca.bundle import Bundle, pem
from istio_pca.checks import judged
from istio_pca.config import parse
from istio_pca.ports import Announcement
from istio_pca.proof import NOBODY, Proof
from istio_pca.secret import AUTHORITY, CERTIFICATE, SPEC, VERSION, Secret
from istio_pca.status import Status
from istio_pca.target import Target, targets
from unit import pki
from unit.pki import DAY, NOW

FILE = Path(__file__).parent.parent / "docs" / "status.svg"
CA = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/8257d2cf-84c0-4a93-9949-c05deac26241"
SHOP = "shop.internal.example.com"
CONFIG = f"""
certificateAuthorityArn: {CA}
clusterName: blue
gateways: [{{namespace: istio-ingress, secretName: shop-credential, dnsNames: [{SHOP}]}}]
"""


def document() -> str:
    """One SVG, the same each time; no font is fetched from elsewhere."""
    console = Console(record=True, width=126, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(_printed()))
    picture = console.export_svg(title="istio-pca status", unique_id="status")
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    picture = picture.replace("<svg ", '<svg xml:space="preserve" ', 1)  # some viewers drop spaces at the beginning
    return "".join(f"{line.rstrip()}\n" for line in picture.strip().splitlines())


def _printed() -> str:
    mesh, shop = targets(parse(CONFIG))
    root, authority = _issuers()
    chain = (root, authority)
    own = pki.new_key("RSA-2048")
    signed = pki.sign("Istio CA blue", own, authority, path_length=0, begins=NOW - 90 * DAY, ends=NOW + 275 * DAY)
    bundle = Bundle(signed, own, (signed, authority.certificate, root.certificate), pem(root.certificate))
    served = pki.server(chain, (SHOP,), begins=NOW - 80 * DAY, ends=NOW + 10 * DAY)
    renewed = Announcement("cacerts", "Renewed", "as asked; confirmed by 3 istiod", NOW - timedelta(minutes=12))
    denied = "acm-pca:IssueCertificate: not authorized. What is there holds until 2026-12-04 12:00Z"
    late = Announcement("shop-credential", "Denied", denied, NOW - timedelta(minutes=12), warning=True)
    return "\n\n".join(
        (
            _status(mesh, bundle, "b22c7a79c93bb9add2892af9ff91409e", Proof(confirmed=True, replicas=3), renewed),
            _status(shop, served, "5d0ae1c6f13b47b1a0a4c2f0e9b7d813", NOBODY, late),
        )
    )


def _issuers() -> tuple[pki.Issuer, pki.Issuer]:
    key, below = pki.new_key("RSA-4096"), pki.new_key("RSA-2048")
    root = pki.Issuer(pki.sign("Example Root CA", key, ends=NOW + 20 * 365 * DAY), key)
    return root, pki.Issuer(pki.sign("Example Mesh CA", below, root, path_length=1, ends=NOW + 5 * 365 * DAY), below)


def _status(target: Target, bundle: Bundle, number: str, proof: Proof, news: Announcement) -> str:
    notes = {AUTHORITY: CA, CERTIFICATE: f"{CA}/certificate/{number}", VERSION: "0.1.0", SPEC: target.spec}
    read, problems = judged((bundle, ()), NOW, target.dns_names)
    assert read == bundle
    found = Secret(target.name, bundle.files(), notes)
    return Status(target, found, bundle, problems, proof, NOW, news).text(colour=True)
