/* What is drawn by seed: as often as its distribution says, the same however the job is run, and as brute force
 * draws it where there are many to draw from or hardly any. Random options on random stores: test_family.c. */
#include "support/chi_square.h"
#include "support/mined.h"
#include "support/reference_family.h"
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

static void *memory(int64_t count, size_t size)
{
    void *made = calloc((size_t)count + 1, size);
    if (made == NULL)
        abort();
    return made;
}

static random_store new_store(int64_t rows, int dim, const char *flavour)
{
    random_store store = {.rows = rows, .dim = dim, .flavour = flavour};
    store.embeddings = memory(rows * dim, sizeof *store.embeddings);
    store.labels = memory(rows, sizeof *store.labels);
    return store;
}

/* The words of a job, for the library and for the reference. */
typedef struct job {
    trm_metric metric;
    const char *positives, *negatives, *window, *pick, *fallback;
    uint64_t seed;
    double margin;
    int64_t mem_per_rank;
    const char *ranks;   /* NULL: all */
    double max_distance; /* 0: none */
} job;

static int place_of(const char *word, const char *const *words)
{
    int i = 0;
    while (strcmp(words[i], word) != 0)
        i++;
    return i;
}

static trm_mine_options library_options(const job *j)
{
    static const char *const windows[] = {"none", "lt", "le"},
                             *const picks[] = {"nearest", "farthest", "random"},
                             *const fallbacks[] = {"skip", "farthest-inside", "hardest", "random"};
    trm_mine_options options;
    trm_mine_options_init(&options);
    options.metric = j->metric;
    options.margin = j->margin;
    options.seed = j->seed;
    options.positives = j->positives;
    options.negatives = j->negatives;
    options.window = (trm_window)place_of(j->window, windows);
    options.pick = (trm_pick)place_of(j->pick, picks);
    options.fallback = (trm_fallback)place_of(j->fallback, fallbacks);
    options.ranks = j->ranks;
    if (j->max_distance > 0.0)
        options.max_distance = j->max_distance;
    return options;
}

static const job plain = {.positives = "all",
                          .negatives = "semihard",
                          .window = "none",
                          .pick = "nearest",
                          .fallback = "skip",
                          .seed = 7,
                          .margin = 1.0};

/* On all ranks, evenly dealt; its triplets are on rank 0. */
static trm_status mine(const random_store *store, const job *j, mined *out, trm_mine_summary *summary,
                       trm_error *err)
{
    random_run run = {.deal = 0};
    const trm_mine_options options = library_options(j);
    int64_t *first = memory(ranks + 1, sizeof *first);
    for (int r = 0; r <= ranks; r++)
        first[r] = store->rows * r / ranks;
    trm_run_options_init(&run.options);
    run.options.threads = 2;
    run.options.tile = 32;
    run.options.mem_per_rank = j->mem_per_rank;
    const trm_status status = mined_run(store, &run, first, &options, out, summary, err);
    free(first);
    return status;
}

/* What the reference mines, on rank 0. The caller frees it there with family_destroy. */
static void brute_force(const random_store *store, const job *j, family_result *want)
{
    const reference_store view = random_store_view(store);
    family_options options;
    if (rank != 0)
        return;
    family_options_init(&options);
    options.metric = j->metric;
    options.margin = j->margin;
    options.positives = j->positives;
    options.negatives = j->negatives;
    options.window = j->window;
    options.pick = j->pick;
    options.fallback = j->fallback;
    options.seed = j->seed;
    family_mine(&view, &options, want);
}

/* Whether what is mined is what the reference mines (want, on rank 0). */
static bool agrees(const random_store *store, const job *j, const family_result *want,
                   trm_mine_summary *mined_as)
{
    trm_mine_summary summary = {0};
    trm_error err = TRM_ERROR_INIT;
    mined got;
    const trm_status status = mine(store, j, &got, &summary, &err);
    const char *wrong = status != TRM_OK ? err.text : NULL;
    *mined_as = summary;
    if (rank == 0 && wrong == NULL) {
        wrong = mined_differs(&got, want->triplets, want->count);
        if (wrong == NULL && want->skipped != summary.triplets.skipped)
            wrong = "skipped differs";
    }
    if (wrong != NULL)
        fprintf(stderr, "%s: %s, %s, window %s, pick %s, fallback %s: %s\n", store->flavour, j->positives,
                j->negatives, j->window, j->pick, j->fallback, wrong);
    mined_destroy(&got);
    return everywhere(wrong == NULL);
}

/* Jobs in which everything that can be drawn is. */
static job drawn_job(int number)
{
    static const char *const negatives[] = {"semihard", "semihard", "semihard",  "semihard",
                                            "semihard", "random:3", "weighted:3"};
    static const char *const windows[] = {"none", "lt", "le", "lt", "lt", "lt", "lt"};
    static const char *const picks[] = {"random",   "random",  "random", "nearest",
                                        "farthest", "nearest", "nearest"};
    static const char *const fallbacks[] = {"farthest-inside", "skip", "random", "random",
                                            "random",          "skip", "skip"};
    job j = plain;
    j.metric = TRM_METRIC_L2;
    j.negatives = negatives[number];
    j.window = windows[number];
    j.pick = picks[number];
    j.fallback = fallbacks[number];
    return j;
}
enum { DRAWN_JOBS = 7 };

/* A giant class, small integers: many pairs an anchor, lists longer than what is sorted simply, full of ties; in
 * one piece, and in panels. */
static void many_pairs_an_anchor_and_panels_agree_with_the_reference(void **state)
{
    (void)state;
    test_random random = {42};
    random_store store = new_store(300, 3, "giant class");
    for (int64_t i = 0; i < store.rows * store.dim; i++)
        store.embeddings[i] = 0.125F * (float)(test_random_below(&random, 21) - 10);
    for (int64_t i = 0; i < store.rows; i++)
        store.labels[i] = i % 3 != 0 ? 0 : 1 + test_random_below(&random, 20);
    for (int number = 0; number < DRAWN_JOBS; number++) {
        job j = drawn_job(number);
        family_result want = {0};
        trm_mine_summary summary;
        j.positives = number % 2 == 0 ? "random:180" : "all";
        brute_force(&store, &j, &want);
        assert_true(agrees(&store, &j, &want, &summary));
        j.mem_per_rank = summary.memory_bytes * 3 / 4;
        assert_true(agrees(&store, &j, &want, &summary));
        assert_true(summary.panels > 1);
        family_destroy(&want);
    }
    random_store_destroy(&store);
}

/* More asked for than there are, one, one class, only singletons, two rows. */
static void stores_with_hardly_anything_to_draw_agree_with_the_reference(void **state)
{
    (void)state;
    static const char *const counts[] = {"1", "2", "2147483647"};
    for (int shape = 0; shape < 4; shape++) {
        random_store store = new_store(shape == 3 ? 2 : 9, 2, "degenerate");
        for (int64_t i = 0; i < store.rows; i++) {
            store.embeddings[2 * i] = (float)(i / 2) * 0.25F;
            store.embeddings[2 * i + 1] = 1.0F;
            store.labels[i] = shape == 0 ? 5 : shape == 1 ? i : shape == 2 ? i / 4 : i;
        }
        for (int k = 0; k < 9; k++) {
            char positives[32], negatives[32];
            snprintf(positives, sizeof positives, "random:%s", counts[k % 3]);
            snprintf(negatives, sizeof negatives, "%s:%s", k % 2 == 0 ? "random" : "weighted", counts[k / 3]);
            for (int number = 0; number < 2; number++) {
                job j = drawn_job(2);
                family_result want = {0};
                trm_mine_summary summary;
                j.positives = positives;
                if (number == 0)
                    j.negatives = negatives;
                brute_force(&store, &j, &want);
                assert_true(agrees(&store, &j, &want, &summary));
                family_destroy(&want);
            }
        }
        random_store_destroy(&store);
    }
}

/* ---- distributions ---- */

enum { ANCHORS = 1500, OTHERS = 8 };

/* ANCHORS equal rows of one class, and OTHERS of other labels at these l2 distances. */
static random_store store_of_draws(const double *distance)
{
    random_store store = new_store(ANCHORS + OTHERS, 3, "draws");
    for (int64_t i = 0; i < store.rows; i++) {
        store.labels[i] = i < ANCHORS ? 0 : i;
        store.embeddings[3 * i] = i < ANCHORS ? 0.0F : (float)distance[i - ANCHORS];
    }
    return store;
}

/* Whether the draws of a rank, over all anchors, look like the weights; all pairs of an anchor have the same ones. */
static void check_distribution(const random_store *store, const job *j, int64_t of_rank, const double *weight)
{
    trm_mine_summary summary = {0};
    trm_error err = TRM_ERROR_INIT;
    mined got;
    assert_int_equal(mine(store, j, &got, &summary, &err), TRM_OK);
    int64_t seen[OTHERS] = {0}, anchors = 0;
    for (int64_t i = 0; i < got.count && rank == 0; i++)
        if (got.triplets[i].rank == of_rank) {
            seen[got.triplets[i].negative - ANCHORS]++;
            anchors++;
        }
    const double chance = rank == 0 ? chi_square_test(seen, weight, OTHERS) : 1.0;
    if (chance < 1e-3)
        fprintf(stderr, "%s, pick %s, fallback %s, rank %d: chance %g\n", j->negatives, j->pick, j->fallback,
                (int)of_rank, chance);
    mined_destroy(&got);
    assert_true(everywhere(rank != 0 || (anchors == ANCHORS && chance >= 1e-3)));
}

/* The chance of each to be drawn second, without replacement. */
static void second_draw(const double *weight, double *second)
{
    double sum = 0.0;
    for (int i = 0; i < OTHERS; i++)
        sum += weight[i];
    for (int i = 0; i < OTHERS; i++) {
        second[i] = 0.0;
        for (int k = 0; k < OTHERS; k++)
            if (k != i)
                second[i] += weight[k] / sum * weight[i] / (sum - weight[k]);
    }
}

static void draws_are_as_often_as_their_weights_say(void **state)
{
    (void)state;
    static const double distance[OTHERS] = {0.25, 0.5, 0.625, 0.75, 1.0, 1.25, 1.375, 1.5};
    static const double even[OTHERS] = {1, 1, 1, 1, 1, 1, 1, 1};
    double weight[OTHERS], second[OTHERS];
    random_store store = store_of_draws(distance);
    for (int i = 0; i < OTHERS; i++) /* in three dimensions one over d */
        weight[i] = distance[i] >= 1.4 ? 0.0 : 1.0 / fmax(0.5, distance[i]);
    job j = plain;
    j.metric = TRM_METRIC_L2;
    j.positives = "hardest";
    j.negatives = "random:2";
    check_distribution(&store, &j, 1, even);
    check_distribution(&store, &j, 2, even);
    j.negatives = "weighted:2";
    check_distribution(&store, &j, 1, weight);
    second_draw(weight, second);
    check_distribution(&store, &j, 2, second);
    j.metric = TRM_METRIC_DOT; /* all dots are 0; weights go by the l2 distance all the same */
    check_distribution(&store, &j, 1, weight);
    j.metric = TRM_METRIC_L2;
    j.ranks = "2-7"; /* the nearest and the farthest are out */
    j.max_distance = 1.0;
    for (int i = 0; i < OTHERS; i++)
        weight[i] = i >= 1 && distance[i] <= 1.0 ? weight[i] : 0.0;
    check_distribution(&store, &j, 1, weight);
    second_draw(weight, second);
    check_distribution(&store, &j, 2, second);
    j.negatives = "random:2";
    static const double left[OTHERS] = {0, 1, 1, 1, 1, 0, 0, 0};
    check_distribution(&store, &j, 1, left);
    j.ranks = "2-"; /* no end: drawn while they are seen */
    check_distribution(&store, &j, 1, left);
    check_distribution(&store, &j, 2, left);
    j = drawn_job(0);
    j.positives = "hardest";
    check_distribution(&store, &j, 1, even);
    static const double inside[OTHERS] = {1, 1, 1, 1, 0, 0, 0, 0};
    j.window = "lt"; /* of margin 1: d(a,n) < 1 */
    check_distribution(&store, &j, 1, inside);
    j.margin = 0.125; /* nothing is inside */
    j.fallback = "random";
    check_distribution(&store, &j, 1, even);
    random_store_destroy(&store);
}

/* Positives of one anchor each: how far from the anchor's own row id, around, they lie. */
static void positives_are_drawn_evenly(void **state)
{
    (void)state;
    enum { CLASS = 9, CLASSES = 300 };
    random_store store = new_store((int64_t)CLASS * CLASSES, 1, "classes");
    for (int64_t i = 0; i < store.rows; i++) {
        store.embeddings[i] = (float)(i % 7);
        store.labels[i] = i / CLASS;
    }
    job j = plain;
    j.positives = "random:1";
    j.negatives = "hard";
    trm_mine_summary summary = {0};
    trm_error err = TRM_ERROR_INIT;
    mined got;
    assert_int_equal(mine(&store, &j, &got, &summary, &err), TRM_OK);
    int64_t seen[CLASS - 1] = {0};
    const double even[CLASS - 1] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (int64_t i = 0; i < got.count && rank == 0; i++)
        seen[(got.triplets[i].positive - got.triplets[i].anchor + CLASS) % CLASS - 1]++;
    const bool good = rank != 0 || (got.count == store.rows && chi_square_test(seen, even, CLASS - 1) > 1e-3);
    mined_destroy(&got);
    random_store_destroy(&store);
    assert_true(everywhere(good));
}

static bool same_triplets(const mined *a, const mined *b)
{
    return a->count == b->count &&
           memcmp(a->triplets, b->triplets, (size_t)a->count * sizeof *a->triplets) == 0;
}

/* Another seed, other draws; where nothing is drawn the seed does not matter. */
static void the_seed_matters_where_something_is_drawn(void **state)
{
    (void)state;
    static const double distance[OTHERS] = {0.25, 0.5, 0.625, 0.75, 1.0, 1.25, 1.375, 1.5};
    random_store store = store_of_draws(distance);
    for (int drawn = 0; drawn < 2; drawn++) {
        trm_mine_summary summary = {0};
        trm_error err = TRM_ERROR_INIT;
        mined one, other;
        job j = plain;
        j.positives = "hardest";
        j.pick = drawn ? "random" : "nearest";
        assert_int_equal(mine(&store, &j, &one, &summary, &err), TRM_OK);
        j.seed++;
        assert_int_equal(mine(&store, &j, &other, &summary, &err), TRM_OK);
        const bool good = rank != 0 || same_triplets(&one, &other) == !drawn;
        mined_destroy(&one);
        mined_destroy(&other);
        assert_true(everywhere(good));
    }
    random_store_destroy(&store);
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_pairs_an_anchor_and_panels_agree_with_the_reference),
        cmocka_unit_test(stores_with_hardly_anything_to_draw_agree_with_the_reference),
        cmocka_unit_test(draws_are_as_often_as_their_weights_say),
        cmocka_unit_test(positives_are_drawn_evenly),
        cmocka_unit_test(the_seed_matters_where_something_is_drawn),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
