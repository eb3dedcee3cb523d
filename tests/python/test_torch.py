"""The loss of all ranks for PyTorch's autograd, and the training example."""
import os
import re
import subprocess
import unittest

import support
import test_mpi

LACKS = support.lacks("mpi4py", "torch") or test_mpi.LACKS


@unittest.skipIf(LACKS, LACKS)
class Torch(test_mpi.Data):
    def test_autograd(self):
        self.data()
        for ranks in (1, 2, 3):
            test_mpi.check(ranks, "autograd")

    def test_distributed_data_parallel(self):
        import torch
        if not torch.distributed.is_available():
            self.skipTest("this PyTorch has no torch.distributed")
        self.data()
        test_mpi.check(2, "distributed")

    def test_training_example(self):
        """As the program in C: the same losses, step by step."""
        said = support.on_ranks(2, os.path.join(support.ROOT, "tests/example/train_linear.py"))
        losses = [float(v) for v in re.findall(r"loss ([0-9.]+)", said)]
        self.assertEqual(len(losses), 7)
        self.assertLess(losses[-1], losses[0] / 2)
        example = os.path.join(os.path.dirname(os.environ["TRIMINE_LIBRARY"]), "tests", "train_linear")
        in_c = subprocess.run(["mpirun", "--bind-to", "none", "-n", "2", example], stdout=subprocess.PIPE, text=True, check=True,
                              stdin=subprocess.DEVNULL, env=dict(os.environ, OMP_NUM_THREADS="1")).stdout
        for ours, theirs in zip(losses, re.findall(r"loss ([0-9.]+)", in_c)):
            self.assertAlmostEqual(ours, float(theirs), places=3)


if __name__ == "__main__":
    support.main()
