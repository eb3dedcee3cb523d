"""What may happen to a run: stops, kills, full disks, a loaded machine."""
import contextlib
import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time

import compare
import draw


# ---- stopped or killed at a chosen moment, then on elsewhere ----


def send(run, how, victim):
    """The signal to one rank, or SIGKILL to one or all."""
    ranks = run.rank_processes()
    for process in ranks if how == "kill all" else ranks[victim:victim + 1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL if how.startswith("kill") else getattr(signal, f"SIG{how}"))


def stopped(trial, k, config):
    """A run that is held at the moment when a certain checkpoint is complete but has not got its name yet; there it is told
    to stop, or killed. Then the same job goes on with another number of ranks."""
    stop, path = config["stop"], trial.output(k)
    kept, gate, here = f"{trial.folder}/kept{k}", f"{trial.folder}/gate{k}", f"{trial.folder}/here{k}"
    os.makedirs(kept)
    more = [f"--checkpoint={kept}/c", "--checkpoint-every=1e-9", *trial.limit(config)]
    env = dict(config["env"], LD_PRELOAD=trial.soak.shim, FAULT_CALL="rename", FAULT_NTH=str(stop["at"]), FAULT_RANK="0",
               FAULT_PATH=kept, FAULT_WAIT=gate, FAULT_HERE=here)
    run = trial.start(trial.words(config, path, more), config["ranks"], env)
    held = run.wait_for([here])
    if held:
        send(run, stop["how"], stop["victim"])
    open(gate, "w").close()
    run.end()
    if run.code == 0:  # it came to its end before, or just after
        trial.soak.count("stops that came too late")
        trial.note(run, trial.judged(run, path) + left_in(kept))
        return
    if run.code == 71 and more[2:]:
        return  # the limit was too small; plain runs look at what is said then
    killed = held and stop["how"].startswith("kill")
    wrong = ["it hangs"] if run.hung else [] if killed else wrong_stop(run, kept)
    trial.note(run, wrong)
    if not wrong:
        trial.soak.count("kills" if killed else "stops")
        go_on(trial, trial.job.random, kept, path, ranks=stop["ranks"])


def wrong_stop(run, kept):
    wrong = [] if run.code == 75 else [f"exit code {run.code}, not 75"]
    if run.stderr.count("trimine: error: ") != 1:
        wrong.append("not one error line")
    if not wrong and not os.path.exists(f"{kept}/c"):
        wrong.append("no checkpoint")
    return wrong


def left_in(kept):
    names = os.listdir(kept)
    return [f"left where the checkpoint was: {names}"] if names else []


def go_on(trial, r, kept, path, more=(), ranks=None):
    """The same job again, with --resume, on other ranks and tiles."""
    there = os.path.exists(f"{kept}/c")
    config = draw.draw_config(r, trial.job.store.count, False)
    if ranks is not None and "--replicate" not in str(config["words"]):
        config["ranks"] = ranks
    words = trial.words(config, path, [f"--checkpoint={kept}/c", "--checkpoint-every=1e-9", "--resume", *more])
    run = trial.start(words, config["ranks"], config["env"]).end()
    wrong = trial.judged(run, path)
    if run.code == 0:
        wrong += left_in(kept)
    if not wrong and there and '"resumed": true' not in run.stdout:
        wrong.append("it did not go on from the checkpoint")
    if there:
        trial.soak.count("resumed")
    trial.note(run, wrong)


# ---- only in a long soak: what comes at any moment ----

OLD = b"an old output"


def rough(trial):
    """One more run of a job that passed, with trouble."""
    r = random.Random(f"{trial.soak.options.seed}/{trial.number}/rough")
    what = r.choices(("kill", "signal", "disk", "rivals", None), (30, 20, 15, 10, 25))[0]
    path = trial.output("r")
    if path is not None and r.random() < 0.6:
        with open(path, "wb") as f:
            f.write(OLD)
    if what == "disk":
        if path is not None and trial.soak.mounts:
            full_disk(trial, r)
    elif what == "rivals":
        if path is not None:
            rivals(trial, r, path)
    elif what is not None and trial.job.spec["source"] not in ("given", "packed"):
        disturbed(trial, r, what, path)


def old_or_whole(trial, path):
    """What is wrong with an output after a run that did not end well."""
    if path is None or not os.path.exists(path):
        return []
    with open(path, "rb") as f:
        if f.read() == OLD:
            return []
    try:
        return [] if compare.contents(path) == compare.contents(trial.first[1]) else ["a whole output, but not the right one"]
    except (OSError, KeyError) as problem:
        return [f"an output that is neither old nor whole: {problem}"]


def wait_until(run, event, kept):
    """Waits for something that a run does; false where it ended before."""
    deadline = time.monotonic() + 60
    while not run.over() and time.monotonic() < deadline:
        if event == "start":
            there = len(run.rank_processes()) == run.ranks
        elif event == "plan":
            with open(run.err, "rb") as f:
                there = b"plan " in f.read()
        else:
            there = bool([name for name in os.listdir(kept) if name.startswith("c")])
        if there:
            return True
        time.sleep(0.002)
    return False


def disturbed(trial, r, what, path):
    """Killed, or told to stop, once or more at random moments after an event; then on to the end."""
    kept = f"{trial.folder}/kept-rough"
    os.makedirs(kept)
    for _ in range(r.choice((1, 1, 2, 3))):
        config = draw.draw_config(r, trial.job.store.count, False)
        words = trial.words(config, path, [f"--checkpoint={kept}/c", f"--checkpoint-every={r.choice(('1e-9', '0.0005'))}", "--resume",
                                           "--overwrite"])
        run = trial.start(words, config["ranks"], config["env"])
        how = r.choice(("kill", "kill all")) if what == "kill" else r.choice(("USR1", "TERM", "INT", "USR2"))
        event = r.choice(("start", "plan", "checkpoint") if what == "kill" else ("plan", "checkpoint"))
        # A checkpoint may be there from the run before; until main() begins a signal does what the system does.
        if (what == "kill" or wait_until(run, "plan", kept)) and wait_until(run, event, kept):
            time.sleep(r.choice((0.0, 0.02, 0.2)) * r.random())
            send(run, how, r.randrange(config["ranks"]))
        run.end()
        if run.code == 0:
            trial.note(run, trial.judged(run, path))
            return
        wrong = ["it hangs"] if run.hung else old_or_whole(trial, path)
        if run.hung and what == "kill" and "plan " not in run.stderr:  # not the program's: it was still in MPI_Init
            wrong = []
            trial.soak.count("hangs of mpirun, its rank killed while MPI started")
        if what == "signal" and (how == "USR2" or run.code != 75):
            wrong.append(f"exit code {run.code} after SIG{how}")
        trial.note(run, wrong)
        trial.soak.count("kills at random moments" if what == "kill" else "signals at random moments")
        if wrong:
            return
    go_on(trial, r, kept, path, ["--overwrite"])


def rivals(trial, r, path):
    """Two jobs that write one output at the same time: each ends well or is refused, and the output is right."""
    runs = []
    for _ in range(2):
        config = draw.draw_config(r, trial.job.store.count, False)
        runs.append(trial.start(trial.words(config, path, ["--overwrite"]), config["ranks"], config["env"]))
        time.sleep(r.choice((0.0, 0.3)) * r.random())
    for run in runs:
        run.end()
        wrong = ["it hangs"] if run.hung else [] if run.code in (0, 73) else [f"exit code {run.code} beside a rival"]
        trial.note(run, wrong)
    if all(run.code != 0 for run in runs):
        trial.note(runs[0], ["neither of two rivals wrote the output"])
    for run in runs:
        if run.code == 0:
            trial.note(run, trial.judged(run, path))
    trial.soak.count("rivals refused" if any(run.code == 73 for run in runs) else "rivals that both wrote")


def full_disk(trial, r):
    """Output and checkpoint on a disk of some size, which may be too small; then on a larger one."""
    disk = f"{trial.folder}/disk"
    os.makedirs(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={r.choice((16, 32, 64, 128, 256, 512, 1024))}k", "tmpfs", disk], check=True)
    try:
        path, config = f"{disk}/o.h5", draw.draw_config(r, trial.job.store.count, False)
        os.makedirs(f"{disk}/out")
        path = f"{disk}/out/o.h5"
        with open(path, "wb") as f:
            f.write(OLD)
        keeps = trial.job.spec["source"] not in ("given", "packed")
        os.makedirs(f"{disk}/kept")
        more = ["--overwrite"] + ([f"--checkpoint={disk}/kept/c", "--checkpoint-every=1e-9", "--resume"] if keeps else [])
        run = trial.start(trial.words(config, path, more), config["ranks"], config["env"]).end()
        if run.code == 0:
            trial.note(run, trial.judged(run, path))
            return
        wrong = ["it hangs"] if run.hung else old_or_whole(trial, path)
        if run.code != 74:
            wrong.append(f"exit code {run.code}, not 74, on a full disk")
        if run.stderr.count("trimine: error: ") != 1:
            wrong.append("not one error line")
        if os.listdir(f"{disk}/out") != ["o.h5"]:
            wrong.append(f"left beside the output: {os.listdir(f'{disk}/out')}")
        trial.note(run, wrong)
        trial.soak.count("full disks")
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        if keeps and not wrong:
            go_on(trial, r, f"{disk}/kept", path, ["--overwrite"])
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def own_mounts():
    """Gives this process and its children mounts of their own, which go with them. False where it may not."""
    new_mounts = 0x00020000
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.unshare(new_mounts) == 0 and subprocess.run(["mount", "--make-rprivate", "/"], check=False).returncode == 0


def load(stopping):
    """Busy loops beside the jobs, now many, now none. Each ends by itself."""
    r = random.Random()
    loop = "import os, sys, time; end = time.time() + float(sys.argv[1]); p = os.getppid()\n" \
           "while time.time() < end and os.getppid() == p: sum(range(100000))"
    while not stopping.wait(r.uniform(0, 60)):
        seconds = r.uniform(5, 40)
        loops = [subprocess.Popen([sys.executable, "-c", loop, str(seconds)])
                 for _ in range(r.randint(1, 3 * len(os.sched_getaffinity(0))))]
        stopping.wait(seconds)
        for process in loops:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def surroundings(soak):
    """What is there during a long soak."""
    soak.mounts = False
    if soak.options.calm:
        yield
        return
    soak.mounts = own_mounts()
    if not soak.mounts:
        print("no file systems can be mounted here: no full disks", flush=True)
    stopping = threading.Event()
    thread = threading.Thread(target=load, args=(stopping,))
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
