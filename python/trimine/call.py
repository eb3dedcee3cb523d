"""What the commands have in common: Python's values become the program's words, arrays become files for as long as it runs."""
import inspect
import json
import os
import re
import tempfile
from functools import partial, wraps

import h5py
import numpy as np

from . import program
from .errors import TrimineError, nearest, usage
from .result import Result
from .rows import Rows, Store, queries_of
from .store import PATHS, as_array, is_data, not_written, paths_of, write_store

# Where a command writes, and under which option; these are files of the package's own where the caller names none.
OUTPUTS = {"mine": "output", "loss": "output", "knn": "output", "radius": "output", "eval": "per_query"}


def one_word(name, kind, value):
    if kind in ("whole", "count") and isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(int(value))
    if kind == "real" and isinstance(value, (int, float, np.floating, np.integer)) and not isinstance(value, bool):
        return repr(float(value))
    if kind in ("labels", "size", "text") and isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(int(value))
    if kind == "text" and isinstance(value, (list, tuple)):  # several values, as those of `at`
        return ",".join(one_word(name, kind, v) for v in value)
    if isinstance(value, (str, bytes, os.PathLike)):
        return os.fsdecode(value)
    raise usage(f"{name} is {value!r}, which is not of its kind ({kind})")


def words_of(options, values):
    """The program's words for keywords. options: of each keyword its option and the kind of that; None and False: not given."""
    words = []
    for name, value in values.items():
        option, kind = options[name]
        option = "--" + option
        if value is None or value is False:
            continue
        if kind == "flag":
            if value is not True:
                raise usage(f"{name} is {value!r}, must be True or False")
            words.append(option)
        elif kind == "reals" and not isinstance(value, str):
            numbers = value if np.ndim(value) else [value]
            words.append(f"{option}=" + ",".join(one_word(name, "real", v) for v in numbers))
        elif kind in ("texts", "labels") and isinstance(value, (list, tuple, np.ndarray)):
            words += [f"{option}={one_word(name, kind, v)}" for v in value]
        else:
            words.append(f"{option}={one_word(name, kind, value)}")
    return words


class Inputs:
    """The files of one call; arrays are written to a folder that is removed when it is closed."""

    def __init__(self):
        self.folder = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.folder is not None:
            self.folder.cleanup()

    def place(self, name):
        if self.folder is None:
            try:
                self.folder = tempfile.TemporaryDirectory(prefix="trimine-")
            except OSError as failure:  # there is none that can be written to, or it has gone
                raise not_written(failure.filename or "a temporary folder", failure) from None
        return os.path.join(self.folder.name, name)

    def rows(self, given, name, labels, ids):
        """Paths of a set of rows, what is to be known of them, and what is left of labels and ids: names of datasets."""
        if not is_data(given):
            for what, value in (("labels", labels), ("ids", ids)):
                if value is not None and not are_paths(value):
                    raise usage(f"{what} of '{given}' are arrays: they go with embeddings that are one, too")
            return paths_of(given), labels, ids
        for what, value in (("labels", labels), ("ids", ids)):
            if isinstance(value, PATHS):
                raise usage(f"{what} is '{value}': of embeddings that are an array, {what} must be one, too")
        return [write_store(self.place(f"{name}.h5"), given, labels, ids)], None, None

    def named(self, error):
        """An error that says "array" for the temporary file of one."""
        if self.folder is None:
            return error
        message = re.sub(f"'{re.escape(self.folder.name)}/(store|queries|pairs|triplets)[.](h5|npy)'", "(an array)", error.message)
        return TrimineError(error.code, error.kind, message, error.rank, error.host)

    def pairs(self, given):
        if isinstance(given, PATHS):
            return given
        pairs = as_array(given)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
            raise usage(f"pairs are {pairs.dtype} of the shape {pairs.shape}, need whole numbers: pairs x 2 (query, positive)"
                        + ("; trimine.qrels.read_qrels makes row ids of your own ids" if pairs.dtype.kind in "OSU" else ""))
        np.save(self.place("pairs.npy"), np.ascontiguousarray(row_ids(pairs, "pairs")))
        return self.place("pairs.npy")

    def triplets(self, given):
        """A path, a Result, or three arrays: anchor, positive, negative."""
        if isinstance(given, PATHS):
            return given
        if isinstance(given, Result):
            if given.form not in ("triplets", "lists"):
                raise usage(f"triplets are {given!r}, which has none")
            if given.path is not None:
                return given.path
            group, options, given = given.form, given.options, (given.anchor, given.positive, given.negative)
        else:
            group, options = "triplets", None
        with h5py.File(self.place("triplets.h5"), "w") as f:
            for name, values in zip(("anchor", "positive", "negative"), three_arrays(given, 2 if group == "lists" else 1)):
                f[f"{group}/{name}"] = values
            if options is not None:
                f.attrs["options"] = json.dumps(options)
        return self.place("triplets.h5")


def row_ids(values, what):
    """Whole numbers as int64."""
    if values.size == 0:
        return values.astype(np.int64)  # whatever the type of nothing is
    if values.dtype.kind not in "iu":
        raise usage(f"{what} are of type {values.dtype}, need whole numbers")
    if values.max() >= 1 << 63:
        raise usage(f"{what} have {values.max()} in them, which is no row id")
    return values.astype(np.int64)


def three_arrays(given, axes):
    """Anchor, positive and negative; axes: of negative."""
    if not (isinstance(given, (list, tuple, np.ndarray)) or hasattr(given, "detach")) or len(given) != 3:
        raise usage("triplets must be a path, a Result, or three arrays: anchor, positive, negative")
    arrays = [as_array(values) for values in given]
    for name, array, wanted in zip(("anchor", "positive", "negative"), arrays, (1, 1, axes)):
        if array.ndim != wanted or len(array) != len(arrays[0]):
            raise usage(f"triplets: {name} has the shape {array.shape}, need three arrays of one length")
    return [row_ids(array, f"triplets: {name}s") for name, array in zip(("anchor", "positive", "negative"), arrays)]


def are_paths(value):
    """One path, or a list of them."""
    some = value if isinstance(value, (list, tuple)) else [value]
    return len(some) > 0 and all(isinstance(v, (str, os.PathLike)) for v in some)


def texts_of(value):
    """Words of an option as texts: None, one, or a list."""
    return [os.fsdecode(v) for v in value] if isinstance(value, (list, tuple)) else value if value is None else os.fsdecode(value)


def names_keywords(function):
    """Of a function with many keywords: one that it has not gets the names that are nearest."""
    known = [name for name, parameter in inspect.signature(function).parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]

    @wraps(function)
    def checked(*arguments, **keywords):
        unknown = next((name for name in keywords if name not in known and name != "store"), None)
        if unknown is not None:
            hint = nearest(unknown, known) or f" (see help(trimine.{function.__name__}))"
            raise TypeError(f"{function.__name__}() got an unexpected keyword argument {unknown!r}{hint}")
        return function(*arguments, **keywords)
    return checked


def call(command, options, given):
    """Runs a command of the program with the keywords of its function in _options.py; gives a Result."""
    values = dict(given)
    store, ranks, launcher, show = (values.pop(name) for name in ("store", "ranks", "launcher", "show"))
    query_ids = values.pop("query_ids", None)
    with Inputs() as inputs:
        labels, ids = values["labels"], values["ids"]
        paths, values["labels"], values["ids"] = inputs.rows(store, "store", labels, ids)
        known = [texts_of(values[name]) for name in ("embeddings", "labels", "ids")]
        rows = Rows(ids=ids, labels=labels) if is_data(store) else Rows(partial(Store, paths, "store", *known))
        queries, query_labels = values.get("queries"), values.get("query_labels")
        of_queries = None
        if queries is not None:
            values["queries"], values["query_labels"], values["query_ids"] = inputs.rows(
                queries, "queries", query_labels, query_ids)
            if is_data(queries):
                of_queries = Rows(ids=query_ids, labels=query_labels)
            else:
                of_queries = Rows(partial(queries_of, values["queries"], *known, texts_of(query_labels), texts_of(query_ids)))
        elif query_labels is not None or query_ids is not None:
            raise usage("query_labels and query_ids go with queries")
        for name in ("pairs", "triplets"):
            if values.get(name) is not None:
                values[name] = getattr(inputs, name)(values[name])
        output = OUTPUTS.get(command)
        path = values.get(output)
        temporary = output is not None and wants_a_file(command, path, values)
        if temporary:
            values[output] = path = inputs.place("result.h5")
        try:
            report = program.run([command, *words_of(options, values), "--", *paths], ranks, launcher, show)
        except TrimineError as error:
            raise inputs.named(error) from None
        path = os.fsdecode(path) if path and os.path.exists(path) else None
        result = Result(path, report, rows, of_queries)
        if temporary and path is not None:
            result.load().path = None
        return result


def wants_a_file(command, path, values):
    """Is the result to be written, though the caller named no file?"""
    if path is False or (path is not None and path is not True):
        return False
    if command == "eval":  # ranks of all relevant rows: only where they are asked for
        return path is True
    return command != "loss" or bool(values["gradient"])
