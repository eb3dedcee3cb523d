"""What the tests of the Python package share. They need numpy and h5py; what else is missing is skipped, with the reason."""
import importlib.util
import os
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

    def same(self, a, b):
        np.testing.assert_array_equal(a, b)


def main():
    """unittest's; exit code 77, which is ctest's word for it, where all was skipped."""
    done = unittest.main(module="__main__", exit=False, verbosity=1).result
    for test, why in done.skipped:
        print(f"skipped: {test}: {why}")
    if not done.wasSuccessful() or done.testsRun == 0:
        sys.exit(1)
    sys.exit(77 if len(done.skipped) == done.testsRun else 0)
