"""Runs the program trimine, as one process or under mpirun, and takes what it reports."""
import json
import os
import shlex
import shutil
import signal
import subprocess
import warnings

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


def command_line(ranks, launcher, arguments):
    """ranks: None for one process without a launcher. launcher: words or one text; the number of ranks follows it."""
    if ranks is None:
        return [find(), *arguments]
    if isinstance(ranks, bool) or not isinstance(ranks, int) or ranks < 1:
        raise usage(f"ranks is {ranks!r}, must be a whole number from 1")
    launcher = launcher or os.environ.get("TRIMINE_LAUNCHER") or LAUNCHER
    words = shlex.split(launcher) if isinstance(launcher, str) else list(launcher)
    return [*words, str(ranks), find(), *arguments]


def finish(process):
    """Its output. Ctrl-C stops the job, which writes its checkpoint if it has one, before it ends this call."""
    with process:  # waits, and closes what is open
        try:
            return process.communicate()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGUSR1)
            try:
                process.communicate(timeout=60)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                process.terminate()
            raise


def report_in(text):
    """The JSON object in what was written; launchers may write lines of their own before and after it."""
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                return json.loads(line)
            except ValueError:
                pass
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
    try:
        process = subprocess.Popen(command, env=dict(os.environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=None if show else subprocess.PIPE, encoding="utf-8", errors="replace")
    except OSError as error:
        raise TrimineError(69, "environment", f"'{command[0]}': {error.strerror}") from None
    out, said = finish(process)
    report = report_in(out)
    if report is not None and "error" in report:
        error = report["error"]
        raise TrimineError(error["code"], error["kind"], error["message"], error.get("rank"), error.get("host"))
    if process.returncode or report is None:
        lines = [line.strip() for line in (said or "").splitlines() if line.strip(" -")]
        raise TrimineError(process.returncode, "launcher", " ".join(lines[-8:]) or
                           f"'{command[0]}' ended with code {process.returncode} and no report")
    for warning in report.get("warnings", []):
        warnings.warn(warning, stacklevel=4)
    return report
