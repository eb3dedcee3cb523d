#!/usr/bin/python3
"""How a training loop in Python uses trimine: train_linear.c, with PyTorch.

    mpirun -n 2 python3 -m mpi4py train_linear.py

A linear embedding z = W x is trained by gradient descent on the semihard triplet loss of all rows of all ranks. Every rank has
its own rows, here made up; W is the same everywhere. The loss is one number, equal on all ranks, and its gradient is that of
the problem on one process: each rank's part of dW is added up, with no factor of the number of ranks anywhere. Exit code 0 if
the loss fell to less than half. (-m mpi4py ends all ranks where one fails.)
"""
import sys

import numpy as np
import torch
from mpi4py import MPI

from trimine.torch import sum_gradients, triplet_loss

INPUTS, OUTPUTS, CLASSES, ROWS_A_RANK, STEPS = 12, 3, 6, 90, 60


def noise(counter):
    """Pseudo-random in [-1, 1): splitmix64 of counters."""
    with np.errstate(over="ignore"):
        z = (np.asarray(counter, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return (((z ^ z >> np.uint64(31)) >> np.uint64(40)).astype(np.int64) - (1 << 23)).astype(np.float32) / np.float32(1 << 23)


def make_rows(rank, count):
    """Rows of six classes: the classes differ in the first inputs, the others are louder and say nothing."""
    row, k = rank * 1000 + np.arange(count), np.arange(INPUTS)
    label = row % CLASSES
    centre = np.where(k < 4, noise(label[:, None] * INPUTS + k), np.float32(0))
    x = centre + np.where(k < 4, np.float32(0.1), np.float32(0.7)) * noise(1000 + row[:, None] * INPUTS + k)
    return torch.from_numpy(x), label


def main():
    rank = MPI.COMM_WORLD.rank
    x, label = make_rows(rank, ROWS_A_RANK + 7 * rank)  # ranks need not have the same number of rows
    w = torch.nn.Parameter(torch.from_numpy(np.float32(0.5) * noise(77777 + np.arange(OUTPUTS * INPUTS))).reshape(OUTPUTS, INPUTS))
    optimizer = torch.optim.SGD([w], lr=0.05)
    first = last = None
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = triplet_loss(x @ w.T, label, margin=0.5, window="none", fallback="farthest-inside")
        loss.backward()
        sum_gradients([w])
        optimizer.step()
        last = loss.item()
        first = last if first is None else first
        if rank == 0 and step % 10 == 0:
            print(f"step {step:3d}  loss {last:.6f}")
    if rank == 0:
        print(f"step {STEPS:3d}  loss {last:.6f}")
    return 0 if last < 0.5 * first else 1


if __name__ == "__main__":
    sys.exit(main())
