"""Runs the program trimine, as one process or under mpirun, and takes what it reports."""
import json
import os
import shlex
import shutil
import signal
import subprocess
import warnings

import numpy as np

from .errors import TrimineError, usage

LAUNCHER = "mpirun --bind-to none -n"


def find():
    """The program: $TRIMINE, or trimine on the PATH."""
    named = os.environ.get("TRIMINE")
    found = shutil.which(named or "trimine")
    if found is None:
        raise TrimineError(69, "environment",
                           f"$TRIMINE is '{named}', which is no program" if named else
                           "the program trimine was not found: set $TRIMINE to its path, or put it on the PATH")
    return found


def is_one_of_many():
    """Is this process itself a rank? The program would then take itself for one, too."""
    return any(name in os.environ for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK"))


def check_word(word):
    """Can it be a word of a command line?"""
    if "\0" in word:
        raise usage("a text has a NUL in it")
    try:
        os.fsencode(word)
    except UnicodeEncodeError:
        raise usage(f"{word!r} can't be written in the encoding of file names") from None


def words_of(launcher):
    try:
        return shlex.split(launcher)
    except ValueError as error:  # a quote that does not end
        raise usage(f"launcher is {launcher!r}: {error}") from None


def command_line(ranks, launcher, arguments):
    """ranks: None for one process without a launcher. launcher: words or one text; the number of ranks follows it."""
    for word in arguments:
        check_word(word)
    if ranks is None:
        return [find(), *arguments]
    if isinstance(ranks, bool) or not isinstance(ranks, (int, np.integer)) or ranks < 1:
        raise usage(f"ranks is {ranks!r}, must be a whole number from 1")
    launcher = launcher or os.environ.get("TRIMINE_LAUNCHER") or LAUNCHER
    words = words_of(launcher) if isinstance(launcher, str) else list(launcher) if isinstance(launcher, (list, tuple)) else [launcher]
    if not all(isinstance(word, str) for word in words):
        raise usage(f"launcher is {launcher!r}, must be a text or a list of words")
    arguments = ["./:" if word == ":" else word for word in arguments]  # after a ":" mpirun takes another program
    return [*words, str(ranks), find(), *arguments]


def stop(process):
    """The job stops by itself, and writes its checkpoint if it has one. Who is asked a second time ends it."""
    process.send_signal(signal.SIGUSR1)
    try:
        process.communicate(timeout=60)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.terminate()
        process.communicate()


def output_of(command, show):
    """Runs it: its exit code and what it wrote. Ctrl-C, or whatever a signal's handler raises, stops it first.

    A terminal's Ctrl-C goes to all its processes. mpirun would kill the ranks on it before they have saved anything, so it
    starts with this signal blocked; it unblocks it for the ranks, which are in groups of their own.
    """
    before, process = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}), None
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=None if show else subprocess.PIPE, encoding="utf-8", errors="replace")
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        out, said = process.communicate()
        return process.returncode, out, said or ""
    except BaseException as error:
        if process is not None:
            stop(process)
        elif isinstance(error, OSError):
            raise TrimineError(69, "environment", f"'{command[0]}': {error.strerror}") from None
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def report_in(text):
    """The JSON object in what was written; launchers may write lines of their own before and after it."""
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if found.get("program") == "trimine" or isinstance(found.get("error"), dict):
                return found
    return None


def run(arguments, ranks=None, launcher=None, show=False):
    """Runs `trimine ARGUMENTS...` with --json and gives its report.

    show -- let what the program says meanwhile (plan, progress, warnings) through to stderr
    Warnings of the report become Python's. Raises TrimineError with the program's line.
    """
    if is_one_of_many():
        raise TrimineError(69, "environment", "this process is a rank of an MPI job, and can't start another one: "
                           "use trimine.mpi, which works on the ranks that are there")
    command = command_line(ranks, launcher, [arguments[0], "--json", *arguments[1:]])
    code, out, said = output_of(command, show)
    report = report_in(out)
    if report is not None and "error" in report:
        error = report["error"]
        raise TrimineError(error["code"], error["kind"], error["message"], error.get("rank"), error.get("host"))
    if code or report is None:
        lines = [line.strip() for line in said.splitlines() if line.strip(" -")]
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code} and no report"
        if code == 0:
            raise TrimineError(69, "environment", f"'{command[0]}' {how}: is it trimine?")
        raise TrimineError(code, "launcher", " ".join(lines[-8:]) or f"'{command[0]}' {how}")
    for warning in report.get("warnings", []):
        warnings.warn(warning, stacklevel=5)  # who called trimine.mine
    return report
