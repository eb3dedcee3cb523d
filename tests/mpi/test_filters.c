/* Filters and rank windows, of hard, topk, random and weighted, against the brute-force reference, with random options on random small
 * stores: the same triplets, distances to the bit, and the same counts of removed candidates and of anchors that came
 * up short. A failure prints the options. */
#include "support/random_family.h"
#include "support/share.h"
#include "trimine/mine.h"
#include "trimine/run.h"

#include <math.h>
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

enum { CASES = 12 * RANDOM_FAMILIES };

static int rank, ranks;

static void must(int status)
{
    if (status != MPI_SUCCESS)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

/* This rank's triplets. */
typedef struct bag {
    trm_triplet *items;
    int64_t count;
} bag;

static trm_status put_in_bag(void *context, trm_triplet **mined, int64_t count, trm_error *err)
{
    (void)err;
    bag *b = context;
    b->items = realloc(b->items, (size_t)(b->count + count + 1) * sizeof *b->items);
    if (!b->items)
        abort();
    for (int64_t i = 0; i < count; i++)
        b->items[b->count++] = (*mined)[i];
    return TRM_OK;
}

/* All ranks' triplets on rank 0, sorted. Collective. */
static void gather_bag(bag *b)
{
    const int mine = (int)(b->count * (int64_t)sizeof(trm_triplet));
    int *sizes = calloc((size_t)ranks, sizeof *sizes), *starts = calloc((size_t)ranks, sizeof *starts);
    int total = 0;
    if (!sizes || !starts)
        abort();
    must(MPI_Gather(&mine, 1, MPI_INT, sizes, 1, MPI_INT, 0, MPI_COMM_WORLD));
    for (int r = 0; r < ranks; r++) {
        starts[r] = total;
        total += sizes[r];
    }
    trm_triplet *all = malloc((size_t)total + 1);
    if (!all)
        abort();
    must(MPI_Gatherv(b->items, mine, MPI_BYTE, all, sizes, starts, MPI_BYTE, 0, MPI_COMM_WORLD));
    free(b->items);
    free(sizes);
    free(starts);
    *b = (bag){all, total / (int)sizeof(trm_triplet)};
    if (b->count > 0)
        qsort(all, (size_t)b->count, sizeof *all, reference_compare_triplets);
}

/* How the job runs must not matter. */
static void draw_run(test_random *random, trm_run_options *run)
{
    trm_run_options_init(run);
    run->kernel = test_random_below(random, 2) ? "fp32" : "blas";
    run->threads = 1 + (int)test_random_below(random, 2);
    run->tile = test_random_below(random, 2) ? 32 : 64;
    do
        run->replicate = 1 + (int)test_random_below(random, ranks);
    while (ranks % run->replicate != 0);
}

/* text: for the ranks. */
static trm_mine_options options_of(const random_family *family, char text[64])
{
    const family_options *from = &family->options;
    const family_filter *filter = from->filter;
    trm_mine_options mine;
    trm_mine_options_init(&mine);
    mine.metric = from->metric;
    mine.margin = from->margin;
    mine.positives = from->positives;
    mine.negatives = from->negatives;
    mine.seed = from->seed;
    if (filter[FAMILY_MIN_DISTANCE].given)
        mine.min_distance = filter[FAMILY_MIN_DISTANCE].value;
    if (filter[FAMILY_MAX_DISTANCE].given)
        mine.max_distance = filter[FAMILY_MAX_DISTANCE].value;
    if (filter[FAMILY_ABSOLUTE_MARGIN].given)
        mine.absolute_margin = filter[FAMILY_ABSOLUTE_MARGIN].value;
    if (filter[FAMILY_RELATIVE_MARGIN].given)
        mine.relative_margin = filter[FAMILY_RELATIVE_MARGIN].value;
    if (filter[FAMILY_NOT_NEAR_POSITIVE].given)
        mine.not_near_positive = filter[FAMILY_NOT_NEAR_POSITIVE].value;
    if (from->rank_to < INT64_MAX)
        snprintf(text, 64, "%lld-%lld", (long long)from->rank_from, (long long)from->rank_to);
    else
        snprintf(text, 64, "%lld-", (long long)from->rank_from);
    mine.ranks = text;
    mine.rank_order = from->rank_order_after ? TRM_RANK_AFTER : TRM_RANK_BEFORE;
    return mine;
}

/* Mines the store as dealt evenly. Collective. */
static trm_status mine(const random_store *store, const trm_run_options *options,
                       const trm_mine_options *mining, bag *b, trm_mine_summary *summary, trm_error *err)
{
    trm_run *run = NULL;
    trm_rows *rows = NULL;
    const int64_t first = store->rows * rank / ranks, last = store->rows * (rank + 1) / ranks;
    trm_status status = trm_run_create(MPI_COMM_WORLD, options, &run, err);
    if (status == TRM_OK)
        status = trm_rows_create(run, last - first, store->dim, store->embeddings + first * store->dim,
                                 store->labels + first, store->ignore_count, store->ignore_label, &rows, err);
    if (status == TRM_OK)
        status = trm_mine(run, rows, mining, put_in_bag, b, summary, NULL, err);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
    gather_bag(b);
    return status;
}

/* What is wrong, or NULL. */
static const char *compare(const family_result *want, const bag *got, const trm_mine_summary *summary)
{
    if (want->total != got->count || want->total != summary->triplets.total)
        return "the number of triplets differs";
    if (want->count > 0 && /* else there were too many to list */
        memcmp(want->triplets, got->items, (size_t)want->count * sizeof *want->triplets) != 0)
        return "a triplet differs";
    for (int f = 0; f < TRM_FILTERS; f++)
        if (want->removed[f] != summary->filters.removed[f]) {
            fprintf(stderr, "filter %d: %lld, not %lld\n", f, (long long)summary->filters.removed[f],
                    (long long)want->removed[f]);
            return "what a filter removed differs";
        }
    return want->anchors.fell_short != summary->filters.short_anchors ? "anchors that came up short" : NULL;
}

/* What the cases were, on rank 0: filters that remove nothing test nothing. */
typedef struct findings {
    int64_t cases, ranked, after, open, short_anchors, removed[TRM_FILTERS];
} findings;

static void note(findings *found, const random_family *family, const family_result *want)
{
    found->cases++;
    found->ranked += want->total > 0 && family->options.rank_from > 1;
    found->after += want->total > 0 && family->options.rank_order_after;
    found->open += want->total > 0 && family->options.rank_from > 1 && !family->options.rank_order_after &&
                   family->options.rank_to == INT64_MAX && want->removed[FAMILY_RELATIVE_MARGIN] > 0;
    found->short_anchors += want->total > 0 && want->anchors.fell_short > 0;
    for (int f = 0; f < TRM_FILTERS; f++)
        found->removed[f] += want->total > 0 && want->removed[f] > 0;
}

/* Whether mining equals the reference; the same answer on all ranks. Collective. */
static int agrees(uint64_t number, random_store *store, random_family *family, findings *found)
{
    char text[64], told[512];
    test_random random = {number + UINT64_C(77)};
    trm_run_options run;
    bag b = {NULL, 0};
    trm_mine_summary summary = {0};
    trm_error err = TRM_ERROR_INIT;
    draw_run(&random, &run);
    trm_mine_options options = options_of(family, text);
    if (strcmp(text, "1-") == 0 && !family->options.rank_order_after)
        options.ranks = NULL;
    const trm_status status = mine(store, &run, &options, &b, &summary, &err);
    int bad = 0;
    if (rank == 0) {
        const reference_store view = random_store_view(store);
        family_result want;
        family_mine(&view, &family->options, &want);
        const char *wrong = status != TRM_OK ? err.text : compare(&want, &b, &summary);
        random_family_describe(family, told, sizeof told);
        if (wrong)
            fprintf(stderr, "case %lld: %s\n  %lld x %d, %s\n  %s\n", (long long)number, wrong,
                    (long long)store->rows, store->dim, store->flavour, told);
        bad = wrong != NULL;
        note(found, family, &want);
        family_destroy(&want);
    }
    free(b.items);
    test_share(&bad, sizeof bad);
    return !bad;
}

/* Does the policy take filters? */
static bool is_of_these(const random_family *family)
{
    const char *word = family->options.negatives;
    return strcmp(word, "hard") == 0 || strncmp(word, "topk:", 5) == 0 || strncmp(word, "random:", 7) == 0 ||
           strncmp(word, "weighted:", 9) == 0;
}

static void filters_and_ranks_agree_with_the_reference(void **state)
{
    (void)state;
    int failures = 0;
    findings found = {0};
    for (uint64_t number = 0; number < CASES && failures < 5; number++) {
        random_store store;
        random_family family;
        random_store_create(number % 1009, &store);
        random_family_create(number, &store, &family);
        if (is_of_these(&family) && strncmp(family.positives, "random", 6) != 0)
            failures += !agrees(number, &store, &family, &found);
        random_store_destroy(&store);
    }
    assert_int_equal(failures, 0);
    if (rank > 0)
        return;
    assert_true(found.cases > CASES / 10);
    assert_true(found.open > 2); /* ranks from A on, of what filters leave */
    assert_true(found.ranked > 10 && found.after > 10 && found.short_anchors > 10);
    for (int f = 0; f < TRM_FILTERS; f++)
        assert_true(found.removed[f] > 5);
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
    trm_run_options run;
    trm_run_options_init(&run);
    run.threads = 1;
    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
        trm_mine_options options;
        bag b = {NULL, 0};
        trm_mine_summary summary = {0};
        trm_error err = TRM_ERROR_INIT;
        trm_mine_options_init(&options);
        options.negatives = wants[i].negatives;
        options.ranks = wants[i].ranks;
        options.not_near_positive = wants[i].radius;
        options.lone = wants[i].lone;
        assert_int_equal(mine(&store, &run, &options, &b, &summary, &err), TRM_OK);
        free(b.items);
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
    trm_run_options run;
    trm_run_options_init(&run);
    run.threads = 1;
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
            named = "--absolute-margin does not apply to --negatives semihard";
        }
        bag b = {NULL, 0};
        trm_mine_summary summary = {0};
        trm_error err = TRM_ERROR_INIT;
        const trm_status status = mine(&store, &run, &options, &b, &summary, &err);
        free(b.items);
        if (status != TRM_ERR_USAGE || strstr(err.text, named) == NULL)
            fprintf(stderr, "%d: status %d: %s\n", i, (int)status, err.text);
        assert_int_equal(status, TRM_ERR_USAGE);
        assert_non_null(strstr(err.text, named));
    }
}

int main(int argc, char **argv)
{
    int provided;
    alarm(1200);
    must(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided));
    must(MPI_Comm_rank(MPI_COMM_WORLD, &rank));
    must(MPI_Comm_size(MPI_COMM_WORLD, &ranks));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_and_ranks_agree_with_the_reference),
        cmocka_unit_test(what_is_near_a_positive_is_no_negative),
        cmocka_unit_test(options_that_mean_nothing_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
