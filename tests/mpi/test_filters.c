/* Filters and rank windows by example: what is near a positive, and options that mean nothing. Random ones against the
 * brute-force reference: test_family.c. */
#include "support/mined.h"
#include "support/scratch.h"

#include <math.h>
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Mines the store as dealt evenly, on a thread of each rank. Collective. */
static trm_status mine(const random_store *store, const trm_mine_options *options, trm_mine_summary *summary,
                       trm_error *err)
{
    random_run run = {.deal = 0};
    mined got;
    int64_t *first = calloc((size_t)ranks + 1, sizeof *first);
    assert_non_null(first);
    for (int r = 0; r <= ranks; r++)
        first[r] = store->rows * r / ranks;
    trm_run_options_init(&run.options);
    run.options.threads = 1;
    const trm_status status = mined_run(store, &run, first, options, &got, summary, err);
    mined_destroy(&got);
    free(first);
    return status;
}

/* Copies of a positive, and a row at distance 1 of one, with bounds around their distances. */
static void what_is_near_a_positive_is_no_negative(void **state)
{
    (void)state;
    /*               a  p  copy of p  1 from p  far */
    float x[] = {0, 4, 4, 5, 20};
    int64_t labels[] = {0, 0, 1, 2, 3};
    random_store store = {5, 1, x, labels, 0, {0, 0, 0}, "near", false};
    static const struct {
        double radius; /* squared */
        const char *negatives, *ranks;
        int64_t removed, short_anchors, triplets;
        bool lone; /* anchors without a positive, too: near none */
    } wants[] = {
        {0.0, "topk:3", NULL, 1, 1, 5, false},     {0.0, "random:3", NULL, 1, 1, 5, false},
        {0.999, "topk:3", NULL, 1, 1, 5, false},   {1.0, "topk:3", NULL, 2, 1, 4, false},
        {1.0, "weighted:3", NULL, 2, 2, 2, false}, /* the far row is too far to be drawn */
        {1.0, "hard", "1-1", 1, 1, 1, false},      {1.0, "random:1", "1-2", 2, 1, 1, false},
        {1e30, "topk:3", NULL, 6, 2, 0, false},    {1e30, "random:3", NULL, 6, 2, 0, false},
        {1e30, "topk:3", "2-", 4, 2, 0, false},    {1e30, "random:2", "3-", 2, 2, 0, false},
        {1e30, "topk:3", NULL, 6, 2, 9, true},
    };
    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
        trm_mine_options options;
        trm_mine_summary summary = {0};
        trm_error err = TRM_ERROR_INIT;
        trm_mine_options_init(&options);
        options.negatives = wants[i].negatives;
        options.ranks = wants[i].ranks;
        options.not_near_positive = wants[i].radius;
        options.lone = wants[i].lone;
        assert_int_equal(mine(&store, &options, &summary, &err), TRM_OK);
        if (summary.filters.removed[TRM_FILTER_NOT_NEAR_POSITIVE] != wants[i].removed ||
            summary.filters.short_anchors != wants[i].short_anchors ||
            summary.triplets.total != wants[i].triplets)
            fprintf(stderr, "line %d: %lld removed, %lld short, %lld triplets\n", (int)i,
                    (long long)summary.filters.removed[TRM_FILTER_NOT_NEAR_POSITIVE],
                    (long long)summary.filters.short_anchors, (long long)summary.triplets.total);
        assert_int_equal(summary.filters.removed[TRM_FILTER_NOT_NEAR_POSITIVE], wants[i].removed);
        assert_int_equal(summary.filters.short_anchors, wants[i].short_anchors);
        assert_int_equal(summary.triplets.total, wants[i].triplets);
    }
}

/* Classes around centres, and near copies of rows in other classes. */
static void fill_with_copies(random_store *store, int64_t classes, int64_t copies)
{
    test_random random = {12};
    const int64_t dim = store->dim;
    for (int64_t i = 0; i < store->rows * dim; i++)
        store->embeddings[i] = i < classes * dim ? test_random_unit(&random)
                                                 : store->embeddings[i / dim % classes * dim + i % dim] +
                                                       0.5f * test_random_unit(&random);
    for (int64_t i = 0; i < store->rows; i++)
        store->labels[i] = i % classes;
    for (int64_t c = 0; c < copies; c++) {
        const int64_t from = test_random_below(&random, store->rows), to = (from + 1 + c % 7) % store->rows;
        memcpy(store->embeddings + to * dim, store->embeddings + from * dim,
               (size_t)dim * sizeof *store->embeddings);
        store->embeddings[to * dim] += 0.25f;
    }
}

/* Where the nearest negatives are found in the sweep that finds what is near positives there is less to compute, and
 * nothing else changes. --lone, of a store in which nobody is, goes the other way. */
static void a_first_look_changes_nothing_but_the_work(void **state)
{
    (void)state;
    enum { ROWS = 2100, DIM = 1024, CLASSES = 50, COPIES = 40 }; /* large enough for spare ones */
    static const struct {
        const char *negatives, *ranks, *positives;
    } asked[] = {{"hard", NULL, "easiest"},
                 {"topk:3", NULL, "all"},
                 {"topk:2", "2-", "nearest:2"},
                 {"hard", "2-6", "easiest"}};
    float *x = calloc((size_t)ROWS * DIM, sizeof *x);
    int64_t *labels = calloc(ROWS, sizeof *labels);
    assert_non_null(x);
    assert_non_null(labels);
    random_store store = {ROWS, DIM, x, labels, 0, {0, 0, 0}, "copies", false};
    fill_with_copies(&store, CLASSES, COPIES);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        trm_mine_options options;
        trm_mine_summary with = {0}, without = {0};
        trm_error err = TRM_ERROR_INIT;
        trm_mine_options_init(&options);
        options.negatives = asked[i].negatives;
        options.ranks = asked[i].ranks;
        options.positives = asked[i].positives;
        options.not_near_positive = 0.0625;
        assert_int_equal(mine(&store, &options, &with, &err), TRM_OK);
        options.lone = true;
        assert_int_equal(mine(&store, &options, &without, &err), TRM_OK);
        assert_string_equal(with.result_hash, without.result_hash);
        assert_memory_equal(&with.filters, &without.filters, sizeof with.filters);
        assert_true(with.filters.removed[TRM_FILTER_NOT_NEAR_POSITIVE] > 0);
        assert_true(with.certify.elements < without.certify.elements);
    }
    free(x);
    free(labels);
}

/* One rank and option after the other: what is refused, with what it names. */
static void options_that_mean_nothing_are_refused(void **state)
{
    (void)state;
    float x[] = {0, 1, 2, 3};
    int64_t labels[] = {0, 0, 1, 1};
    random_store store = {4, 1, x, labels, 0, {0, 0, 0}, "four", false};
    static const char *const bad_ranks[] = {
        "", "3", "-", "0-5", "5-4", "1-2-3", "a-b", " 1-2", "1-99999999999999999999"};
    enum { RANKS = sizeof bad_ranks / sizeof *bad_ranks, BAD = RANKS + 9 };
    for (int i = 0; i < BAD; i++) {
        trm_mine_options options;
        trm_mine_options_init(&options);
        options.negatives = "topk:2";
        const char *named = "--ranks";
        if (i < RANKS) {
            options.ranks = bad_ranks[i];
        } else if (i == RANKS) {
            options.rank_order = TRM_RANK_AFTER;
            named = "--rank-order goes with --ranks";
        } else if (i == RANKS + 1) {
            options.min_distance = -0.5;
            named = "--min-distance";
        } else if (i == RANKS + 2) {
            options.relative_margin = -0.5;
            named = "relative_margin";
        } else if (i == RANKS + 3) {
            options.max_distance = INFINITY;
            named = "max_distance";
        } else if (i == RANKS + 6) {
            options.not_near_positive = -0.5;
            named = "--not-near-positive";
        } else if (i == RANKS + 7) {
            options.not_near_positive = INFINITY;
            named = "not_near_positive";
        } else if (i == RANKS + 8) {
            options.negatives = "violating";
            options.not_near_positive = 0.0;
            named = "--not-near-positive does not apply to --negatives violating";
        } else if (i == RANKS + 4) {
            options.negatives = "semihard";
            options.ranks = "1-3";
            named = "--ranks does not apply to --negatives semihard";
        } else {
            options.negatives = "semihard";
            options.absolute_margin = 0.0;
            named = "--absolute-margin does not apply to --negatives semihard, but to: hard, topk, random, "
                    "weighted";
        }
        trm_mine_summary summary = {0};
        trm_error err = TRM_ERROR_INIT;
        const trm_status status = mine(&store, &options, &summary, &err);
        if (status != TRM_ERR_USAGE || strstr(err.text, named) == NULL)
            fprintf(stderr, "%d: status %d: %s\n", i, (int)status, err.text);
        assert_int_equal(status, TRM_ERR_USAGE);
        assert_non_null(strstr(err.text, named));
    }
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_near_a_positive_is_no_negative),
        cmocka_unit_test(a_first_look_changes_nothing_but_the_work),
        cmocka_unit_test(options_that_mean_nothing_are_refused),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
