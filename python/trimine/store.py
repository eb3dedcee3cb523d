"""Writes stores that trimine reads: HDF5 files of embeddings, labels and ids."""
import contextlib
import os
import tempfile

import h5py
import numpy as np

from .errors import usage

CHUNK = 64 << 20  # bytes that are converted at a time


def as_array(x):
    """A numpy array of anything that has rows; of PyTorch's, float32 where numpy has no such type (bfloat16)."""
    if hasattr(x, "detach"):
        x = x.detach().cpu()
        return x.numpy() if str(x.dtype) != "torch.bfloat16" else x.float().numpy()
    return np.asanyarray(x)


def is_data(x):
    """Is it rows, in contrast to the path of a file or a list of such?"""
    if isinstance(x, (str, os.PathLike)):
        return False
    return not (isinstance(x, (list, tuple)) and x and all(isinstance(e, (str, os.PathLike)) for e in x))


def check_embeddings(x):
    x = as_array(x)
    if x.ndim != 2:
        raise usage(f"embeddings have the shape {x.shape}, need two dimensions: rows x values")
    if x.dtype.kind not in "fiu":
        raise usage(f"embeddings are of type {x.dtype}, need numbers")
    return x


def column(values, rows, what):
    """Labels or ids, one a row: whole numbers as they are, texts as UTF-8 of a fixed length."""
    values = as_array(values)
    if values.shape != (rows,):
        raise usage(f"{what} have the shape {values.shape}, need one for each of {rows} rows")
    if values.dtype.kind == "b" or values.dtype.kind in "iu":
        return values.astype(np.uint8) if values.dtype.kind == "b" else values
    if values.dtype.kind == "O" and all(isinstance(v, (str, bytes)) for v in values):
        values = np.array([v.encode() if isinstance(v, str) else v for v in values], dtype=bytes)
    if values.dtype.kind == "U":
        values = np.char.encode(values, "utf-8")
    if values.dtype.kind == "S":
        return values.astype(h5py.string_dtype("utf-8", max(1, values.dtype.itemsize)))
    if values.dtype.kind == "f" and what == "labels":
        return values  # the program takes whole ones, and names the first that is none
    raise usage(f"{what} are of type {values.dtype}, need whole numbers or texts")


@contextlib.contextmanager
def new_file(path, overwrite):
    """An h5py file that gets its name when it is whole."""
    path = os.fspath(path)
    if not overwrite and os.path.lexists(path):
        raise usage(f"'{path}' exists (overwrite=True replaces it)")
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=f".{os.path.basename(path)}.", suffix=".tmp")
    os.close(handle)
    try:
        with h5py.File(temporary, "w") as f:
            yield f
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_store(path, embeddings, labels=None, ids=None, overwrite=False):
    """Writes a store for trimine: one HDF5 file with /embeddings, and /labels and /ids where they are given.

    path -- of the file; it has this name only when it is whole
    embeddings -- rows x values: numpy, also memory-mapped, PyTorch, or nested lists; floats or integers, kept as they are
    labels -- one a row: whole numbers or texts
    ids -- one a row: whole numbers, or texts, which only this package reads
    overwrite -- replace a file that is there
    """
    x = check_embeddings(embeddings)
    named = {name: column(values, len(x), name) for name, values in (("labels", labels), ("ids", ids)) if values is not None}
    with new_file(path, overwrite) as f:
        out = f.create_dataset("embeddings", x.shape, x.dtype)
        step = max(1, CHUNK // max(1, x.itemsize * x.shape[1]))
        for first in range(0, len(x), step):
            out[first:first + step] = x[first:first + step]
        for name, values in named.items():
            f[name] = values
    return os.fspath(path)


def texts(dataset):
    """A dataset in memory; texts as str."""
    if h5py.check_string_dtype(dataset.dtype) is not None or dataset.dtype.kind == "S":
        return np.array([v.decode("utf-8", "replace") for v in np.ravel(dataset[()])], dtype=object)
    return dataset[()]
