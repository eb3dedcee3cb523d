"""The commands of trimine as functions. Written by scripts/python_options from `trimine options --json`: don't edit."""
import os
from typing import Any, Literal, Optional, Sequence, TypedDict, Union

from .call import call, names_keywords
from .result import Result

Path = Union[str, "os.PathLike[str]"]

# The words of options, in the order of the library's enums.
WORDS = {
    "form": ("triplets", "lists"),
    "metric": ("sql2", "l2", "cosine", "dot"),
    "window": ("none", "lt", "le"),
    "pick": ("nearest", "farthest", "random"),
    "fallback": ("skip", "farthest-inside", "hardest", "random"),
    "rank_order": ("before", "after"),
    "shortlist": ("none", "st-mine"),
    "at_zero": ("none", "whole"),
    "reduction": ("mean_all", "sum", "mean_nonzero", "mean_valid", "mean_rows"),
    "gradient_at": ("stored", "normalized"),
    "loss": ("batch-hard", "batch-all", "mined"),
}

# Options of losses of rows in memory: of each keyword the option, its kind, and the sources that it applies to.
IN_MEMORY = {
    "and_labels": ("and-labels", "flag", ("mined", )),
    "batches": ("batches", "whole", ("mined", )),
    "classes_per_batch": ("classes-per-batch", "whole", ("mined", )),
    "rows_per_class": ("rows-per-class", "whole", ("mined", )),
    "metric": ("metric", "word", ("mined", "given", "batch-hard", "batch-all", "within-margin", "packed-semihard", "packed-other", "packed-reversed", )),
    "margin": ("margin", "real", ("mined", "given", "batch-hard", "batch-all", "within-margin", "packed-semihard", "packed-other", "packed-reversed", )),
    "positives": ("positives", "text", ("mined", )),
    "negatives": ("negatives", "text", ("mined", "packed-semihard", "packed-other", "packed-reversed", )),
    "emit": ("emit", "flag", ("mined", )),
    "max_triplets": ("max-triplets", "whole", ("mined", )),
    "window": ("window", "word", ("mined", "packed-semihard", )),
    "pick": ("pick", "word", ("mined", "packed-semihard", )),
    "fallback": ("fallback", "word", ("mined", "packed-semihard", )),
    "min_distance": ("min-distance", "real", ("mined", )),
    "max_distance": ("max-distance", "real", ("mined", )),
    "absolute_margin": ("absolute-margin", "real", ("mined", )),
    "relative_margin": ("relative-margin", "real", ("mined", )),
    "not_near_positive": ("not-near-positive", "real", ("mined", )),
    "negative_ranks": ("ranks", "text", ("mined", )),
    "rank_order": ("rank-order", "word", ("mined", )),
    "shortlist": ("shortlist", "word", ("mined", )),
    "lone": ("lone", "flag", ("mined", "batch-hard", )),
    "at_zero": ("at-zero", "word", ("mined", "given", "batch-hard", "packed-semihard", "packed-other", "packed-reversed", )),
    "soft": ("soft", "flag", ("mined", "given", "batch-hard", "packed-semihard", "packed-other", )),
    "swap": ("swap", "flag", ("mined", "given", "batch-hard", "packed-semihard", "packed-other", )),
    "reduction": ("reduction", "word", ("mined", "given", "batch-hard", "batch-all", "within-margin", "packed-semihard", "packed-other", "packed-reversed", )),
    "gradient_at": ("gradient-at", "word", ("mined", "given", "batch-hard", "batch-all", "within-margin", "packed-semihard", "packed-other", "packed-reversed", )),
    "compat": ("compat", "text", None),
    "seed": ("seed", "whole", None),
    "normalize": ("normalize", "flag", ("mined", "given", "batch-hard", "batch-all", "within-margin", "packed-semihard", "packed-other", "packed-reversed", )),
    "ignore_label": ("ignore-label", "labels", ("mined", "given", "batch-hard", "batch-all", "within-margin", )),
    "loss": ("loss", "word", ("mined", "batch-hard", "batch-all", "within-margin", )),
    "within": ("within", "real", ("within-margin", )),
    "norm_floor": ("norm-floor", "real", ("packed-semihard", "packed-other", "packed-reversed", )),
}

# Of each --compat whether it is for packed triplets, and its keywords.
PRESETS = {
    "tfa-semihard": (False, {"loss": "mined", "metric": "l2", "margin": "1", "positives": "all", "window": "none", "pick": "nearest", "fallback": "farthest-inside", "reduction": "mean_all", "at_zero": "whole"}),
    "tfa-semihard-sql2": (False, {"loss": "mined", "metric": "sql2", "margin": "1", "positives": "all", "window": "none", "pick": "nearest", "fallback": "farthest-inside", "reduction": "mean_all", "at_zero": "whole"}),
    "tfa-hard": (False, {"loss": "batch-hard", "lone": True, "metric": "l2", "margin": "1", "reduction": "mean_rows", "at_zero": "whole"}),
    "st-semihard": (False, {"loss": "mined", "metric": "l2", "margin": "5", "positives": "all", "window": "none", "pick": "nearest", "fallback": "farthest-inside", "reduction": "mean_all"}),
    "tfs": (False, {"loss": "mined", "metric": "cosine", "soft": True, "positives": "hardest", "window": "none", "pick": "nearest", "fallback": "farthest-inside", "reduction": "mean_rows", "at_zero": "whole"}),
    "pml-semihard": (False, {"loss": "batch-all", "within": "0.2", "normalize": True, "metric": "l2", "margin": "0.05", "reduction": "mean_nonzero"}),
    "st-mine": (False, {"loss": "mined", "metric": "cosine", "positives": "all", "negatives": "topk:3", "shortlist": "st-mine"}),
    "facenet": (False, {"loss": "mined", "normalize": True, "metric": "sql2", "margin": "0.2", "positives": "all", "window": "lt", "pick": "nearest", "fallback": "skip", "reduction": "sum"}),
    "batch-all-nonzero": (False, {"loss": "batch-all", "metric": "l2", "margin": "1", "reduction": "mean_nonzero"}),
    "guide-1": (True, {"metric": "sql2", "margin": "1", "reduction": "mean_all", "at_zero": "whole"}),
    "guide-2": (True, {"metric": "cosine", "margin": "0.5", "reduction": "mean_all", "norm_floor": "1e-12", "at_zero": "whole"}),
    "guide-3": (True, {"negatives": "reversed", "metric": "sql2", "margin": "1", "reduction": "mean_all", "at_zero": "whole"}),
}


class LossOptions(TypedDict, total=False):
    """Options of trimine.mpi.Run.loss.

    and_labels -- with --pairs: a row of the store that shares the query's label is no negative, either
    batches -- mine inside each of B batches that are drawn, not in the whole store
    classes_per_batch -- classes of a batch
    rows_per_class -- rows of each class in a batch
    metric -- the distance (default: sql2)
    margin -- margin (default 1.0; cosine 0.5; with --soft 0 in the loss)
    positives -- which positives of each anchor get a triplet: all, hardest, easiest, nearest:K, random:K (default: all)
    negatives -- which negatives each pair gets; in packed triplets, of an anchor's own K: semihard, hard, topk:K,
        random:K, weighted:K, within-margin, hard-all, easy-all, violating, multisimilarity:K, reversed (default:
        semihard)
    emit -- list the triplets of a set, which otherwise is counted only
    max_triplets -- list no set of more triplets than N (default: 100000000)
    window -- how d(a,n) - d(a,p) compares with the margin (default: lt)
    pick -- which of the semihard negatives (default: nearest)
    fallback -- where there is no semihard negative (default: skip)
    min_distance -- hard, topk, random, weighted: only negatives with d(a,n) >= X
    max_distance -- hard, topk, random, weighted: only negatives with d(a,n) <= X
    absolute_margin -- hard, topk, random, weighted: only negatives at least X farther than the farthest selected
        positive
    relative_margin -- hard, topk, random, weighted: only negatives farther than it by the share R of its distance, or
        similarity
    not_near_positive -- hard, topk, random, weighted: only negatives farther than X from every selected positive; 0
        drops copies of them
    negative_ranks -- hard, topk, random, weighted: only negatives of these ranks by distance, from 1; A-: to the end
    rank_order -- what --ranks counts (default: before)
    shortlist -- hard, topk, random, weighted: which rows are candidates at all (default: none)
    lone -- batch-hard: a row without a positive adds [margin - min d(a,n)]+
    at_zero -- the gradient where the hinge is exactly at its corner; tf.maximum gives the whole (default: none)
    soft -- softplus in place of the hinge
    swap -- d(a,n) becomes min(d(a,n), d(p,n))
    reduction -- which is the value, and scales the gradient (default: mean_all)
    gradient_at -- of the rows as stored or, with --normalize, as used (default: stored)
    compat -- options that reproduce another library's rule (see docs/LOSSES.md)
    seed -- seed of everything random
    normalize -- L2-normalise rows on load
    ignore_label -- rows with label L (a number or a name) take no part; may be repeated
    loss -- over the whole store
    within -- batch-all: only triplets with 0 < d(a,n) - d(a,p) <= M
    """
    and_labels: bool
    batches: Union[int, Sequence[Any], None]
    classes_per_batch: Optional[int]
    rows_per_class: Optional[int]
    metric: Optional[Literal["sql2", "l2", "cosine", "dot"]]
    margin: Optional[float]
    positives: Optional[str]
    negatives: Optional[str]
    emit: bool
    max_triplets: Optional[int]
    window: Optional[Literal["none", "lt", "le"]]
    pick: Optional[Literal["nearest", "farthest", "random"]]
    fallback: Optional[Literal["skip", "farthest-inside", "hardest", "random"]]
    min_distance: Optional[float]
    max_distance: Optional[float]
    absolute_margin: Optional[float]
    relative_margin: Optional[float]
    not_near_positive: Optional[float]
    negative_ranks: Optional[str]
    rank_order: Optional[Literal["before", "after"]]
    shortlist: Optional[Literal["none", "st-mine"]]
    lone: bool
    at_zero: Optional[Literal["none", "whole"]]
    soft: bool
    swap: bool
    reduction: Optional[Literal["mean_all", "sum", "mean_nonzero", "mean_valid", "mean_rows"]]
    gradient_at: Optional[Literal["stored", "normalized"]]
    compat: Optional[str]
    seed: Optional[int]
    normalize: bool
    ignore_label: Union[int, str, Sequence[Union[int, str]], None]
    loss: Optional[Literal["batch-hard", "batch-all", "mined"]]
    within: Optional[float]


class PackedOptions(TypedDict, total=False):
    """Options of trimine.mpi.Run.packed_loss.

    metric -- the distance (default: sql2)
    margin -- margin (default 1.0; cosine 0.5; with --soft 0 in the loss)
    negatives -- which negatives each pair gets; in packed triplets, of an anchor's own K: semihard, hard, topk:K,
        random:K, weighted:K, within-margin, hard-all, easy-all, violating, multisimilarity:K, reversed (default:
        semihard)
    window -- how d(a,n) - d(a,p) compares with the margin (default: lt)
    pick -- which of the semihard negatives (default: nearest)
    fallback -- where there is no semihard negative (default: skip)
    at_zero -- the gradient where the hinge is exactly at its corner; tf.maximum gives the whole (default: none)
    soft -- softplus in place of the hinge
    swap -- d(a,n) becomes min(d(a,n), d(p,n))
    reduction -- which is the value, and scales the gradient (default: mean_all)
    gradient_at -- of the rows as stored or, with --normalize, as used (default: stored)
    compat -- options that reproduce another library's rule (see docs/LOSSES.md)
    seed -- seed of everything random
    normalize -- L2-normalise rows on load
    norm_floor -- packed triplets, cosine: squared norms are at least E; tf.math.l2_normalize has 1e-12
    """
    metric: Optional[Literal["sql2", "l2", "cosine", "dot"]]
    margin: Optional[float]
    negatives: Optional[str]
    window: Optional[Literal["none", "lt", "le"]]
    pick: Optional[Literal["nearest", "farthest", "random"]]
    fallback: Optional[Literal["skip", "farthest-inside", "hardest", "random"]]
    at_zero: Optional[Literal["none", "whole"]]
    soft: bool
    swap: bool
    reduction: Optional[Literal["mean_all", "sum", "mean_nonzero", "mean_valid", "mean_rows"]]
    gradient_at: Optional[Literal["stored", "normalized"]]
    compat: Optional[str]
    seed: Optional[int]
    normalize: bool
    norm_floor: Optional[float]


_OPTIONS_OF_MINE = {  # of each keyword the option and its kind
    "output": ("output", "text"),
    "form": ("form", "word"),
    "overwrite": ("overwrite", "flag"),
    "json_report": ("json-report", "text"),
    "checkpoint": ("checkpoint", "text"),
    "checkpoint_every": ("checkpoint-every", "real"),
    "resume": ("resume", "flag"),
    "embeddings": ("embeddings", "text"),
    "labels": ("labels", "texts"),
    "ids": ("ids", "texts"),
    "queries": ("queries", "texts"),
    "query_labels": ("query-labels", "texts"),
    "query_ids": ("query-ids", "texts"),
    "pairs": ("pairs", "text"),
    "and_labels": ("and-labels", "flag"),
    "batches": ("batches", "whole"),
    "classes_per_batch": ("classes-per-batch", "whole"),
    "rows_per_class": ("rows-per-class", "whole"),
    "batch_list": ("batch-list", "text"),
    "metric": ("metric", "word"),
    "margin": ("margin", "real"),
    "positives": ("positives", "text"),
    "negatives": ("negatives", "text"),
    "emit": ("emit", "flag"),
    "max_triplets": ("max-triplets", "whole"),
    "window": ("window", "word"),
    "pick": ("pick", "word"),
    "fallback": ("fallback", "word"),
    "min_distance": ("min-distance", "real"),
    "max_distance": ("max-distance", "real"),
    "absolute_margin": ("absolute-margin", "real"),
    "relative_margin": ("relative-margin", "real"),
    "not_near_positive": ("not-near-positive", "real"),
    "negative_ranks": ("ranks", "text"),
    "rank_order": ("rank-order", "word"),
    "shortlist": ("shortlist", "word"),
    "lone": ("lone", "flag"),
    "at_zero": ("at-zero", "word"),
    "soft": ("soft", "flag"),
    "swap": ("swap", "flag"),
    "reduction": ("reduction", "word"),
    "gradient": ("gradient", "flag"),
    "gradient_at": ("gradient-at", "word"),
    "compat": ("compat", "text"),
    "seed": ("seed", "whole"),
    "histogram": ("histogram", "whole"),
    "margins": ("margins", "reals"),
    "normalize": ("normalize", "flag"),
    "ignore_label": ("ignore-label", "labels"),
    "kernel": ("kernel", "text"),
    "threads": ("threads", "whole"),
    "replicate": ("replicate", "whole"),
    "tile": ("tile", "whole"),
    "mem_per_rank": ("mem-per-rank", "size"),
    "dry_run": ("dry-run", "flag"),
}


@names_keywords
def mine(
    store: Any,
    *,
    output: Union[Path, bool, None] = None,
    form: Optional[Literal["triplets", "lists"]] = None,
    overwrite: bool = False,
    json_report: Optional[Path] = None,
    checkpoint: Optional[Path] = None,
    checkpoint_every: Optional[float] = None,
    resume: bool = False,
    embeddings: Optional[Path] = None,
    labels: Any = None,
    ids: Any = None,
    queries: Any = None,
    query_labels: Any = None,
    query_ids: Any = None,
    pairs: Any = None,
    and_labels: bool = False,
    batches: Optional[int] = None,
    classes_per_batch: Optional[int] = None,
    rows_per_class: Optional[int] = None,
    batch_list: Optional[Path] = None,
    metric: Optional[Literal["sql2", "l2", "cosine", "dot"]] = None,
    margin: Optional[float] = None,
    positives: Optional[str] = None,
    negatives: Optional[str] = None,
    emit: bool = False,
    max_triplets: Optional[int] = None,
    window: Optional[Literal["none", "lt", "le"]] = None,
    pick: Optional[Literal["nearest", "farthest", "random"]] = None,
    fallback: Optional[Literal["skip", "farthest-inside", "hardest", "random"]] = None,
    min_distance: Optional[float] = None,
    max_distance: Optional[float] = None,
    absolute_margin: Optional[float] = None,
    relative_margin: Optional[float] = None,
    not_near_positive: Optional[float] = None,
    negative_ranks: Optional[str] = None,
    rank_order: Optional[Literal["before", "after"]] = None,
    shortlist: Optional[Literal["none", "st-mine"]] = None,
    lone: bool = False,
    at_zero: Optional[Literal["none", "whole"]] = None,
    soft: bool = False,
    swap: bool = False,
    reduction: Optional[Literal["mean_all", "sum", "mean_nonzero", "mean_valid", "mean_rows"]] = None,
    gradient: bool = False,
    gradient_at: Optional[Literal["stored", "normalized"]] = None,
    compat: Optional[str] = None,
    seed: Optional[int] = None,
    histogram: Optional[int] = None,
    margins: Union[Sequence[float], str, None] = None,
    normalize: bool = False,
    ignore_label: Union[int, str, Sequence[Union[int, str]], None] = None,
    kernel: Optional[str] = None,
    threads: Optional[int] = None,
    replicate: Union[int, Literal["auto"], None] = None,
    tile: Optional[int] = None,
    mem_per_rank: Union[int, str, None] = None,
    dry_run: bool = False,
    ranks: Optional[int] = None,
    launcher: Union[str, Sequence[str], None] = None,
    show: bool = False,
) -> Result:
    """Mines semihard triplets from a whole embedding store, exactly.

    Gives a Result with triplets, or with lists. Raises TrimineError. Keywords are the options of `trimine mine`:

    store -- an array, rows x values; or the path of a store, or a list of such
    output -- write the result to FILE (HDF5); None: arrays in memory; False: only the report
    form -- of the result: one triplet a line, or all negatives of a pair in one line (default: triplets)
    overwrite -- replace an output that exists
    json_report -- write what --json prints to FILE, too: trimine report takes it
    checkpoint -- keep the state in FILE, to go on from after a stop
    checkpoint_every -- how often; 0: only on a signal, and before the result is written (default: 10.0)
    resume -- go on from the checkpoint, if there is one
    embeddings -- dataset of the embeddings in HDF5 files (default: a known name)
    labels -- one label a row, where the store is an array; else dataset of the labels, or a file with one for each row:
        .npy, .txt, .csv:COLUMN, .jsonl:FIELD; once, or once for each store in their order
    ids -- one id a row, where the store is an array; else dataset of the ids, numbers or strings, or a file of them as
        of --labels
    queries -- anchors are the rows of FILE (as a store, or a folder), positives and negatives rows of the store; may be
        repeated: one set after the other; or an array, rows x values
    query_labels -- one label a query, where queries are an array; else labels of the queries, as --labels has those of
        the store (default: the same dataset, or a known name)
    query_ids -- one id a query, where queries are an array; else ids of the queries, as --ids has those of the store
    pairs -- with --queries: positives are exactly the pairs of FILE, a query row and a store row each (HDF5 /query and
        /positive, .npy of two columns, or text); all others are negatives, and labels are not needed; or an array of
        two columns
    and_labels -- with --pairs: a row of the store that shares the query's label is no negative, either
    batches -- mine inside each of B batches that are drawn, not in the whole store
    classes_per_batch -- classes of a batch
    rows_per_class -- rows of each class in a batch
    batch_list -- with --batches: write the drawn row ids to FILE; else mine inside the batches of FILE
    metric -- the distance (default: sql2)
    margin -- margin (default 1.0; cosine 0.5; with --soft 0 in the loss)
    positives -- which positives of each anchor get a triplet: all, hardest, easiest, nearest:K, random:K (default: all)
    negatives -- which negatives each pair gets: semihard, hard, topk:K, random:K, weighted:K, within-margin, hard-all,
        easy-all, violating, multisimilarity:K (default: semihard)
    emit -- list the triplets of a set, which otherwise is counted only
    max_triplets -- list no set of more triplets than N (default: 100000000)
    window -- how d(a,n) - d(a,p) compares with the margin (default: lt)
    pick -- which of the semihard negatives (default: nearest)
    fallback -- where there is no semihard negative (default: skip)
    min_distance -- hard, topk, random, weighted: only negatives with d(a,n) >= X
    max_distance -- hard, topk, random, weighted: only negatives with d(a,n) <= X
    absolute_margin -- hard, topk, random, weighted: only negatives at least X farther than the farthest selected
        positive
    relative_margin -- hard, topk, random, weighted: only negatives farther than it by the share R of its distance, or
        similarity
    not_near_positive -- hard, topk, random, weighted: only negatives farther than X from every selected positive; 0
        drops copies of them
    negative_ranks -- hard, topk, random, weighted: only negatives of these ranks by distance, from 1; A-: to the end
    rank_order -- what --ranks counts (default: before)
    shortlist -- hard, topk, random, weighted: which rows are candidates at all (default: none)
    lone -- hard, topk, random, weighted: a row without a positive is an anchor, too; its triplets have the positive -1
    at_zero -- the gradient where the hinge is exactly at its corner; tf.maximum gives the whole (default: none)
    soft -- softplus in place of the hinge
    swap -- d(a,n) becomes min(d(a,n), d(p,n))
    reduction -- which is the value, and scales the gradient (default: mean_all)
    gradient -- the gradient of the value with respect to every row
    gradient_at -- of the rows as stored or, with --normalize, as used (default: stored)
    compat -- options that reproduce another library's rule (see docs/LOSSES.md)
    seed -- seed of everything random
    histogram -- of d(a,p), d(a,n) and d(a,n) - d(a,p), in so many equal bins: in FILE and with --json
    margins -- the loss of the triplets, which are those of --window none, at each of these margins
    normalize -- L2-normalise rows on load
    ignore_label -- rows with label L (a number or a name) take no part; may be repeated
    kernel -- auto, bf16, blas, float64, fp32, int8, prefix or prefix8 (default: auto)
    threads -- threads a rank (default: OMP_NUM_THREADS, else its share of the cores)
    replicate -- ranks a team, auto or a divisor of the ranks (default: auto)
    tile -- rows and columns a tile, a multiple of 16, rounded up to one of 48
    mem_per_rank -- memory limit, such as 900M or 4G
    dry_run -- plan the job on these ranks, as trimine plan does: memory and seconds. Nothing is found or written
    ranks -- start so many processes with mpirun; None: one, without mpirun
    launcher -- in place of `mpirun --bind-to none -n` ($TRIMINE_LAUNCHER); the number of ranks follows it
    show -- let the program's plan, progress and warnings through to stderr
    """
    return call("mine", _OPTIONS_OF_MINE, locals())


_OPTIONS_OF_LOSS = {  # of each keyword the option and its kind
    "output": ("output", "text"),
    "overwrite": ("overwrite", "flag"),
    "json_report": ("json-report", "text"),
    "checkpoint": ("checkpoint", "text"),
    "checkpoint_every": ("checkpoint-every", "real"),
    "resume": ("resume", "flag"),
    "embeddings": ("embeddings", "text"),
    "labels": ("labels", "texts"),
    "ids": ("ids", "texts"),
    "queries": ("queries", "texts"),
    "query_labels": ("query-labels", "texts"),
    "query_ids": ("query-ids", "texts"),
    "pairs": ("pairs", "text"),
    "and_labels": ("and-labels", "flag"),
    "loss": ("loss", "word"),
    "triplets": ("triplets", "text"),
    "metric": ("metric", "word"),
    "margin": ("margin", "real"),
    "positives": ("positives", "text"),
    "negatives": ("negatives", "text"),
    "emit": ("emit", "flag"),
    "max_triplets": ("max-triplets", "whole"),
    "window": ("window", "word"),
    "pick": ("pick", "word"),
    "fallback": ("fallback", "word"),
    "min_distance": ("min-distance", "real"),
    "max_distance": ("max-distance", "real"),
    "absolute_margin": ("absolute-margin", "real"),
    "relative_margin": ("relative-margin", "real"),
    "not_near_positive": ("not-near-positive", "real"),
    "negative_ranks": ("ranks", "text"),
    "rank_order": ("rank-order", "word"),
    "shortlist": ("shortlist", "word"),
    "lone": ("lone", "flag"),
    "within": ("within", "real"),
    "at_zero": ("at-zero", "word"),
    "norm_floor": ("norm-floor", "real"),
    "soft": ("soft", "flag"),
    "swap": ("swap", "flag"),
    "reduction": ("reduction", "word"),
    "gradient": ("gradient", "flag"),
    "gradient_at": ("gradient-at", "word"),
    "compat": ("compat", "text"),
    "seed": ("seed", "whole"),
    "histogram": ("histogram", "whole"),
    "margins": ("margins", "reals"),
    "normalize": ("normalize", "flag"),
    "ignore_label": ("ignore-label", "labels"),
    "kernel": ("kernel", "text"),
    "threads": ("threads", "whole"),
    "replicate": ("replicate", "whole"),
    "tile": ("tile", "whole"),
    "mem_per_rank": ("mem-per-rank", "size"),
}


@names_keywords
def loss(
    store: Any,
    *,
    output: Union[Path, bool, None] = None,
    overwrite: bool = False,
    json_report: Optional[Path] = None,
    checkpoint: Optional[Path] = None,
    checkpoint_every: Optional[float] = None,
    resume: bool = False,
    embeddings: Optional[Path] = None,
    labels: Any = None,
    ids: Any = None,
    queries: Any = None,
    query_labels: Any = None,
    query_ids: Any = None,
    pairs: Any = None,
    and_labels: bool = False,
    loss: Optional[Literal["batch-hard", "batch-all", "mined"]] = None,
    triplets: Any = None,
    metric: Optional[Literal["sql2", "l2", "cosine", "dot"]] = None,
    margin: Optional[float] = None,
    positives: Optional[str] = None,
    negatives: Optional[str] = None,
    emit: bool = False,
    max_triplets: Optional[int] = None,
    window: Optional[Literal["none", "lt", "le"]] = None,
    pick: Optional[Literal["nearest", "farthest", "random"]] = None,
    fallback: Optional[Literal["skip", "farthest-inside", "hardest", "random"]] = None,
    min_distance: Optional[float] = None,
    max_distance: Optional[float] = None,
    absolute_margin: Optional[float] = None,
    relative_margin: Optional[float] = None,
    not_near_positive: Optional[float] = None,
    negative_ranks: Optional[str] = None,
    rank_order: Optional[Literal["before", "after"]] = None,
    shortlist: Optional[Literal["none", "st-mine"]] = None,
    lone: bool = False,
    within: Optional[float] = None,
    at_zero: Optional[Literal["none", "whole"]] = None,
    norm_floor: Optional[float] = None,
    soft: bool = False,
    swap: bool = False,
    reduction: Optional[Literal["mean_all", "sum", "mean_nonzero", "mean_valid", "mean_rows"]] = None,
    gradient: bool = False,
    gradient_at: Optional[Literal["stored", "normalized"]] = None,
    compat: Optional[str] = None,
    seed: Optional[int] = None,
    histogram: Optional[int] = None,
    margins: Union[Sequence[float], str, None] = None,
    normalize: bool = False,
    ignore_label: Union[int, str, Sequence[Union[int, str]], None] = None,
    kernel: Optional[str] = None,
    threads: Optional[int] = None,
    replicate: Union[int, Literal["auto"], None] = None,
    tile: Optional[int] = None,
    mem_per_rank: Union[int, str, None] = None,
    ranks: Optional[int] = None,
    launcher: Union[str, Sequence[str], None] = None,
    show: bool = False,
) -> Result:
    """Evaluates a loss and its gradient: on triplets of a file (--triplets), over a whole store (--loss), or on packed triplets.

    Gives a Result with .value, and with gradient=True .gradient. Raises TrimineError. Keywords are the options of `trimine loss`:

    store -- an array, rows x values; or the path of a store, or a list of such
    output -- write the result to FILE (HDF5); None: arrays in memory; False: only the report
    overwrite -- replace an output that exists
    json_report -- write what --json prints to FILE, too: trimine report takes it
    checkpoint -- keep the state in FILE, to go on from after a stop
    checkpoint_every -- how often; 0: only on a signal, and before the result is written (default: 10.0)
    resume -- go on from the checkpoint, if there is one
    embeddings -- dataset of the embeddings in HDF5 files (default: a known name)
    labels -- one label a row, where the store is an array; else dataset of the labels, or a file with one for each row:
        .npy, .txt, .csv:COLUMN, .jsonl:FIELD; once, or once for each store in their order
    ids -- one id a row, where the store is an array; else dataset of the ids, numbers or strings, or a file of them as
        of --labels
    queries -- anchors are the rows of FILE (as a store, or a folder), positives and negatives rows of the store; may be
        repeated: one set after the other; or an array, rows x values
    query_labels -- one label a query, where queries are an array; else labels of the queries, as --labels has those of
        the store (default: the same dataset, or a known name)
    query_ids -- one id a query, where queries are an array; else ids of the queries, as --ids has those of the store
    pairs -- with --queries: positives are exactly the pairs of FILE, a query row and a store row each (HDF5 /query and
        /positive, .npy of two columns, or text); all others are negatives, and labels are not needed; or an array of
        two columns
    and_labels -- with --pairs: a row of the store that shares the query's label is no negative, either
    loss -- over the whole store
    triplets -- triplets of row ids to evaluate, as mine writes them; or a Result, or three arrays (anchor, positive,
        negative)
    metric -- the distance (default: sql2)
    margin -- margin (default 1.0; cosine 0.5; with --soft 0 in the loss)
    positives -- which positives of each anchor get a triplet: all, hardest, easiest, nearest:K, random:K (default: all)
    negatives -- which negatives each pair gets; in packed triplets, of an anchor's own K: semihard, hard, topk:K,
        random:K, weighted:K, within-margin, hard-all, easy-all, violating, multisimilarity:K, reversed (default:
        semihard)
    emit -- list the triplets of a set, which otherwise is counted only
    max_triplets -- list no set of more triplets than N (default: 100000000)
    window -- how d(a,n) - d(a,p) compares with the margin (default: lt)
    pick -- which of the semihard negatives (default: nearest)
    fallback -- where there is no semihard negative (default: skip)
    min_distance -- hard, topk, random, weighted: only negatives with d(a,n) >= X
    max_distance -- hard, topk, random, weighted: only negatives with d(a,n) <= X
    absolute_margin -- hard, topk, random, weighted: only negatives at least X farther than the farthest selected
        positive
    relative_margin -- hard, topk, random, weighted: only negatives farther than it by the share R of its distance, or
        similarity
    not_near_positive -- hard, topk, random, weighted: only negatives farther than X from every selected positive; 0
        drops copies of them
    negative_ranks -- hard, topk, random, weighted: only negatives of these ranks by distance, from 1; A-: to the end
    rank_order -- what --ranks counts (default: before)
    shortlist -- hard, topk, random, weighted: which rows are candidates at all (default: none)
    lone -- batch-hard: a row without a positive adds [margin - min d(a,n)]+
    within -- batch-all: only triplets with 0 < d(a,n) - d(a,p) <= M
    at_zero -- the gradient where the hinge is exactly at its corner; tf.maximum gives the whole (default: none)
    norm_floor -- packed triplets, cosine: squared norms are at least E; tf.math.l2_normalize has 1e-12
    soft -- softplus in place of the hinge
    swap -- d(a,n) becomes min(d(a,n), d(p,n))
    reduction -- which is the value, and scales the gradient (default: mean_all)
    gradient -- the gradient of the value with respect to every row
    gradient_at -- of the rows as stored or, with --normalize, as used (default: stored)
    compat -- options that reproduce another library's rule (see docs/LOSSES.md)
    seed -- seed of everything random
    histogram -- of d(a,p), d(a,n) and d(a,n) - d(a,p), in so many equal bins: in FILE and with --json
    margins -- the loss of the triplets, which are those of --window none, at each of these margins
    normalize -- L2-normalise rows on load
    ignore_label -- rows with label L (a number or a name) take no part; may be repeated
    kernel -- auto, bf16, blas, float64, fp32, int8, prefix or prefix8 (default: auto)
    threads -- threads a rank (default: OMP_NUM_THREADS, else its share of the cores)
    replicate -- ranks a team, auto or a divisor of the ranks (default: auto)
    tile -- rows and columns a tile, a multiple of 16, rounded up to one of 48
    mem_per_rank -- memory limit, such as 900M or 4G
    ranks -- start so many processes with mpirun; None: one, without mpirun
    launcher -- in place of `mpirun --bind-to none -n` ($TRIMINE_LAUNCHER); the number of ranks follows it
    show -- let the program's plan, progress and warnings through to stderr
    """
    return call("loss", _OPTIONS_OF_LOSS, locals())


_OPTIONS_OF_KNN = {  # of each keyword the option and its kind
    "output": ("output", "text"),
    "overwrite": ("overwrite", "flag"),
    "json_report": ("json-report", "text"),
    "checkpoint": ("checkpoint", "text"),
    "checkpoint_every": ("checkpoint-every", "real"),
    "resume": ("resume", "flag"),
    "embeddings": ("embeddings", "text"),
    "labels": ("labels", "texts"),
    "ids": ("ids", "texts"),
    "queries": ("queries", "texts"),
    "query_labels": ("query-labels", "texts"),
    "query_ids": ("query-ids", "texts"),
    "k": ("k", "whole"),
    "among": ("among", "word"),
    "metric": ("metric", "word"),
    "normalize": ("normalize", "flag"),
    "ignore_label": ("ignore-label", "labels"),
    "kernel": ("kernel", "text"),
    "threads": ("threads", "whole"),
    "replicate": ("replicate", "whole"),
    "tile": ("tile", "whole"),
    "mem_per_rank": ("mem-per-rank", "size"),
    "dry_run": ("dry-run", "flag"),
}


@names_keywords
def knn(
    store: Any,
    *,
    output: Union[Path, bool, None] = None,
    overwrite: bool = False,
    json_report: Optional[Path] = None,
    checkpoint: Optional[Path] = None,
    checkpoint_every: Optional[float] = None,
    resume: bool = False,
    embeddings: Optional[Path] = None,
    labels: Any = None,
    ids: Any = None,
    queries: Any = None,
    query_labels: Any = None,
    query_ids: Any = None,
    k: Optional[int] = None,
    among: Optional[Literal["any", "same", "other"]] = None,
    metric: Optional[Literal["sql2", "l2", "cosine", "dot"]] = None,
    normalize: bool = False,
    ignore_label: Union[int, str, Sequence[Union[int, str]], None] = None,
    kernel: Optional[str] = None,
    threads: Optional[int] = None,
    replicate: Union[int, Literal["auto"], None] = None,
    tile: Optional[int] = None,
    mem_per_rank: Union[int, str, None] = None,
    dry_run: bool = False,
    ranks: Optional[int] = None,
    launcher: Union[str, Sequence[str], None] = None,
    show: bool = False,
) -> Result:
    """Finds the K nearest rows of every row of a store, or of queries, exactly.

    Gives a Result with neighbors and distances. Raises TrimineError. Keywords are the options of `trimine knn`:

    store -- an array, rows x values; or the path of a store, or a list of such
    output -- write the result to FILE (HDF5); None: arrays in memory; False: only the report
    overwrite -- replace an output that exists
    json_report -- write what --json prints to FILE, too: trimine report takes it
    checkpoint -- keep the state in FILE, to go on from after a stop
    checkpoint_every -- how often; 0: only on a signal, and before the result is written (default: 10.0)
    resume -- go on from the checkpoint, if there is one
    embeddings -- dataset of the embeddings in HDF5 files (default: a known name)
    labels -- one label a row, where the store is an array; else dataset of the labels, or a file with one for each row:
        .npy, .txt, .csv:COLUMN, .jsonl:FIELD; once, or once for each store in their order
    ids -- one id a row, where the store is an array; else dataset of the ids, numbers or strings, or a file of them as
        of --labels
    queries -- the rows of FILE (as a store, or a folder) ask, about the rows of the store; may be repeated: one set
        after the other; or an array, rows x values
    query_labels -- one label a query, where queries are an array; else labels of the queries, as --labels has those of
        the store (default: the same dataset, or a known name)
    query_ids -- one id a query, where queries are an array; else ids of the queries, as --ids has those of the store
    k -- how many neighbours of each row (default: 10)
    among -- among which rows they are looked for (default: any)
    metric -- the distance (default: sql2)
    normalize -- L2-normalise rows on load
    ignore_label -- rows with label L (a number or a name) take no part; may be repeated
    kernel -- auto, bf16, blas, float64, fp32, int8, prefix or prefix8 (default: auto)
    threads -- threads a rank (default: OMP_NUM_THREADS, else its share of the cores)
    replicate -- ranks a team, auto or a divisor of the ranks (default: auto)
    tile -- rows and columns a tile, a multiple of 16, rounded up to one of 48
    mem_per_rank -- memory limit, such as 900M or 4G
    dry_run -- plan the job on these ranks, as trimine plan does: memory and seconds. Nothing is found or written
    ranks -- start so many processes with mpirun; None: one, without mpirun
    launcher -- in place of `mpirun --bind-to none -n` ($TRIMINE_LAUNCHER); the number of ranks follows it
    show -- let the program's plan, progress and warnings through to stderr
    """
    return call("knn", _OPTIONS_OF_KNN, locals())


_OPTIONS_OF_EVAL = {  # of each keyword the option and its kind
    "per_query": ("per-query", "text"),
    "overwrite": ("overwrite", "flag"),
    "json_report": ("json-report", "text"),
    "checkpoint": ("checkpoint", "text"),
    "checkpoint_every": ("checkpoint-every", "real"),
    "resume": ("resume", "flag"),
    "embeddings": ("embeddings", "text"),
    "labels": ("labels", "texts"),
    "ids": ("ids", "texts"),
    "queries": ("queries", "texts"),
    "query_labels": ("query-labels", "texts"),
    "query_ids": ("query-ids", "texts"),
    "pairs": ("pairs", "text"),
    "at": ("at", "text"),
    "metrics": ("metrics", "text"),
    "per_class": ("per-class", "flag"),
    "metric": ("metric", "word"),
    "normalize": ("normalize", "flag"),
    "ignore_label": ("ignore-label", "labels"),
    "kernel": ("kernel", "text"),
    "threads": ("threads", "whole"),
    "replicate": ("replicate", "whole"),
    "tile": ("tile", "whole"),
    "mem_per_rank": ("mem-per-rank", "size"),
    "dry_run": ("dry-run", "flag"),
}


@names_keywords
def evaluate(
    store: Any,
    *,
    per_query: Union[Path, bool, None] = None,
    overwrite: bool = False,
    json_report: Optional[Path] = None,
    checkpoint: Optional[Path] = None,
    checkpoint_every: Optional[float] = None,
    resume: bool = False,
    embeddings: Optional[Path] = None,
    labels: Any = None,
    ids: Any = None,
    queries: Any = None,
    query_labels: Any = None,
    query_ids: Any = None,
    pairs: Any = None,
    at: Optional[str] = None,
    metrics: Optional[str] = None,
    per_class: bool = False,
    metric: Optional[Literal["sql2", "l2", "cosine", "dot"]] = None,
    normalize: bool = False,
    ignore_label: Union[int, str, Sequence[Union[int, str]], None] = None,
    kernel: Optional[str] = None,
    threads: Optional[int] = None,
    replicate: Union[int, Literal["auto"], None] = None,
    tile: Optional[int] = None,
    mem_per_rank: Union[int, str, None] = None,
    dry_run: bool = False,
    ranks: Optional[int] = None,
    launcher: Union[str, Sequence[str], None] = None,
    show: bool = False,
) -> Result:
    """Measures how well the nearest rows are those with the same label, or those listed: exact retrieval metrics.

    Gives a Result with .metrics, and with per_query=True (or a path) the ranks of all relevant rows. Raises TrimineError. Keywords are the options of `trimine eval`:

    store -- an array, rows x values; or the path of a store, or a list of such
    per_query -- write the ranks of all relevant rows of each query to FILE (HDF5); True: arrays in memory
    overwrite -- replace an output that exists
    json_report -- write what --json prints to FILE, too: trimine report takes it
    checkpoint -- keep the state in FILE, to go on from after a stop
    checkpoint_every -- how often; 0: only on a signal, and before the result is written (default: 10.0)
    resume -- go on from the checkpoint, if there is one
    embeddings -- dataset of the embeddings in HDF5 files (default: a known name)
    labels -- one label a row, where the store is an array; else dataset of the labels, or a file with one for each row:
        .npy, .txt, .csv:COLUMN, .jsonl:FIELD; once, or once for each store in their order
    ids -- one id a row, where the store is an array; else dataset of the ids, numbers or strings, or a file of them as
        of --labels
    queries -- the rows of FILE (as a store, or a folder) ask, about the rows of the store; may be repeated: one set
        after the other; or an array, rows x values
    query_labels -- one label a query, where queries are an array; else labels of the queries, as --labels has those of
        the store (default: the same dataset, or a known name)
    query_ids -- one id a query, where queries are an array; else ids of the queries, as --ids has those of the store
    pairs -- with --queries: relevant are exactly the pairs of FILE, a query row and a store row each (HDF5 /query and
        /positive, .npy of two columns, or text); labels are not needed; or an array of two columns
    at -- values of k, ascending, of hit_rate, recall, precision and ndcg (default: 1,5,10,100)
    metrics -- all, or some of precision_at_1,r_precision,map_at_r,mrr,hit_rate,recall,precision,ndcg (default: all)
    per_class -- tell the means of each class, too
    metric -- the distance (default: sql2)
    normalize -- L2-normalise rows on load
    ignore_label -- rows with label L (a number or a name) take no part; may be repeated
    kernel -- auto, bf16, blas, float64, fp32, int8, prefix or prefix8 (default: auto)
    threads -- threads a rank (default: OMP_NUM_THREADS, else its share of the cores)
    replicate -- ranks a team, auto or a divisor of the ranks (default: auto)
    tile -- rows and columns a tile, a multiple of 16, rounded up to one of 48
    mem_per_rank -- memory limit, such as 900M or 4G
    dry_run -- plan the job on these ranks, as trimine plan does: memory and seconds. Nothing is found or written
    ranks -- start so many processes with mpirun; None: one, without mpirun
    launcher -- in place of `mpirun --bind-to none -n` ($TRIMINE_LAUNCHER); the number of ranks follows it
    show -- let the program's plan, progress and warnings through to stderr
    """
    return call("eval", _OPTIONS_OF_EVAL, locals())


_OPTIONS_OF_RADIUS = {  # of each keyword the option and its kind
    "output": ("output", "text"),
    "overwrite": ("overwrite", "flag"),
    "json_report": ("json-report", "text"),
    "checkpoint": ("checkpoint", "text"),
    "checkpoint_every": ("checkpoint-every", "real"),
    "resume": ("resume", "flag"),
    "embeddings": ("embeddings", "text"),
    "labels": ("labels", "texts"),
    "ids": ("ids", "texts"),
    "queries": ("queries", "texts"),
    "query_labels": ("query-labels", "texts"),
    "query_ids": ("query-ids", "texts"),
    "radius": ("radius", "real"),
    "among": ("among", "word"),
    "groups": ("groups", "flag"),
    "histogram": ("histogram", "whole"),
    "max_pairs": ("max-pairs", "whole"),
    "metric": ("metric", "word"),
    "normalize": ("normalize", "flag"),
    "ignore_label": ("ignore-label", "labels"),
    "kernel": ("kernel", "text"),
    "threads": ("threads", "whole"),
    "replicate": ("replicate", "whole"),
    "tile": ("tile", "whole"),
    "mem_per_rank": ("mem-per-rank", "size"),
    "dry_run": ("dry-run", "flag"),
}


@names_keywords
def radius(
    store: Any,
    *,
    output: Union[Path, bool, None] = None,
    overwrite: bool = False,
    json_report: Optional[Path] = None,
    checkpoint: Optional[Path] = None,
    checkpoint_every: Optional[float] = None,
    resume: bool = False,
    embeddings: Optional[Path] = None,
    labels: Any = None,
    ids: Any = None,
    queries: Any = None,
    query_labels: Any = None,
    query_ids: Any = None,
    radius: Optional[float] = None,
    among: Optional[Literal["any", "same", "other"]] = None,
    groups: bool = False,
    histogram: Optional[int] = None,
    max_pairs: Optional[int] = None,
    metric: Optional[Literal["sql2", "l2", "cosine", "dot"]] = None,
    normalize: bool = False,
    ignore_label: Union[int, str, Sequence[Union[int, str]], None] = None,
    kernel: Optional[str] = None,
    threads: Optional[int] = None,
    replicate: Union[int, Literal["auto"], None] = None,
    tile: Optional[int] = None,
    mem_per_rank: Union[int, str, None] = None,
    dry_run: bool = False,
    ranks: Optional[int] = None,
    launcher: Union[str, Sequence[str], None] = None,
    show: bool = False,
) -> Result:
    """Finds all pairs of rows of a store, or of queries and its rows, within a distance, exactly.

    Gives a Result with pairs: a, b, distance. Raises TrimineError. Keywords are the options of `trimine radius`:

    store -- an array, rows x values; or the path of a store, or a list of such
    output -- write the result to FILE (HDF5); None: arrays in memory; False: only the report
    overwrite -- replace an output that exists
    json_report -- write what --json prints to FILE, too: trimine report takes it
    checkpoint -- keep the state in FILE, to go on from after a stop
    checkpoint_every -- how often; 0: only on a signal, and before the result is written (default: 10.0)
    resume -- go on from the checkpoint, if there is one
    embeddings -- dataset of the embeddings in HDF5 files (default: a known name)
    labels -- one label a row, where the store is an array; else dataset of the labels, or a file with one for each row:
        .npy, .txt, .csv:COLUMN, .jsonl:FIELD; once, or once for each store in their order
    ids -- one id a row, where the store is an array; else dataset of the ids, numbers or strings, or a file of them as
        of --labels
    queries -- the rows of FILE (as a store, or a folder) ask, about the rows of the store; may be repeated: one set
        after the other; or an array, rows x values
    query_labels -- one label a query, where queries are an array; else labels of the queries, as --labels has those of
        the store (default: the same dataset, or a known name)
    query_ids -- one id a query, where queries are an array; else ids of the queries, as --ids has those of the store
    radius -- pairs with a distance of at most R
    among -- which pairs: of a row and (default: any)
    groups -- find the groups of rows that pairs connect, directly or over others
    histogram -- bins of the histogram of distances (default: 20)
    max_pairs -- with -o: refuse to write more pairs than that, once they are counted (default: 100000000)
    metric -- the distance (default: sql2)
    normalize -- L2-normalise rows on load
    ignore_label -- rows with label L (a number or a name) take no part; may be repeated
    kernel -- auto, bf16, blas, float64, fp32, int8, prefix or prefix8 (default: auto)
    threads -- threads a rank (default: OMP_NUM_THREADS, else its share of the cores)
    replicate -- ranks a team, auto or a divisor of the ranks (default: auto)
    tile -- rows and columns a tile, a multiple of 16, rounded up to one of 48
    mem_per_rank -- memory limit, such as 900M or 4G
    dry_run -- plan the job on these ranks, as trimine plan does: memory and seconds. Nothing is found or written
    ranks -- start so many processes with mpirun; None: one, without mpirun
    launcher -- in place of `mpirun --bind-to none -n` ($TRIMINE_LAUNCHER); the number of ranks follows it
    show -- let the program's plan, progress and warnings through to stderr
    """
    return call("radius", _OPTIONS_OF_RADIUS, locals())
