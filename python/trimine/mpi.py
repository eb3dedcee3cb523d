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
from typing import TYPE_CHECKING

import numpy as np
from mpi4py import MPI

from . import _abi, _options
from ._in_memory import Settings
from .call import words_of
from .errors import TrimineError, nearest, usage
from .store import as_array, paths_of

if TYPE_CHECKING:
    from typing_extensions import Unpack  # noqa: F401: what editors know keywords by

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
    try:
        function, duplicate = library.MPI_Get_library_version, library.MPI_Comm_dup
    except AttributeError:
        raise TrimineError(69, "environment", f"'{library._name}' is linked to no MPI library that can be looked at") from None
    text, length = ctypes.create_string_buffer(1 << 16), ctypes.c_int()
    function(text, ctypes.byref(length))
    name = text.value.decode("utf-8", "replace").strip("\0 \n").splitlines()[0].partition(",")[0]
    return ctypes.cast(duplicate, ctypes.c_void_p).value, " ".join(name.split())


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
        error.text = e.message.encode(errors="replace")[:1023]
    except Exception as e:  # noqa: BLE001: whatever it is, the other ranks must not wait for this one
        error.status, error.text = 1, f"{type(e).__name__}: {e}".encode(errors="replace")[:1023]
    if lib.trm_agree(_handle(comm), error.status, ctypes.byref(error)) != 0:
        _raise(error)
    return given


def _address(array):
    return None if array is None else array.ctypes.data


def _rows(values, what, ndim=2):
    """Rows as the library computes with them."""
    x = as_array(values)
    if x.ndim != ndim or x.dtype.kind not in "fiu":
        raise usage(f"{what} have the shape {x.shape} and the type {x.dtype}, need numbers, "
                    f"{'rows x values' if ndim == 2 else 'rows x negatives x values'}")
    return np.ascontiguousarray(x, dtype=np.float32)


def _normalize(comm, what, x):
    """Rows of length one, in memory of their own, and what their lengths were. Collective: the first row of zeros is named."""
    norms, out = np.empty(x.shape[:-1]), np.empty_like(x)
    rows = int(np.prod(x.shape[:-1]))
    first = comm.exscan(rows) or 0

    def normalize():
        zero = library().trm_normalize(rows, x.shape[-1], _address(x), _address(out), _address(norms)) if rows else -1
        if zero >= 0:
            raise TrimineError(65, "data", f"{what}: row {first + zero} is zero, and can't be normalized")

    _together(comm, normalize)
    return out, norms


class _Set:
    """A rank's rows as the library wants them; kept as long as it looks at them."""

    def __init__(self, what, embeddings, labels, gradient):
        self.what, self.x, self.labels, self.norms = what, _rows(embeddings, what), None, None
        if labels is not None:
            y = as_array(labels)
            if y.shape != (len(self.x),) or (y.dtype.kind not in "iu" and len(y)):
                raise usage(f"labels have the shape {y.shape} and the type {y.dtype}, need a whole number for each of {len(self.x)} rows")
            self.labels = np.ascontiguousarray(y, dtype=np.int64)
        self.gradient = np.zeros_like(self.x) if gradient else None

    def normalize(self, comm, settings):
        if settings["normalize"]:
            self.x, self.norms = _normalize(comm, self.what, self.x)
            if settings["gradient_at"]:  # with respect to the normalised rows
                self.norms = None

    def batch(self):
        return _abi.Batch(len(self.x), self.x.shape[1], _address(self.x), _address(self.labels), _address(self.norms))


def _columns(values, count, what):
    """Whole numbers in `count` arrays of one length."""
    columns = [as_array(v) for v in values]
    if len(columns) != count or any(c.shape != columns[0].shape or c.ndim != 1 for c in columns):
        raise usage(f"{what} must be {count} arrays of one length")
    if any(c.dtype.kind not in "iu" and len(c) for c in columns):
        raise usage(f"{what} must be whole numbers, are {', '.join(str(c.dtype) for c in columns)}")
    return [np.ascontiguousarray(c, dtype=np.int64) for c in columns]


class _Batches:
    """Batches as the library has them: this rank's part of a list, or drawn."""

    def __init__(self, lists):
        rows, = _columns([np.concatenate(lists) if lists else []], 1, "batches")
        self.keep = [np.cumsum([0, *map(len, lists)], dtype=np.int64), rows, np.zeros(len(lists) + 1, np.int64)]
        self.struct, self.drawn = _abi.Batches(len(lists), *map(_address, self.keep), 0), False

    @classmethod
    def draw(cls, run, rows, settings):
        made, options = cls([]), _abi.DrawOptions()
        library().trm_draw_options_init_sized(ctypes.byref(options), ctypes.sizeof(options))
        options.batches, options.classes, options.rows = (settings[name] for name in ("batches", "classes_per_batch", "rows_per_class"))
        options.seed = settings["seed"] or 0
        _call("trm_batches_draw", run, rows, ctypes.byref(options), ctypes.byref(made.struct))
        made.drawn = True
        return made

    def lists(self):
        """Row ids of each batch of this rank."""
        start = self._array(self.struct.start, self.struct.count + 1)
        return [rows.copy() for rows in np.split(self._array(self.struct.row, start[-1]), start[1:-1])][:self.struct.count]

    def of_triplets(self, comm, count):
        """The number, among those of all ranks, of the batch that each triplet of this rank is of."""
        first = comm.exscan(self.struct.count) or 0
        ends = self._array(self.struct.triplets, self.struct.count + 1)
        return np.repeat(first + np.arange(self.struct.count), np.diff(ends))[:count]

    @staticmethod
    def _array(address, count):
        return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_int64)), (count,)) if count else np.empty(0, np.int64)

    def free(self):
        if self.drawn:
            library().trm_batches_free(ctypes.byref(self.struct))


def _check(command, options, more):
    """The program's own word on options, as `trimine COMMAND` would say it of these: what is wrong, and what does not go together."""
    made = ctypes.c_void_p()
    _call("trm_job_create", command.encode(), ctypes.byref(made))
    try:
        for word in words_of({name: option[:2] for name, option in _options.IN_MEMORY.items()}, options) + more:
            name, given, value = word[2:].partition("=")
            _call("trm_job_set", made, name.encode(), value.encode() if given else None)
        _call("trm_job_check", made)
    finally:
        library().trm_job_destroy(ctypes.byref(made))


class Loss:
    """A loss over the rows of all ranks.

    value -- the number that reduction names; the same on all ranks
    gradient -- of this rank's rows (float32, rows x values), or None; with queries query_gradient is that of its queries
    summary -- sums, counts and means: a dict
    mined -- what was mined: a dict
    triplets -- with triplets=True: those that came to this rank, a dict of arrays; which these are depends on the ranks. In
                batches "batch" is the number of the batch among those of all ranks
    batches -- in batches: row ids of each batch of this rank
    """

    batches = None

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

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """What the function raised goes before what the library made of it."""
        if self.raised is not None:
            raise self.raised from None

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
             pairs=None, **options: "Unpack[_options.LossOptions]"):
        """A loss over the rows of all ranks, and its gradient by this rank's rows: that of the problem on one process.

        embeddings -- this rank's rows, rows x values; computed with as float32. A rank may have none: (0, values)
        labels -- a whole number each
        gradient -- is it wanted? on all ranks or none
        triplets -- are those that were mined wanted?
        given -- a list of triplets to take in place of mined ones, this rank's part of it: (anchor, positive, negative), row
                 ids over all ranks
        queries, query_labels -- two sets: anchors are these rows, positives and negatives rows of embeddings
        pairs -- with queries, who is positive in place of labels, this rank's part of the list: (query, positive), row ids
        options -- as of trimine.mine and trimine.loss, with their defaults and refusals: below. loss is "mined" where it is not given.
                   batches is also a list of arrays of row ids over all ranks, this rank's batches
        Gives a Loss.
        """
        told = _together(self.comm, lambda: _Told(self, embeddings, labels, gradient, given, queries, query_labels, pairs, options))
        shapes = [v is not None for v in (labels, queries, query_labels, pairs, given)] + [gradient, told.batches is not None]
        given_here = sum(1 << i for i, there in enumerate(shapes) if there)
        if self.comm.allreduce(given_here, MPI.BOR) != self.comm.allreduce(given_here, MPI.BAND):
            raise usage("labels, queries, query_labels, pairs, given, batches and gradient: each on all ranks or on none")
        for rows in told.sets:
            rows.normalize(self.comm, told.settings)
        return told.evaluate(triplets)

    def packed_loss(self, anchor, positive, negative, *, gradient=True, triplets=False, **options: "Unpack[_options.PackedOptions]"):
        """A loss on packed triplets: each anchor comes with its own positive and its own K negatives, as rows.

        anchor, positive -- this rank's, count x values
        negative -- count x K x values, or count x values: one each
        gradient -- is it wanted? on all ranks or none. Then the loss's gradient is three arrays, as these are
        triplets -- are those that were chosen wanted? Anchor and positive have the anchor's number over all ranks, and negative
                    k of anchor a has a K + k
        """
        lib = library()

        def prepare():
            if not self._run:
                raise usage("the run is closed")
            settings = Settings(options, packed=True)
            _check("loss", settings.words, [])
            n = as_array(negative)
            arrays = [_rows(anchor, "anchor"), _rows(positive, "positive"), _rows(n[:, None] if n.ndim == 2 else n, "negative", 3)]
            if any(a.shape != arrays[0].shape for a in (arrays[1], arrays[2][:, 0])) or arrays[2].shape[1] == 0:
                raise usage(f"anchor, positive and negative have the shapes {', '.join(str(np.shape(a)) for a in (anchor, positive, negative))}")
            return settings, arrays, n.shape

        settings, arrays, shape = _together(self.comm, prepare)
        if self.comm.allreduce(bool(gradient), MPI.LOR) != self.comm.allreduce(bool(gradient), MPI.LAND):
            raise usage("gradient: on all ranks or on none")
        norms = [None] * 3
        if settings["normalize"]:
            arrays, norms = zip(*(_normalize(self.comm, what, x) for what, x in zip(("anchor", "positive", "negative"), arrays)))
            norms = [None] * 3 if settings["gradient_at"] else norms
        gradients = [np.zeros_like(a) for a in arrays] if gradient else [None] * 3
        taker, summary, options = _Taker(), _abi.room(_abi.LossSummary), settings.packed_options(lib)
        options.emit = ctypes.cast(taker.function, ctypes.c_void_p) if triplets else None
        packed = _abi.Packed(len(arrays[0]), arrays[2].shape[1], arrays[0].shape[1], *map(_address, [*arrays, *norms]))
        threads = lib.omp_get_max_threads()  # it has no run; OpenMP's own number is the process's
        lib.omp_set_num_threads(lib.trm_run_threads(self._run))
        try:
            with taker:
                _call("trm_packed_loss", _handle(self.comm), ctypes.byref(packed), ctypes.byref(options),
                      (ctypes.c_void_p * 3)(*map(_address, gradients)), ctypes.byref(summary), None)
        finally:
            lib.omp_set_num_threads(threads)
        if gradient:
            gradients[2] = gradients[2].reshape(shape)
        return Loss(summary.value, tuple(gradients) if gradient else None, None, _dict(summary), None, taker.arrays() if triplets else None)


Run.loss.__doc__ = (Run.loss.__doc__ or "") + "\n" + (_options.LossOptions.__doc__ or "")
Run.packed_loss.__doc__ = (Run.packed_loss.__doc__ or "") + "\n" + (_options.PackedOptions.__doc__ or "")


class _Told:
    """What one call of Run.loss is about, and the memory that the library's structs point to."""

    def __init__(self, run, embeddings, labels, gradient, given, queries, query_labels, pairs, options):
        if not run._run:
            raise usage("the run is closed")
        self.run, self.settings = run, Settings(options, given=given is not None)
        self.options = self.settings.evaluate_options(library())
        self.store, self.asking = _Set("embeddings", embeddings, labels, gradient), None
        if labels is None and pairs is None and given is None:
            raise usage("there are no labels")
        if queries is not None:
            self.asking = _Set("queries", queries, query_labels, gradient)
        self.sets = [self.store] if queries is None else [self.store, self.asking]
        self.by_id = pairs is not None or (labels is None and given is not None)
        self.ignored = np.array(self.settings["ignore_label"] or [], dtype=np.int64)
        self.given = None if given is None else _columns(given, 3, "given")
        self.pairs = None if pairs is None else _columns(pairs, 2, "pairs")
        if self.given is not None:
            self.options.given = _abi.GivenTriplets(len(self.given[0]), *map(_address, self.given))
        if self.pairs is not None:
            self.list = _abi.PairList(len(self.pairs[0]), *map(_address, self.pairs))
            self.options.mine.pairs = ctypes.addressof(self.list)
        self.batches = self.settings["batches"]
        self.ask_program()

    def ask_program(self):
        """What goes together is the program's to say; arrays are files to it, which it does not open yet."""
        words, more = dict(self.settings.words), []
        more += ["--queries=queries"] * (self.asking is not None) + ["--pairs=pairs"] * (self.pairs is not None)
        if self.by_id and self.pairs is None and len(self.ignored):
            raise usage("ignore_label goes by labels, and there are none")
        if isinstance(self.batches, list):
            words.pop("batches")
            more.append("--batch-list=batches")
        if self.batches is not None:  # these are options of mine, which has triplets mined and a file for them
            words.pop("loss", None)
            _check("mine", words, more + ["--output=output"] * bool(self.settings["emit"]))
        else:
            if "compat" not in words and self.given is None:
                words.setdefault("loss", "mined")
            _check("loss", words, more + ["--triplets=given"] * (self.given is not None))

    def arrange(self, rows, rows_of_queries):
        """The rows in the library's hands."""
        shape = (self.run._run, len(self.store.x), self.store.x.shape[1], _address(self.store.x), _address(self.store.labels))
        if self.by_id:
            _call("trm_rows_create_by_id", *shape, ctypes.byref(rows))
        else:
            _call("trm_rows_create", *shape, len(self.ignored), _address(self.ignored) if len(self.ignored) else None, ctypes.byref(rows))
        if self.asking is not None:
            _call("trm_rows_create_queries", self.run._run, rows, len(self.asking.x), _address(self.asking.x), _address(self.asking.labels),
                  ctypes.byref(rows_of_queries))
            self.of_queries = self.asking.batch()
            self.options.mine.queries, self.options.queries = rows_of_queries, ctypes.pointer(self.of_queries)
            self.options.queries_gradient = _address(self.asking.gradient)

    def batches_of(self, rows):
        if self.batches is None:
            return None
        batches = _Batches(self.batches) if isinstance(self.batches, list) else _Batches.draw(self.run._run, rows, self.settings)
        self.options.batches = ctypes.addressof(batches.struct)
        return batches

    def evaluate(self, triplets):
        rows, rows_of_queries, taker, batches = ctypes.c_void_p(), ctypes.c_void_p(), _Taker(), None
        mined, summary = _abi.room(_abi.MineSummary), _abi.room(_abi.LossSummary)
        try:
            self.arrange(rows, rows_of_queries)
            batches = self.batches_of(rows)
            batch = self.store.batch()
            with taker:
                _call("trm_evaluate", self.run._run, rows, ctypes.byref(batch), ctypes.byref(self.options),
                      taker.function if triplets else _abi.TRIPLET_FN(), None, _address(self.store.gradient), ctypes.byref(mined),
                      ctypes.byref(summary), None)
            found = taker.arrays() if triplets else None
            loss = Loss(summary.value, self.store.gradient, self.asking and self.asking.gradient, _dict(summary), _dict(mined), found)
            if batches is not None:
                loss.batches = batches.lists()
                if triplets:
                    found["batch"] = batches.of_triplets(self.run.comm, len(found["anchor"]))
            return loss
        finally:
            if batches is not None:
                batches.free()
            library().trm_rows_destroy(ctypes.byref(rows_of_queries))
            library().trm_rows_destroy(ctypes.byref(rows))


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
            raise usage(f"'{unknown[0]}': no option of {command}{nearest(unknown[0], table)}")
        paths = paths_of(stores)
        made = ctypes.c_void_p()
        _call("trm_job_create", command.encode(), ctypes.byref(made))
        try:
            for word in words_of(table, options):
                name, given, value = word[2:].partition("=")
                _call("trm_job_set", made, name.encode(), os.fsencode(value) if given else None)
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
