"""istio-pca: Istio's intermediate CA, signed by AWS Private CA.

The story is in :mod:`istio_pca.ensure`; the rules it obeys are in :mod:`istio_pca.plan` and :mod:`istio_pca.bundle`.
"""

from typing import Final

__version__: Final = "0.1.0"
