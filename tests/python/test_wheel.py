"""The package's wheel, as a user installs it in a clean virtual environment, with pyarrow, which Debian has not: there the tests of
Parquet run, by the wheel. Skipped where pip can't reach its index."""
import os
import re
import shutil
import subprocess
import sys
import unittest

import support

import trimine

LACKS = support.lacks("pip", "venv")
# What pip says where it gets no answer; "No matching distribution" alone may as well be a wrong name.
UNREACHABLE = r"connection broken|NewConnectionError|Temporary failure in name resolution|timed out|Max retries exceeded|Cannot connect to proxy"


@unittest.skipIf(LACKS, LACKS)
class Wheel(support.Case):
    def run_it(self, *words, **more):
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)

    def test_wheel_in_a_clean_venv(self):
        shutil.copytree(os.path.join(support.ROOT, "python"), "source")  # a build leaves files beside its source
        made = self.run_it(sys.executable, "-m", "venv", "venv")
        if made.returncode:
            self.skipTest(f"no venv can be made: {made.stdout.strip().splitlines()[-1]}")
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        pip = ["venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--retries", "1"]
        for words in (["wheel", "--no-deps", "-w", "wheels", "./source"],
                      ["install", f"wheels/trimine-{trimine.__version__}-py3-none-any.whl[parquet]"]):
            done = self.run_it(*pip, *words, env=env)
            if done.returncode and ("PIP_NO_INDEX" in env or re.search(UNREACHABLE, done.stdout, re.I)):
                self.skipTest("pip can't reach its index: the wheel, and stores of Parquet files, are not tested")
            self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(os.listdir("wheels"), [f"trimine-{trimine.__version__}-py3-none-any.whl"])
        script = ("import trimine, numpy; r = trimine.mine(numpy.eye(6), labels=[0, 0, 0, 1, 1, 1], window='none', fallback='hardest');"
                  "assert 'venv' in trimine.__file__, trimine.__file__; print(len(r))")
        done = self.run_it("venv/bin/python", "-W", "ignore", "-c", script, env=env)
        self.assertEqual(done.stdout, "12\n")
        self.parquet(env)

    def parquet(self, env):
        """Debian has no pyarrow. The tests lie where no package is beside them, so that they take the wheel's."""
        os.makedirs("alone/tests/python")
        for name in ("support.py", "test_parquet.py"):
            shutil.copy(os.path.join(support.ROOT, "tests/python", name), "alone/tests/python")
        done = self.run_it("venv/bin/python", "-W", "ignore", "alone/tests/python/test_parquet.py", env=env)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertNotIn("skipped", done.stdout)
        self.assertIn("Ran ", done.stdout)


if __name__ == "__main__":
    support.main()
