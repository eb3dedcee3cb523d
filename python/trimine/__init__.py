"""Exact mining of hard training examples from whole embedding stores.

    import trimine
    result = trimine.mine(embeddings, labels=labels, ranks=2)
    print(result.anchor, result.positive, result.negative)

mine, loss, evaluate, knn and radius run the program trimine, on arrays or on stores, and give a Result; read reads a file
that it wrote; write_store writes one for it. trimine.mpi and trimine.torch work in this process, with the ranks of mpi4py.
docs/PYTHON.md has examples.
"""
from ._options import evaluate, knn, loss, mine, radius
from .errors import TrimineError
from .result import Result, read
from .store import write_store

__version__ = "0.1.0"
__all__ = ["NegativesDataset", "Result", "TrimineError", "TripletDataset", "evaluate", "knn", "loss", "mine", "plot", "radius", "read",
           "to_datasets", "write_store"]


def __getattr__(name):
    """What trains is imported when it is first asked for: it looks for PyTorch, which takes seconds to import. So are modules."""
    if name in ("NegativesDataset", "TripletDataset", "plot", "to_datasets"):
        from . import training
        return getattr(training, name)
    if name in ("mpi", "qrels", "torch"):
        import importlib
        return importlib.import_module(f"trimine.{name}")
    raise AttributeError(f"module 'trimine' has no attribute '{name}'")


def __dir__():
    return sorted({*globals(), *__all__})
