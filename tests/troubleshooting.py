"""docs/troubleshooting.md, from the classes in istio_pca.errors. tests/generated.py writes it.

What an error means and what to do stands once, in its class.
"""

from __future__ import annotations

import inspect
from pathlib import Path

from istio_pca import errors
from istio_pca.errors import IstioPcaError

FILE = Path(__file__).parent.parent / "docs" / "troubleshooting.md"
HEAD = """# When it fails

A run that fails says why in the last line of its log, in `kubectl describe pod` (the container's last state), and with
Helm 3.18 and newer in Helm's own output.
It is also an Event on the Secret: `kubectl events --namespace istio-system --for secret/cacerts`.
The line has a `reason`, which is looked up here, a `message` with what failed on what, and a `hint` for this very case.

```
kubectl logs --namespace istio-system job/istio-pca
```
"""
JOB = {
    1: "is tried again in a new Pod",
    20: "is tried again in a new Pod",
}


def classes() -> list[type[IstioPcaError]]:
    found = [thing for thing in vars(errors).values() if inspect.isclass(thing) and issubclass(thing, IstioPcaError)]
    return sorted(found, key=lambda kind: kind.exit_code)


def document() -> str:
    parts = [HEAD]
    for kind in classes():
        meaning = " ".join((kind.__doc__ or "").split())
        parts.append(
            f"## {kind.reason}\n"
            f"Exit code {kind.exit_code}; the Job {JOB.get(kind.exit_code, 'ends at once')}. {meaning}\n\n{kind.hint}\n"
        )
    return "\n".join(parts)
