"""What the tests of the Python package share. They need numpy and h5py; what else is missing is skipped, with the reason."""
import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "python"))
os.environ["OMPI_MCA_ess_singleton_isolated"] = "1"  # one process without mpirun starts no daemon of its own


def lacks(*modules):
    """Why a test can't run; an empty text where it can."""
    return ", ".join(f"no {m}" for m in modules if importlib.util.find_spec(m) is None)


def on_ranks(ranks, *words):
    """Runs a Python script under mpirun, or $TRIMINE_LAUNCHER; what it said."""
    env = dict(os.environ, PYTHONPATH=os.path.join(ROOT, "python"), OMP_NUM_THREADS="1")
    launcher = os.environ.get("TRIMINE_LAUNCHER", "mpirun --bind-to none -n").split()
    done = subprocess.run([*launcher, str(ranks), sys.executable, "-m", "mpi4py", *words], env=env,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    if done.returncode:
        raise AssertionError(f"{words} on {ranks} ranks: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


class Case(unittest.TestCase):
    """A scratch folder that is the current one, and its files."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="trimine-test-python-")
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        self.folder = folder.name
        os.chdir(folder.name)

    def rows(self, rows=60, dim=5, classes=4, seed=1):
        x = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
        return x, np.arange(rows) % classes

    @contextlib.contextmanager
    def refused(self, code, text):
        """What is done inside ends in a TrimineError of one line."""
        from trimine import TrimineError
        with self.assertRaisesRegex(TrimineError, text) as caught:
            yield
        self.assertEqual(caught.exception.code, code)
        self.assertNotIn("\n", caught.exception.message)

    def same(self, a, b):
        np.testing.assert_array_equal(a, b)


def main():
    """unittest's; exit code 77, which is ctest's word for it, where all was skipped."""
    done = unittest.main(module="__main__", exit=False, verbosity=1).result
    for test, why in done.skipped:
        print(f"skipped: {test}: {why}")
    if not done.wasSuccessful() or done.testsRun == 0:
        sys.exit(1)
    whole = [test for test, _ in done.skipped if not isinstance(test, unittest.case._SubTest)]  # a part of a test that is skipped (subTest) is not all of it
    sys.exit(77 if len(whole) == done.testsRun else 0)
