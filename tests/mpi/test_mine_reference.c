/* trm_mine against the brute-force reference on random small stores, any number of ranks (more than rows,
 * too): the same triplets, distances to the bit and counts. A failure prints the case's number, which
 * is its seed. */
#include "support/mined.h"
#include "support/random_store.h"
#include "support/reference.h"
#include "support/rounds.h"
#include "support/scratch.h"
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

#include <cmocka.h>

enum { CASES = 224, ROUND = 4 * 7 }; /* a round: all metrics x positives */

static void must(int status)
{
    if (status != MPI_SUCCESS)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

typedef struct job {
    random_run run;
    trm_mine_options mine;
} job;

/* The case's number walks the product of the rules; its random numbers choose what must not matter. */
static job job_of_case(int number, test_random *random)
{
    static const char *const policies[] = {"all",       "hardest",   "easiest",     "nearest:1",
                                           "nearest:2", "nearest:5", "nearest:1000"};
    static const double margins[] = {0.0, 0.25, 1.0, 2.0, 7.0, 1e6};
    job j;
    trm_mine_options_init(&j.mine);
    j.mine.metric = (trm_metric)(number % 4);
    j.mine.positives = policies[number / 4 % 7];
    j.mine.window = (trm_window)test_random_below(random, 3);
    j.mine.pick = (trm_pick)test_random_below(random, 2);
    j.mine.fallback = (trm_fallback)test_random_below(random, 3);
    j.mine.margin = margins[test_random_below(random, 6)];
    if (test_random_below(random, 3) == 0)
        j.mine.margin *= 0.1;
    random_run_draw(random, &j.run);
    return j;
}

static void describe(const char *what, int number, const random_store *store, const job *j)
{
    fprintf(stderr,
            "case %d: %s\n  store: %lld x %d, %s\n"
            "  metric %s, margin %g, positives %s, window %d, pick %d, fallback %d\n",
            number, what, (long long)store->rows, store->dim, store->flavour, trm_metric_name(j->mine.metric),
            j->mine.margin, j->mine.positives, (int)j->mine.window, (int)j->mine.pick, (int)j->mine.fallback);
    random_run_describe(&j->run);
}

/* The first count that differs, or NULL. */
static const char *differing_count(const trm_mine_summary *a, const trm_mine_summary *b)
{
#define DIFFERS(field)                                                                                       \
    if (a->field != b->field)                                                                                \
    return #field
    DIFFERS(anchors.total);
    DIFFERS(anchors.valid);
    DIFFERS(anchors.no_positive);
    DIFFERS(anchors.no_negative);
    DIFFERS(anchors.ignored);
    DIFFERS(classes);
    DIFFERS(positive_pairs);
    DIFFERS(triplets.total);
    DIFFERS(triplets.semihard);
    DIFFERS(triplets.fallback);
    DIFFERS(triplets.skipped);
#undef DIFFERS
    return NULL;
}

/* On rank 0: what is wrong, or NULL. */
static const char *compare(const reference_result *want, const mined *got, const trm_mine_summary *summary)
{
    const char *wrong = mined_differs(got, want->triplets, want->count);
    return wrong ? wrong : differing_count(&want->summary, summary);
}

/* What the cases made, on rank 0: cases that agree on nothing found test nothing. */
typedef struct findings {
    int64_t cases, with_triplets, with_fallbacks, with_skipped;
} findings;

static void note(findings *found, const trm_mine_summary *summary)
{
    found->cases++;
    found->with_triplets += summary->triplets.total > 0;
    found->with_fallbacks += summary->triplets.fallback > 0;
    found->with_skipped += summary->triplets.skipped > 0;
}

/* Whether mining equals the reference; the same answer on all ranks. Collective. */
static int case_agrees(int number, const random_store *store, const job *j, const int64_t *first,
                       findings *found)
{
    mined b;
    trm_mine_summary summary = {0};
    trm_error err = TRM_ERROR_INIT;
    trm_status status = mined_run(store, &j->run, first, &j->mine, &b, &summary, &err);
    int bad = status != TRM_OK;
    if (bad && rank == 0) {
        describe("an error", number, store, j);
        fprintf(stderr, "  status %d: %s\n", (int)status, err.text);
    } else if (rank == 0) {
        reference_store plain = random_store_view(store);
        reference_result want;
        reference_mine(&plain, &j->mine, &want);
        const char *wrong = compare(&want, &b, &summary);
        if (!wrong && (summary.certify.float64 > summary.certify.elements ||
                       summary.certify_positives.float64 > summary.certify_positives.elements))
            wrong = "more pairs were decided than there are";
        if (wrong)
            describe(wrong, number, store, j);
        bad = wrong != NULL;
        note(found, &want.summary);
        reference_destroy(&want);
    }
    mined_destroy(&b);
    must(MPI_Allreduce(MPI_IN_PLACE, &bad, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD));
    return !bad;
}

static void random_stores_agree_with_the_reference(void **state)
{
    (void)state;
    int64_t *first = calloc((size_t)ranks + 1, sizeof *first);
    if (!first)
        abort();
    int failures = 0;
    findings found = {0};
    const char *only = getenv("TRIMINE_TEST_CASE");
    int from = only ? atoi(only) : 0, to = only ? from + 1 : CASES;
    for (int number = from; number < to && failures < 5; number++) {
        if (only == NULL && !test_runs_round(number / ROUND, ranks))
            continue;
        random_store store;
        random_store_create((uint64_t)number, &store);
        test_random random = {(uint64_t)number + UINT64_C(1000003)};
        job j = job_of_case(number, &random);
        random_run_deal(&random, &j.run, store.rows, first);
        failures += !case_agrees(number, &store, &j, first, &found);
        random_store_destroy(&store);
    }
    free(first);
    assert_int_equal(failures, 0);
    if (rank == 0 && only == NULL) {
        assert_true(found.cases >= CASES / 4);
        assert_true(found.with_triplets > found.cases / 2);
        assert_true(found.with_fallbacks > found.cases / 8);
        assert_true(found.with_skipped > found.cases / 8);
    }
}

/* Seven rows on a line, worked out by hand. */
static void golden_values(void **state)
{
    (void)state;
    float x[] = {0, 6, 1, 3, 6, -1, 4};
    int64_t labels[] = {0, 0, 1, 2, 1, 3, 2};
    random_store store = {7, 1, x, labels, 0, {0, 0, 0}, "golden", false};
    static const int64_t want[6][4] = {{0, 1, 4, 1}, {1, 0, 5, 0}, {2, 4, 1, 1},
                                       {3, 6, 2, 0}, {4, 2, 0, 0}, {6, 3, 1, 0}};
    int64_t *first = calloc((size_t)ranks + 1, sizeof *first);
    if (!first)
        abort();
    test_random random = {3};
    int bad = 0;
    for (int round = 0; round < 4; round++) {
        job j = job_of_case(0, &random);
        trm_mine_options_init(&j.mine);
        j.mine.metric = TRM_METRIC_L2;
        j.mine.window = TRM_WINDOW_NONE;
        j.mine.fallback = TRM_FALLBACK_FARTHEST_INSIDE;
        j.run.deal = round;
        random_run_deal(&random, &j.run, store.rows, first);
        mined b;
        trm_mine_summary summary = {0};
        trm_error err = TRM_ERROR_INIT;
        bad += mined_run(&store, &j.run, first, &j.mine, &b, &summary, &err) != TRM_OK;
        bad += summary.triplets.total != 6 || summary.triplets.fallback != 2;
        bad += summary.anchors.no_positive != 1;
        if (rank == 0) {
            bad += b.count != 6;
            for (int i = 0; i < 6 && i < b.count; i++)
                bad += b.triplets[i].anchor != want[i][0] || b.triplets[i].positive != want[i][1] ||
                       b.triplets[i].negative != want[i][2] || b.triplets[i].kind != want[i][3];
        }
        mined_destroy(&b);
    }
    free(first);
    must(MPI_Allreduce(MPI_IN_PLACE, &bad, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD));
    assert_int_equal(bad, 0);
}

/* Half the rows in one class, small integers: many pairs an anchor, full of ties. */
static void giant_class_store(random_store *store)
{
    test_random random = {42};
    *store = (random_store){.rows = 400, .dim = 3, .flavour = "giant class"};
    store->embeddings = calloc((size_t)(store->rows * store->dim), sizeof *store->embeddings);
    store->labels = calloc((size_t)store->rows, sizeof *store->labels);
    if (!store->embeddings || !store->labels)
        abort();
    for (int64_t i = 0; i < store->rows * store->dim; i++)
        store->embeddings[i] = (float)(test_random_below(&random, 21) - 10);
    for (int64_t i = 0; i < store->rows; i++)
        store->labels[i] = test_random_below(&random, 2) ? 0 : 1 + test_random_below(&random, 20);
}

static void a_memory_limit_splits_the_anchors_into_panels_with_the_same_result(void **state)
{
    (void)state;
    random_store store;
    giant_class_store(&store);
    int64_t *first = calloc((size_t)ranks + 1, sizeof *first);
    if (!first)
        abort();
    for (int r = 0; r <= ranks; r++)
        first[r] = store.rows * r / ranks;
    job j;
    trm_run_options_init(&j.run.options);
    trm_mine_options_init(&j.mine);
    j.mine.window = TRM_WINDOW_NONE;
    j.mine.fallback = TRM_FALLBACK_FARTHEST_INSIDE;
    j.run.options.threads = 2;
    j.run.options.tile = 32;
    j.run.options.replicate = 1;
    reference_store plain = random_store_view(&store);
    reference_result want;
    reference_mine(&plain, &j.mine, &want);
    int bad = 0, most_panels = 0;
    int64_t limit = 0;
    for (int round = 0; round < 60; round++) {
        mined b;
        trm_mine_summary summary = {0};
        trm_error err = TRM_ERROR_INIT;
        j.run.options.mem_per_rank = limit;
        trm_status status = mined_run(&store, &j.run, first, &j.mine, &b, &summary, &err);
        if (status == TRM_OK && rank == 0) {
            const char *wrong = compare(&want, &b, &summary);
            if (wrong)
                fprintf(stderr, "limit %lld, panels %d: %s\n", (long long)limit, summary.panels, wrong);
            bad += wrong != NULL;
        }
        mined_destroy(&b);
        if (status == TRM_OK) {
            bad += limit > 0 && summary.memory_bytes > limit;
            most_panels = summary.panels > most_panels ? summary.panels : most_panels;
            /* From a few panels on, a limit of almost nothing: that must be refused. */
            limit = summary.panels > 2 ? 1 : (limit ? limit : summary.memory_bytes) / 4 * 3;
            continue;
        }
        if (status != TRM_ERR_MEMORY && rank == 0)
            fprintf(stderr, "limit %lld: status %d: %s\n", (long long)limit, (int)status, err.text);
        bad += status != TRM_ERR_MEMORY || round == 0;
        break;
    }
    reference_destroy(&want);
    random_store_destroy(&store);
    free(first);
    must(MPI_Allreduce(MPI_IN_PLACE, &bad, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD));
    assert_int_equal(bad, 0);
    assert_true(most_panels > 1);
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values),
        cmocka_unit_test(random_stores_agree_with_the_reference),
        cmocka_unit_test(a_memory_limit_splits_the_anchors_into_panels_with_the_same_result),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
