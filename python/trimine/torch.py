"""Triplet losses over the rows of all ranks, for PyTorch's autograd: trimine.mpi behind a function of tensors.

    mpirun -n 2 python train.py

    from trimine.torch import triplet_loss
    loss = triplet_loss(model(x), labels, margin=0.5)   # this rank's rows; one value, the same on all ranks
    loss.backward()                                     # exactly the gradient of the problem on one process

Each rank's backward gives the derivative of that one value by its own rows, so the gradient of shared weights is the SUM over
the ranks of what each rank gets: add them up (sum_gradients). DistributedDataParallel divides that sum by the number of ranks:
with it, call (loss * world_size).backward().
"""
import numpy as np
import torch

from . import mpi

_default = None


def default_run():
    """The Run of calls that name none: over MPI.COMM_WORLD, made at the first such call (collective), kept to the end."""
    global _default
    if _default is None:
        _default = mpi.Run()
    return _default


class _TripletLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, embeddings, queries, run, options):
        # Whether a gradient is wanted depends on the mode and may differ between ranks without rows: any rank's wish is all's.
        wanted = run.comm.allreduce(bool(ctx.needs_input_grad[0] or ctx.needs_input_grad[1]), mpi.MPI.LOR)
        loss = run.loss(embeddings, gradient=wanted, queries=queries, **options)
        ctx.two_sets = queries is not None
        if wanted:
            gradients = [torch.from_numpy(loss.gradient).to(embeddings)]
            if ctx.two_sets:
                gradients.append(torch.from_numpy(loss.query_gradient).to(queries))
            ctx.save_for_backward(*gradients)
        return torch.tensor(loss.value, dtype=torch.promote_types(embeddings.dtype, torch.float32), device=embeddings.device)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, of_value):
        of_rows, *of_queries = (of_value.to(g) * g for g in ctx.saved_tensors)
        return of_rows, of_queries[0] if of_queries else None, None, None


def triplet_loss(embeddings, labels=None, *, queries=None, query_labels=None, pairs=None, run=None, **options):
    """The triplet loss over the rows of all ranks, as a tensor with a gradient. Collective.

    embeddings -- this rank's rows, rows x values; ranks may have different numbers of them, also none: (0, values). Computed
                  with as float32 on the CPU; the gradient comes back in their type and on their device
    labels -- a whole number each
    queries, query_labels, pairs -- two sets, as of trimine.mpi.Run.loss: anchors are queries; both get their gradient
    run -- a trimine.mpi.Run; None: one over MPI.COMM_WORLD
    options -- as of trimine.mpi.Run.loss: metric, margin, positives, negatives, window, fallback, soft, reduction, ...
    """
    options.update(labels=labels, query_labels=query_labels, pairs=pairs)
    return _TripletLoss.apply(embeddings, queries, run or default_run(), options)


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
