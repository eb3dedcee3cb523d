"""Thumbnails of rows: from the rows themselves where they are pixels, or from where --images says.

A store may come from a stranger. So no file that it names is opened unless the user gives the folder in which it must lie,
and only what begins like a picture is put into the page.
"""
import os
import re

import numpy as np

from .errors import data as refuse, error
from .reading import Npy, open_hdf5, read_idx, text_of
from .rows import DATASETS, find_dataset
from .report_svg import png

LARGEST = 40000  # bytes of a file that is put into the page as it is
SIDE = 96        # pixels of a thumbnail that Pillow makes
PATHS = ("paths", "path", "files", "filenames", "image_paths")


def as_bytes(pixels):
    """Any numbers as uint8: those up to 1 as shares of white."""
    pixels = np.asarray(pixels)
    if pixels.dtype == np.uint8:
        return pixels
    pixels = np.nan_to_num(pixels.astype(np.float64))
    return np.clip(pixels * (255.0 if pixels.max(initial=0.0) <= 1.0 else 1.0) + 0.5, 0, 255).astype(np.uint8)


def smaller(pixels):
    """Every so many-th pixel of one that is larger than a thumbnail."""
    step = max(1, max(pixels.shape[:2]) // SIDE)
    return pixels[::step, ::step]


class Pixels:
    """The rows of a store of 784 pixels, as Fashion-MNIST and MNIST have them."""

    def __init__(self, store):
        self.store = store

    @classmethod
    def of(cls, store):
        """None where the rows of a store do not look like pixels."""
        if store is None or store.dim != 784 or not store.rows:
            return None
        some = np.stack([store.row(r) for r in range(min(16, store.rows))])
        return cls(store) if some.min() >= 0 and 0 < some.max() <= 255 and (some == 0).mean() > 0.05 else None

    def get(self, row):
        return png(as_bytes(self.store.row(row).reshape(28, 28))), "png"


class Stack:
    """One array of pictures: (N, H, W) or (N, H, W, 3)."""

    def __init__(self, array, path):
        if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)) or array.dtype.kind not in "uif":
            raise refuse(f"images '{path}': not an array of pictures (N x height x width, or N x height x width x 3), but of shape {array.shape}")
        self.array, self.rows = array, array.shape[0]

    def get(self, row):
        if row >= self.rows:
            return None
        pixels = as_bytes(smaller(np.asarray(self.array[row])))
        return png(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels), "png"


class Folder:
    """Picture files in a folder, by the paths that the store has."""

    def __init__(self, folder, paths):
        self.folder, self.paths = os.path.realpath(folder), paths

    def get(self, row):
        name = text_of(self.paths[row])
        path = os.path.realpath(os.path.join(self.folder, name))
        if os.path.commonpath([self.folder, path]) != self.folder or not os.path.isfile(path):
            return None
        try:
            with open(path, "rb") as f:
                data = f.read(1 << 25)
        except OSError:
            return None
        kind = "png" if data.startswith(b"\x89PNG\r\n\x1a\n") else "jpeg" if data.startswith(b"\xff\xd8\xff") else None
        if kind is None:
            return None
        return self.thumbnail(data) or ((data, kind) if len(data) <= LARGEST else None)

    @staticmethod
    def thumbnail(data):
        """By Pillow, where it is there."""
        try:
            import io
            from PIL import Image
        except ImportError:
            return None
        try:
            with Image.open(io.BytesIO(data)) as image:
                image.thumbnail((SIDE, SIDE))
                return png(np.asarray(image.convert("RGB"))), "png"
        except Exception:  # whatever a damaged picture makes of Pillow: there is no thumbnail
            return None


def open_images(path, store):
    """What --images names."""
    if not os.path.exists(path):
        raise error(66, f"images '{path}': no such file or folder")
    if os.path.isdir(path):
        paths = [p for p in (find_dataset(file.hdf5, None, PATHS, store.what, store.path) for file in store.files if file.hdf5) if p is not None] \
            if store else []
        if len(paths) != 1 or paths[0].shape != (store.rows,):
            raise refuse(f"images '{path}': a folder needs a store of one file with /paths, a path for each row")
        return Folder(path, paths[0])
    if path.endswith(".npy"):
        return Stack(Npy(path, "images"), path)
    if re.search(r"\.(h5|hdf5)$", path):
        data = find_dataset(open_hdf5(path, "images"), None, ("images", *DATASETS["embeddings"]), "images", path)
        if data is not None and data.ndim == 2 and data.shape[1] == 784:
            return Flat(data)
        if data is None:
            raise refuse(f"images '{path}': no dataset 'images'")
        return Stack(data, path)
    return Stack(read_idx(path, "images"), path)


class Flat:
    """Rows of 784 pixels that are in another file than the store."""

    def __init__(self, data):
        self.data = data

    def get(self, row):
        return (png(as_bytes(np.asarray(self.data[row]).reshape(28, 28))), "png") if row < self.data.shape[0] else None
