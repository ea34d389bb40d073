"""docs/reliability.md, from tests/reliability_rows.py, which the tests carry out. tests/generated.py writes it."""

from __future__ import annotations

from pathlib import Path

from pca_emulator.faults import OPERATIONS, kinds
from reliability_rows import (
    AWS,
    BOUGHT,
    KILL_POINTS,
    KUBERNETES,
    KUBERNETES_CALLS,
    STATES,
    UNBOUGHT,
    VERDICTS,
    Fault,
)

FILE = Path(__file__).parent.parent / "docs" / "reliability.md"
USED = (
    "AssumeRoleWithWebIdentity",
    "DescribeCertificateAuthority",
    "GetCertificateAuthorityCertificate",
    "IssueCertificate",
    "GetCertificate",
)
"""The calls of a renewal, in order."""
ENDS = {
    0: "done",
    11: "11 refused",
    12: "12 the authority cannot",
    13: "13 denied",
    20: "20 later",
}
FATES = {
    "serves": "starts, and workloads trust each other",
    "unusable": "starts, and no peer believes what it signs",
    "ended": "does not start",
}


def rows() -> list[tuple[str, str, Fault]]:
    """Every fault of the emulator on every call that we make, with what is bought."""
    made = []
    for operation in USED:
        for kind in kinds(operation):
            fault = AWS[kind]
            bought = 1 if operation in UNBOUGHT else BOUGHT.get((operation, kind), fault.bought)
            made.append((operation, kind, Fault(fault.meaning, fault.once, fault.always, bought)))
    return made


def document() -> str:
    every = rows()
    lines = [
        "# What it withstands",
        "",
        "Each line here is carried out by a test; this page is written from the tests' own tables (`make generated`).",
        "Always, and at every instant: `cacerts` is absent, or as it was, or new and whole. A run that fails has changed nothing that is in force;",
        "the next one goes on where it stopped. No call is repeated after `retryFor`; one that is under way then may take its read timeout of 10 seconds more.",
        "",
        "## Killed (SIGKILL), then run again",
        "Before and after each outside call, in a folder (`tests/wire/test_killed.py`) and in a cluster (`tests/e2e/test_killed.py`).",
        "",
        "| run | points | certificates bought at each |",
        "|---|---|---|",
        *(f"| {run} | {points} | 1 |" for run, points in KILL_POINTS.items()),
        "",
        "A second one is bought only if the reply to IssueCertificate was lost *and* the next run comes more than five minutes later:",
        "ACM PCA has forgotten the idempotency token by then.",
        "",
        "## Raced",
        "Twenty at once, in a folder and on a real API server: one certificate, one Secret, twenty times exit 0 (`test_raced.py` of both suites).",
        "A run that is overtaken between its look and its journal buys nothing. Of two configs at once one wins, the other waits or says why.",
        "",
        f"## AWS: {len(every)} faults",
        "During a renewal with IRSA credentials; `tests/wire/test_fault_table.py`. The old bundle stays in force byte for byte until the new one is written.",
        "",
        "| fault | of | once | without end | certificates bought |",
        "|---|---|---|---|---|",
    ]
    for kind, fault in AWS.items():
        hit = [(operation, row) for operation, known, row in every if known == kind]
        for bought in sorted({row.bought for _, row in hit}):
            names = [operation for operation, row in hit if row.bought == bought]
            where = "every call" if len(names) == len(USED) else ", ".join(names)
            lines.append(f"| {fault.meaning} | {where} | {ENDS[fault.once]} | {ENDS[fault.always]} | {bought} |")
    assert set(OPERATIONS) >= set(USED)
    lines += [
        "",
        "Also (`tests/wire/test_faults.py`): the CA in each state but ACTIVE, disabled before and after the request, an unknown CA, no credentials, a wrong key.",
        "",
        f"## Kubernetes: {len(KUBERNETES)} faults on each of {len(KUBERNETES_CALLS)} calls",
        "During a first certificate, by a proxy in front of a real API server; `tests/e2e/test_faults.py`. One certificate is bought in every case.",
        "That istiod cannot be asked, or an Event not be written, changes nothing.",
        "",
        "| fault | once | without end |",
        "|---|---|---|",
        *(f"| {fault.meaning} | {ENDS[fault.once]} | {ENDS[fault.always]} |" for fault in KUBERNETES.values()),
        "",
        "| state of the cluster | outcome |",
        "|---|---|",
        *(f"| {state} | {ENDS[outcome]} |" for state, outcome in STATES.items()),
        "",
        "A journal that somebody deletes in mid-run takes its key with it: then two certificates are bought.",
        "",
        f"## Istio: {len(VERDICTS)} bundles",
        "Each is given to a real istiod, and a workload certificate is asked of it; `tests/e2e/test_verdicts.py`. What istiod or a workload would reject, we reject.",
        "",
        "| bundle | a real istiod | istio-pca |",
        "|---|---|---|",
        *(
            f"| {case} | {FATES[fate]} | {'accepts' if ours else 'rejects'} |"
            for case, (fate, ours) in VERDICTS.items()
        ),
        "",
    ]
    return "\n".join(lines)
