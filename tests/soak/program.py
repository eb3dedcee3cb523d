"""Starts the program, alone or under mpirun, and never leaves one behind."""
import os
import signal
import subprocess
import time

ENVIRONMENT = dict(OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_mpi_yield_when_idle="1",
                   OMPI_MCA_btl_vader_single_copy_mechanism="none", OMP_WAIT_POLICY="passive")
if os.geteuid() == 0:
    ENVIRONMENT.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
HANGS = 120  # seconds after which a run of a few milliseconds of work is one that hangs


def children_of(parents):
    """The descendants of processes: {id: command name}."""
    found, family = {}, set(parents)
    parent_of = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as f:
                    text = f.read()
            except OSError:
                continue  # it has ended meanwhile
            word, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
            parent_of[int(name)] = (int(rest[1]), word)
    grown = True
    while grown:
        grown = False
        for process, (parent, word) in parent_of.items():
            if parent in family and process not in family:
                family.add(process)
                found[process] = word
                grown = True
    return found


class Run:
    """A run that was started. Collect it with end()."""

    def __init__(self, program, words, ranks, env, folder, name):
        command = [program, *words]
        if ranks > 1:
            command = ["mpirun", "--bind-to", "none", "-n", str(ranks), *command]
        self.program, self.ranks = program, ranks
        self.out, self.err = f"{folder}/{name}.stdout", f"{folder}/{name}.stderr"
        self.text = " ".join([*(f"{k}={v}" for k, v in env.items()), *command])
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            env={**os.environ, **ENVIRONMENT, **env}, start_new_session=True)

    def over(self):
        return self.process.poll() is not None

    def rank_processes(self):
        """Ids of the ranks' processes, as far as they are there, in the order of the ranks."""
        if self.ranks == 1:
            return [] if self.over() else [self.process.pid]
        ranks = {}
        for process in children_of([self.process.pid]):
            try:
                with open(f"/proc/{process}/environ", "rb") as f:
                    words = dict(w.split(b"=", 1) for w in f.read().split(b"\0") if b"=" in w)
                if b"OMPI_COMM_WORLD_RANK" in words and os.path.realpath(f"/proc/{process}/exe") == self.program:
                    ranks[int(words[b"OMPI_COMM_WORLD_RANK"])] = process
            except OSError:
                pass
        return [ranks[r] for r in sorted(ranks)]

    def wait_for(self, paths, seconds=HANGS):
        """Until one of the files is there, or the run is over. True: it is there."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if any(os.path.exists(path) for path in paths):
                return True
            if self.over():
                return False
            time.sleep(0.005)
        return False

    def end(self):
        """Waits. A run that hangs is killed, and hung is true."""
        self.hung = False
        try:
            self.process.wait(HANGS)
        except subprocess.TimeoutExpired:
            self.hung = True
            self.kill()
        self.code = self.process.returncode
        with open(self.out, errors="replace") as f:
            self.stdout = f.read()
        with open(self.err, errors="replace") as f:
            self.stderr = f.read()
        return self

    def kill(self):
        """All of its processes, whatever they do."""
        family = [self.process.pid, *children_of([self.process.pid])]
        for process in family:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
