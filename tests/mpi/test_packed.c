/* Losses on packed triplets: against distances written out here, and the same bits on any number of ranks,
 * with parts that are ragged or empty. Every rank also evaluates all of it alone. */
#include "metric/metric.h"
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

enum { COUNT = 23, K = 4, DIM = 6 };

static float anchor[COUNT * DIM], positive[COUNT * DIM], negative[COUNT * K * DIM];

/* Coordinates in eighths: ties, and sums without rounding. */
static void make_batch(void)
{
    test_random random = {5};
    for (int i = 0; i < COUNT * DIM; i++) {
        anchor[i] = (float)(1 + test_random_below(&random, 9)) / 8.0F;
        positive[i] = (float)(1 + test_random_below(&random, 9)) / 8.0F;
    }
    for (int i = 0; i < COUNT * K * DIM; i++)
        negative[i] = (float)(1 + test_random_below(&random, 12)) / 8.0F;
}

static double distance(trm_metric metric, const float *x, const float *y)
{
    return trm_distance(metric, x, trm_dot(x, x, DIM), y, trm_dot(y, y, DIM), DIM, NULL);
}

typedef struct outcome {
    trm_status status;
    trm_loss_summary summary;
    float gradient[3][COUNT * K * DIM]; /* of [first, first + count) */
    int64_t first, count;
} outcome;

/* way 0: evenly; 1: all on the last rank. Collective on comm. */
static outcome evaluate(MPI_Comm comm, const trm_packed_options *options, int64_t negatives, int way)
{
    outcome o = {.status = TRM_OK};
    int me, all;
    trm_error err = TRM_ERROR_INIT;
    MPI_Comm_rank(comm, &me);
    MPI_Comm_size(comm, &all);
    o.first = way == 0 ? COUNT * me / all : 0;
    o.count = way == 0 ? COUNT * (me + 1) / all - o.first : me == all - 1 ? COUNT : 0;
    float own[COUNT * K * DIM]; /* the first `negatives` of each anchor's */
    for (int64_t i = 0; i < o.count; i++)
        memcpy(own + i * negatives * DIM, negative + (o.first + i) * K * DIM,
               (size_t)(negatives * DIM) * sizeof *own);
    const trm_packed packed = {.count = o.count,
                               .negatives = negatives,
                               .dim = DIM,
                               .anchor = anchor + o.first * DIM,
                               .positive = positive + o.first * DIM,
                               .negative = own};
    float *const gradient[3] = {o.gradient[0], o.gradient[1], o.gradient[2]};
    o.status = trm_packed_loss(comm, &packed, options, gradient, &o.summary, NULL, &err);
    if (o.status != TRM_OK)
        fprintf(stderr, "%s\n", err.text);
    return o;
}

/* The negative that anchor i's triplet has by the options; -1 for none. */
static int64_t choose(const trm_packed_options *options, int64_t i, int64_t negatives)
{
    const double d_ap = distance(options->loss.metric, anchor + i * DIM, positive + i * DIM);
    int64_t best = -1;
    double least = INFINITY;
    for (int64_t k = 0; k < negatives; k++) {
        const double d = distance(options->loss.metric, anchor + i * DIM, negative + (i * K + k) * DIM);
        const bool fits =
            negatives == 1 || strcmp(options->negatives, "hard") == 0 ||
            (d > d_ap && (options->window == TRM_WINDOW_NONE || d - d_ap < options->window_margin));
        if (fits && d < least) {
            least = d;
            best = k;
        }
    }
    return best;
}

static void values_are_those_of_the_chosen_triplets(void **state)
{
    (void)state;
    static const char *const policies[] = {"semihard", "hard"};
    for (int metric = 0; metric < 4; metric++)
        for (int p = 0; p < 2; p++)
            for (int64_t negatives = 1; negatives <= K; negatives += K - 1)
                for (int window = 0; window < 2; window++) {
                    trm_packed_options options;
                    trm_packed_options_init(&options);
                    options.loss.metric = (trm_metric)metric;
                    options.loss.margin = 0.75;
                    options.window_margin = 1.25;
                    options.negatives = policies[p];
                    options.window = window ? TRM_WINDOW_NONE : TRM_WINDOW_LT;
                    double sum = 0.0;
                    int64_t count = 0, active = 0;
                    for (int64_t i = 0; i < COUNT; i++) {
                        const int64_t k = choose(&options, i, negatives);
                        if (k < 0)
                            continue;
                        const double term =
                            distance(options.loss.metric, anchor + i * DIM, positive + i * DIM) -
                            distance(options.loss.metric, anchor + i * DIM, negative + (i * K + k) * DIM) +
                            0.75;
                        count++;
                        active += term > 0.0;
                        sum += term > 0.0 ? term : 0.0;
                    }
                    const outcome o = evaluate(MPI_COMM_WORLD, &options, negatives, 0);
                    assert_true(everywhere(o.status == TRM_OK));
                    assert_int_equal(o.summary.count, count);
                    assert_int_equal(o.summary.active, active);
                    assert_true(fabs(o.summary.sum - sum) <= 1e-12 * (1.0 + sum));
                    assert_true(active == 0 || o.summary.mean_nonzero == o.summary.sum / (double)active);
                }
}

static void ranks_change_nothing(void **state)
{
    (void)state;
    static const char *const policies[] = {"semihard",   "hard",     "random",    "topk:3",
                                           "weighted:2", "random:2", "violating", "reversed"};
    enum { POLICIES = sizeof policies / sizeof *policies };
    for (int metric = 0; metric < 4; metric++)
        for (int p = 0; p < POLICIES; p++)
            for (int way = 0; way < 2; way++) {
                trm_packed_options options;
                trm_packed_options_init(&options);
                options.loss.metric = (trm_metric)metric;
                options.loss.soft = strcmp(policies[p], "reversed") != 0 && way == 1;
                options.negatives = policies[p];
                options.window = TRM_WINDOW_NONE;
                options.pick = way == 0 ? TRM_PICK_NEAREST : TRM_PICK_RANDOM;
                options.fallback = way == 0 ? TRM_FALLBACK_SKIP : TRM_FALLBACK_RANDOM;
                options.seed = 9;
                const outcome alone = evaluate(MPI_COMM_SELF, &options, K, 0);
                const outcome o = evaluate(MPI_COMM_WORLD, &options, K, way);
                bool same = alone.status == TRM_OK && o.status == TRM_OK &&
                            alone.summary.sum == o.summary.sum && alone.summary.active == o.summary.active;
                for (int part = 0; part < 3; part++) {
                    const int64_t row = part == 2 ? K * DIM : DIM;
                    same = same && memcmp(o.gradient[part], alone.gradient[part] + o.first * row,
                                          (size_t)(o.count * row) * sizeof(float)) == 0;
                }
                assert_true(everywhere(same));
            }
}

/* ---- a floor under the norms ---- */

static double length(const double *x, double least)
{
    double norm2 = 0.0;
    for (int k = 0; k < DIM; k++)
        norm2 += x[k] * x[k];
    return sqrt(fmax(norm2, least));
}

/* 1 - <u, v>, u = x / sqrt(max(|x|^2, least)). */
static double floored(const double *x, const double *y, double least)
{
    double g = 0.0;
    for (int k = 0; k < DIM; k++)
        g += x[k] / length(x, least) * (y[k] / length(y, least));
    return 1.0 - g;
}

/* The mean hinge of all triplets of one negative; at: rows of anchor, positive, negative, one after the
 * other. */
static double floored_loss(const double *at, double margin, double least)
{
    double sum = 0.0;
    for (int i = 0; i < COUNT; i++) {
        const double *a = at + i * DIM, *p = a + COUNT * DIM, *n = p + COUNT * DIM;
        sum += fmax(0.0, floored(a, p, least) - floored(a, n, least) + margin);
    }
    return sum / COUNT;
}

static void a_floor_under_the_norms_agrees_with_central_differences(void **state)
{
    (void)state;
    const double least = 3.0, step = 0x1p-20; /* about half of the rows are below */
    double at[3 * COUNT * DIM];
    int below = 0;
    for (int i = 0; i < COUNT * DIM; i++) {
        at[i] = (double)anchor[i];
        at[COUNT * DIM + i] = (double)positive[i];
        at[2 * COUNT * DIM + i] = (double)negative[i / DIM * K * DIM + i % DIM];
    }
    for (int i = 0; i < 3 * COUNT; i++)
        below += length(at + i * DIM, 0.0) < sqrt(least);
    assert_in_range(below, COUNT / 2, 5 * COUNT / 2);
    trm_packed_options options;
    trm_packed_options_init(&options);
    options.loss.metric = TRM_METRIC_COSINE;
    options.loss.margin = 0.7;
    options.norm_floor = least;
    const outcome o = evaluate(MPI_COMM_WORLD, &options, 1, 0);
    assert_true(everywhere(o.status == TRM_OK));
    assert_true(fabs(o.summary.value - floored_loss(at, 0.7, least)) < 1e-12);
    bool right = true;
    for (int part = 0; part < 3; part++)
        for (int64_t i = 0; i < o.count * DIM; i++) {
            double *x = &at[(part * COUNT + o.first) * DIM + i];
            const double was = *x;
            *x = was + step;
            const double above = floored_loss(at, 0.7, least);
            *x = was - step;
            const double slope = (above - floored_loss(at, 0.7, least)) / (2.0 * step);
            *x = was;
            right = right && fabs((double)o.gradient[part][i] - slope) < 1e-7;
        }
    assert_true(everywhere(right));
}

/* As the published code gives: similarity 0 with everything, and a gradient as of any other short row. */
static void a_row_of_zeros_has_similarity_zero_above_a_floor(void **state)
{
    (void)state;
    const float a[2] = {0.0F, 0.0F}, p[2] = {3.0F, 4.0F}, n[2] = {0.0F, 2.0F};
    float g[3][2];
    float *const gradient[3] = {g[0], g[1], g[2]};
    const trm_packed packed = {
        .count = 1, .negatives = 1, .dim = 2, .anchor = a, .positive = p, .negative = n};
    trm_packed_options options;
    trm_packed_options_init(&options);
    options.loss.metric = TRM_METRIC_COSINE;
    options.loss.margin = 0.5;
    trm_loss_summary summary;
    trm_error err = TRM_ERROR_INIT;
    assert_int_equal(trm_packed_loss(MPI_COMM_SELF, &packed, &options, gradient, &summary, NULL, &err),
                     TRM_ERR_DATA);
    options.norm_floor = 1e-12;
    assert_int_equal(trm_packed_loss(MPI_COMM_SELF, &packed, &options, gradient, &summary, NULL, &err),
                     TRM_OK);
    assert_true(summary.value == 0.5 && summary.active == 1);
    assert_true(g[0][0] == -600000.0F && g[0][1] == 200000.0F); /* 1e6 (n / |n| - p / |p|) */
    for (int k = 0; k < 2; k++)
        assert_true(fabsf(g[1][k]) == 0.0F && fabsf(g[2][k]) == 0.0F);
}

static void the_gradient_at_exactly_zero_is_none_or_whole(void **state)
{
    (void)state;
    float same[COUNT * DIM]; /* the positives as negatives: z = margin = 0 */
    float g[2][3][COUNT * DIM];
    memcpy(same, positive, sizeof same);
    const trm_packed packed = {
        .count = COUNT, .negatives = 1, .dim = DIM, .anchor = anchor, .positive = positive, .negative = same};
    for (int metric = 0; metric < 4; metric++)
        for (int pick = 0; pick < 2; pick++) {
            trm_loss_summary summary[2];
            for (int whole = 0; whole < 2; whole++) {
                float *const gradient[3] = {g[whole][0], g[whole][1], g[whole][2]};
                trm_packed_options options;
                trm_packed_options_init(&options);
                options.loss.metric = (trm_metric)metric;
                options.loss.margin = 0.0;
                options.loss.whole_at_zero = whole;
                options.negatives = pick ? "reversed" : "semihard";
                assert_int_equal(
                    trm_packed_loss(MPI_COMM_SELF, &packed, &options, gradient, &summary[whole], NULL, NULL),
                    TRM_OK);
                assert_true(summary[whole].count == COUNT && summary[whole].active == 0);
                assert_true(summary[whole].sum == 0.0);
            }
            float largest = 0.0F;
            for (int i = 0; i < COUNT * DIM; i++) {
                for (int part = 0; part < 3; part++)
                    assert_true(fabsf(g[0][part][i]) == 0.0F);
                assert_true(fabsf(g[1][0][i]) < 1e-7F); /* pulled and pushed alike */
                assert_true(g[1][1][i] == -g[1][2][i]);
                largest = fmaxf(largest, fabsf(g[1][1][i]));
            }
            assert_true(largest > 0.001F);
        }
}

static void no_anchor_at_all_is_refused(void **state)
{
    (void)state;
    trm_packed_options options;
    trm_packed_options_init(&options);
    const trm_packed packed = {0, 1, DIM, anchor, positive, negative, NULL, NULL, NULL};
    float *const none[3] = {NULL, NULL, NULL};
    trm_loss_summary summary;
    trm_error err = TRM_ERROR_INIT;
    assert_int_equal(trm_packed_loss(MPI_COMM_WORLD, &packed, &options, none, &summary, NULL, &err),
                     TRM_ERR_DATA);
}

static void a_margin_that_is_no_number_is_refused(void **state)
{
    (void)state;
    trm_packed_options options;
    trm_packed_options_init(&options);
    options.loss.margin = NAN;
    assert_int_equal(evaluate(MPI_COMM_WORLD, &options, 1, 0).status, TRM_ERR_USAGE);
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    make_batch();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_the_chosen_triplets),
        cmocka_unit_test(ranks_change_nothing),
        cmocka_unit_test(a_floor_under_the_norms_agrees_with_central_differences),
        cmocka_unit_test(a_row_of_zeros_has_similarity_zero_above_a_floor),
        cmocka_unit_test(the_gradient_at_exactly_zero_is_none_or_whole),
        cmocka_unit_test(no_anchor_at_all_is_refused),
        cmocka_unit_test(a_margin_that_is_no_number_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
