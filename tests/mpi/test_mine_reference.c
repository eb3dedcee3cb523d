/* trm_mine against the brute-force reference on random small stores, any number of ranks (more than rows,
 * too): the same triplets, distances to the bit and counts. A failure prints the case's number, which
 * is its seed. */
#include "support/random_store.h"
#include "support/reference.h"
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

enum { CASES = 224, DEALS = 6 };

static int rank, ranks;

static void must(int status)
{
    if (status != MPI_SUCCESS)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

/* This rank's triplets of all panels. */
typedef struct bag {
    trm_triplet *items;
    int64_t count, capacity;
    int unsorted;
} bag;

static trm_status put_in_bag(void *context, trm_triplet **mined, int64_t count, trm_error *err)
{
    (void)err;
    const trm_triplet *triplets = *mined;
    bag *b = context;
    if (b->count + count > b->capacity) {
        b->capacity = 2 * (b->count + count);
        b->items = realloc(b->items, (size_t)b->capacity * sizeof *b->items);
        if (!b->items)
            abort();
    }
    for (int64_t i = 0; i < count; i++) {
        if (i > 0 && reference_compare_triplets(&triplets[i - 1], &triplets[i]) >= 0)
            b->unsorted = 1;
        b->items[b->count++] = triplets[i];
    }
    return TRM_OK;
}

/* All ranks' triplets on rank 0, sorted. Collective. */
static void gather_bag(bag *b)
{
    int mine = (int)(b->count * (int64_t)sizeof(trm_triplet));
    int *sizes = calloc((size_t)ranks, sizeof *sizes);
    int *starts = calloc((size_t)ranks, sizeof *starts);
    if (!sizes || !starts)
        abort();
    must(MPI_Gather(&mine, 1, MPI_INT, sizes, 1, MPI_INT, 0, MPI_COMM_WORLD));
    int total = 0;
    for (int r = 0; r < ranks; r++) {
        starts[r] = total;
        total += sizes[r];
    }
    trm_triplet *all = malloc((size_t)total + 1);
    if (!all)
        abort();
    must(MPI_Gatherv(b->items, mine, MPI_BYTE, all, sizes, starts, MPI_BYTE, 0, MPI_COMM_WORLD));
    must(MPI_Allreduce(MPI_IN_PLACE, &b->unsorted, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD));
    free(b->items);
    b->items = all;
    b->count = b->capacity = total / (int)sizeof(trm_triplet);
    if (b->count > 0)
        qsort(all, (size_t)b->count, sizeof *all, reference_compare_triplets);
    free(sizes);
    free(starts);
}

/* Where each rank's rows start: first[0..ranks], by one of several ways to deal. */
static void deal(test_random *random, int way, int64_t rows, int64_t *first)
{
    first[0] = 0;
    first[ranks] = rows;
    int64_t owner = test_random_below(random, ranks);
    for (int r = 1; r < ranks; r++) {
        if (way == 0) /* evenly */
            first[r] = rows * r / ranks;
        else if (way == 1) /* all on one */
            first[r] = r > owner ? rows : 0;
        else if (way == 2) /* one each, the rest on the last */
            first[r] = r < rows ? r : rows;
        else /* raggedly */
            first[r] = test_random_below(random, rows + 1);
    }
    for (int i = 1; i < ranks; i++)
        for (int j = i; j > 1 && first[j] < first[j - 1]; j--) {
            int64_t t = first[j];
            first[j] = first[j - 1];
            first[j - 1] = t;
        }
}

typedef struct job {
    trm_run_options run;
    trm_mine_options mine;
    int way;
} job;

static int a_divisor(test_random *random)
{
    int divisor;
    do
        divisor = 1 + (int)test_random_below(random, ranks);
    while (ranks % divisor != 0);
    return divisor;
}

/* The case's number walks the product of the rules; its random numbers choose what must not matter. */
static job job_of_case(int number, test_random *random)
{
    static const char *const policies[] = {"all",       "hardest",   "easiest",     "nearest:1",
                                           "nearest:2", "nearest:5", "nearest:1000"};
    static const double margins[] = {0.0, 0.25, 1.0, 2.0, 7.0, 1e6};
    job j;
    trm_run_options_init(&j.run);
    trm_mine_options_init(&j.mine);
    j.mine.metric = (trm_metric)(number % 4);
    j.mine.positives = policies[number / 4 % 7];
    j.mine.window = (trm_window)test_random_below(random, 3);
    j.mine.pick = (trm_pick)test_random_below(random, 2);
    j.mine.fallback = (trm_fallback)test_random_below(random, 3);
    j.mine.margin = margins[test_random_below(random, 6)];
    if (test_random_below(random, 3) == 0)
        j.mine.margin *= 0.1;
    j.run.kernel = test_random_below(random, 2) ? "fp32" : "blas";
    j.run.threads = 1 + (int)test_random_below(random, 3);
    j.run.tile = test_random_below(random, 2) ? 32 : 64;
    j.run.replicate = a_divisor(random);
    j.way = (int)test_random_below(random, DEALS);
    return j;
}

static void describe(const char *what, int number, const random_store *store, const job *j)
{
    fprintf(stderr,
            "case %d: %s\n  store: %lld x %d, %s; ranks %d, deal %d\n"
            "  metric %s, margin %g, positives %s, window %d, pick %d, fallback %d\n"
            "  kernel %s, threads %d, tile %d, replicate %d\n",
            number, what, (long long)store->rows, store->dim, store->flavour, ranks, j->way,
            trm_metric_name(j->mine.metric), j->mine.margin, j->mine.positives, (int)j->mine.window,
            (int)j->mine.pick, (int)j->mine.fallback, j->run.kernel, j->run.threads, j->run.tile,
            j->run.replicate);
}

static void describe_triplet(const char *who, const trm_triplet *t)
{
    fprintf(stderr, "  %s (%lld, %lld, %lld) d_ap %a d_an %a kind %lld\n", who, (long long)t->anchor,
            (long long)t->positive, (long long)t->negative, t->d_ap, t->d_an, (long long)t->kind);
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
static const char *compare(const reference_result *want, const bag *got, const trm_mine_summary *summary)
{
    int64_t common = want->count < got->count ? want->count : got->count;
    for (int64_t i = 0; i < common; i++)
        if (memcmp(&want->triplets[i], &got->items[i], sizeof(trm_triplet)) != 0) {
            describe_triplet("want", &want->triplets[i]);
            describe_triplet("got ", &got->items[i]);
            return "a triplet differs";
        }
    if (want->count != got->count)
        return "the number of triplets differs";
    if (got->unsorted)
        return "a rank's triplets were not sorted";
    const char *field = differing_count(&want->summary, summary);
    return field;
}

/* Mines the store as dealt; the bag is complete on rank 0. Collective. */
static trm_status mine(const random_store *store, const job *j, const int64_t *first, bag *b,
                       trm_mine_summary *summary, trm_error *err)
{
    trm_run *run = NULL;
    trm_rows *rows = NULL;
    int64_t start = first[rank], count = first[rank + 1] - first[rank];
    trm_status status = trm_run_create(MPI_COMM_WORLD, &j->run, &run, err);
    if (status == TRM_OK)
        status = trm_rows_create(run, count, store->dim, store->embeddings + start * store->dim,
                                 store->labels + start, store->ignore_count, store->ignore_label, &rows, err);
    if (status == TRM_OK)
        status = trm_mine(run, rows, &j->mine, put_in_bag, b, summary, NULL, err);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
    gather_bag(b);
    return status;
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
    bag b = {0};
    trm_mine_summary summary = {0};
    trm_error err = TRM_ERROR_INIT;
    trm_status status = mine(store, j, first, &b, &summary, &err);
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
    free(b.items);
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
        random_store store;
        random_store_create((uint64_t)number, &store);
        test_random random = {(uint64_t)number + UINT64_C(1000003)};
        job j = job_of_case(number, &random);
        deal(&random, j.way, store.rows, first);
        failures += !case_agrees(number, &store, &j, first, &found);
        random_store_destroy(&store);
    }
    free(first);
    assert_int_equal(failures, 0);
    if (rank == 0 && only == NULL) {
        assert_int_equal(found.cases, CASES);
        assert_true(found.with_triplets > CASES / 2);
        assert_true(found.with_fallbacks > CASES / 8);
        assert_true(found.with_skipped > CASES / 8);
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
        deal(&random, round, store.rows, first);
        bag b = {0};
        trm_mine_summary summary = {0};
        trm_error err = TRM_ERROR_INIT;
        bad += mine(&store, &j, first, &b, &summary, &err) != TRM_OK;
        bad += summary.triplets.total != 6 || summary.triplets.fallback != 2;
        bad += summary.anchors.no_positive != 1;
        if (rank == 0) {
            bad += b.count != 6;
            for (int i = 0; i < 6 && i < b.count; i++)
                bad += b.items[i].anchor != want[i][0] || b.items[i].positive != want[i][1] ||
                       b.items[i].negative != want[i][2] || b.items[i].kind != want[i][3];
        }
        free(b.items);
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
    job j = {.way = 0};
    trm_run_options_init(&j.run);
    trm_mine_options_init(&j.mine);
    j.mine.window = TRM_WINDOW_NONE;
    j.mine.fallback = TRM_FALLBACK_FARTHEST_INSIDE;
    j.run.threads = 2;
    j.run.tile = 32;
    j.run.replicate = 1;
    reference_store plain = random_store_view(&store);
    reference_result want;
    reference_mine(&plain, &j.mine, &want);
    int bad = 0, most_panels = 0;
    int64_t limit = 0;
    for (int round = 0; round < 60; round++) {
        bag b = {0};
        trm_mine_summary summary = {0};
        trm_error err = TRM_ERROR_INIT;
        j.run.mem_per_rank = limit;
        trm_status status = mine(&store, &j, first, &b, &summary, &err);
        if (status == TRM_OK && rank == 0) {
            const char *wrong = compare(&want, &b, &summary);
            if (wrong)
                fprintf(stderr, "limit %lld, panels %d: %s\n", (long long)limit, summary.panels, wrong);
            bad += wrong != NULL;
        }
        free(b.items);
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
    int provided;
    alarm(1200);
    must(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided));
    must(MPI_Comm_rank(MPI_COMM_WORLD, &rank));
    must(MPI_Comm_size(MPI_COMM_WORLD, &ranks));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values),
        cmocka_unit_test(random_stores_agree_with_the_reference),
        cmocka_unit_test(a_memory_limit_splits_the_anchors_into_panels_with_the_same_result),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
