/* The same loss and gradient anywhere: bytes don't depend on ranks, on which rank has which row, threads,
 * tile, replication, kernel or the memory limit. Rank 0 also evaluates the whole store alone on
 * MPI_COMM_SELF: that is what all else is compared with, on every rank.
 *
 * Sums in float64 that are rounded to float32 hide the order they were added in nearly always. So one column
 * of the store, the carrier, is made to show it: twins that are alike but for a huge and a hugely negative
 * value there. Rows with a zero there see the twins at one distance under dot, give both the same weight, and
 * so add the small values of other rows to sums in which these lose most of their digits, until the other
 * twin comes. */
#include "support/random_store.h"
#include "support/reference_loss.h"
#include "support/share.h"
#include "trimine/loss.h"
#include "trimine/run.h"

#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 400, DIM = 17, CARRIER = DIM - 1, CLASSES = 12, PERIOD = 6, LIST = 900 };
enum { MINED, MINED_FEW, GIVEN, HARD, HARD_LONE, ALL, WITHIN, KINDS };
static const char *const kind_names[KINDS] = {"mined",           "mined nearest", "given", "batch-hard",
                                              "batch-hard lone", "batch-all",     "within"};

static int rank, ranks;
static float embeddings[ROWS * DIM];
static int64_t labels[ROWS], anchors[2 * LIST], positives[2 * LIST], negatives[2 * LIST];

static void must(int status)
{
    if (status != MPI_SUCCESS)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

static int everywhere(int bad)
{
    must(MPI_Allreduce(MPI_IN_PLACE, &bad, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD));
    return bad;
}

/* Half the rows have few values, so that many distances tie; the last row is alone in its class. */
static void make_store(float carrier)
{
    test_random random = {2025};
    for (int64_t i = 0; i < ROWS; i++) {
        float *x = embeddings + i * DIM;
        const int role = (int)(i % PERIOD);
        labels[i] = i == ROWS - 1 ? CLASSES : test_random_below(&random, CLASSES);
        for (int k = 0; k < DIM; k++)
            x[k] = i % 2 ? test_random_unit(&random) : 0.25F * (float)(test_random_below(&random, 5) - 2);
        if (role == 3) { /* the twin of three rows before */
            memcpy(x, x - 3 * DIM, DIM * sizeof *x);
            labels[i] = labels[i - 3];
        }
        x[CARRIER] = role == 0   ? carrier
                     : role == 3 ? -carrier
                     : role == 1 ? test_random_unit(&random)
                                 : 0.0F;
    }
}

static int64_t any_row(test_random *random, int64_t a, bool like)
{
    for (;;) {
        const int64_t i = test_random_below(random, ROWS - 1);
        if (i != a && (labels[i] == labels[a]) == like)
            return i;
    }
}

static int64_t twin(int64_t i)
{
    return i % PERIOD == 0 && i + 3 < ROWS ? i + 3 : i % PERIOD == 3 ? i - 3 : i;
}

/* Random valid triplets, each also with the twins in place of its rows, in no order. */
static void make_list(void)
{
    test_random random = {77};
    for (int64_t k = 0; k < LIST; k++) {
        int64_t a;
        do
            a = test_random_below(&random, ROWS - 1);
        while (twin(a) != a);
        anchors[k] = anchors[2 * LIST - 1 - k] = a;
        positives[k] = any_row(&random, a, true);
        negatives[k] = any_row(&random, a, false);
        positives[2 * LIST - 1 - k] = twin(positives[k]);
        negatives[2 * LIST - 1 - k] = twin(negatives[k]);
    }
}

/* ---- running ---- */

static int64_t cut(int64_t count, int part, int parts, int way)
{
    if (way == 0) /* evenly */
        return count * part / parts;
    if (way == 1) /* all on the last */
        return part == parts ? count : 0;
    return part == 0       ? 0
           : part == parts ? count
                           : (count - 1) * part * part / (parts * parts) / 2; /* raggedly */
}

typedef struct setting {
    trm_run_options run;
    int way;
    bool gradient, emit;
} setting;

typedef struct outcome {
    trm_status status;
    trm_mine_summary mined;
    trm_loss_summary summary;
    int64_t first, count;       /* this rank's rows */
    float gradient[ROWS * DIM]; /* of these */
} outcome;

static trm_status ignore(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    (void)context, (void)triplets, (void)count, (void)err;
    return TRM_OK;
}

/* norms: NULL or of all rows. Collective on comm. */
static void evaluate(MPI_Comm comm, const setting *s, const trm_evaluate_options *options,
                     const double *norms, outcome *o)
{
    trm_run *run = NULL;
    trm_rows *rows = NULL;
    trm_error err = TRM_ERROR_INIT;
    int me, all;
    must(MPI_Comm_rank(comm, &me));
    must(MPI_Comm_size(comm, &all));
    memset(o, 0, sizeof *o);
    o->first = cut(ROWS, me, all, s->way);
    o->count = cut(ROWS, me + 1, all, s->way) - o->first;
    const int64_t from = cut(2 * LIST, me, all, (s->way + 1) % 3);
    const int64_t given = cut(2 * LIST, me + 1, all, (s->way + 1) % 3) - from;
    trm_evaluate_options mine = *options;
    mine.given = (trm_given_triplets){given, anchors + from, positives + from, negatives + from};
    const trm_batch batch = {o->count, DIM, embeddings + o->first * DIM, labels + o->first,
                             norms ? norms + o->first : NULL};
    o->status = trm_run_create(comm, &s->run, &run, &err);
    if (o->status == TRM_OK)
        o->status = trm_rows_create(run, o->count, DIM, batch.embeddings, batch.labels, 0, NULL, &rows, &err);
    if (o->status == TRM_OK)
        o->status = trm_evaluate(run, rows, &batch, &mine, s->emit ? ignore : NULL, NULL,
                                 s->gradient ? o->gradient : NULL, &o->mined, &o->summary, NULL, &err);
    if (o->status != TRM_OK && o->status != TRM_ERR_MEMORY)
        fprintf(stderr, "rank %d: status %d: %s\n", rank, (int)o->status, err.text);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
}

/* The whole store on rank 0 alone; every rank gets the outcome. Collective. */
static void evaluate_alone(const setting *s, const trm_evaluate_options *options, const double *norms,
                           outcome *o)
{
    if (rank == 0)
        evaluate(MPI_COMM_SELF, s, options, norms, o);
    test_share(o, (int)sizeof *o);
}

/* What differs, or NULL; gradients where both have one. */
static const char *difference(const outcome *got, const outcome *alone, bool gradient)
{
    const trm_loss_summary *a = &got->summary, *b = &alone->summary;
    if (got->status != TRM_OK || alone->status != TRM_OK)
        return "an error";
    if (a->count != b->count || a->active != b->active || a->valid != b->valid || a->rows != b->rows)
        return "a count";
    const double x[] = {a->sum, a->mean_all, a->mean_nonzero, a->mean_valid, a->mean_rows, a->value};
    const double y[] = {b->sum, b->mean_all, b->mean_nonzero, b->mean_valid, b->mean_rows, b->value};
    if (memcmp(x, y, sizeof x) != 0)
        return "the sum or a mean";
    if (!gradient)
        return NULL;
    const float *mine = alone->gradient + got->first * DIM;
    for (int64_t k = 0; k < got->count * DIM; k++)
        if (memcmp(&got->gradient[k], &mine[k], sizeof *mine) != 0) {
            fprintf(stderr, "rank %d, row %lld, element %lld: %a, alone %a\n", rank,
                    (long long)(got->first + k / DIM), (long long)(k % DIM), (double)got->gradient[k],
                    (double)mine[k]);
            return "the gradient";
        }
    if (memcmp(&a->gradient_norm, &b->gradient_norm, sizeof(double)) != 0 ||
        memcmp(&a->gradient_max_abs, &b->gradient_max_abs, sizeof(double)) != 0)
        return "gradient_norm or gradient_max_abs";
    return NULL;
}

static setting base_setting(void)
{
    setting s = {.gradient = true};
    trm_run_options_init(&s.run);
    s.run.threads = 1;
    s.run.tile = 64;
    s.run.replicate = 1;
    s.run.kernel = "blas";
    return s;
}

static trm_evaluate_options options_of(int kind, trm_metric metric, bool soft, bool swap)
{
    static const trm_source sources[KINDS] = {
        TRM_SOURCE_MINED,      TRM_SOURCE_MINED,     TRM_SOURCE_GIVEN, TRM_SOURCE_BATCH_HARD,
        TRM_SOURCE_BATCH_HARD, TRM_SOURCE_BATCH_ALL, TRM_SOURCE_WITHIN};
    trm_evaluate_options options;
    trm_evaluate_options_init(&options);
    options.source = sources[kind];
    options.lone = kind == HARD_LONE;
    options.loss.metric = metric;
    options.loss.margin = trm_metric_default_margin(metric);
    options.loss.soft = soft;
    options.loss.swap = swap;
    options.loss.reduction = (trm_reduction)((kind + (int)metric) % 5);
    options.mine.margin = options.loss.margin;
    options.mine.fallback = TRM_FALLBACK_FARTHEST_INSIDE;
    options.mine.positives = kind == MINED_FEW ? "nearest:3" : "all";
    return options;
}

/* ---- tests ---- */

/* One evaluation in every other setting, which kinds and metrics in a row take in turn; returns how many went wrong
 * on this rank. */
static int compare_settings(int kind, const trm_evaluate_options *options, const double *norms, int *number)
{
    static outcome alone, o;
    setting s = base_setting();
    int bad = 0;
    evaluate_alone(&s, options, norms, &alone);
    bad += alone.status != TRM_OK || alone.summary.active == 0;
    for (int replicate = 1; replicate <= ranks; replicate++)
        for (int way = (kind + (int)options->loss.metric + replicate) % 2; way < 4 && ranks % replicate == 0;
             way += 2) {
            s.run.replicate = replicate;
            s.run.threads = 1 + way % 2;
            s.run.tile = way / 2 ? 32 : 128;
            s.run.kernel = way % 2 == way / 2 ? "fp32" : "blas"; /* any two of the three in all ways */
            s.way = (*number)++ % 3;
            evaluate(MPI_COMM_WORLD, &s, options, norms, &o);
            const char *differs = difference(&o, &alone, true);
            if (differs)
                fprintf(stderr,
                        "%s, %s, soft %d, swap %d: %s differs on rank %d; replicate %d, threads %d, tile %d, "
                        "kernel %s, deal %d\n",
                        kind_names[kind], trm_metric_name(options->loss.metric), options->loss.soft,
                        options->loss.swap, differs, rank, replicate, s.run.threads, s.run.tile, s.run.kernel,
                        s.way);
            bad += differs != NULL;
        }
    return bad;
}

static int compare_kinds(trm_metric metric, const double *norms)
{
    int bad = 0, number = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (int way = 0; way < 3 && (way == 0 || kind < ALL); way++) {
            const trm_evaluate_options options = options_of(kind, metric, way == 1, way == 2);
            bad += compare_settings(kind, &options, norms, &number);
        }
    return bad;
}

static void nothing_about_the_machine_changes_the_loss(void **state)
{
    (void)state;
    int bad = 0;
    make_store(1.0F);
    for (int metric = 0; metric < 4; metric++)
        bad += compare_kinds((trm_metric)metric, NULL);
    assert_int_equal(everywhere(bad), 0);
}

static void nor_the_order_that_terms_are_added_in(void **state)
{
    (void)state;
    make_store(0x1p40F);
    assert_int_equal(everywhere(compare_kinds(TRM_METRIC_DOT, NULL)), 0);
}

static void nor_the_gradient_through_normalisation(void **state)
{
    (void)state;
    static double norms[ROWS];
    make_store(1.0F);
    assert_int_equal(trm_normalize(ROWS, DIM, embeddings, embeddings, norms), -1);
    assert_int_equal(everywhere(compare_kinds(TRM_METRIC_L2, norms)), 0);
}

/* Elements that differ from the sum in ascending j, and in descending j. */
static void count_unlike(const outcome *alone, const trm_evaluate_options *options, int *ascending,
                         int *descending)
{
    static float reversed[ROWS * DIM];
    static int64_t reversed_labels[ROWS];
    const reference_store forward = {ROWS, DIM, embeddings, labels, NULL, 0, 0.0};
    const reference_store backward = {ROWS, DIM, reversed, reversed_labels, NULL, 0, 0.0};
    for (int64_t i = 0; i < ROWS; i++) {
        memcpy(reversed + i * DIM, embeddings + (ROWS - 1 - i) * DIM, DIM * sizeof *reversed);
        reversed_labels[i] = labels[ROWS - 1 - i];
    }
    int64_t ids[3][2 * LIST];
    for (int64_t k = 0; k < 2 * LIST; k++) {
        ids[0][k] = ROWS - 1 - anchors[k];
        ids[1][k] = ROWS - 1 - positives[k];
        ids[2][k] = ROWS - 1 - negatives[k];
    }
    trm_evaluate_options as_given = *options, turned = *options;
    as_given.given = (trm_given_triplets){2 * LIST, anchors, positives, negatives};
    turned.given = (trm_given_triplets){2 * LIST, ids[0], ids[1], ids[2]};
    reference_loss want, other;
    reference_loss_evaluate(&forward, &as_given, NULL, &want);
    reference_loss_evaluate(&backward, &turned, NULL, &other);
    for (int64_t k = 0; k < ROWS * DIM; k++) {
        const float a = (float)want.gradient[k];
        const float b = (float)other.gradient[(ROWS - 1 - k / DIM) * DIM + k % DIM];
        *ascending += memcmp(&a, &alone->gradient[k], sizeof a) != 0;
        *descending += memcmp(&b, &alone->gradient[k], sizeof b) != 0;
    }
    reference_loss_destroy(&want);
    reference_loss_destroy(&other);
}

static void gradients_of_lists_are_added_in_ascending_row_id(void **state)
{
    (void)state;
    static outcome alone;
    int bad = 0;
    make_store(0x1p40F);
    const setting s = base_setting();
    for (int soft = 0; soft < 2; soft++) {
        int ascending = 0, descending = 0;
        const trm_evaluate_options options = options_of(GIVEN, TRM_METRIC_DOT, soft, false);
        evaluate_alone(&s, &options, NULL, &alone);
        count_unlike(&alone, &options, &ascending, &descending);
        if (ascending > 0 || descending < 20)
            fprintf(stderr, "soft %d: %d elements differ, %d in the other order\n", soft, ascending,
                    descending);
        bad += ascending > 0 || descending < 20; /* else this store would not show an order */
    }
    assert_int_equal(everywhere(bad), 0);
}

static void asking_for_more_changes_nothing(void **state)
{
    (void)state;
    static outcome alone, o;
    int bad = 0;
    make_store(1.0F);
    for (int kind = 0; kind < KINDS; kind++) {
        const trm_evaluate_options options = options_of(kind, TRM_METRIC_SQL2, false, false);
        setting s = base_setting();
        evaluate_alone(&s, &options, NULL, &alone);
        for (int way = 0; way < 4; way++) {
            s.gradient = way % 2;
            s.emit = way / 2;
            evaluate(MPI_COMM_WORLD, &s, &options, NULL, &o);
            const char *differs = difference(&o, &alone, s.gradient);
            if (differs)
                fprintf(stderr, "%s: gradient %d, emit %d: %s differs\n", kind_names[kind], s.gradient,
                        s.emit, differs);
            bad += differs != NULL;
        }
    }
    assert_int_equal(everywhere(bad), 0);
}

static void a_memory_limit_changes_nothing(void **state)
{
    (void)state;
    static outcome alone, o;
    int bad = 0, most_panels = 0;
    make_store(1.0F);
    for (int kind = 0; kind < KINDS; kind++) {
        setting s = base_setting();
        s.run.tile = 32;
        const trm_evaluate_options options = options_of(kind, TRM_METRIC_L2, false, false);
        evaluate_alone(&s, &options, NULL, &alone);
        evaluate(MPI_COMM_WORLD, &s, &options, NULL, &o);
        int64_t limit = o.mined.memory_bytes > 0 ? o.mined.memory_bytes : INT64_C(64) << 20;
        while (limit > 1000) {
            s.run.mem_per_rank = limit;
            evaluate(MPI_COMM_WORLD, &s, &options, NULL, &o);
            if (o.status == TRM_ERR_MEMORY)
                break;
            const char *differs = difference(&o, &alone, true);
            if (differs)
                fprintf(stderr, "%s: limit %lld, panels %d: %s differs\n", kind_names[kind], (long long)limit,
                        o.mined.panels, differs);
            bad += differs != NULL;
            most_panels = o.mined.panels > most_panels ? o.mined.panels : most_panels;
            limit = limit / 10 * 9;
        }
    }
    assert_int_equal(everywhere(bad), 0);
    assert_true(most_panels > 1);
}

int main(int argc, char **argv)
{
    int provided;
    alarm(1200);
    must(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided));
    must(MPI_Comm_rank(MPI_COMM_WORLD, &rank));
    must(MPI_Comm_size(MPI_COMM_WORLD, &ranks));
    make_store(1.0F);
    make_list();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_about_the_machine_changes_the_loss),
        cmocka_unit_test(nor_the_order_that_terms_are_added_in),
        cmocka_unit_test(nor_the_gradient_through_normalisation),
        cmocka_unit_test(gradients_of_lists_are_added_in_ascending_row_id),
        cmocka_unit_test(asking_for_more_changes_nothing),
        cmocka_unit_test(a_memory_limit_changes_nothing),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
