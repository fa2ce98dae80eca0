"""What a page says of an error."""

import logging

from q2a_core.errors import Q2AError, TooLongError

UNEXPECTED = (
    "Something went wrong inside the workbench; the terminal it was started from shows the details."
)
CUT = "Cut it into clips of one turn"
"""What the switch under a long clip is called."""

log = logging.getLogger(__name__)


def explain(error: BaseException) -> str:
    """What a page says of an error: its own sentence if a user can mend it, else that the log has more."""
    if isinstance(error, TooLongError):
        return f"{error}: switch on “{CUT}” under the clip"
    if isinstance(error, Q2AError):
        return str(error)
    log.error("unexpected", exc_info=error)
    return UNEXPECTED
