"""A strict emulator of AWS Private CA (ACM PCA) and of the STS calls that lead to it. See README.md.

with Emulator(Scenario(levels=3, issue_delay=0.5)) as emulator:
    client = boto3.client("acm-pca", region_name="eu-west-1")  # with emulator.environment() in os.environ
"""

from pca_emulator.emulator import Emulator
from pca_emulator.scenario import AuthoritySpec, Oidc, Role, Scenario, User
from pca_emulator.service import IssuedCertificate
from pca_emulator.world import Request

__all__ = ["AuthoritySpec", "Emulator", "IssuedCertificate", "Oidc", "Request", "Role", "Scenario", "User"]
