"""What is raised when trimine fails."""

import difflib

# Exit codes of the program, and the words that go with them.
KINDS = {64: "usage", 65: "data", 66: "no_input", 69: "environment", 70: "internal", 71: "memory", 73: "create", 74: "io", 75: "stopped",
         77: "permission"}


class TrimineError(Exception):
    """A failure of trimine: the program's one line, its exit code, and the kind that goes with the code.

    code -- 64 usage, 65 data, 66 no_input, 69 environment, 70 internal, 71 memory, 73 create, 74 io, 75 stopped,
            77 permission; another one, with the kind "launcher", where mpirun itself failed
    kind -- the word that goes with it
    rank, host -- where it happened; None where no one rank is meant
    """

    def __init__(self, code, kind, message, rank=None, host=None):
        super().__init__(message)
        self.code, self.kind, self.message, self.rank, self.host = code, kind, message, rank, host

    def __str__(self):
        where = "" if self.rank is None else f"rank {self.rank} ({self.host}): "
        return f"{where}{self.message} ({self.kind}, {self.code})"

    def __reduce__(self):
        return type(self), (self.code, self.kind, self.message, self.rank, self.host)


def error(code, message):
    """A failure found here, in Python."""
    return TrimineError(code, KINDS[code], message)


def usage(message):
    """A call that can't be right."""
    return error(64, message)


class Missing(TrimineError, AttributeError):
    """What a result would have if more were known: for hasattr and getattr with a default it has not."""


def data(message):
    """A file that can't be right."""
    return error(65, message)


def nearest(name, known):
    """", did you mean 'labels'?" of the names that there are; "" where none is near."""
    near = difflib.get_close_matches(name, sorted(known), 2)
    return f", did you mean {' or '.join(map(repr, near))}?" if near else ""
