"""Triplet losses over the rows of all ranks, for PyTorch's autograd: trimine.mpi behind a function of tensors.

    mpirun -n 2 python train.py

    from trimine.torch import triplet_loss
    loss = triplet_loss(model(x), labels, margin=0.5)   # this rank's rows; one value, the same on all ranks
    loss.backward()                                     # exactly the gradient of the problem on one process

Each rank's backward gives the derivative of that one value by its own rows, so the gradient of shared weights is the SUM over
the ranks of what each rank gets: add them up (sum_gradients). DistributedDataParallel divides that sum by the number of ranks:
with it, call (loss * world_size).backward().
"""
from typing import TYPE_CHECKING

import numpy as np
import torch

from . import _options, mpi  # noqa: F401: the options' names, for editors

if TYPE_CHECKING:
    from typing_extensions import Unpack  # noqa: F401

_default = None


def default_run():
    """The Run of calls that name none: over MPI.COMM_WORLD, made at the first such call (collective), kept to the end."""
    global _default
    if _default is None:
        _default = mpi.Run()
    return _default


class _Loss(torch.autograd.Function):
    """A loss of tensors, each None or with a gradient. evaluate: of whether gradients are wanted, the value and the gradients."""

    @staticmethod
    def forward(ctx, run, evaluate, *tensors):
        # Whether a gradient is wanted depends on the mode and may differ between ranks without rows: any rank's wish is all's.
        wanted = run.comm.allreduce(any(ctx.needs_input_grad), mpi.MPI.LOR)
        value, gradients = evaluate(wanted)
        if wanted:
            ctx.save_for_backward(*(torch.from_numpy(g).to(t) for g, t in zip(gradients, tensors) if t is not None))
        ctx.there = [t is not None for t in tensors]
        first = tensors[0]
        return torch.tensor(value, dtype=torch.promote_types(first.dtype, torch.float32), device=first.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, of_value):
        gradients = iter(ctx.saved_tensors)
        of_tensors = []
        for there in ctx.there:
            gradient = next(gradients) if there else None
            of_tensors.append(None if gradient is None else of_value.to(gradient) * gradient)
        return (None, None, *of_tensors)


def triplet_loss(embeddings, labels=None, *, queries=None, query_labels=None, pairs=None, run=None,
                 **options: "Unpack[_options.LossOptions]"):
    """The triplet loss over the rows of all ranks, as a tensor with a gradient. Collective.

    embeddings -- this rank's rows, rows x values; ranks may have different numbers of them, also none: (0, values). Computed
                  with as float32 on the CPU; the gradient comes back in their type and on their device
    labels -- a whole number each
    queries, query_labels, pairs -- two sets, as of trimine.mpi.Run.loss: anchors are queries; both get their gradient
    run -- a trimine.mpi.Run; None: one over MPI.COMM_WORLD
    options -- as of trimine.mpi.Run.loss: metric, margin, positives, negatives, window, fallback, soft, reduction, compat, ...
    """
    run = run or default_run()
    embeddings, queries = tensor(embeddings), None if queries is None else tensor(queries)

    def evaluate(wanted):
        loss = run.loss(embeddings, labels, gradient=wanted, queries=queries, query_labels=query_labels, pairs=pairs, **options)
        return loss.value, (loss.gradient, loss.query_gradient)

    return _Loss.apply(run, evaluate, embeddings, queries)


def packed_loss(anchor, positive, negative, *, run=None, **options: "Unpack[_options.PackedOptions]"):
    """The loss on packed triplets of all ranks, as a tensor with a gradient by all three. Collective.

    anchor, positive -- this rank's rows, count x values
    negative -- count x K x values, or count x values
    options -- as of trimine.mpi.Run.packed_loss: metric, margin, negatives, soft, swap, reduction, compat, ...
    """
    run = run or default_run()
    tensors = [tensor(t) for t in (anchor, positive, negative)]

    def evaluate(wanted):
        loss = run.packed_loss(*tensors, gradient=wanted, **options)
        return loss.value, loss.gradient

    return _Loss.apply(run, evaluate, *tensors)


def tensor(values):
    return values if isinstance(values, torch.Tensor) else torch.as_tensor(values)


def sum_gradients(parameters, comm=None):
    """Adds up the gradients of shared weights over the ranks, in place: what a step needs after loss.backward(). Collective.

    Where a rank has no gradient of a parameter (it had no rows), it counts as zero.
    """
    comm = mpi.MPI.COMM_WORLD if comm is None else comm
    for parameter in parameters:
        if not parameter.requires_grad:
            continue
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        grad = parameter.grad.detach().cpu()
        total = np.array(grad if grad.dtype == torch.float64 else grad.float())
        comm.Allreduce(mpi.MPI.IN_PLACE, total, mpi.MPI.SUM)
        parameter.grad.copy_(torch.from_numpy(total))
