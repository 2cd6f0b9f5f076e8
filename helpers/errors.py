"""The one error a user of the study meets: what is wrong, where, and what to do."""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: signs of a problem that are shown: a line is for a person to read
MOST_SIGNS = 1000
#: what ends a program in one line although no study is wrong: a disk that is full or closed
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


class StudyError(ValueError):
    """A problem in the user's files or parameters; its text is the whole message."""


class NotComputable(ValueError):
    """A number that these data cannot give; its text is one sentence that says why.

    Not a fault of the user's: a page shows the sentence in place of the number and goes on.
    """


def raise_all(problems: Iterable[str], heading: Path | str) -> None:
    """Raise one StudyError that lists every problem, or return when there is none.

    problems: iterable of str, one line each. heading: what was being checked.
    """
    problems = list(problems)
    if problems:
        shown = [_short(line) for line in problems[:50]]
        shown += [f"… and {len(problems) - 50} more"] * (len(problems) > 50)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise StudyError(f"{heading}: {count}\n" + "\n".join(f"  - {line}" for line in shown))


def _short(line: str) -> str:
    half = MOST_SIGNS // 2
    return f"{line[:half]} … {line[-half:]}" if len(line) > MOST_SIGNS else line


def _plain(text: str) -> str:
    """A text without the signs that a terminal obeys: they may come from anybody's file."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda sign: f"\\x{ord(sign[0]):02x}", text)


@contextmanager
def in_a_line() -> Iterator[None]:
    """End the process as every program here ends, where the block cannot go on.

    A StudyError is one message on standard error, after "error: ", and exit code 1; so is a disk
    that is full or cannot be written to, and a memory that is full.
    """
    try:
        yield
    except StudyError as error:
        sys.exit(f"error: {_plain(str(error))}")
    except OSError as error:
        if error.errno not in DISK:
            raise
        place = error.filename or f"a file, here or in {os.environ.get('TMPDIR', '/tmp')}"
        sys.exit(f"error: {place}: {error.strerror}; free it, and run again")
    except MemoryError as error:
        sys.exit(f"error: not enough memory ({error}); end other programs, and run again")


def command(main: Callable, arguments: list[str] | None = None) -> None:
    """Run a program's ``main(arguments)``, see :func:`in_a_line`."""
    with in_a_line():
        main(arguments)
