/* Policies of negatives on packed triplets, against the brute-force reference of mining: an anchor's own negatives are
 * rows 0 to K - 1 of a small store, the anchor the row of its number, so that what is drawn is the same, and rows
 * between take no part. A failure prints the case's number. */
#include "mine/negatives.h"
#include "mine/options.h"
#include "support/random_store.h"
#include "support/reference_family.h"
#include "support/scratch.h"
#include "trimine/trimine.h"

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

enum { COUNT = 24, MOST = 7, DIM = 3, CASES = 1000, IGNORED = 9 };

static float anchor[COUNT * DIM], positive[COUNT * DIM], negative[COUNT * MOST * DIM];

/* Coordinates in sixteenths: ties, and rows near enough to be drawn by weight. */
static void make_batch(test_random *random)
{
    for (int i = 0; i < COUNT * DIM; i++) {
        anchor[i] = (float)(1 + test_random_below(random, 9)) / 16.0F;
        positive[i] = (float)(1 + test_random_below(random, 9)) / 16.0F;
    }
    for (int i = 0; i < COUNT * MOST * DIM; i++)
        negative[i] = (float)(1 + test_random_below(random, 12)) / 16.0F;
}

/* What is tried of each word of the table, with the number of it that the reference wants. */
// clang-format off
static struct tried {
    const char *word, *negatives, *reference;
    int64_t triplets;
} tried[] = {
    {"semihard", "semihard", "semihard", 0},
    {"hard", "hard", "hard", 0},
    {"topk", "topk:2", "topk:2", 0},
    {"topk", "topk:50", "topk:50", 0},
    {"random", "random", "random:1", 0},
    {"random", "random:3", "random:3", 0},
    {"weighted", "weighted:2", "weighted:2", 0},
    {"within-margin", "within-margin", "within-margin", 0},
    {"hard-all", "hard-all", "hard-all", 0},
    {"easy-all", "easy-all", "easy-all", 0},
    {"violating", "violating", "violating", 0},
    {"multisimilarity", "multisimilarity:0.05", "multisimilarity:0.05", 0},
    {"reversed", "reversed", NULL, 0},
};
// clang-format on
enum { TRIED = sizeof tried / sizeof *tried };

/* ---- a case ---- */

typedef struct packed_case {
    family_options family; /* of the reference */
    trm_packed_options options;
    int64_t k;
    struct tried *what;
} packed_case;

static const char *word_at(const trm_words *words, test_random *random, int *value)
{
    const trm_word *word = trm_word_at(words, (int)test_random_below(random, words->count));
    *value = word->value;
    return word->name;
}

static packed_case draw_case(int number, test_random *random)
{
    packed_case c = {.k = 1 + test_random_below(random, MOST), .what = &tried[number % TRIED]};
    int window, pick, fallback;
    family_options_init(&c.family);
    trm_packed_options_init(&c.options);
    c.family.metric = (trm_metric)test_random_below(random, 4);
    c.family.margin = (double)test_random_below(random, 9) / 64.0;
    c.family.negatives = c.what->reference;
    c.family.window = word_at(&trm_window_words, random, &window);
    c.family.pick = word_at(&trm_pick_words, random, &pick);
    c.family.fallback = word_at(&trm_fallback_words, random, &fallback);
    c.family.seed = (uint64_t)test_random_below(random, 1000);
    c.options.loss.metric = c.family.metric;
    c.options.loss.margin = c.what->reference == NULL ? c.family.margin : 0.5;
    c.options.negatives = c.what->negatives;
    c.options.window = (trm_window)window;
    c.options.window_margin = c.family.margin;
    c.options.pick = (trm_pick)pick;
    c.options.fallback = (trm_fallback)fallback;
    c.options.seed = c.family.seed;
    return c;
}

/* ---- what is expected of an anchor ---- */

typedef struct expected {
    trm_triplet triplet[MOST]; /* in the order of ranks */
    int64_t count;
} expected;

static int compare_ranks(const void *a, const void *b)
{
    const trm_triplet *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

/* The one whose [d(a,n) - d(a,p) + margin]+ is the least, the first of those. */
static expected expect_reversed(const packed_case *c, const reference_store *store, int64_t a)
{
    expected e = {.count = 1};
    double least = INFINITY;
    const double d_ap = reference_distance(store, c->family.metric, a, a + 1);
    for (int64_t k = 0; k < c->k; k++) {
        const double d = reference_distance(store, c->family.metric, a, k);
        const double z = fmax(0.0, (d - d_ap) + c->family.margin);
        if (z < least)
            e.triplet[0] = (trm_triplet){.negative = k, .d_ap = d_ap, .d_an = d, .rank = 1};
        least = fmin(least, z);
    }
    return e;
}

static expected expect(const packed_case *c, int64_t a)
{
    float x[(COUNT + 2) * DIM] = {0};
    int64_t label[COUNT + 2];
    const int64_t ignored = IGNORED;
    for (int64_t i = 0; i < a; i++)
        label[i] = i < c->k ? 1 : IGNORED;
    label[a] = label[a + 1] = 0;
    memcpy(x, negative + a * MOST * DIM, (size_t)c->k * DIM * sizeof *x);
    memcpy(x + a * DIM, anchor + a * DIM, DIM * sizeof *x);
    memcpy(x + (a + 1) * DIM, positive + a * DIM, DIM * sizeof *x);
    const reference_store store = {a + 2, DIM, x, label, &ignored, 1, 0.0};
    if (c->what->reference == NULL)
        return expect_reversed(c, &store, a);
    expected e = {.count = 0};
    if (c->k == 1 && strcmp(c->what->word, "semihard") == 0) { /* it is taken as it is */
        e.count = 1;
        e.triplet[0] = (trm_triplet){.d_ap = reference_distance(&store, c->family.metric, a, a + 1),
                                     .d_an = reference_distance(&store, c->family.metric, a, 0),
                                     .rank = 1};
        return e;
    }
    family_result want;
    family_mine(&store, &c->family, &want);
    for (int64_t i = 0; i < want.count; i++)
        if (want.triplets[i].anchor == a)
            e.triplet[e.count++] = want.triplets[i];
    qsort(e.triplet, (size_t)e.count, sizeof *e.triplet, compare_ranks);
    family_destroy(&want);
    return e;
}

/* ---- what the library gives ---- */

typedef struct taken {
    trm_triplet triplet[COUNT * MOST];
    int64_t count, calls;
} taken;

static trm_status take(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    taken *t = context;
    (void)err;
    memcpy(t->triplet + t->count, *triplets, (size_t)count * sizeof **triplets);
    t->count += count;
    t->calls++;
    return TRM_OK;
}

static bool is_same(const trm_triplet *got, const trm_triplet *want, int64_t a, int64_t k)
{
    return got->anchor == a && got->positive == a && got->negative == a * k + want->negative &&
           got->d_ap == want->d_ap && got->d_an == want->d_an && got->kind == want->kind &&
           got->rank == want->rank;
}

/* Anchors that the reference can't show, because their number is that of a negative's row, are passed over. */
static bool agrees(const packed_case *c, const taken *got, int64_t first, int64_t count)
{
    int64_t at = 0;
    for (int64_t a = first; a < first + count; a++) {
        const int64_t from = at;
        while (at < got->count && got->triplet[at].anchor == a)
            at++;
        if (a < c->k)
            continue;
        const expected want = expect(c, a);
        bool same = want.count == at - from;
        for (int64_t i = 0; i < want.count && same; i++)
            same = is_same(&got->triplet[from + i], &want.triplet[i], a, c->k);
        c->what->triplets += want.count;
        if (!same) {
            fprintf(stderr, "anchor %lld: %lld triplets, not %lld\n", (long long)a, (long long)(at - from),
                    (long long)want.count);
            return false;
        }
    }
    return at == got->count;
}

/* The summary's counts are those of the triplets. Collective. */
static bool counts_agree(const packed_case *c, const taken *got, int64_t count,
                         const trm_loss_summary *summary)
{
    const bool chosen = strcmp(c->what->word, "semihard") == 0 && c->k > 1;
    int64_t sums[3] = {got->count, 0, count};
    for (int64_t i = 0; i < got->count; i++) {
        sums[1] += got->triplet[i].kind == TRM_KIND_FALLBACK;
        sums[2] -= got->triplet[i].rank == 1;
    }
    MPI_Allreduce(MPI_IN_PLACE, sums, 3, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    return summary->count == sums[0] && summary->fallback == sums[1] && summary->skipped == sums[2] &&
           summary->semihard == (chosen ? sums[0] - sums[1] : 0);
}

static bool run_case(int number)
{
    test_random random = {(uint64_t)number + UINT64_C(4000037)};
    make_batch(&random);
    packed_case c = draw_case(number, &random);
    static taken got;
    got.count = got.calls = 0;
    c.options.emit = take;
    c.options.context = &got;
    const int64_t first = COUNT * rank / ranks, count = COUNT * (rank + 1) / ranks - first;
    float own[COUNT * MOST * DIM];
    for (int64_t i = 0; i < count; i++)
        memcpy(own + i * c.k * DIM, negative + (first + i) * MOST * DIM, (size_t)c.k * DIM * sizeof *own);
    const trm_packed packed = {.count = count,
                               .negatives = c.k,
                               .dim = DIM,
                               .anchor = anchor + first * DIM,
                               .positive = positive + first * DIM,
                               .negative = own};
    trm_loss_summary summary;
    trm_error err = TRM_ERROR_INIT;
    const trm_status status =
        trm_packed_loss(MPI_COMM_WORLD, &packed, &c.options, NULL, &summary, NULL, &err);
    bool good = status == TRM_OK && agrees(&c, &got, first, count);
    if (everywhere(status == TRM_OK))
        good = counts_agree(&c, &got, count, &summary) && good;
    if (!good)
        fprintf(stderr, "case %d: %s of %lld, metric %d, window %s, pick %s, fallback %s, seed %llu: %s\n",
                number, c.what->negatives, (long long)c.k, (int)c.family.metric, c.family.window,
                c.family.pick, c.family.fallback, (unsigned long long)c.family.seed, err.text);
    return everywhere(good);
}

static void policies_choose_as_in_a_store_of_the_anchors_own_rows(void **state)
{
    (void)state;
    int failures = 0;
    for (int number = 0; number < CASES && failures < 5; number++)
        failures += !run_case(number);
    assert_int_equal(failures, 0);
    bool none_on_nothing = true;
    for (int i = 0; i < TRIED; i++) {
        MPI_Allreduce(MPI_IN_PLACE, &tried[i].triplets, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
        none_on_nothing = none_on_nothing && tried[i].triplets > 0;
    }
    assert_true(none_on_nothing);
}

static void every_policy_is_tried(void **state)
{
    (void)state;
    for (int i = 0; i < trm_own_negatives_words.count; i++) {
        bool found = false;
        for (int k = 0; k < TRIED; k++)
            found = found || strcmp(trm_word_at(&trm_own_negatives_words, i)->name, tried[k].word) == 0;
        assert_true(found);
    }
}

/* ---- gradients of several triplets an anchor ---- */

static trm_loss_summary evaluate_alone(const char *negatives, int64_t k, const float *own, bool swap,
                                       float *const gradient[3])
{
    const trm_packed packed = {
        .count = COUNT, .negatives = k, .dim = DIM, .anchor = anchor, .positive = positive, .negative = own};
    trm_packed_options options;
    trm_packed_options_init(&options);
    options.negatives = negatives;
    options.loss.reduction = TRM_REDUCTION_SUM;
    options.loss.margin = 0.25;
    options.loss.swap = swap;
    trm_loss_summary summary;
    assert_int_equal(trm_packed_loss(MPI_COMM_SELF, &packed, &options, gradient, &summary, NULL, NULL),
                     TRM_OK);
    return summary;
}

/* All K triplets of an anchor at once: the sum of what each gives alone. */
static void triplets_of_an_anchor_add_up(void **state)
{
    (void)state;
    static float all[3][COUNT * MOST * DIM], one[3][COUNT * DIM], own[COUNT * DIM];
    static double sum[2][COUNT * DIM];
    test_random random = {77};
    make_batch(&random);
    for (int swap = 0; swap < 2; swap++) {
        memset(sum, 0, sizeof sum);
        const trm_loss_summary whole =
            evaluate_alone("topk:7", MOST, negative, swap, (float *const[]){all[0], all[1], all[2]});
        int64_t count = 0, active = 0;
        double value = 0.0;
        for (int64_t k = 0; k < MOST; k++) {
            for (int64_t i = 0; i < COUNT; i++)
                memcpy(own + i * DIM, negative + (i * MOST + k) * DIM, DIM * sizeof *own);
            const trm_loss_summary part =
                evaluate_alone("hard", 1, own, swap, (float *const[]){one[0], one[1], one[2]});
            count += part.count;
            active += part.active;
            value += part.sum;
            for (int64_t i = 0; i < COUNT; i++)
                assert_memory_equal(one[2] + i * DIM, all[2] + (i * MOST + k) * DIM, DIM * sizeof(float));
            for (int64_t i = 0; i < COUNT * DIM; i++) {
                sum[0][i] += (double)one[0][i];
                sum[1][i] += (double)one[1][i];
            }
        }
        assert_true(whole.count == count && whole.active == active && active > COUNT && active < count);
        assert_true(fabs(whole.sum - value) < 1e-12 * value);
        for (int part = 0; part < 2; part++)
            for (int64_t i = 0; i < COUNT * DIM; i++)
                assert_true(fabs((double)all[part][i] - sum[part][i]) < 1e-6);
        for (int64_t i = 0; i < COUNT * DIM;
             i++) { /* whatever moves all rows of an anchor alike changes nothing */
            double moved = (double)all[0][i] + (double)all[1][i];
            for (int64_t k = 0; k < MOST; k++)
                moved += (double)all[2][(i / DIM * MOST + k) * DIM + i % DIM];
            assert_true(fabs(moved) < 1e-5);
        }
    }
}

/* ---- what is refused ---- */

static trm_status status_of(const trm_packed_options *options, trm_error *err)
{
    const trm_packed packed = {.count = rank == 0,
                               .negatives = 2,
                               .dim = DIM,
                               .anchor = anchor,
                               .positive = positive,
                               .negative = negative};
    trm_loss_summary summary;
    *err = (trm_error)TRM_ERROR_INIT;
    return trm_packed_loss(MPI_COMM_WORLD, &packed, options, NULL, &summary, NULL, err);
}

static void what_means_nothing_is_refused(void **state)
{
    (void)state;
    trm_packed_options options;
    trm_error err;
    trm_packed_options_init(&options);
    options.negatives = "topk";
    assert_int_equal(status_of(&options, &err), TRM_ERR_USAGE);
    assert_non_null(strstr(err.text, "negatives 'topk': must be one of"));
    options.negatives = "topk:0";
    assert_int_equal(status_of(&options, &err), TRM_ERR_USAGE);
    options.negatives = "reversed";
    options.loss.swap = true;
    assert_int_equal(status_of(&options, &err), TRM_ERR_USAGE);
    assert_non_null(strstr(err.text, "reversed has neither --soft nor --swap"));
}

static trm_status refuse(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    (void)context;
    (void)triplets;
    (void)count;
    (void)err;
    return rank == ranks - 1 ? TRM_ERR_DATA : TRM_OK;
}

/* Also where only one rank looks. */
static void what_emit_returns_is_everybodys(void **state)
{
    (void)state;
    trm_packed_options options;
    trm_error err;
    trm_packed_options_init(&options);
    options.emit = rank == ranks - 1 ? refuse : NULL;
    assert_int_equal(status_of(&options, &err), TRM_ERR_DATA);
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_policy_is_tried),
        cmocka_unit_test(policies_choose_as_in_a_store_of_the_anchors_own_rows),
        cmocka_unit_test(triplets_of_an_anchor_add_up),
        cmocka_unit_test(what_means_nothing_is_refused),
        cmocka_unit_test(what_emit_returns_is_everybodys),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
