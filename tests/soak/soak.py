#!/usr/bin/python3
"""Random jobs from a seed against the brute-force reference, to the bit.

A job is a store, options, and two or three runs of the program on them that differ in ranks, threads, tiles, kernels,
replication, memory limits, instruction sets; some are stopped or killed and go on elsewhere. What must come out is computed
once a job (judge.c on tests/support). A job that fails prints how to run it again, keeps its folder, and the others go on.
scripts/soak is how to start it.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

try:
    import compare
    import draw
    import faults
    from program import Run
except ImportError as missing:
    print(f"soak: {missing}: skipped")
    sys.exit(77)


ENOUGH = 50  # so many jobs must try everything
TRIED = ("runs in panels", "limits too small", "refusals", "stops", "kills", "resumed", "jobs of the family")


class Soak:
    """What all jobs share."""

    def __init__(self, options):
        self.options = options
        self.program, self.judge, self.shim = (os.path.realpath(p) for p in (options.program, options.judge, options.shim))
        self.folder = tempfile.mkdtemp(prefix="trimine-soak.", dir=options.folder)
        self.counts, self.lock = {}, threading.Lock()

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1


    def hollow(self):
        """What was tried too little to mean something."""
        few = [what for what in TRIED if self.counts.get(what, 0) == 0]
        return few + (["jobs with triplets"] if 2 * self.counts.get("jobs with triplets", 0) < self.options.jobs else [])


class Trial:
    """One job being run."""

    def __init__(self, soak, number):
        self.soak, self.number, self.wrong, self.runs = soak, number, [], 0
        self.folder = f"{soak.folder}/{number}"
        self.job = draw.Job(soak.options.seed, number, self.folder)
        self.checks = not self.judge_refusals()

    def judge_refusals(self):
        """Asks the reference, unless the job must be refused anyway."""
        self.expected = None
        if self.job.code in (0, 73):
            subprocess.run([self.soak.judge, self.folder], check=True, timeout=300)
            self.expected = compare.Expected(self.job)
            if self.expected.overflows() or self.expected.is_too_long():
                self.job.code = 65  # a gradient beyond float32, a set that is not to be listed
            if self.expected.family:
                self.soak.count("jobs of the family")
            if self.expected.numbers["loss"]["count"] > 0:
                self.soak.count("jobs with triplets")
        return self.job.code != 0

    def note(self, run, wrong):
        if wrong:
            self.wrong.append((run.text, run.code, run.stderr, wrong))

    def start(self, words, ranks, env):
        self.runs += 1
        self.soak.count("runs")
        return Run(self.soak.program, words, ranks, env, self.folder, f"run{self.runs}")

    def output(self, k):
        """Where run k's file goes, in a folder of its own; None where the command writes none."""
        if self.job.command == "loss" and not self.job.gradient or self.job.is_counted_only():
            return None
        os.makedirs(f"{self.folder}/out{k}", exist_ok=True)
        return f"{self.folder}/out{k}/o.h5"

    def words(self, config, path, more=()):
        return [*self.job.words(), *config["words"], *more, "--json", "--progress=never", *(["-o", path] if path else [])]

    # ---- a run that must be refused ----

    def refused(self, k, config):
        path = self.output(k)
        if self.job.spoiled == "old output":
            if path is None:
                return
            with open(path, "w") as f:
                f.write("old")
        run = self.start(self.words(config, path), config["ranks"], config["env"]).end()
        wrong = refusal_of(run, (self.job.code,))
        if path is not None:
            left = os.listdir(os.path.dirname(path))
            if left != (["o.h5"] if self.job.spoiled == "old output" else []):
                wrong.append(f"left behind: {left}")
        self.note(run, wrong)
        self.soak.count("refusals")

    # ---- a run that must give what the judge says ----

    def judged(self, run, path):
        """What is wrong with a run that should have ended well."""
        if run.hung:
            return ["it hangs"]
        if run.code != 0:
            return [f"exit code {run.code}"]
        wrong = compare.judge_run(self.job, self.expected, run, path)
        if not wrong and self.first:
            wrong = compare.differing_runs(*self.first, run, path)
        if path is not None and os.listdir(os.path.dirname(path)) != ["o.h5"]:
            wrong.append(f"left beside the output: {os.listdir(os.path.dirname(path))}")
        if not wrong and not self.first:
            self.first = (run, path)
        return wrong

    def limit(self, config):
        """--mem-per-rank below what the first run planned."""
        plan = json.loads(self.first[0].stdout)["run"].get("plan_bytes", 0) if self.first else 0
        return [f"--mem-per-rank={max(1000, int(plan * config['limit']))}B"] if plan and config["limit"] else []

    def plain(self, k, config):
        path = self.output(k)
        limit = self.limit(config)
        run = self.start(self.words(config, path, limit), config["ranks"], config["env"]).end()
        family = self.job.family
        listed = family is not None and family["emit"]
        near = family is not None and "not-near-positive" in family["filters"]
        # What a listed set takes is known when it has been counted; what is near positives, when that was counted,
        # listed and kept.
        for _ in range(4 if near else 2 if listed else 1):
            if not limit or run.code != 71:
                break
            self.soak.count("limits too small")
            wrong = refusal_of(run, (71,))
            said = re.search(r"give --mem-per-rank (\d+[KMGT])", run.stderr)
            if wrong or not said:
                self.note(run, wrong or ["does not say how much would do"])
                return
            limit = [f"--mem-per-rank={said.group(1)}"]  # then that must do
            run = self.start(self.words(config, path, limit), config["ranks"], config["env"]).end()
        self.note(run, self.judged(run, path))
        if run.code == 0 and json.loads(run.stdout)["run"].get("panels", 1) > 1:
            self.soak.count("runs in panels")

    def run(self):
        self.first = None
        for k, config in enumerate(self.job.configs):
            if self.job.code != 0:
                self.refused(k, config)
            elif "stop" in config and self.job.spec["source"] not in ("given", "packed"):
                faults.stopped(self, k, config)
            else:
                self.plain(k, config)
            if self.wrong:
                break
        if self.job.code == 0 and not self.wrong and not self.soak.options.calm:
            faults.rough(self)
        return not self.wrong


def refusal_of(run, codes):
    """What is wrong with a run that should have failed with one of these codes and one line."""
    if run.hung:
        return ["it hangs"]
    wrong = []
    if run.code not in codes:
        wrong.append(f"exit code {run.code}, not {' or '.join(map(str, codes))}")
    lines = run.stderr.count("trimine: error: ")
    if lines != 1:
        wrong.append(f"{lines} error lines, not one")
    if run.stdout.strip():  # with --json an error is an object, too
        try:
            if json.loads(run.stdout)["error"]["code"] != run.code:
                wrong.append("error.code in the JSON is another code")
        except (ValueError, KeyError, TypeError):
            wrong.append("something else than an error in JSON on standard output")
    return wrong


def run_job(soak, number):
    """True if the job passed."""
    folder = f"{soak.folder}/{number}"
    try:
        trial = Trial(soak, number)
        passed = trial.run()
    except Exception:  # a defect of this test: as loud as one of the program
        trial, passed = None, False
        trouble = traceback.format_exc()
    if passed:
        if soak.options.verbose:
            print(f"job {number} passed, {trial.runs} runs: {trial.job.describe()}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        return True
    with soak.lock:
        print(f"FAIL: job {number} of seed {soak.options.seed}: " + (trial.job.describe() if trial else trouble))
        for text, code, stderr, wrong in trial.wrong if trial else ():
            print(f"    {text}\n        exit code {code}")
            for line in wrong[:8]:
                print(f"        {line}")
            for line in [line for line in stderr.splitlines() if line.startswith("trimine")] or stderr.splitlines()[-6:]:
                print(f"        | {line}")
        print(f"    kept: {folder}\n    again: scripts/soak --seed {soak.options.seed} --only {number}"
              f"{' --calm' if soak.options.calm else ''}", flush=True)
    return False


def numbers_of(options):
    """The numbers of the jobs, as long as there is time."""
    if options.only is not None:
        yield options.only
        return
    start, number = time.monotonic(), 0
    while number < options.jobs if options.jobs is not None else time.monotonic() - start < options.hours * 3600:
        yield number
        number += 1


def run_all(soak):
    passed = failed = 0
    numbers, waiting = numbers_of(soak.options), set()
    with concurrent.futures.ThreadPoolExecutor(soak.options.workers) as pool:
        try:
            for number in numbers:
                waiting.add(pool.submit(run_job, soak, number))
                while len(waiting) > soak.options.workers:
                    done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
                    passed += sum(one.result() for one in done)
                    failed += sum(not one.result() for one in done)
            for one in waiting:
                passed += one.result()
                failed += not one.result()
        finally:
            pool.shutdown(cancel_futures=True)
    return passed, failed


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], prog="soak")
    parser.add_argument("--hours", type=float, default=1.0, help="how long (default 1)")
    parser.add_argument("--jobs", type=int, help="how many jobs, in place of --hours")
    parser.add_argument("--seed", type=int, help="which jobs (default: of the clock)")
    parser.add_argument("--only", type=int, metavar="K", help="job K alone")
    parser.add_argument("--calm", action="store_true", help="no kills at random moments, no full disks, no load")
    parser.add_argument("--workers", type=int, default=max(1, len(os.sched_getaffinity(0)) // 2), help="jobs at a time")
    parser.add_argument("--folder", help="where job folders are made (default: TMPDIR)")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for each job")
    for name in ("program", "judge", "shim"):
        parser.add_argument(f"--{name}", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.seed is None:
        options.seed = int(time.time())
    return options


def leave(number, frame):
    raise SystemExit(128 + number)


def main():
    options = parse()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, leave)
    soak = Soak(options)
    start = time.monotonic()
    print(f"seed {options.seed}, jobs in {soak.folder}", flush=True)
    with faults.surroundings(soak):
        passed, failed = run_all(soak)
    if (options.jobs or 0) >= ENOUGH and soak.hollow():
        print(f"FAIL: none, or too few, of: {', '.join(soak.hollow())}")
        failed += 1
    print(", ".join(f"{count} {what}" for what, count in sorted(soak.counts.items())))
    print(f"{time.monotonic() - start:.0f} seconds; with seed {options.seed}:")
    print(f"{passed} passed, {failed} failed")
    if failed == 0:
        shutil.rmtree(soak.folder, ignore_errors=True)
    return failed > 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
