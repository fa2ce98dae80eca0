"""What a page says of an error."""

import logging

from q2a_core.errors import Q2AError

UNEXPECTED = (
    "Something went wrong inside the workbench; the terminal it was started from shows the details."
)

log = logging.getLogger(__name__)


def explain(error: BaseException) -> str:
    """What a page says of an error: its own sentence if a user can mend it, else that the log has more."""
    if isinstance(error, Q2AError):
        return str(error)
    log.error("unexpected", exc_info=error)
    return UNEXPECTED
