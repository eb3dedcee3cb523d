"""Writes the inputs of command-line tests; their folder is the first argument of the script that imports this."""
import sys

import h5py

folder = sys.argv[1]


def write(name, **datasets):
    """FOLDER/NAME.h5 with these datasets; "__" in a dataset's name stands for "/"."""
    with h5py.File(f"{folder}/{name}.h5", "w") as f:
        for dataset, values in datasets.items():
            f[dataset.replace("__", "/")] = values
