"""What goes wrong through a user's hands, as one small tree of exceptions.

    Q2AError            base; also a ValueError, so that library callers can catch the usual thing
    ├── AudioError      a clip that cannot be read, or that no model input can be made of
    │   └── TooLongError    a clip beyond the model's window, which could be split
    ├── ChatError       a turn whose text, clips and placeholders disagree
    ├── CheckpointError a directory or hub id that is not a whole, known checkpoint
    ├── BackendError    a device or kernel that was asked for by name and is not there
    ├── SpeechError     the speech engine is missing or refused a voice
    └── RunError        a training run that cannot start, resume or save

Every message says what was found, what was expected and what to do. Faces print the message alone; a programmer's
mistake stays a TypeError or an AssertionError with its traceback.
"""


class Q2AError(ValueError):
    """Base of every error that a user can cause and mend."""


def in_words(error: OSError) -> str:
    """What the system refused, and where, in one line."""
    what = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        line = f"the system refused: {what}; look at free space, rights and the connection"
    else:
        line = f"{error.filename}: {what}; expected a place that can be read and written"
    return " ".join(line.split())


class AudioError(Q2AError):
    """A clip cannot be read or used."""


class TooLongError(AudioError):
    """A clip is longer than what the model hears at once; each face adds how it is asked to split it."""


class ChatError(Q2AError):
    """A dialogue's text, clips and placeholders disagree."""


class CheckpointError(Q2AError):
    """A checkpoint is missing, damaged or of another kind."""


class BackendError(Q2AError):
    """A backend or device asked for by name is not available."""


class SpeechError(Q2AError):
    """Speech cannot be synthesised as asked."""


class RunError(Q2AError):
    """A training run cannot start, resume or save."""
