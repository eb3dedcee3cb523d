"""Every example of docs/PYTHON.md runs, in its order; those of two ranks under mpirun. And the package's wheel, as a user installs it."""
import os
import re
import shutil
import subprocess
import sys
import unittest

import support
import test_mpi

import trimine


def examples():
    with open(os.path.join(support.ROOT, "docs/PYTHON.md"), encoding="utf-8") as f:
        return re.findall(r"^```python\n(.*?)^```$", f.read(), re.S | re.M)


class Docs(support.Case):
    def test_examples(self):
        names, ran = {}, 0
        for text in examples():
            needs = " ".join(re.findall(r"^# needs (.*)$", text, re.M)).split()
            missing = support.lacks(*needs)
            ranks = re.search(r"^# on (\d+) ranks$", text, re.M)
            if ranks:
                missing = missing or test_mpi.LACKS
            with self.subTest(text.strip().splitlines()[0]):
                if missing:
                    self.skipTest(missing)
                ran += 1
                if ranks:
                    with open("example.py", "w", encoding="utf-8") as f:
                        f.write(text)
                    support.on_ranks(int(ranks[1]), "example.py")
                else:
                    exec(compile(text, "docs/PYTHON.md", "exec"), names)  # noqa: S102: our own page
        self.assertGreaterEqual(ran, 5)

    def test_the_page_names_what_there_is(self):
        with open(os.path.join(support.ROOT, "docs/PYTHON.md"), encoding="utf-8") as f:
            page = f.read()
        for name in trimine.__all__:
            self.assertIn(name, page)


class Wheel(support.Case):
    def run_it(self, *words, **more):
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)

    def test_wheel_in_a_clean_venv(self):
        if support.lacks("pip", "venv"):
            self.skipTest(support.lacks("pip", "venv"))
        shutil.copytree(os.path.join(support.ROOT, "python"), "source")  # a build leaves files beside its source
        made = self.run_it(sys.executable, "-m", "venv", "venv")
        if made.returncode:
            self.skipTest(f"no venv can be made: {made.stdout.strip().splitlines()[-1]}")
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        pip = ["venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--retries", "1"]
        for words in (["wheel", "--no-deps", "-w", "wheels", "./source"],
                      ["install", f"wheels/trimine-{trimine.__version__}-py3-none-any.whl[parquet]"]):
            done = self.run_it(*pip, *words, env=env)
            if done.returncode and re.search(r"No matching distribution|connection|Temporary failure|timed out", done.stdout, re.I):
                self.skipTest("pip can't reach its index")
            self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(os.listdir("wheels"), [f"trimine-{trimine.__version__}-py3-none-any.whl"])
        script = ("import trimine, numpy; r = trimine.mine(numpy.eye(6), labels=[0, 0, 0, 1, 1, 1], window='none', fallback='hardest');"
                  "assert 'venv' in trimine.__file__, trimine.__file__; print(len(r))")
        done = self.run_it("venv/bin/python", "-W", "ignore", "-c", script, env=env)
        self.assertEqual(done.stdout, "12\n")
        # Debian has no pyarrow
        done = self.run_it("venv/bin/python", "-W", "ignore", os.path.join(support.ROOT, "tests/python/test_parquet.py"), env=env)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_version_is_the_programs(self):
        said = self.run_it(os.environ["TRIMINE"], "--version").stdout
        self.assertIn(trimine.__version__, said)
        with open(os.path.join(support.ROOT, "python/pyproject.toml"), encoding="utf-8") as f:
            self.assertIn(f'version = "{trimine.__version__}"', f.read())


if __name__ == "__main__":
    support.main()
