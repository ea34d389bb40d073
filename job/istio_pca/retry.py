"""Retry: the one policy, with one deadline for all calls of a run together. Only `ensure` uses it.

Adapters say what passes (`retriable`); nothing is classified here. See docs/adr/0003.
"""

from __future__ import annotations

from typing import Final

import tenacity

from istio_pca.errors import IstioPcaError, NotIssuedYetError, TransientError
from istio_pca.ports import World

POLL_FIRST: Final = 0.2
"""Seconds: ACM PCA issues within the second as a rule."""
POLL_LONGEST: Final = 3.0


def retrying(world: World) -> tenacity.Retrying:
    """The one retry policy: what passes is retried with jitter, until the deadline of all calls together."""
    polling = tenacity.wait_exponential(multiplier=POLL_FIRST, exp_base=1.3, max=POLL_LONGEST)
    backing_off = tenacity.wait_random_exponential(multiplier=0.5, max=6)

    def error(state: tenacity.RetryCallState) -> BaseException | None:
        return state.outcome.exception() if state.outcome else None

    def wait(state: tenacity.RetryCallState) -> float:
        failure = error(state)
        if isinstance(failure, NotIssuedYetError):
            return polling(state)
        # the jitter comes on top: many that were told the same must not come back at the same instant
        return backing_off(state) + (failure.retry_after if isinstance(failure, TransientError) else 0.0)

    def worth_another_try(error: BaseException) -> bool:
        return isinstance(error, IstioPcaError) and error.retriable

    def report(state: tenacity.RetryCallState) -> None:
        failure = error(state)
        if failure and not isinstance(failure, NotIssuedYetError):
            world.log.retry(failure, state.upcoming_sleep)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(worth_another_try),
        wait=wait,
        stop=lambda state: world.clock.monotonic() + state.upcoming_sleep > world.deadline,
        sleep=world.clock.sleep,
        before_sleep=report,
        reraise=True,
    )
