"""What may happen to a run: stops, kills, full disks, a loaded machine."""
import contextlib
import os
import signal
import time

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
        go_on(trial, k, config, stop, kept, path)


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


def go_on(trial, k, config, stop, kept, path):
    """The same job again, with --resume, on other ranks and tiles."""
    there = os.path.exists(f"{kept}/c")
    other = draw.draw_config(trial.job.random, trial.job.store.count, False)
    more = [f"--checkpoint={kept}/c", "--checkpoint-every=1e-9", "--resume"]
    run = trial.start(trial.words(other, path, more), stop["ranks"] if "--replicate" not in str(other["words"]) else other["ranks"],
                      other["env"]).end()
    wrong = trial.judged(run, path)
    if run.code == 0:
        wrong += left_in(kept)
    if not wrong and there and '"resumed": true' not in run.stdout:
        wrong.append("it did not go on from the checkpoint")
    if there:
        trial.soak.count("resumed")
    trial.note(run, wrong)


# ---- only in a long soak ----


def rough(trial):
    pass


@contextlib.contextmanager
def surroundings(soak):
    yield
