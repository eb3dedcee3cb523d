/* The same answer anywhere: result hash and counts don't depend on ranks, threads, tile,
 * replication or kernel; and what must follow when the store is permuted, scaled or given a far class.
 * The whole store mined alone on MPI_COMM_SELF is what all else is compared with. */
#include "kernel/kernel.h"
#include "support/random_store.h"
#include "support/reference.h"
#include "support/share.h"
#include "trimine/mine.h"
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

enum { ROWS = 1100, DIM = 24, CLASSES = 12, EXTRA = 60 };

static int rank, ranks;
static float embeddings[(ROWS + EXTRA) * DIM];
static int64_t labels[ROWS + EXTRA];

static void must(int status)
{
    if (status != MPI_SUCCESS)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

/* Continuous coordinates, so that no two distances tie; half the rows in one class. Every other class stands
 * far from the origin, so that in every tile some pairs are close for their norms and some are not. */
static void make_store(void)
{
    test_random random = {2024};
    for (int64_t i = 0; i < ROWS; i++) {
        labels[i] = test_random_below(&random, 2) ? 0 : 1 + test_random_below(&random, CLASSES - 1);
        const float offset = labels[i] % 2 ? 200.0F : 0.0F;
        test_random centre = {(uint64_t)labels[i] + 99};
        for (int j = 0; j < DIM; j++)
            embeddings[i * DIM + j] =
                (j == 0 ? offset : 0.0F) + 0.3F * test_random_unit(&centre) + test_random_unit(&random);
    }
}

typedef struct outcome {
    trm_mine_summary summary;
    trm_triplet *triplets; /* this rank's */
    int64_t count;
    trm_status status;
} outcome;

static trm_status keep(void *context, trm_triplet **mined, int64_t count, trm_error *err)
{
    (void)err;
    const trm_triplet *triplets = *mined;
    outcome *o = context;
    if (o->triplets == NULL && count > 0) { /* the first array is taken, the others are copied */
        o->triplets = *mined;
        o->count = count;
        *mined = NULL;
        return TRM_OK;
    }
    o->triplets = realloc(o->triplets, (size_t)(o->count + count + 1) * sizeof *o->triplets);
    if (!o->triplets)
        abort();
    if (count > 0)
        memcpy(o->triplets + o->count, triplets, (size_t)count * sizeof *triplets);
    o->count += count;
    return TRM_OK;
}

/* Mines rows shared out evenly over comm. Collective on comm. */
static outcome mine(MPI_Comm comm, const trm_run_options *run_options, const trm_mine_options *options,
                    const float *x, const int64_t *row_labels, int64_t rows, bool list)
{
    outcome o = {.status = TRM_OK};
    trm_run *run = NULL;
    trm_rows *arranged = NULL;
    trm_error err = TRM_ERROR_INIT;
    int me, all;
    must(MPI_Comm_rank(comm, &me));
    must(MPI_Comm_size(comm, &all));
    int64_t first = rows * me / all, end = rows * (me + 1) / all;
    o.status = trm_run_create(comm, run_options, &run, &err);
    if (o.status == TRM_OK)
        o.status = trm_rows_create(run, end - first, DIM, x + first * DIM, row_labels + first, 0, NULL,
                                   &arranged, &err);
    if (o.status == TRM_OK)
        o.status = trm_mine(run, arranged, options, list ? keep : NULL, &o, &o.summary, NULL, &err);
    if (o.status != TRM_OK)
        fprintf(stderr, "rank %d: status %d: %s\n", rank, (int)o.status, err.text);
    trm_rows_destroy(&arranged);
    trm_run_destroy(&run);
    return o;
}

static int same_summary(const trm_mine_summary *a, const trm_mine_summary *b)
{
    return strcmp(a->result_hash, b->result_hash) == 0 &&
           memcmp(&a->anchors, &b->anchors, sizeof a->anchors) == 0 && a->classes == b->classes &&
           a->positive_pairs == b->positive_pairs &&
           memcmp(&a->triplets, &b->triplets, sizeof a->triplets) == 0;
}

static int everywhere(int bad)
{
    must(MPI_Allreduce(MPI_IN_PLACE, &bad, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD));
    return bad;
}

static trm_run_options base_run(void)
{
    trm_run_options run;
    trm_run_options_init(&run);
    run.threads = 1;
    run.tile = 64;
    run.kernel = "blas";
    return run;
}

static void nothing_about_the_machine_changes_the_result(void **state)
{
    (void)state;
    static const int tiles[] = {32, 64, 128, 256};
    int bad = 0, number = 0, kernels = 0;
    while (trm_kernel_at(kernels) != NULL)
        kernels++;
    for (int metric = 0; metric < 4; metric++) {
        trm_mine_options options;
        trm_mine_options_init(&options);
        options.metric = (trm_metric)metric;
        options.margin = trm_metric_default_margin(options.metric);
        options.positives = metric % 2 ? "nearest:5" : "all";
        options.fallback = TRM_FALLBACK_FARTHEST_INSIDE;
        trm_run_options run = base_run();
        outcome alone = {0};
        if (rank == 0)
            alone = mine(MPI_COMM_SELF, &run, &options, embeddings, labels, ROWS, false);
        test_share(&alone, (int)sizeof alone);
        bad += alone.status != TRM_OK || alone.summary.triplets.total == 0;
        for (int replicate = 1; replicate <= ranks; replicate++) {
            if (ranks % replicate != 0)
                continue;
            for (int t = 0; t < 4; t++) {
                run.tile = tiles[t];
                run.kernel = trm_kernel_at((t + metric + replicate) % kernels)->name;
                run.threads = 1 + number++ % 3;
                run.replicate = replicate;
                outcome o = mine(MPI_COMM_WORLD, &run, &options, embeddings, labels, ROWS, false);
                int wrong = o.status != TRM_OK || !same_summary(&o.summary, &alone.summary);
                if (wrong && rank == 0)
                    fprintf(stderr, "%s: tile %d, kernel %s, threads %d, replicate %d: hash %s, alone %s\n",
                            trm_metric_name(options.metric), run.tile, run.kernel, run.threads, replicate,
                            o.summary.result_hash, alone.summary.result_hash);
                bad += wrong;
            }
        }
    }
    assert_int_equal(everywhere(bad), 0);
}

static trm_mine_options nearest_three(void)
{
    trm_mine_options options;
    trm_mine_options_init(&options);
    options.positives = "nearest:3";
    return options;
}

static void emitting_does_not_change_the_summary(void **state)
{
    (void)state;
    trm_mine_options options = nearest_three();
    trm_run_options run = base_run();
    outcome with = mine(MPI_COMM_WORLD, &run, &options, embeddings, labels, ROWS, true);
    outcome without = mine(MPI_COMM_WORLD, &run, &options, embeddings, labels, ROWS, false);
    int64_t total = with.count;
    must(MPI_Allreduce(MPI_IN_PLACE, &total, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD));
    int bad = !same_summary(&with.summary, &without.summary) || total != with.summary.triplets.total;
    free(with.triplets);
    assert_int_equal(everywhere(bad), 0);
}

/* The triplets of mining alone, sorted; each rank for itself. */
static outcome list_alone(const trm_mine_options *options, const float *x, const int64_t *row_labels,
                          int64_t rows)
{
    trm_run_options run = base_run();
    outcome o = mine(MPI_COMM_SELF, &run, options, x, row_labels, rows, true);
    if (o.count > 0)
        qsort(o.triplets, (size_t)o.count, sizeof *o.triplets, reference_compare_triplets);
    return o;
}

/* Whether each of this rank's triplets is in the sorted list, after ids went through map and distances were
 * divided. */
static int all_in_list(const outcome *part, const outcome *list, const int64_t *map, double divisor)
{
    for (int64_t i = 0; i < part->count; i++) {
        trm_triplet t = part->triplets[i];
        t.anchor = map ? map[t.anchor] : t.anchor;
        t.positive = map ? map[t.positive] : t.positive;
        t.negative = map ? map[t.negative] : t.negative;
        t.d_ap /= divisor;
        t.d_an /= divisor;
        const trm_triplet *found = list->count == 0 ? NULL
                                                    : bsearch(&t, list->triplets, (size_t)list->count,
                                                              sizeof t, reference_compare_triplets);
        if (!found || memcmp(found, &t, sizeof t) != 0)
            return 0;
    }
    return 1;
}

static void permuted_rows_give_the_permuted_result(void **state)
{
    (void)state;
    static float x[ROWS * DIM];
    static int64_t row_labels[ROWS], old[ROWS];
    test_random random = {5};
    for (int64_t i = 0; i < ROWS; i++) {
        int64_t j = test_random_below(&random, i + 1);
        old[i] = old[j];
        old[j] = i;
    }
    for (int64_t i = 0; i < ROWS; i++) {
        memcpy(x + i * DIM, embeddings + old[i] * DIM, DIM * sizeof *x);
        row_labels[i] = labels[old[i]];
    }
    trm_mine_options options = nearest_three();
    trm_run_options run = base_run();
    outcome list = list_alone(&options, embeddings, labels, ROWS);
    outcome part = mine(MPI_COMM_WORLD, &run, &options, x, row_labels, ROWS, true);
    int bad =
        !all_in_list(&part, &list, old, 1.0) || part.summary.triplets.total != list.count || list.count == 0;
    free(part.triplets);
    free(list.triplets);
    assert_int_equal(everywhere(bad), 0);
}

static void scaling_by_four_scales_distances_only(void **state)
{
    (void)state;
    static const double factors[] = {16.0, 4.0, 1.0, 16.0};
    static float x[ROWS * DIM];
    for (int64_t i = 0; i < ROWS * DIM; i++)
        x[i] = 4.0F * embeddings[i];
    int bad = 0;
    for (int metric = 0; metric < 4; metric++) {
        trm_mine_options options = nearest_three();
        trm_run_options run = base_run();
        options.metric = (trm_metric)metric;
        outcome list = list_alone(&options, embeddings, labels, ROWS);
        options.margin *= factors[metric];
        outcome part = mine(MPI_COMM_WORLD, &run, &options, x, labels, ROWS, true);
        bad += !all_in_list(&part, &list, NULL, factors[metric]) ||
               part.summary.triplets.total != list.count || list.count == 0;
        free(part.triplets);
        free(list.triplets);
    }
    assert_int_equal(everywhere(bad), 0);
}

static void a_far_class_changes_nothing_inside_the_margin(void **state)
{
    (void)state;
    test_random random = {6};
    for (int64_t i = ROWS; i < ROWS + EXTRA; i++) {
        labels[i] = -1;
        for (int j = 0; j < DIM; j++)
            embeddings[i * DIM + j] = 10000.0F + test_random_unit(&random);
    }
    int bad = 0;
    for (int metric = 0; metric < 2; metric++) {
        trm_mine_options options = nearest_three();
        trm_run_options run = base_run();
        options.metric = (trm_metric)metric;
        outcome list = list_alone(&options, embeddings, labels, ROWS);
        outcome part = mine(MPI_COMM_WORLD, &run, &options, embeddings, labels, ROWS + EXTRA, true);
        /* The far rows' own triplets are not in the list: their nearest negative is beyond the margin. */
        bad += !all_in_list(&part, &list, NULL, 1.0) || part.summary.triplets.total != list.count ||
               list.count == 0;
        free(part.triplets);
        free(list.triplets);
    }
    assert_int_equal(everywhere(bad), 0);
}

int main(int argc, char **argv)
{
    int provided;
    alarm(1200);
    must(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided));
    must(MPI_Comm_rank(MPI_COMM_WORLD, &rank));
    must(MPI_Comm_size(MPI_COMM_WORLD, &ranks));
    make_store();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_about_the_machine_changes_the_result),
        cmocka_unit_test(emitting_does_not_change_the_summary),
        cmocka_unit_test(permuted_rows_give_the_permuted_result),
        cmocka_unit_test(scaling_by_four_scales_distances_only),
        cmocka_unit_test(a_far_class_changes_nothing_inside_the_margin),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
