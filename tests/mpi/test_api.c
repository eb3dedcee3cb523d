/* What callers of the library may get wrong, or leave out: every rank gets the same status and text, that
 * names the argument or the row, and none hangs. */
#include "support/random_store.h"
#include "support/scratch.h"
#include "trimine/trimine.h"

#include <math.h>
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 24, DIM = 4, K = 3 };

/* ---- whose communicator ---- */

static MPI_Comm watched = MPI_COMM_NULL;
static int seen_on_watched, owned;

int MPI_Allreduce(const void *send, void *receive, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm)
{
    seen_on_watched += comm == watched;
    return PMPI_Allreduce(send, receive, count, type, op, comm);
}

int MPI_Bcast(void *data, int count, MPI_Datatype type, int root, MPI_Comm comm)
{
    seen_on_watched += comm == watched;
    return PMPI_Bcast(data, count, type, root, comm);
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm *made)
{
    owned++;
    return PMPI_Comm_dup(comm, made);
}

int MPI_Comm_free(MPI_Comm *comm)
{
    owned--;
    return PMPI_Comm_free(comm);
}

/* ---- one call, and what may be changed about it ---- */

/* Of all ranks: the same on each. Rank r has rows [first, first + count). */
static float all_x[ROWS * DIM], all_negatives[ROWS * K * DIM];
static int64_t all_labels[ROWS];

/* Coordinates in eighths, none of them 0. */
static void make_rows(void)
{
    test_random random = {11};
    for (int i = 0; i < ROWS * DIM; i++)
        all_x[i] = (float)(1 + test_random_below(&random, 9)) / 8.0F;
    for (int i = 0; i < ROWS * K * DIM; i++)
        all_negatives[i] = (float)(1 + test_random_below(&random, 9)) / 8.0F;
    for (int i = 0; i < ROWS; i++)
        all_labels[i] = i % 4;
}

typedef struct call {
    trm_run_options run;
    trm_evaluate_options options;
    trm_packed_options packed_options;
    trm_packed packed;
    trm_batch made_of; /* what trm_rows_create gets */
    int64_t ignore_count;
    const int64_t *ignore_label;
    trm_batch batch;
    int64_t first;
    float *gradient, *packed_gradient[3];
    trm_loss_part *part;
    trm_triplet_fn emit;
    trm_mine_summary mined;
    trm_loss_summary loss;
    trm_status status;
    trm_error err;
} call;

static float gradient_space[ROWS * DIM], packed_space[3][ROWS * K * DIM];
static trm_loss_part part_space;

static trm_status take_nothing(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    (void)context, (void)triplets, (void)count, (void)err;
    return TRM_OK;
}

/* Labels that no row has. */
static const int64_t nowhere[] = {-7, -8}, other_nowhere[] = {-7, -9};

/* A call that is right. Rank 0 has no rows, and NULL for all that it has none of, where there are others. */
static call right(MPI_Comm comm)
{
    int me, all;
    MPI_Comm_rank(comm, &me);
    MPI_Comm_size(comm, &all);
    const int64_t others = all > 1 ? all - 1 : 1, at = all > 1 ? me - 1 : 0;
    const int64_t first = at < 0 ? 0 : ROWS * at / others;
    const int64_t count = at < 0 ? 0 : ROWS * (at + 1) / others - first;
    call c = {.first = first, .ignore_count = 2, .ignore_label = nowhere, .err = TRM_ERROR_INIT};
    trm_run_options_init(&c.run);
    c.run.threads = 1;
    trm_evaluate_options_init(&c.options);
    trm_packed_options_init(&c.packed_options);
    c.batch = (trm_batch){.count = count, .dim = DIM};
    c.packed = (trm_packed){.count = count, .dim = DIM, .negatives = K};
    if (count > 0) {
        c.batch.embeddings = c.packed.anchor = all_x + first * DIM;
        c.batch.labels = all_labels + first;
        c.packed.positive = all_x + (ROWS - first - count) * DIM;
        c.packed.negative = all_negatives + first * K * DIM;
        c.gradient = gradient_space;
        c.part = &part_space;
        c.emit = take_nothing;
        for (int k = 0; k < 3; k++)
            c.packed_gradient[k] = packed_space[k];
    }
    c.made_of = c.batch;
    return c;
}

typedef enum way { EVALUATE, PLAN, MINE, PACKED } way;

/* Makes a run and rows as c has them, and calls one function. Collective. */
static void make_call(MPI_Comm comm, way what, call *c)
{
    trm_run *run = NULL;
    trm_rows *rows = NULL;
    if (what == PACKED) {
        c->status = trm_packed_loss(comm, &c->packed, &c->packed_options, c->packed_gradient, &c->loss,
                                    c->part, &c->err);
        return;
    }
    c->status = trm_run_create(comm, &c->run, &run, &c->err);
    if (c->status == TRM_OK)
        c->status = trm_rows_create(run, c->made_of.count, c->made_of.dim, c->made_of.embeddings,
                                    c->made_of.labels, c->ignore_count, c->ignore_label, &rows, &c->err);
    if (c->status == TRM_OK && what == EVALUATE)
        c->status = trm_evaluate(run, rows, &c->batch, &c->options, c->emit, NULL, c->gradient, &c->mined,
                                 &c->loss, c->part, &c->err);
    else if (c->status == TRM_OK && what == PLAN)
        c->status = trm_evaluate_plan(run, rows, &c->options, c->gradient != NULL, &c->mined, &c->err);
    else if (c->status == TRM_OK)
        c->status = trm_mine(run, rows, &c->options.mine, c->emit, NULL, &c->mined, NULL, &c->err);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
}

/* Fails with this status and a text that has these words, the same text on all ranks. Collective. */
static bool fails(way what, call *c, trm_status status, const char *words)
{
    char text[TRM_ERROR_TEXT];
    make_call(MPI_COMM_WORLD, what, c);
    memcpy(text, c->err.text, sizeof text);
    MPI_Bcast(text, sizeof text, MPI_CHAR, 0, MPI_COMM_WORLD);
    const bool good =
        c->status == status && strstr(c->err.text, words) != NULL && strcmp(text, c->err.text) == 0;
    if (!good)
        fprintf(stderr, "rank %d: wanted status %d with '%s', got %d with '%s'\n", rank, (int)status, words,
                (int)c->status, c->err.text);
    return everywhere(good);
}

static bool works(way what, call *c)
{
    make_call(MPI_COMM_WORLD, what, c);
    if (c->status != TRM_OK)
        fprintf(stderr, "rank %d: %s\n", rank, c->err.text);
    return everywhere(c->status == TRM_OK);
}

/* ---- what may be left out ---- */

static const trm_source sources[] = {TRM_SOURCE_MINED, TRM_SOURCE_BATCH_HARD, TRM_SOURCE_BATCH_ALL};

static void a_rank_without_rows_gives_null_for_everything(void **state)
{
    (void)state;
    for (int s = 0; s < 3; s++) {
        float whole[ROWS * DIM];
        call alone = right(MPI_COMM_SELF), c = right(MPI_COMM_WORLD);
        alone.options.source = c.options.source = sources[s];
        alone.gradient = whole;
        make_call(MPI_COMM_SELF, EVALUATE, &alone);
        assert_true(works(EVALUATE, &c));
        assert_true(everywhere(alone.status == TRM_OK && c.loss.value == alone.loss.value &&
                               c.loss.gradient_norm == alone.loss.gradient_norm));
        assert_true(
            everywhere(c.batch.count == 0 || memcmp(c.gradient, whole + c.first * DIM,
                                                    (size_t)(c.batch.count * DIM) * sizeof *whole) == 0));
        c = right(MPI_COMM_WORLD);
        assert_true(works(PLAN, &c));
        c = right(MPI_COMM_WORLD);
        assert_true(works(MINE, &c));
    }
}

static void a_gradient_is_wanted_by_all_ranks_with_rows_or_by_none(void **state)
{
    (void)state;
    for (int s = 0; s < 3; s++) {
        call c = right(MPI_COMM_WORLD);
        c.options.source = sources[s];
        c.gradient = rank == 0 ? gradient_space : NULL; /* rank 0 has no rows if there are others */
        assert_true(ranks == 1 ? works(EVALUATE, &c)
                               : fails(EVALUATE, &c, TRM_ERR_USAGE, "gradient NULL on"));
        c = right(MPI_COMM_WORLD);
        c.options.source = sources[s];
        c.gradient = NULL;
        assert_true(works(EVALUATE, &c));
        assert_true(everywhere(c.loss.gradient_norm == 0.0));
    }
}

static void norms_are_given_by_all_ranks_with_rows_or_by_none(void **state)
{
    (void)state;
    double norms[ROWS];
    for (int i = 0; i < ROWS; i++)
        norms[i] = 2.0;
    call c = right(MPI_COMM_WORLD);
    c.batch.norms = c.batch.count > 0 ? norms : NULL;
    assert_true(works(EVALUATE, &c));
    c = right(MPI_COMM_WORLD);
    c.batch.norms = rank == 0 ? norms : NULL;
    assert_true(ranks == 1 ? works(EVALUATE, &c) : fails(EVALUATE, &c, TRM_ERR_USAGE, "batch.norms NULL on"));
    c = right(MPI_COMM_WORLD);
    c.batch.norms = c.batch.count > 0 ? norms : NULL;
    norms[ROWS / ranks / 2] = c.first == 0 && c.batch.count > 0 ? 0.0 : 2.0;
    char words[64];
    snprintf(words, sizeof words, "row %d has the norm 0: must be", ROWS / ranks / 2);
    assert_true(fails(EVALUATE, &c, TRM_ERR_DATA, words));
}

static void packed_parts_without_anchors_give_null_for_everything(void **state)
{
    (void)state;
    static float whole[3][ROWS * K * DIM];
    call alone = right(MPI_COMM_SELF), c = right(MPI_COMM_WORLD);
    for (int k = 0; k < 3; k++)
        alone.packed_gradient[k] = whole[k];
    alone.packed.positive = c.packed.positive = all_x;
    make_call(MPI_COMM_SELF, PACKED, &alone);
    c.packed.positive = c.packed.count > 0 ? all_x + c.first * DIM : NULL;
    assert_true(works(PACKED, &c));
    assert_true(
        everywhere(c.loss.value == alone.loss.value && c.loss.gradient_norm == alone.loss.gradient_norm));
    c = right(MPI_COMM_WORLD);
    for (int k = 0; k < 3; k++)
        c.packed_gradient[k] = rank == 0 ? packed_space[k] : NULL;
    assert_true(ranks == 1 ? works(PACKED, &c) : fails(PACKED, &c, TRM_ERR_USAGE, "gradient NULL on"));
    c = right(MPI_COMM_WORLD);
    c.packed_gradient[1] = NULL;
    assert_true(fails(PACKED, &c, TRM_ERR_USAGE, "gradient NULL on"));
}

static void packed_losses_leave_the_callers_communicator_alone(void **state)
{
    (void)state;
    const int before = owned;
    for (int bad = 0; bad < 2; bad++) {
        call c = right(MPI_COMM_WORLD);
        c.packed_options.loss.margin = bad ? -1.0 : 1.0;
        seen_on_watched = 0;
        watched = MPI_COMM_WORLD;
        make_call(MPI_COMM_WORLD, PACKED, &c);
        watched = MPI_COMM_NULL;
        assert_true(everywhere(c.status == (bad ? TRM_ERR_USAGE : TRM_OK)));
        assert_true(everywhere(seen_on_watched == 0));
        assert_true(everywhere(owned == before));
    }
}

/* ---- options that were never initialised, or by an older header ---- */

static void options_without_their_size_are_refused(void **state)
{
    (void)state;
    for (int bad_rank = 0; bad_rank<ranks; bad_rank += ranks> 1 ? ranks - 1 : 1) {
        static const size_t sizes[] = {0, 4096};
        for (int k = 0; k < 2; k++) {
            char words[64];
            snprintf(words, sizeof words, "size is %zu, must be", sizes[k]);
            for (way what = EVALUATE; what <= PACKED; what++) {
                call c = right(MPI_COMM_WORLD);
                if (rank == bad_rank)
                    *(what == PACKED ? &c.packed_options.size
                      : what == MINE ? &c.options.mine.size
                                     : &c.options.size) = sizes[k];
                assert_true(fails(what, &c, TRM_ERR_USAGE, words));
                c = right(MPI_COMM_WORLD);
                if (rank == bad_rank)
                    *(what == PACKED ? &c.packed_options.loss.size : &c.options.mine.size) = sizes[k];
                assert_true(fails(what, &c, TRM_ERR_USAGE, words));
                c = right(MPI_COMM_WORLD);
                if (rank == bad_rank)
                    c.run.size = sizes[k];
                assert_true(what == PACKED ? works(what, &c) : fails(what, &c, TRM_ERR_USAGE, words));
            }
        }
    }
}

/* trm_evaluate_options as a header had them before trm_mine_options.reserve was there. */
typedef struct older_mine {
    size_t size;
    trm_metric metric;
    double margin;
    const char *positives, *negatives;
    trm_window window;
    trm_pick pick;
    trm_fallback fallback;
    bool lone;
} older_mine;
typedef struct older_evaluate {
    size_t size;
    trm_source source;
    older_mine mine;
    trm_loss_options loss;
    bool lone;
    trm_given_triplets given;
} older_evaluate;

static void an_older_layout_means_the_same(void **state)
{
    (void)state;
    assert_true(sizeof(older_evaluate) < sizeof(trm_evaluate_options));
    call c = right(MPI_COMM_WORLD), old = right(MPI_COMM_WORLD);
    c.options.source = TRM_SOURCE_BATCH_HARD;
    c.options.loss.margin = 0.75;
    c.options.loss.reduction = TRM_REDUCTION_SUM;
    c.options.lone = true;
    assert_true(works(EVALUATE, &c));
    memset(&old.options, 1, sizeof old.options);
    older_evaluate *given = (older_evaluate *)(void *)&old.options;
    trm_evaluate_options_init_sized(&old.options, sizeof *given, sizeof given->mine, sizeof given->loss);
    assert_int_equal(given->mine.size, sizeof given->mine);
    assert_int_equal(given->loss.size, sizeof given->loss);
    given->source = TRM_SOURCE_BATCH_HARD;
    given->loss.margin = 0.75;
    given->loss.reduction = TRM_REDUCTION_SUM;
    given->lone = true;
    assert_true(works(EVALUATE, &old));
    assert_true(everywhere(old.loss.count == c.loss.count && old.loss.value == c.loss.value));
    assert_true(everywhere(old.mined.memory_bytes == c.mined.memory_bytes));
}

/* ---- rows that are none ---- */

static void the_first_row_that_is_not_finite_is_named(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        float kept[2] = {all_x[17 * DIM + 2], all_x[20 * DIM]}; /* 20 has a lower label than 17 */
        all_x[17 * DIM + 2] = all_x[20 * DIM] = k == 0 ? NAN : INFINITY;
        call c = right(MPI_COMM_WORLD);
        assert_true(fails(MINE, &c, TRM_ERR_DATA,
                          k == 0 ? "row 17 has a non-finite value (nan) at column 2"
                                 : "row 17 has a non-finite value (inf) at column 2"));
        int giver = c.first <= 17 && 17 < c.first + c.batch.count ? rank : 0;
        MPI_Allreduce(MPI_IN_PLACE, &giver, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
        assert_int_equal(c.err.rank, giver);
        all_x[17 * DIM + 2] = kept[0];
        all_x[20 * DIM] = kept[1];
    }
}

static void rows_that_take_no_part_are_not_looked_at(void **state)
{
    (void)state;
    const float kept = all_x[17 * DIM];
    all_x[17 * DIM] = NAN;
    call c = right(MPI_COMM_WORLD);
    c.ignore_count = 1;
    c.ignore_label = &all_labels[17];
    assert_true(works(EVALUATE, &c));
    assert_true(everywhere(isfinite(c.loss.value) && isfinite(c.loss.gradient_norm)));
    all_x[17 * DIM] = kept;
}

static void the_first_row_of_norm_zero_is_named_under_cosine(void **state)
{
    (void)state;
    float kept[2][DIM];
    static const way ways[] = {EVALUATE, PLAN, MINE};
    memcpy(kept[0], all_x + 9 * DIM, sizeof kept[0]);
    memcpy(kept[1], all_x + 12 * DIM, sizeof kept[1]);
    memset(all_x + 9 * DIM, 0, sizeof kept[0]);
    memset(all_x + 12 * DIM, 0, sizeof kept[1]);
    for (int metric = 0; metric < 4; metric++)
        for (int w = 0; w < 3; w++)
            for (int s = 0; s < 3; s++) {
                call c = right(MPI_COMM_WORLD);
                c.options.loss.metric = c.options.mine.metric = (trm_metric)metric;
                c.options.source = sources[s];
                assert_true(
                    metric == TRM_METRIC_COSINE
                        ? fails(ways[w], &c, TRM_ERR_DATA, "row 9 has norm zero, which cosine does not allow")
                        : works(ways[w], &c));
            }
    memcpy(all_x + 9 * DIM, kept[0], sizeof kept[0]);
    memcpy(all_x + 12 * DIM, kept[1], sizeof kept[1]);
}

static void packed_rows_are_refused_by_what_is_wrong_with_them(void **state)
{
    (void)state;
    float *odd = all_negatives + (13 * K + 1) * DIM, kept[DIM];
    memcpy(kept, odd, sizeof kept);
    for (int metric = 0; metric < 4; metric++) {
        call c = right(MPI_COMM_WORLD);
        c.packed_options.loss.metric = (trm_metric)metric;
        odd[2] = NAN;
        assert_true(fails(PACKED, &c, TRM_ERR_DATA, "anchor 13: its negative 1 has a non-finite value"));
        memset(odd, 0, sizeof kept);
        c = right(MPI_COMM_WORLD);
        c.packed_options.loss.metric = (trm_metric)metric;
        assert_true(metric == TRM_METRIC_COSINE
                        ? fails(PACKED, &c, TRM_ERR_DATA,
                                "anchor 13: its negative 1 has norm zero, which cosine does not allow")
                        : works(PACKED, &c));
        memcpy(odd, kept, sizeof kept);
    }
}

/* ---- values that are none ---- */

/* One change for the worse: where, what to call, and the words that the text must have. */
typedef struct change {
    way what;
    void (*make)(call *c);
    const char *words;
} change;

#define CHANGE(name, statement)                                                                              \
    static void name(call *c)                                                                                \
    {                                                                                                        \
        statement;                                                                                           \
    }

CHANGE(mine_metric, c->options.mine.metric = (trm_metric)17)
CHANGE(mine_margin, c->options.mine.margin = NAN)
CHANGE(mine_positives, c->options.mine.positives = "every")
CHANGE(mine_nearest, c->options.mine.positives = "nearest:0")
CHANGE(mine_negatives, c->options.mine.negatives = NULL)
CHANGE(mine_window, c->options.mine.window = (trm_window)9)
CHANGE(mine_pick, c->options.mine.pick = (trm_pick)-1)
CHANGE(mine_fallback, c->options.mine.fallback = (trm_fallback)9)
CHANGE(source, c->options.source = (trm_source)9)
CHANGE(loss_metric, c->options.loss.metric = (trm_metric)17)
CHANGE(loss_margin, c->options.loss.margin = -1.0)
CHANGE(loss_reduction, c->options.loss.reduction = (trm_reduction)17)
CHANGE(batch_count, c->batch.count--)
CHANGE(batch_more, c->batch.count++)
CHANGE(batch_dim, c->batch.dim = DIM - 1)
CHANGE(batch_embeddings, c->batch.embeddings = NULL)
CHANGE(given_count, c->options.source = TRM_SOURCE_GIVEN; c->options.given.count = -1)
CHANGE(given_null, c->options.source = TRM_SOURCE_GIVEN; c->options.given.count = 1)
CHANGE(rows_count, c->made_of.count = -1)
CHANGE(rows_dim_0, c->made_of.dim = 0)
CHANGE(rows_dim, c->made_of.dim = -3)
CHANGE(rows_embeddings, c->made_of.embeddings = NULL)
CHANGE(rows_labels, c->made_of.labels = NULL)
CHANGE(packed_metric, c->packed_options.loss.metric = (trm_metric)17)
CHANGE(ignored_negative, c->ignore_count = -1)
CHANGE(ignored_null, c->ignore_label = NULL)
CHANGE(packed_reduction, c->packed_options.loss.reduction = (trm_reduction)17)
CHANGE(packed_policy, c->packed_options.negatives = "hardest")
CHANGE(packed_window, c->packed_options.window = (trm_window)9)
CHANGE(packed_pick, c->packed_options.pick = (trm_pick)9)
CHANGE(packed_fallback, c->packed_options.fallback = (trm_fallback)9)
CHANGE(packed_count, c->packed.count = -1)
CHANGE(packed_negatives, c->packed.negatives = 0)
CHANGE(packed_dim, c->packed.dim = 0)
CHANGE(packed_rows, c->packed.positive = NULL)
CHANGE(run_threads, c->run.threads = -1)
CHANGE(run_tile, c->run.tile = 33)
CHANGE(run_replicate, c->run.replicate = -1)
CHANGE(run_memory, c->run.mem_per_rank = -1)
CHANGE(run_kernel, c->run.kernel = "none")
CHANGE(run_no_kernel, c->run.kernel = NULL)

static const change bad_values[] = {
    {MINE, mine_metric, "metric 17: must be a trm_metric"},
    {MINE, mine_margin, "margin nan: must be a finite number"},
    {MINE, mine_positives, "positives 'every': must be one of all hardest easiest nearest:K"},
    {MINE, mine_nearest, "positives nearest '0': must be a whole number from 1"},
    {MINE, mine_negatives, "negatives '': must be one of semihard hard topk:K"},
    {MINE, mine_window, "window 9: must be a trm_window"},
    {MINE, mine_pick, "pick "},
    {MINE, mine_fallback, "fallback 9: must be a trm_fallback"},
    {EVALUATE, mine_window, "mine.window 9"},
    {EVALUATE, source, "source 9: must be a trm_source"},
    {EVALUATE, loss_metric, "loss.metric 17: must be a trm_metric"},
    {EVALUATE, loss_margin, "loss.margin -1: must be a finite number, 0 or more"},
    {EVALUATE, loss_reduction, "loss.reduction 17: must be a trm_reduction"},
    {PLAN, source, "source 9"},
    {PLAN, loss_metric, "loss.metric 17"},
    {PLAN, mine_window, "mine.window 9"},
    {EVALUATE, batch_count, "batch.count"},
    {EVALUATE, batch_more, "batch.count"},
    {EVALUATE, batch_dim, "batch.dim 3"},
    {EVALUATE, batch_embeddings, "batch.embeddings NULL on rank"},
    {EVALUATE, given_count, "given.count -1"},
    {EVALUATE, given_null, "given.anchor, positive, negative NULL"},
    {MINE, rows_count, "count -1"},
    {MINE, rows_dim_0, "dim 0: must be at least 1"},
    {MINE, rows_dim, "dim -3: must be at least 1"},
    {MINE, rows_embeddings, "embeddings NULL"},
    {MINE, rows_labels, "labels NULL"},
    {MINE, ignored_negative, "ignore_count -1: must be at least 0"},
    {MINE, ignored_null, "ignore_label NULL: ignore_count is 2"},
    {PACKED, packed_metric, "loss.metric 17"},
    {PACKED, packed_reduction, "loss.reduction 17"},
    {PACKED, packed_policy, "negatives 'hardest': must be one of"},
    {PACKED, packed_window, "window 9"},
    {PACKED, packed_pick, "pick 9"},
    {PACKED, packed_fallback, "fallback 9"},
    {PACKED, packed_count, "count -1"},
    {PACKED, packed_negatives, "negatives 0: must be at least 1"},
    {PACKED, packed_dim, "dim 0: must be at least 1"},
    {PACKED, packed_rows, "anchor, positive, negative NULL on rank"},
    {MINE, run_threads, "threads -1"},
    {MINE, run_tile, "tile 33"},
    {MINE, run_replicate, "replicate -1"},
    {MINE, run_memory, "mem-per-rank"},
    {MINE, run_kernel, "kernel 'none'"},
    {MINE, run_no_kernel, "kernel ''"},
};

/* Here and in what follows the last rank is the odd one; it has rows. */
static void a_bad_value_on_one_rank_is_a_usage_error_on_all(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof bad_values / sizeof *bad_values; k++) {
        call c = right(MPI_COMM_WORLD);
        if (rank == ranks - 1)
            bad_values[k].make(&c);
        assert_true(fails(bad_values[k].what, &c, TRM_ERR_USAGE, bad_values[k].words));
    }
}

static void a_bad_value_on_all_ranks_is_a_usage_error(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof bad_values / sizeof *bad_values; k++) {
        call c = right(MPI_COMM_WORLD);
        bad_values[k].make(&c);
        assert_true(fails(bad_values[k].what, &c, TRM_ERR_USAGE, bad_values[k].words));
    }
}

CHANGE(other_mine_metric, c->options.mine.metric = TRM_METRIC_L2)
CHANGE(other_mine_margin, c->options.mine.margin = 2.0)
CHANGE(other_positives, c->options.mine.positives = "easiest")
CHANGE(other_nearest, c->options.mine.positives = "nearest:2")
CHANGE(other_negatives, c->options.mine.negatives = "hard")
CHANGE(other_window, c->options.mine.window = TRM_WINDOW_LE)
CHANGE(other_pick, c->options.mine.pick = TRM_PICK_FARTHEST)
CHANGE(other_fallback, c->options.mine.fallback = TRM_FALLBACK_HARDEST)
CHANGE(other_mine_lone, c->options.mine.lone = true)
CHANGE(other_mine_seed, c->options.mine.seed = 1)
CHANGE(other_source, c->options.source = TRM_SOURCE_BATCH_ALL)
CHANGE(other_lone, c->options.lone = true)
CHANGE(other_metric, c->options.loss.metric = TRM_METRIC_DOT)
CHANGE(other_margin, c->options.loss.margin = 0.5)
CHANGE(other_soft, c->options.loss.soft = true)
CHANGE(other_swap, c->options.loss.swap = true)
CHANGE(other_reduction, c->options.loss.reduction = TRM_REDUCTION_SUM)
CHANGE(other_dim, c->made_of.dim = DIM - 1)
CHANGE(fewer_ignored, c->ignore_count = 1)
CHANGE(other_ignored, c->ignore_label = other_nowhere)
CHANGE(other_packed_dim, c->packed.dim = 1 << 24)
CHANGE(other_packed_negatives, c->packed.negatives = K - 1)
CHANGE(other_packed_policy, c->packed_options.negatives = "hard")
CHANGE(other_packed_seed, c->packed_options.seed = 1)
CHANGE(other_packed_margin, c->packed_options.loss.margin = 0.5)
CHANGE(other_packed_window_margin, c->packed_options.window_margin = 0.5)
CHANGE(other_tile, c->run.tile = 32)
CHANGE(other_replicate, c->run.replicate = ranks)

static const change differences[] = {
    {MINE, other_mine_metric, "metric: 1 on rank "},
    {MINE, other_mine_margin, "margin: 2 on rank "},
    {MINE, other_positives, "positives: "},
    {MINE, other_nearest, "positives: 'nearest:2' on rank "},
    {MINE, other_negatives, "negatives: "},
    {MINE, other_window, "window: "},
    {MINE, other_pick, "pick: "},
    {MINE, other_fallback, "fallback: "},
    {MINE, other_mine_lone, "lone: "},
    {MINE, other_mine_seed, "seed: 1 on rank "},
    {EVALUATE, other_source, "source: "},
    {EVALUATE, other_lone, "lone: "},
    {EVALUATE, other_metric, "loss.metric: "},
    {EVALUATE, other_margin, "loss.margin: 0.5 on rank "},
    {EVALUATE, other_soft, "loss.soft: "},
    {EVALUATE, other_swap, "loss.swap: "},
    {EVALUATE, other_reduction, "loss.reduction: "},
    {EVALUATE, other_window, "mine.window: "},
    {PLAN, other_source, "source: "},
    {MINE, other_dim, "dim: 3 on rank "},
    {MINE, fewer_ignored, "ignore_count: 1 on rank "},
    {MINE, other_ignored, "ignore_label[1]: -9 on rank "},
    {PACKED, other_packed_dim, "dim: 16777216 on rank "},
    {PACKED, other_packed_negatives, "negatives: 2 on rank "},
    {PACKED, other_packed_policy, "negatives: "},
    {PACKED, other_packed_seed, "seed: 1 on rank "},
    {PACKED, other_packed_margin, "loss.margin: "},
    {PACKED, other_packed_window_margin, "window_margin: 0.5 on rank "},
    {MINE, other_tile, "tile: 32 on rank "},
    {MINE, other_replicate, "replicate: "},
};

static void options_that_differ_between_ranks_are_a_usage_error(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof differences / sizeof *differences && ranks > 1; k++) {
        call c = right(MPI_COMM_WORLD);
        if (rank == ranks - 1)
            differences[k].make(&c);
        assert_true(fails(differences[k].what, &c, TRM_ERR_USAGE, differences[k].words));
        assert_true(everywhere(strstr(c.err.text, "must be equal on all ranks") != NULL));
        assert_true(everywhere(c.err.rank == ranks - 1));
    }
}

static void threads_and_reserve_may_differ(void **state)
{
    (void)state;
    call same = right(MPI_COMM_WORLD), c = right(MPI_COMM_WORLD);
    same.run.mem_per_rank = c.run.mem_per_rank = INT64_C(8) << 20;
    c.run.threads = 1 + rank % 2;
    c.options.mine.reserve = rank == ranks - 1 ? INT64_C(3) << 20 : 0;
    assert_true(works(EVALUATE, &same));
    assert_true(works(EVALUATE, &c));
    assert_true(everywhere(strcmp(same.mined.result_hash, c.mined.result_hash) == 0));
    int64_t bytes[2] = {c.mined.memory_bytes, -c.mined.memory_bytes};
    MPI_Allreduce(MPI_IN_PLACE, bytes, 2, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
    assert_true(everywhere(bytes[0] == -bytes[1]));
}

static void values_that_are_none_have_no_name(void **state)
{
    (void)state;
    assert_null(trm_metric_name((trm_metric)17));
    assert_true(trm_metric_default_margin((trm_metric)17) == 0.0);
    assert_null(trm_reduction_name((trm_reduction)17));
    assert_string_equal(trm_metric_name(TRM_METRIC_DOT), "dot");
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    make_rows();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rank_without_rows_gives_null_for_everything),
        cmocka_unit_test(a_gradient_is_wanted_by_all_ranks_with_rows_or_by_none),
        cmocka_unit_test(norms_are_given_by_all_ranks_with_rows_or_by_none),
        cmocka_unit_test(packed_parts_without_anchors_give_null_for_everything),
        cmocka_unit_test(packed_losses_leave_the_callers_communicator_alone),
        cmocka_unit_test(options_without_their_size_are_refused),
        cmocka_unit_test(an_older_layout_means_the_same),
        cmocka_unit_test(the_first_row_that_is_not_finite_is_named),
        cmocka_unit_test(rows_that_take_no_part_are_not_looked_at),
        cmocka_unit_test(the_first_row_of_norm_zero_is_named_under_cosine),
        cmocka_unit_test(packed_rows_are_refused_by_what_is_wrong_with_them),
        cmocka_unit_test(a_bad_value_on_one_rank_is_a_usage_error_on_all),
        cmocka_unit_test(a_bad_value_on_all_ranks_is_a_usage_error),
        cmocka_unit_test(options_that_differ_between_ranks_are_a_usage_error),
        cmocka_unit_test(threads_and_reserve_may_differ),
        cmocka_unit_test(values_that_are_none_have_no_name),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
