/* Options of jobs that belong to no other room, a table each group of those that are taken together; see
 * options/option.h. Settings of all of them are in trm_settings. */
#include "job/settings.h"

#include "loss/options.h"
#include "metric/metric.h"

static const trm_option output_rows[] = {
    {.name = "output",
     .letter = 'o',
     .value = "FILE",
     .about = "write the result to FILE (HDF5)",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_settings, output)},
};
const trm_options trm_output_table = TRM_OPTIONS("Output", output_rows);

static const trm_option form_rows[] = {
    {.name = "form",
     .value = "FORM",
     .about = "of the result: one triplet a line, or all negatives of a pair in one line",
     .json = "form",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_settings, form),
     .words = &trm_form_words,
     .decides = TRM_AT_MINED,
     .sparse = true},
};
const trm_options trm_form_table = TRM_OPTIONS("Output", form_rows);

static const trm_option batches_rows[] = {
    {.name = "batches",
     .value = "B",
     .about = "mine inside each of B batches that are drawn, not in the whole store",
     .json = "batches",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_settings, batches),
     .least = 1,
     .most = 0x1p40,
     .optional = true,
     .sources = TRM_AT_MINED,
     .decides = TRM_AT_MINED,
     .sparse = true},
    {.name = "classes-per-batch",
     .value = "P",
     .about = "classes of a batch",
     .json = "classes_per_batch",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_settings, classes_per_batch),
     .least = 1,
     .most = 0x1p40,
     .optional = true,
     .sources = TRM_AT_MINED,
     .decides = TRM_AT_MINED,
     .sparse = true},
    {.name = "rows-per-class",
     .value = "K",
     .about = "rows of each class in a batch",
     .json = "rows_per_class",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_settings, rows_per_class),
     .least = 1,
     .most = 0x1p40,
     .optional = true,
     .sources = TRM_AT_MINED,
     .decides = TRM_AT_MINED,
     .sparse = true},
    {.name = "batch-list",
     .value = "FILE",
     .about = "with --batches: write the drawn row ids to FILE; else mine inside the batches of FILE",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_settings, batch_list),
     .sources = TRM_AT_MINED},
};
const trm_options trm_batches_table = TRM_OPTIONS("Store", batches_rows);

/* In both tables of queries. */
#define QUERY_LABELS_ROW(where)                                                                              \
    {                                                                                                        \
        .name = "query-labels", .value = "PATH",                                                             \
        .about =                                                                                             \
            "labels of the queries, as --labels has those of the store (default: the same dataset, or a "    \
            "known name)",                                                                                   \
        .kind = TRM_OPTION_TEXTS, TRM_FIELD(trm_settings, query_labels), .sources = (where)                  \
    }
#define QUERY_IDS_ROW(where)                                                                                 \
    {                                                                                                        \
        .name = "query-ids", .value = "PATH",                                                                \
        .about = "ids of the queries, as --ids has those of the store", .kind = TRM_OPTION_TEXTS,            \
        TRM_FIELD(trm_settings, query_ids), .sources = (where)                                               \
    }

static const trm_option queries_rows[] = {
    {.name = "queries",
     .value = "FILE",
     .about =
         "anchors are the rows of FILE (as a store, or a folder), positives and negatives rows of the store; "
         "may be repeated: one set after the other",
     .kind = TRM_OPTION_TEXTS,
     TRM_FIELD(trm_settings, queries),
     .sources = TRM_AT_MINED | TRM_AT_GIVEN | TRM_AT_HARD},
    QUERY_LABELS_ROW(TRM_AT_MINED | TRM_AT_GIVEN | TRM_AT_HARD),
    QUERY_IDS_ROW(TRM_AT_MINED | TRM_AT_GIVEN | TRM_AT_HARD),
    {.name = "pairs",
     .value = "FILE",
     .about =
         "with --queries: positives are exactly the pairs of FILE, a query row and a store row each (HDF5 "
         "/query "
         "and /positive, .npy of two columns, or text); all others are negatives, and labels are not needed",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_settings, pairs),
     .sources = TRM_AT_MINED | TRM_AT_GIVEN | TRM_AT_HARD},
};
const trm_options trm_queries_table = TRM_OPTIONS("Two sets", queries_rows);

static const trm_option asked_queries_rows[] = {
    {.name = "queries",
     .value = "FILE",
     .about =
         "the rows of FILE (as a store, or a folder) ask, about the rows of the store; may be repeated: one "
         "set after the other",
     .kind = TRM_OPTION_TEXTS,
     TRM_FIELD(trm_settings, queries)},
    QUERY_LABELS_ROW(0),
    QUERY_IDS_ROW(0),
};
const trm_options trm_asked_queries_table = TRM_OPTIONS("Two sets", asked_queries_rows);

static const trm_option asked_pairs_rows[] = {
    {.name = "pairs",
     .value = "FILE",
     .about =
         "with --queries: relevant are exactly the pairs of FILE, a query row and a store row each (HDF5 "
         "/query and /positive, .npy of two columns, or text); labels are not needed",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_settings, pairs)},
};
const trm_options trm_asked_pairs_table = TRM_OPTIONS("Two sets", asked_pairs_rows);

static const trm_option per_query_rows[] = {
    {.name = "per-query",
     .value = "FILE",
     .about = "write the ranks of all relevant rows of each query to FILE (HDF5)",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_settings, output)},
};
const trm_options trm_per_query_table = TRM_OPTIONS("Output", per_query_rows);

static const trm_option metric_rows[] = {
    {.name = "metric",
     .value = "NAME",
     .about = "the distance",
     .json = "metric",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_settings, mine.metric),
     .words = &trm_metric_words,
     .decides = TRM_AT_ANY},
};
const trm_options trm_metric_table = TRM_OPTIONS("Distance", metric_rows);

static const trm_option overwrite_rows[] = {
    {.name = "overwrite",
     .about = "replace an output that exists",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_settings, overwrite)},
};
const trm_options trm_overwrite_table = TRM_OPTIONS("Output", overwrite_rows);

static const trm_option json_report_rows[] = {
    {.name = "json-report",
     .value = "FILE",
     .about = "write what --json prints to FILE, too: trimine report takes it",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_settings, json_report)},
};
const trm_options trm_json_report_table = TRM_OPTIONS("Output", json_report_rows);

static const trm_option checkpoint_rows[] = {
    {.name = "checkpoint",
     .value = "FILE",
     .about = "keep the state in FILE, to go on from after a stop",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_settings, checkpoint),
     .sources = TRM_AT_WHOLE},
    {.name = "checkpoint-every",
     .value = "MINUTES",
     .about = "how often; 0: only on a signal, and before the result is written",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_settings, checkpoint_minutes),
     .sources = TRM_AT_WHOLE},
    {.name = "resume",
     .about = "go on from the checkpoint, if there is one",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_settings, resume),
     .sources = TRM_AT_WHOLE},
};
const trm_options trm_checkpoint_table = TRM_OPTIONS("Output", checkpoint_rows);

static const trm_option dataset_rows[] = {
    {.name = "embeddings",
     .value = "PATH",
     .about = "dataset of the embeddings in HDF5 files (default: a known name)",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_settings, store.embeddings),
     .sources = TRM_AT_STORE},
    {.name = "labels",
     .value = "PATH",
     .about =
         "dataset of the labels, or a file with one for each row: .npy, .txt, .csv:COLUMN, .jsonl:FIELD; "
         "once, or once for each store in their order",
     .kind = TRM_OPTION_TEXTS,
     TRM_FIELD(trm_settings, labels),
     .sources = TRM_AT_STORE},
    {.name = "ids",
     .value = "PATH",
     .about = "dataset of the ids, numbers or strings, or a file of them as of --labels",
     .kind = TRM_OPTION_TEXTS,
     TRM_FIELD(trm_settings, ids),
     .sources = TRM_AT_STORE},
};
const trm_options trm_dataset_table = TRM_OPTIONS("Store", dataset_rows);

static const trm_option normalize_rows[] = {
    {.name = "normalize",
     .about = "L2-normalise rows on load",
     .json = "normalize",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_settings, normalize),
     .sources = TRM_AT_ANY,
     .decides = TRM_AT_ANY},
};
const trm_options trm_normalize_table = TRM_OPTIONS("Store", normalize_rows);

static const trm_option ignore_rows[] = {
    {.name = "ignore-label",
     .value = "L",
     .about = "rows with label L (a number or a name) take no part; may be repeated",
     .json = "ignore_label",
     .kind = TRM_OPTION_LABELS,
     TRM_FIELD(trm_settings, ignore),
     .sources = TRM_AT_STORE,
     .decides = TRM_AT_STORE},
};
const trm_options trm_ignore_table = TRM_OPTIONS("Store", ignore_rows);

static const trm_option source_rows[] = {
    {.name = "loss",
     .value = "NAME",
     .about = "over the whole store",
     .json = "source",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_settings, source),
     .words = &trm_source_words,
     .optional = true,
     .sources = TRM_AT_WHOLE,
     .decides = TRM_AT_ANY},
    {.name = "triplets",
     .value = "FILE",
     .about = "triplets of row ids to evaluate, as mine writes them",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_settings, triplets),
     .sources = TRM_AT_GIVEN},
};
const trm_options trm_source_table = TRM_OPTIONS("Triplets", source_rows);

static const trm_option whole_rows[] = {
    {.name = "lone",
     .about = "batch-hard: a row without a positive adds [margin - min d(a,n)]+",
     .json = "lone",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_settings, lone),
     .sources = TRM_AT_HARD,
     .decides = TRM_AT_HARD},
    {.name = "within",
     .value = "M",
     .about = "batch-all: only triplets with 0 < d(a,n) - d(a,p) <= M",
     .json = "within",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_settings, within),
     .optional = true,
     .sources = TRM_AT_WITHIN,
     .decides = TRM_AT_WITHIN},
};
const trm_options trm_whole_table = TRM_OPTIONS("Loss", whole_rows);

static const trm_word gradient_at[] = {
    {.name = "stored", .about = "through the normalisation", .value = 0},
    {.name = "normalized", .about = "with respect to the normalised rows", .value = 1},
};
static const trm_words gradient_at_words = TRM_WORDS("bool", gradient_at);

static const trm_option gradient_rows[] = {
    {.name = "gradient",
     .about = "the gradient of the value with respect to every row",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_settings, gradient)},
    {.name = "gradient-at",
     .value = "WHICH",
     .about = "of the rows as stored or, with --normalize, as used",
     .json = "gradient_at",
     .kind = TRM_OPTION_WORD,
     TRM_FIELD(trm_settings, gradient_at_normalized),
     .words = &gradient_at_words,
     .sources = TRM_AT_ANY,
     .decides = TRM_AT_ANY | TRM_WITH_GRADIENT},
};
const trm_options trm_gradient_table = TRM_OPTIONS("Loss", gradient_rows);

static const trm_option compat_rows[] = {
    {.name = "compat",
     .value = "NAME",
     .about = "options that reproduce another library's rule (see docs/LOSSES.md)",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_settings, compat)},
};
const trm_options trm_compat_table = TRM_OPTIONS("Loss", compat_rows);

static const trm_option seed_rows[] = {
    {.name = "seed",
     .value = "S",
     .about = "seed of everything random",
     .json = "seed",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_settings, seed),
     .most = TRM_MOST}, /* it decides where something is drawn: trm_settings_draw */
};
const trm_options trm_seed_table = TRM_OPTIONS("Random choices", seed_rows);

static const trm_option plan_rows[] = {
    {.name = "ranks-list",
     .value = "P,P,...",
     .about = "numbers of ranks to plan for (default: 1, 2, 4, ... 64)",
     .kind = TRM_OPTION_REALS,
     TRM_FIELD(trm_settings, plan.ranks),
     TRM_NUMBER(trm_settings, plan.ranks_given),
     .least = 1,
     .most = 1e6},
    {.name = "rows",
     .value = "N",
     .about = "without a STORE: rows of data that are not there yet, taken as those of synth",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_settings, plan.rows),
     .least = 1,
     .most = 0x1p40,
     .optional = true},
    {.name = "dim",
     .value = "D",
     .about = "their dimensions",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_settings, plan.dim),
     .least = 1,
     .most = 65536},
    {.name = "classes",
     .value = "C",
     .about = "their classes",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_settings, plan.classes),
     .least = 1,
     .most = 0x1p40},
    {.name = "spread",
     .value = "X",
     .about = "noise around a class's centre, relative to its length",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_settings, plan.spread),
     .most = 1e100},
    {.name = "gflops",
     .value = "G",
     .about = "what a rank's filters sustain, 2 D operations a pair, in place of the probe of this machine",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_settings, plan.gflops),
     .least = 1e-3,
     .most = 1e9,
     .optional = true},
    {.name = "network",
     .value = "B",
     .about = "bytes a second that a rank sends, and receives",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_settings, plan.network),
     .least = 1.0,
     .most = 1e15},
    {.name = "disk",
     .value = "B",
     .about = "bytes a second that a rank reads, and writes (default: as the probe reads)",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_settings, plan.disk),
     .least = 1.0,
     .most = 1e15,
     .optional = true},
    {.name = "sample",
     .value = "N",
     .about =
         "run a pilot: N pairs of an anchor and a positive against the whole store, exactly, and suggest a "
         "margin",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_settings, plan.sample),
     .least = 1,
     .most = 1e6,
     .optional = true},
    {.name = "active",
     .value = "SHARE",
     .about = "of the pilot's pairs that the suggested margin reaches, from 0 to 1",
     .kind = TRM_OPTION_REAL,
     TRM_FIELD(trm_settings, plan.active),
     .most = 1.0},
};
const trm_options trm_plan_table = TRM_OPTIONS("Plan", plan_rows);

static const trm_option dry_run_rows[] = {
    {.name = "dry-run",
     .about =
         "plan the job on these ranks, as trimine plan does: memory and seconds. Nothing is found or written",
     .kind = TRM_OPTION_FLAG,
     TRM_FIELD(trm_settings, dry_run)},
};
const trm_options trm_dry_run_table = TRM_OPTIONS("Run", dry_run_rows);

static const trm_word replicate[] = {{.name = "auto", .about = "as many as pay", .value = 0}};
static const trm_words replicate_words = TRM_WORDS("int", replicate);

static const trm_option run_rows[] = {
    {.name = "kernel",
     .value = "NAME",
     .about = "auto, bf16, blas, float64, fp32, int8, prefix or prefix8",
     .kind = TRM_OPTION_TEXT,
     TRM_FIELD(trm_run_options, kernel)},
    {.name = "threads",
     .value = "T",
     .about = "threads a rank (default: OMP_NUM_THREADS, else its share of the cores)",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_run_options, threads),
     .least = 1,
     .most = TRM_THREADS_MOST},
    {.name = "replicate",
     .value = "C",
     .about = "ranks a team, auto or a divisor of the ranks",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_run_options, replicate),
     .words = &replicate_words,
     .least = 1,
     .most = INT32_MAX},
    {.name = "tile",
     .value = "T",
     .about = "rows and columns a tile, a multiple of 16, rounded up to one of 48",
     .kind = TRM_OPTION_WHOLE,
     TRM_FIELD(trm_run_options, tile),
     .least = 1,
     .most = INT32_MAX},
    {.name = "mem-per-rank",
     .value = "SIZE",
     .about = "memory limit, such as 900M or 4G",
     .kind = TRM_OPTION_SIZE,
     TRM_FIELD(trm_run_options, mem_per_rank)},
};
const trm_options trm_run_table = TRM_OPTIONS("Run", run_rows);
