"""trimine inside this process, on the ranks of an mpi4py communicator: over libtrimine.so, by ctypes.

    mpirun -n 2 python train.py

    from trimine import mpi
    with mpi.Run() as run:
        loss = run.loss(embeddings, labels, margin=0.5)   # this rank's rows; loss.value is that of all, loss.gradient its own

Everything here is collective: all ranks call the same things in the same order, with equal options. What fails on any rank
raises the same TrimineError on all. Row ids count on from rank to rank.
"""
import ctypes
import glob
import json
import os

import numpy as np
from mpi4py import MPI

from . import _abi, _options
from .call import words_of
from .errors import TrimineError, usage
from .store import as_array, paths_of

_loaded = None


def _comm_type():
    """What MPI_Comm is to C: a pointer (Open MPI), or an int (MPICH and its relatives)."""
    sizes = {ctypes.sizeof(ctypes.c_void_p): ctypes.c_void_p, ctypes.sizeof(ctypes.c_int): ctypes.c_int}
    return sizes[MPI._sizeof(MPI.Comm)]


def _handle(comm):
    """MPI's own handle of an mpi4py communicator."""
    return _comm_type().from_address(MPI._addressof(comm))


def find():
    """The library: $TRIMINE_LIBRARY, else libtrimine.so near the program, else where the system's loader looks."""
    named = os.environ.get("TRIMINE_LIBRARY")
    if named:
        return named
    from . import program
    try:
        folder = os.path.dirname(os.path.realpath(program.find()))
    except TrimineError:
        folder = None
    for place in () if folder is None else (folder, os.path.join(folder, "..", "lib"), os.path.join(folder, "..", "lib", "*")):
        found = sorted(glob.glob(os.path.join(place, "libtrimine.so*")))
        if found:
            return found[0]
    return "libtrimine.so." + ".".join(_version().split(".")[:2])


def _version():
    from . import __version__
    return __version__


def _mpi_of(library):
    """Where a library's MPI is, and what it calls itself."""
    function = library.MPI_Get_library_version
    text, length = ctypes.create_string_buffer(1 << 16), ctypes.c_int()
    function(text, ctypes.byref(length))
    name = text.value.decode("utf-8", "replace").strip("\0 \n").splitlines()[0].strip()
    return ctypes.cast(library.MPI_Comm_dup, ctypes.c_void_p).value, name


def check_same_mpi(library, path, mpi4py):
    """Both must be on one MPI library in memory: handles of one mean nothing to another. Looks at addresses, not at names."""
    (ours, our_name), (theirs, their_name) = _mpi_of(library), _mpi_of(mpi4py)
    if ours != theirs:
        raise TrimineError(69, "environment", f"'{path}' is linked to another MPI library ({our_name}) than mpi4py "
                           f"({their_name}): build one of them with the MPI of the other")


def library():
    """libtrimine.so, loaded and checked once. Not collective."""
    global _loaded
    if _loaded is None:
        path = find()
        try:
            found = ctypes.CDLL(path)
        except OSError as error:
            raise TrimineError(69, "environment", f"libtrimine.so can't be loaded: {error}; set $TRIMINE_LIBRARY to its path") from None
        check_same_mpi(found, path, ctypes.CDLL(MPI.__file__))
        _abi.declare(found, _comm_type())
        version = found.trm_version().decode()
        if version.split(".")[:2] != _version().split(".")[:2]:
            raise TrimineError(69, "environment", f"'{path}' is version {version}, this package {_version()}")
        _loaded = found
    return _loaded


def _raise(error):
    lib = library()
    raise TrimineError(lib.trm_exit_code(error.status), lib.trm_status_name(error.status).decode(),
                       error.text.decode("utf-8", "replace"), error.rank if error.rank >= 0 else None,
                       error.host.decode("utf-8", "replace") or None)


def _call(name, *arguments):
    error = _abi.Error(0, -1)
    if getattr(library(), name)(*arguments, ctypes.byref(error)) != 0:
        _raise(error)


def _together(comm, prepare):
    """What prepare() gives on this rank; where it raises on any rank, all raise that."""
    lib, error, given = library(), _abi.Error(0, -1), None
    try:
        given = prepare()
    except TrimineError as e:
        error.status = next((s for s in range(1, 11) if lib.trm_exit_code(s) == e.code), 5)
        error.text = e.message.encode()[:1023]
    except Exception as e:  # noqa: BLE001: whatever it is, the other ranks must not wait for this one
        error.status, error.text = 1, f"{type(e).__name__}: {e}".encode()[:1023]
    if lib.trm_agree(_handle(comm), error.status, ctypes.byref(error)) != 0:
        _raise(error)
    return given


def _address(array):
    return None if array is None else array.ctypes.data


class _Set:
    """A rank's rows as the library wants them; kept as long as it looks at them."""

    def __init__(self, embeddings, labels, gradient):
        x = as_array(embeddings)
        if x.ndim != 2 or x.dtype.kind not in "fiu":
            raise usage(f"embeddings have the shape {x.shape} and the type {x.dtype}, need numbers, rows x values")
        self.x = np.ascontiguousarray(x, dtype=np.float32)
        self.labels = None
        if labels is not None:
            y = as_array(labels)
            if y.shape != (len(x),) or (y.dtype.kind not in "iu" and len(y)):
                raise usage(f"labels have the shape {y.shape} and the type {y.dtype}, need a whole number for each of {len(x)} rows")
            self.labels = np.ascontiguousarray(y, dtype=np.int64)
        self.gradient = np.zeros_like(self.x) if gradient else None
        self.batch = _abi.Batch(len(self.x), self.x.shape[1], _address(self.x), _address(self.labels), None)


def _columns(values, count, what):
    """Whole numbers in `count` arrays of one length."""
    columns = [np.ascontiguousarray(as_array(v), dtype=np.int64) for v in values]
    if len(columns) != count or any(c.shape != columns[0].shape or c.ndim != 1 for c in columns):
        raise usage(f"{what} must be {count} arrays of one length")
    return columns


def _enum(keyword, value):
    words = _options.WORDS[keyword]
    if value not in words:
        raise usage(f"{keyword} is {value!r}, must be one of {' '.join(words)}")
    return words.index(value)


# Keywords of trimine.loss by what they are in the structs: (struct, member); None: see _evaluate_options.
_MEMBERS = {
    **{name: ("mine", name) for name in ("positives", "negatives", "window", "pick", "fallback", "rank_order", "min_distance",
                                         "max_distance", "absolute_margin", "relative_margin", "max_triplets", "seed",
                                         "not_near_positive", "and_labels", "shortlist")},
    **{name: ("loss", name) for name in ("soft", "swap", "reduction")},
    "negative_ranks": ("mine", "ranks"), "emit": ("mine", "emit_sets"),
    "metric": None, "margin": None, "loss": None, "within": None, "lone": None, "at_zero": None,
}


def _evaluate_options(given):
    """trm_evaluate_options of keywords; those of trimine.loss, with its defaults, but for what has to do with files."""
    lib, options = library(), _abi.EvaluateOptions()
    lib.trm_evaluate_options_init_sized(ctypes.byref(options), *map(ctypes.sizeof, (options, options.mine, options.loss)))
    for name, value in given.items():
        if name not in _MEMBERS:
            raise usage(f"'{name}': no option of a loss in memory; there are {', '.join(sorted(_MEMBERS))}")
        if value is None or _MEMBERS[name] is None:
            continue
        struct, member = _MEMBERS[name]
        if name in _options.WORDS:
            value = _enum(name, value)
        elif isinstance(value, str):
            value = value.encode()
        try:
            setattr(getattr(options, struct), member, value)
        except TypeError:
            raise usage(f"{name} is {value!r}, which is not of its kind") from None
    metric = options.mine.metric = options.loss.metric = _enum("metric", given.get("metric") or "sql2")
    for name in ("margin", "within"):
        if not isinstance(given.get(name), (int, float, np.number, type(None))):
            raise usage(f"{name} is {given[name]!r}, must be a number")
    margin, soft = given.get("margin"), options.loss.soft
    options.mine.margin = options.loss.margin = lib.trm_metric_default_margin(metric) if margin is None else margin
    if soft and margin is None:
        options.loss.margin = 0.0
    source = given.get("loss") or "mined"
    options.source = _abi.SOURCES[_options.WORDS["loss"][_enum("loss", source)]]
    if given.get("within") is not None:
        if source != "batch-all":
            raise usage("within goes with loss='batch-all'")
        options.source, options.mine.margin = _abi.SOURCES["within"], given["within"]
    options.lone = bool(given.get("lone")) and source == "batch-hard"
    options.mine.lone = bool(given.get("lone")) and source == "mined"
    options.loss.whole_at_zero = _enum("at_zero", given.get("at_zero") or "none") == 1
    return options


class Loss:
    """A loss over the rows of all ranks.

    value -- the number that reduction names; the same on all ranks
    gradient -- of this rank's rows (float32, rows x values), or None; with queries query_gradient is that of its queries
    summary -- sums, counts and means: a dict
    mined -- what was mined: a dict
    triplets -- with triplets=True: those that came to this rank, a dict of arrays; which these are depends on the ranks
    """

    def __init__(self, value, gradient, query_gradient, summary, mined, triplets):
        self.value, self.gradient, self.query_gradient = value, gradient, query_gradient
        self.summary, self.mined, self.triplets = summary, mined, triplets

    def __repr__(self):
        return f"<trimine loss {self.value:g} of {self.summary['count']} triplets>"


def _dict(struct):
    """A struct of numbers as a dict, without what is only of interest to its makers."""
    values = {}
    for name, _ in struct._fields_:
        value = getattr(struct, name)
        if isinstance(value, ctypes.Structure):
            value = _dict(value)
        elif isinstance(value, ctypes.Array):
            continue
        values[name] = value.decode() if isinstance(value, bytes) else value
    return values


class _Taker:
    """Keeps the triplets that the library hands out."""

    def __init__(self):
        self.parts, self.raised = [], None
        self.function = _abi.TRIPLET_FN(self._take)

    def _take(self, _, triplets, count, __):
        try:
            if count:
                self.parts.append(np.ctypeslib.as_array(triplets[0], (count,)).copy())
            return 0
        except BaseException as error:  # noqa: BLE001: none may pass through C
            self.raised = error
            return 6  # TRM_ERR_MEMORY

    def arrays(self):
        kinds = np.dtype(_abi.Triplet)
        all_of_them = np.concatenate(self.parts) if self.parts else np.empty(0, kinds)
        return {name: np.ascontiguousarray(all_of_them[name]) for name in kinds.names}


class Run:
    """The ranks, threads and limits that losses are computed with. Collective, also its end (close, or with).

    comm -- of mpi4py; None: MPI.COMM_WORLD. It is duplicated
    threads, mem_per_rank (bytes), kernel, replicate, tile -- as of trimine.loss; results don't depend on them
    """

    def __init__(self, comm=None, threads=None, mem_per_rank=None, kernel=None, replicate=None, tile=None):
        self.comm = MPI.COMM_WORLD if comm is None else comm
        self._run = ctypes.c_void_p()
        lib, options = library(), _abi.RunOptions()
        lib.trm_run_options_init_sized(ctypes.byref(options), ctypes.sizeof(options))

        def fill():
            for name, value in (("threads", threads), ("mem_per_rank", mem_per_rank), ("replicate", replicate), ("tile", tile)):
                if value is not None:
                    setattr(options, name, value)
            options.kernel = options.kernel if kernel is None else kernel.encode()

        _together(self.comm, fill)
        _call("trm_run_create", _handle(self.comm), ctypes.byref(options), ctypes.byref(self._run))

    def close(self):
        if self._run:
            library().trm_run_destroy(ctypes.byref(self._run))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:  # else other ranks may be elsewhere, and closing would wait for them
            self.close()

    def loss(self, embeddings, labels=None, *, gradient=True, triplets=False, given=None, queries=None, query_labels=None,
             pairs=None, **options):
        """A loss over the rows of all ranks, and its gradient by this rank's rows: that of the problem on one process.

        embeddings -- this rank's rows, rows x values; computed with as float32. A rank may have none: (0, values)
        labels -- a whole number each
        gradient -- is it wanted? on all ranks or none
        triplets -- are those that were mined wanted?
        given -- a list of triplets to take in place of mined ones, this rank's part of it: (anchor, positive, negative), row
                 ids over all ranks
        queries, query_labels -- two sets: anchors are these rows, positives and negatives rows of embeddings
        pairs -- with queries, who is positive in place of labels, this rank's part of the list: (query, positive), row ids
        options -- as of trimine.loss: metric, margin, positives, negatives, window, pick, fallback, lone, soft, swap, reduction,
                   loss ("mined", "batch-hard", "batch-all"), within, at_zero, seed, negative_ranks, rank_order, min_distance,
                   max_distance, absolute_margin, relative_margin, not_near_positive, shortlist, emit, max_triplets, and_labels
        Gives a Loss.
        """
        keep = {}  # what the structs point to

        def prepare():
            if not self._run:
                raise usage("the run is closed")
            o = _evaluate_options(options)
            keep["store"] = _Set(embeddings, labels, gradient)
            if labels is None and pairs is None and given is None:
                raise usage("there are no labels")
            if given is not None:
                keep["given"] = _columns(given, 3, "given")
                o.source = _abi.SOURCES["given"]
                o.given = _abi.GivenTriplets(len(keep["given"][0]), *map(_address, keep["given"]))
            if queries is not None:
                keep["queries"] = _Set(queries, query_labels, gradient)
            if pairs is not None:
                keep["pairs"] = _columns(pairs, 2, "pairs")
                keep["list"] = _abi.PairList(len(keep["pairs"][0]), *map(_address, keep["pairs"]))
                o.mine.pairs = ctypes.addressof(keep["list"])
            return o

        o = _together(self.comm, prepare)
        shapes = [v is not None for v in (labels, queries, query_labels, pairs, given)] + [gradient]
        given_here = sum(1 << i for i, there in enumerate(shapes) if there)
        if self.comm.allreduce(given_here, MPI.BOR) != self.comm.allreduce(given_here, MPI.BAND):
            raise usage("labels, queries, query_labels, pairs, given and gradient: each on all ranks or on none")
        store, asking = keep["store"], keep.get("queries")
        rows, rows_of_queries, taker = ctypes.c_void_p(), ctypes.c_void_p(), _Taker()
        mined, summary = _abi.room(_abi.MineSummary), _abi.room(_abi.LossSummary)
        shape = (self._run, len(store.x), store.x.shape[1], _address(store.x), _address(store.labels))
        try:
            if pairs is not None or (labels is None and given is not None):
                _call("trm_rows_create_by_id", *shape, ctypes.byref(rows))
            else:
                _call("trm_rows_create", *shape, 0, None, ctypes.byref(rows))
            if asking is not None:
                _call("trm_rows_create_queries", self._run, rows, len(asking.x), _address(asking.x), _address(asking.labels),
                      ctypes.byref(rows_of_queries))
                o.mine.queries, o.queries = rows_of_queries, ctypes.pointer(asking.batch)
                o.queries_gradient = _address(asking.gradient)
            emit = taker.function if triplets else _abi.TRIPLET_FN()
            try:
                _call("trm_evaluate", self._run, rows, ctypes.byref(store.batch), ctypes.byref(o), emit, None,
                      _address(store.gradient), ctypes.byref(mined), ctypes.byref(summary), None)
            except TrimineError:
                if taker.raised is not None:
                    raise taker.raised from None
                raise
        finally:
            library().trm_rows_destroy(ctypes.byref(rows_of_queries))
            library().trm_rows_destroy(ctypes.byref(rows))
        return Loss(summary.value, store.gradient, None if asking is None else asking.gradient, _dict(summary), _dict(mined),
                    taker.arrays() if triplets else None)


def job(command, stores, comm=None, **options):
    """A whole job of the program in this process, from stores on the disk to a result on the disk: its report, on all ranks.

    command -- "mine", "loss", "knn", "eval" or "radius"
    stores -- a path, or a list of them
    options -- as of the function of that name (trimine.mine, ...), but for arrays; without output nothing is written
    """
    comm = MPI.COMM_WORLD if comm is None else comm
    table = getattr(_options, f"_OPTIONS_OF_{command.upper()}", {})

    def prepare():
        unknown = [name for name in options if name not in table]
        if unknown and table:
            raise usage(f"'{unknown[0]}': no option of {command}")
        paths = paths_of(stores)
        made = ctypes.c_void_p()
        _call("trm_job_create", command.encode(), ctypes.byref(made))
        try:
            for word in words_of(table, options):
                name, given, value = word[2:].partition("=")
                _call("trm_job_set", made, name.encode(), value.encode() if given else None)
            for path in paths:
                _call("trm_job_add_input", made, os.fsencode(path))
            _call("trm_job_check", made)
        except TrimineError:
            library().trm_job_destroy(ctypes.byref(made))
            raise
        return made

    made = _together(comm, prepare)
    try:
        _call("trm_job_open", made, _handle(comm), None)
        for step in ("plan", "run", "write"):
            _call(f"trm_job_{step}", made)
        told = ctypes.c_char_p()
        _call("trm_job_tell", made, ctypes.byref(told))
        report = json.loads(told.value) if told.value is not None else None
        library().trm_job_done(made)
    finally:
        library().trm_job_destroy(ctypes.byref(made))
    return comm.bcast(report)
