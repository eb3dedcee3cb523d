"""The structs of include/trimine as ctypes has them; tests/python/test_mpi.py compares their layout with the C compiler's."""
import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure, c_bool, c_char, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint64, c_void_p


class Error(Structure):
    _fields_ = [("status", c_int), ("rank", c_int), ("host", c_char * 64), ("text", c_char * 1024)]


class RunOptions(Structure):
    _fields_ = [("size", c_size_t), ("threads", c_int), ("replicate", c_int), ("tile", c_int), ("mem_per_rank", c_int64),
                ("kernel", c_char_p), ("progress", c_void_p), ("progress_context", c_void_p), ("checkpoint", c_void_p)]


class MineOptions(Structure):
    _fields_ = [("size", c_size_t), ("metric", c_int), ("margin", c_double), ("positives", c_char_p), ("negatives", c_char_p),
                ("window", c_int), ("pick", c_int), ("fallback", c_int), ("lone", c_bool), ("reserve", c_int64),
                ("ranks", c_char_p), ("rank_order", c_int), ("min_distance", c_double), ("max_distance", c_double),
                ("absolute_margin", c_double), ("relative_margin", c_double), ("emit_sets", c_bool), ("max_triplets", c_int64),
                ("seed", c_uint64), ("not_near_positive", c_double), ("reserve_a_triplet", c_int64), ("queries", c_void_p),
                ("pairs", c_void_p), ("and_labels", c_bool), ("shortlist", c_int)]


class LossOptions(Structure):
    _fields_ = [("size", c_size_t), ("metric", c_int), ("margin", c_double), ("soft", c_bool), ("swap", c_bool),
                ("reduction", c_int), ("whole_at_zero", c_bool)]


class GivenTriplets(Structure):
    _fields_ = [("count", c_int64), ("anchor", c_void_p), ("positive", c_void_p), ("negative", c_void_p)]


class PairList(Structure):
    _fields_ = [("count", c_int64), ("query", c_void_p), ("positive", c_void_p)]


class Batches(Structure):
    _fields_ = [("count", c_int64), ("start", c_void_p), ("row", c_void_p), ("triplets", c_void_p), ("most", c_int64)]


class DrawOptions(Structure):
    _fields_ = [("size", c_size_t), ("batches", c_int64), ("classes", c_int64), ("rows", c_int64), ("seed", c_uint64)]


class Batch(Structure):
    _fields_ = [("count", c_int64), ("dim", c_int), ("embeddings", c_void_p), ("labels", c_void_p), ("norms", c_void_p)]


class EvaluateOptions(Structure):
    _fields_ = [("size", c_size_t), ("source", c_int), ("mine", MineOptions), ("loss", LossOptions), ("lone", c_bool),
                ("given", GivenTriplets), ("batches", c_void_p), ("queries", POINTER(Batch)), ("queries_gradient", c_void_p)]


class Packed(Structure):
    _fields_ = [("count", c_int64), ("negatives", c_int64), ("dim", c_int),
                *((name, c_void_p) for name in ("anchor", "positive", "negative", "anchor_norms", "positive_norms", "negative_norms"))]


class PackedOptions(Structure):
    _fields_ = [("size", c_size_t), ("loss", LossOptions), ("negatives", c_char_p), ("window", c_int), ("window_margin", c_double),
                ("pick", c_int), ("fallback", c_int), ("seed", c_uint64), ("norm_floor", c_double), ("emit", c_void_p),
                ("context", c_void_p)]


class Triplet(Structure):
    _fields_ = [("anchor", c_int64), ("positive", c_int64), ("negative", c_int64), ("d_ap", c_double), ("d_an", c_double),
                ("kind", c_int64), ("rank", c_int64)]


class LossSummary(Structure):
    _fields_ = [("sum", c_double), ("count", c_int64), ("active", c_int64), ("valid", c_int64), ("rows", c_int64),
                ("semihard", c_int64), ("fallback", c_int64), ("mean_all", c_double), ("mean_nonzero", c_double),
                ("mean_valid", c_double), ("mean_rows", c_double), ("value", c_double), ("gradient_norm", c_double),
                ("gradient_max_abs", c_double), ("loss_s", c_double), ("gradient_s", c_double), ("pairs_multiplied", c_int64),
                ("skipped", c_int64)]


class ChainUse(Structure):
    _fields_ = [("name", c_char * 24), ("elements", c_int64), ("ns", c_double)]


class Anchors(Structure):
    _fields_ = [(name, c_int64) for name in ("total", "valid", "no_positive", "no_negative", "ignored")]


class Triplets(Structure):
    _fields_ = [(name, c_int64) for name in ("total", "semihard", "fallback", "skipped")]


class Certify(Structure):
    _fields_ = [(name, c_int64) for name in ("elements", "survivors", "float64")]


class Filters(Structure):
    _fields_ = [("removed", c_int64 * 5), ("short_anchors", c_int64)]


class Stages(Structure):
    _fields_ = [("after", c_int64 * 2)]


class MineSummary(Structure):
    _fields_ = [("anchors", Anchors), ("classes", c_int64), ("positive_pairs", c_int64), ("triplets", Triplets),
                ("certify", Certify), ("certify_positives", Certify), ("reused", c_int64), ("result_hash", c_char * 33),
                ("panels", c_int), ("arrange_s", c_double), ("positives_s", c_double), ("negatives_s", c_double),
                ("answers_s", c_double), ("memory_bytes", c_int64), ("filters", Filters), ("set_size", c_int64),
                ("repeated_pairs", c_int64), ("stages", Stages), ("stages_positives", Stages), ("chains", ChainUse * 12),
                ("prepare_s", c_double)]


TRIPLET_FN = CFUNCTYPE(c_int, c_void_p, POINTER(POINTER(Triplet)), c_int64, POINTER(Error))

# The structs with a name of their own in C, for the test of layouts.
NAMED = {"trm_error": Error, "trm_run_options": RunOptions, "trm_mine_options": MineOptions, "trm_loss_options": LossOptions,
         "trm_given_triplets": GivenTriplets, "trm_pair_list": PairList, "trm_batch": Batch,
         "trm_batches": Batches, "trm_draw_options": DrawOptions, "trm_packed": Packed, "trm_packed_options": PackedOptions,
         "trm_evaluate_options": EvaluateOptions, "trm_triplet": Triplet, "trm_loss_summary": LossSummary,
         "trm_chain_use": ChainUse, "trm_mine_summary": MineSummary}

SOURCES = {"mined": 0, "given": 1, "batch-hard": 2, "batch-all": 3, "within": 4}


def declare(library, comm):
    """Argument types of the functions that are called. comm: the type of MPI's handles."""
    pointer, text, error = c_void_p, c_char_p, POINTER(Error)
    status = {
        "trm_run_create": [comm, POINTER(RunOptions), POINTER(pointer), error],
        "trm_agree": [comm, c_int, error],
        "trm_rows_create": [pointer, c_int64, c_int, pointer, pointer, c_int64, pointer, POINTER(pointer), error],
        "trm_rows_create_by_id": [pointer, c_int64, c_int, pointer, pointer, POINTER(pointer), error],
        "trm_rows_create_queries": [pointer, pointer, c_int64, pointer, pointer, POINTER(pointer), error],
        "trm_evaluate": [pointer, pointer, POINTER(Batch), POINTER(EvaluateOptions), TRIPLET_FN, pointer, pointer,
                         POINTER(MineSummary), POINTER(LossSummary), pointer, error],
        "trm_batches_draw": [pointer, pointer, POINTER(DrawOptions), POINTER(Batches), error],
        "trm_packed_loss": [comm, POINTER(Packed), POINTER(PackedOptions), POINTER(pointer), POINTER(LossSummary), pointer, error],
        "trm_run_threads": [pointer],
        "trm_job_create": [text, POINTER(pointer), error],
        "trm_job_set": [pointer, text, text, error],
        "trm_job_add_input": [pointer, text, error],
        "trm_job_check": [pointer, error],
        "trm_job_open": [pointer, comm, pointer, error],
        "trm_job_plan": [pointer, error],
        "trm_job_run": [pointer, error],
        "trm_job_write": [pointer, error],
        "trm_job_tell": [pointer, POINTER(text), error],
        "trm_exit_code": [c_int],
    }
    nothing = {
        "trm_run_options_init_sized": [pointer, c_size_t],
        "trm_evaluate_options_init_sized": [pointer, c_size_t, c_size_t, c_size_t],
        "trm_draw_options_init_sized": [pointer, c_size_t],
        "trm_packed_options_init_sized": [pointer, c_size_t, c_size_t],
        "trm_batches_free": [POINTER(Batches)],
        "trm_run_destroy": [POINTER(pointer)],
        "trm_rows_destroy": [POINTER(pointer)],
        "trm_job_done": [pointer],
        "trm_job_destroy": [POINTER(pointer)],
    }
    for names, result in ((status, c_int), (nothing, None)):
        for name, arguments in names.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, result
    library.trm_version.restype = library.trm_status_name.restype = text
    library.trm_status_name.argtypes = [c_int]
    library.trm_normalize.restype, library.trm_normalize.argtypes = c_int64, [c_int64, c_int, pointer, pointer, pointer]
    library.trm_metric_default_margin.restype, library.trm_metric_default_margin.argtypes = c_double, [c_int]


def room(kind):
    """A struct that the library fills, with room behind it: a library of the same version may know more members."""
    memory = ctypes.create_string_buffer(ctypes.sizeof(kind) + 4096)
    return kind.from_buffer(memory)
