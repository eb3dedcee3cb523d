/* The brute-force losses against the golden values of the rules (seven rows on a line, worked out by hand),
 * against central differences of a value that is computed another way, and against what must hold of every
 * gradient. */
#include "support/random_store.h"
#include "support/reference_loss.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { A, B, C, D };
static const float line[] = {0, 6, 1, 3, 6, -1, 4};
static const int64_t line_labels[] = {A, A, B, C, B, D, C};
static const reference_store golden = {7, 1, line, line_labels, NULL, 0, 0.0};

static const trm_metric metrics[] = {TRM_METRIC_SQL2, TRM_METRIC_L2, TRM_METRIC_COSINE, TRM_METRIC_DOT};

static trm_evaluate_options options_of(trm_source source, trm_metric metric, double margin)
{
    trm_evaluate_options options;
    trm_evaluate_options_init(&options);
    options.source = source;
    options.mine.metric = options.loss.metric = metric;
    options.mine.margin = options.loss.margin = margin;
    options.mine.window = TRM_WINDOW_NONE;
    options.mine.fallback = TRM_FALLBACK_FARTHEST_INSIDE;
    return options;
}

/* ---- golden values ---- */

typedef struct golden_value {
    int64_t count, active;
    double sum;
} golden_value;

/* l2 m = 1, sql2 m = 1, l2 m = 1.5, sql2 m = 1.5. */
static trm_evaluate_options column(trm_source source, int number)
{
    return options_of(source, number % 2 ? TRM_METRIC_SQL2 : TRM_METRIC_L2, number < 2 ? 1.0 : 1.5);
}

static void check_value(const trm_evaluate_options *options, golden_value want)
{
    reference_loss loss;
    reference_loss_evaluate(&golden, options, NULL, &loss);
    assert_int_equal(loss.count, want.count);
    assert_int_equal(loss.active, want.active);
    assert_int_equal(loss.valid, 6);
    assert_int_equal(loss.rows, 7);
    assert_true(loss.sum == want.sum);
    assert_true(loss.mean_all == (want.count > 0 ? want.sum / (double)want.count : 0.0));
    assert_true(loss.mean_nonzero == (want.active > 0 ? want.sum / (double)want.active : 0.0));
    assert_true(loss.mean_valid == want.sum / 6.0);
    assert_true(loss.mean_rows == want.sum / 7.0);
    reference_loss_destroy(&loss);
}

static void golden_losses_with_fallback_farthest_inside(void **state)
{
    (void)state;
    /* mean_all 1/3, 1/3, 5/6, 0.5; mean_nonzero 1, 1, 5/6, 1.5 */
    static const golden_value want[] = {{6, 2, 2.0}, {6, 2, 2.0}, {6, 6, 5.0}, {6, 2, 3.0}};
    for (int k = 0; k < 4; k++) {
        trm_evaluate_options options = column(TRM_SOURCE_MINED, k);
        check_value(&options, want[k]);
    }
}

static void golden_losses_with_fallback_skip(void **state)
{
    (void)state;
    /* mean_all over the four left: 0, 0, 0.5, 0 */
    static const golden_value want[] = {{4, 0, 0.0}, {4, 0, 0.0}, {4, 4, 2.0}, {4, 0, 0.0}};
    for (int k = 0; k < 4; k++) {
        trm_evaluate_options options = column(TRM_SOURCE_MINED, k);
        options.mine.fallback = TRM_FALLBACK_SKIP;
        check_value(&options, want[k]);
    }
}

static void golden_losses_inside_the_margin(void **state)
{
    (void)state;
    static const golden_value want[] = {{0, 0, 0.0}, {0, 0, 0.0}, {4, 4, 2.0}, {0, 0, 0.0}};
    for (int k = 0; k < 4; k++) {
        trm_evaluate_options options = column(TRM_SOURCE_MINED, k);
        options.mine.fallback = TRM_FALLBACK_SKIP;
        options.mine.window = TRM_WINDOW_LT;
        check_value(&options, want[k]);
    }
}

static void the_windows_margin_is_not_the_losss(void **state)
{
    (void)state;
    trm_evaluate_options options = options_of(TRM_SOURCE_MINED, TRM_METRIC_L2, 1.5);
    options.mine.fallback = TRM_FALLBACK_SKIP;
    options.mine.window = TRM_WINDOW_LT;
    options.loss.margin = 1.0; /* chosen inside 1.5, all at a distance of 1 */
    check_value(&options, (golden_value){4, 0, 0.0});
    options.loss.margin = 3.0;
    check_value(&options, (golden_value){4, 4, 8.0});
}

static void golden_losses_of_batch_hard(void **state)
{
    (void)state;
    /* mean_valid 4, 62/3, 4.5, 21; mean_nonzero 6, 31, 4.5, 31.5 */
    static const golden_value want[] = {{6, 4, 24.0}, {6, 4, 124.0}, {6, 6, 27.0}, {6, 4, 126.0}};
    /* with the row that has no positive, mean_rows 24/7, 124/7, 27.5/7, 126.5/7 */
    static const golden_value lone[] = {{7, 4, 24.0}, {7, 4, 124.0}, {7, 7, 27.5}, {7, 5, 126.5}};
    for (int k = 0; k < 4; k++) {
        trm_evaluate_options options = column(TRM_SOURCE_BATCH_HARD, k);
        check_value(&options, want[k]);
        options.lone = true;
        check_value(&options, lone[k]);
    }
}

static void golden_losses_of_batch_all(void **state)
{
    (void)state;
    /* mean_all 2.26667, 12.8, 2.63333, 13.08333; mean_nonzero 4, 22.588235, 3.590909, 23.088235 */
    static const golden_value want[] = {{30, 17, 68.0}, {30, 17, 384.0}, {30, 22, 79.0}, {30, 17, 392.5}};
    for (int k = 0; k < 4; k++) {
        trm_evaluate_options options = column(TRM_SOURCE_BATCH_ALL, k);
        check_value(&options, want[k]);
    }
}

static void golden_means_as_they_are_printed(void **state)
{
    (void)state;
    static const double all[] = {2.26667, 12.8, 2.63333, 13.08333};
    static const double nonzero[] = {4.0, 22.588235, 3.590909, 23.088235};
    static const double hard[] = {4.0, 20.6667, 4.5, 21.0};
    reference_loss loss;
    for (int k = 0; k < 4; k++) {
        trm_evaluate_options options = column(TRM_SOURCE_BATCH_ALL, k);
        reference_loss_evaluate(&golden, &options, NULL, &loss);
        assert_true(fabs(loss.mean_all - all[k]) < 6e-6);
        assert_true(fabs(loss.mean_nonzero - nonzero[k]) < 6e-7);
        reference_loss_destroy(&loss);
        options = column(TRM_SOURCE_BATCH_HARD, k);
        reference_loss_evaluate(&golden, &options, NULL, &loss);
        assert_true(fabs(loss.mean_valid - hard[k]) < 6e-5);
        reference_loss_destroy(&loss);
    }
}

static void golden_sizes_of_the_sets(void **state)
{
    (void)state;
    /* violating, hard-all, within-margin, easy-all */
    static const int64_t want[4][4] = {{22, 17, 5, 8}, {17, 17, 0, 13}, {22, 17, 5, 8}, {17, 17, 0, 13}};
    for (int k = 0; k < 4; k++) {
        trm_evaluate_options options = column(TRM_SOURCE_BATCH_ALL, k);
        int64_t count, within, sizes[4] = {0};
        trm_triplet *all = reference_loss_triplets(&golden, &options, &count);
        for (int64_t i = 0; i < count; i++) {
            const double farther = all[i].d_an - all[i].d_ap, margin = options.loss.margin;
            sizes[0] += farther <= margin;
            sizes[1] += farther <= 0.0;
            sizes[2] += farther > 0.0 && farther <= margin;
            sizes[3] += farther > margin;
        }
        assert_memory_equal(sizes, want[k], sizeof sizes);
        free(all);
        options.source = TRM_SOURCE_WITHIN;
        free(reference_loss_triplets(&golden, &options, &within));
        assert_int_equal(within, want[k][2]);
    }
}

static void value_is_the_reductions(void **state)
{
    (void)state;
    static const double want[] = {68.0 / 30.0, 68.0, 68.0 / 17.0, 68.0 / 6.0, 68.0 / 7.0};
    trm_evaluate_options options = options_of(TRM_SOURCE_BATCH_ALL, TRM_METRIC_L2, 1.0);
    for (int reduction = 0; reduction < 5; reduction++) {
        reference_loss loss;
        options.loss.reduction = (trm_reduction)reduction;
        reference_loss_evaluate(&golden, &options, NULL, &loss);
        assert_true(loss.value == want[reduction]);
        reference_loss_destroy(&loss);
    }
}

/* ---- small cases worked out by hand ---- */

static void given(trm_evaluate_options *options, const int64_t *triplet)
{
    options->source = TRM_SOURCE_GIVEN;
    options->given = (trm_given_triplets){1, &triplet[0], &triplet[1], &triplet[2]};
}

static void check_gradient(const reference_store *store, const trm_evaluate_options *options,
                           const double *want)
{
    reference_loss loss;
    reference_loss_evaluate(store, options, NULL, &loss);
    for (int64_t k = 0; k < store->rows * store->dim; k++)
        if (!(fabs(loss.gradient[k] - want[k]) <= 1e-15 * fabs(want[k]))) {
            fprintf(stderr, "element %lld: %.17g, not %.17g\n", (long long)k, loss.gradient[k], want[k]);
            fail();
        }
    reference_loss_destroy(&loss);
}

static void gradients_worked_out_by_hand(void **state)
{
    (void)state;
    static const int64_t triplet[] = {0, 1, 3}; /* at 0, 6 and 3 */
    trm_evaluate_options options = options_of(TRM_SOURCE_GIVEN, TRM_METRIC_L2, 1.0);
    given(&options, triplet);
    /* |x0 - x1| - |x0 - x3| + 1 */
    check_gradient(&golden, &options, (const double[]){0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0});
    options.loss.metric = TRM_METRIC_SQL2;
    /* (x0 - x1)^2 - (x0 - x3)^2 + 1 */
    check_gradient(&golden, &options, (const double[]){-6.0, 12.0, 0.0, -6.0, 0.0, 0.0, 0.0});
    options.loss.metric = TRM_METRIC_DOT;
    options.loss.margin = 20.0; /* -x0 x1 + x0 x3 + 20 */
    check_gradient(&golden, &options, (const double[]){-3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0});
    options.loss.metric = TRM_METRIC_L2;
    options.loss.soft = true;
    options.loss.margin = 0.0; /* log(1 + e^z), z = 6 - 3 */
    const double s = 1.0 / (1.0 + exp(-3.0));
    check_gradient(&golden, &options, (const double[]){0.0, s, 0.0, -s, 0.0, 0.0, 0.0});
}

static void swap_takes_the_nearer_side_and_ties_keep_the_anchor(void **state)
{
    (void)state;
    trm_evaluate_options options = options_of(TRM_SOURCE_GIVEN, TRM_METRIC_L2, 1.0);
    options.loss.swap = true;
    given(&options, (const int64_t[]){0, 1, 6}); /* 0, 6 and 4: the positive is nearer. 6 - 2 + 1 */
    check_gradient(&golden, &options, (const double[]){-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0});
    given(&options, (const int64_t[]){0, 1, 3}); /* 3 is in the middle: a tie. 6 - 3 + 1 */
    check_gradient(&golden, &options, (const double[]){0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0});
    given(&options, (const int64_t[]){0, 1, 2}); /* 1 is nearer to the anchor. 6 - 1 + 1 */
    check_gradient(&golden, &options, (const double[]){0.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0});
}

static void kinks_give_zero(void **state)
{
    (void)state;
    static const double zero[7] = {0.0};
    trm_evaluate_options options = options_of(TRM_SOURCE_GIVEN, TRM_METRIC_L2, 0.0);
    given(&options, (const int64_t[]){0, 1, 4}); /* positive and negative in one place: hinge exactly 0 */
    check_gradient(&golden, &options, zero);
    given(&options, (const int64_t[]){1, 0, 4}); /* 1 and 4 are in one place: only the positive pulls */
    options.loss.margin = 1.0;
    check_gradient(&golden, &options, (const double[]){-1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0});
}

static void rows_that_are_close_for_their_norms_pull_under_l2(void **state)
{
    (void)state;
    static const float x[] = {0x1p30F, 0x1p-10F, 0x1p30F, 0.0F, 0x1p30F - 0x1p20F, 0.0F};
    static const int64_t labels[] = {A, A, B};
    const reference_store store = {3, 2, x, labels, NULL, 0, 0.0};
    trm_evaluate_options options = options_of(TRM_SOURCE_GIVEN, TRM_METRIC_L2, 0x1p21);
    reference_loss loss;
    given(&options, (const int64_t[]){0, 1, 2});
    reference_loss_evaluate(&store, &options, NULL, &loss);
    assert_true(loss.terms[0].triplet.d_ap == 0x1p-10 && loss.active == 1);
    assert_true(loss.gradient[2] == 0.0 && loss.gradient[3] == -1.0);   /* row 1 is only the positive */
    assert_true(loss.gradient[0] < -0.999 && loss.gradient[4] > 0.999); /* along the first axis, almost */
    reference_loss_destroy(&loss);
}

static void a_lone_row_adds_its_nearest_negative(void **state)
{
    (void)state;
    trm_evaluate_options options = options_of(TRM_SOURCE_BATCH_HARD, TRM_METRIC_L2, 1.5);
    reference_loss with, without;
    reference_loss_evaluate(&golden, &options, NULL, &without);
    options.lone = true;
    reference_loss_evaluate(&golden, &options, NULL, &with);
    assert_int_equal(with.terms[5].triplet.positive, -1);
    assert_int_equal(with.terms[5].triplet.negative, 0);
    for (int i = 0; i < 7; i++) /* -1 to 0: 1.5 - 1 */
        assert_true(fabs(with.gradient[i] * 7.0 - without.gradient[i] * 6.0 -
                         (i == 5   ? 1.0
                          : i == 0 ? -1.0
                                   : 0.0)) < 1e-14);
    reference_loss_destroy(&with);
    reference_loss_destroy(&without);
}

static void through_normalisation_by_hand(void **state)
{
    (void)state;
    /* (3, 4) and (1, 0) and (0, 2), as unit rows; sql2 of the first two less that of the first and third */
    static const float stored[] = {3, 4, 1, 0, 0, 2};
    static const int64_t labels[] = {A, A, B};
    float unit[6];
    double norms[3];
    reference_store store = {3, 2, stored, labels, NULL, 0, 0.0};
    reference_normalize(&store, unit, norms);
    assert_true(norms[0] == 5.0 && norms[1] == 1.0 && norms[2] == 2.0);
    assert_true(unit[0] == 0.6F && unit[1] == 0.8F && unit[2] == 1.0F && unit[5] == 1.0F);
    store.embeddings = unit;
    trm_evaluate_options options = options_of(TRM_SOURCE_GIVEN, TRM_METRIC_SQL2, 5.0);
    given(&options, (const int64_t[]){0, 1, 2});
    reference_loss loss;
    reference_loss_evaluate(&store, &options, norms, &loss);
    /* -2 y0.(y1 - y2): dy0 = (-2, 2), less its part along y0 (0.4), over 5; dy1 = -2 y0 less its part */
    const double want[] = {-0.448, 0.336, 0.0, -1.6, 0.6, 0.0};
    for (int k = 0; k < 6; k++)
        assert_true(fabs(loss.gradient[k] - want[k]) < 1e-7);
    reference_loss_destroy(&loss);
}

/* ---- on random stores ---- */

typedef struct small_store {
    reference_store view;
    float x[10 * 5];
    int64_t labels[10];
} small_store;

/* Coordinates that tie with nothing. */
static void make_small(uint64_t seed, small_store *store)
{
    test_random random = {seed * 77 + 5};
    const int64_t rows = 5 + test_random_below(&random, 6);
    const int dim = 2 + (int)test_random_below(&random, 4);
    for (int64_t k = 0; k < rows * dim; k++)
        store->x[k] = test_random_unit(&random);
    for (int64_t i = 0; i < rows; i++)
        store->labels[i] = test_random_below(&random, 3);
    store->view = (reference_store){rows, dim, store->x, store->labels, NULL, 0, 0.0};
}

/* The case's number walks the product of the rules, source fastest. */
enum { SOURCES = 6, CASES = SOURCES * 4 * 2 * 2 * 5 };
static trm_evaluate_options options_of_case(int number)
{
    static const trm_source sources[SOURCES] = {TRM_SOURCE_MINED,      TRM_SOURCE_MINED,
                                                TRM_SOURCE_BATCH_HARD, TRM_SOURCE_BATCH_HARD,
                                                TRM_SOURCE_BATCH_ALL,  TRM_SOURCE_WITHIN};
    static const double margins[] = {0.3, 1.0, 2.0};
    const int kind = number % SOURCES;
    trm_evaluate_options options =
        options_of(sources[kind], metrics[number / SOURCES % 4], margins[number % 7 % 3]);
    options.mine.negatives = kind == 1 ? "hard" : "semihard";
    options.lone = kind == 3;
    options.loss.soft = number / (SOURCES * 4) % 2;
    options.loss.swap = number / (SOURCES * 8) % 2;
    options.loss.reduction = (trm_reduction)(number / (SOURCES * 16) % 5);
    return options;
}

/* Cases that were compared; those near a kink are not. */
static int compare_with_differences(bool normalize, double tolerance)
{
    int used = 0;
    for (int number = 0; number < CASES; number++) {
        small_store store;
        float stored[sizeof store.x / sizeof *store.x];
        double norms[10];
        reference_loss loss;
        const trm_evaluate_options options = options_of_case(number);
        make_small((uint64_t)number, &store);
        memcpy(stored, store.x, sizeof stored);
        if (normalize)
            reference_normalize(&store.view, store.x, norms);
        reference_loss_evaluate(&store.view, &options, normalize ? norms : NULL, &loss);
        if (!reference_loss_near_a_kink(&store.view, &loss)) {
            const double frozen = reference_loss_difference(&loss, stored, normalize, true);
            const double anew = reference_loss_difference(&loss, stored, normalize, false);
            if (frozen > tolerance || anew > tolerance) {
                fprintf(stderr, "case %d: differences are off by %g, with choices made anew by %g\n", number,
                        frozen, anew);
                fail();
            }
            used += loss.active > 0;
        }
        reference_loss_destroy(&loss);
    }
    return used;
}

static void central_differences_agree_with_the_gradient(void **state)
{
    (void)state;
    const int used = compare_with_differences(false, 1e-7);
    printf("%d of %d cases had something active and no kink near\n", used, CASES);
    assert_true(used > CASES * 2 / 3);
}

static void central_differences_agree_through_the_normalisation(void **state)
{
    (void)state;
    const int used = compare_with_differences(true, 2e-6); /* unit rows are rounded to float32 */
    printf("%d of %d cases had something active and no kink near\n", used, CASES);
    assert_true(used > CASES * 2 / 3);
}

static double total_size(const reference_loss *loss)
{
    double size = 0.0;
    for (int64_t i = 0; i < loss->rows; i++)
        size += loss->size[i];
    return size;
}

static void gradients_of_l2_metrics_add_up_to_zero(void **state)
{
    (void)state;
    int seen = 0;
    for (int number = 0; number < CASES; number++) {
        const trm_evaluate_options options = options_of_case(number);
        small_store store;
        reference_loss loss;
        if (options.loss.metric != TRM_METRIC_SQL2 && options.loss.metric != TRM_METRIC_L2)
            continue;
        make_small((uint64_t)number, &store);
        reference_loss_evaluate(&store.view, &options, NULL, &loss);
        for (int k = 0; k < loss.dim; k++) {
            double sum = 0.0;
            for (int64_t i = 0; i < loss.rows; i++)
                sum += loss.gradient[i * loss.dim + k];
            assert_true(fabs(sum) <= 1e-13 * total_size(&loss));
        }
        seen += total_size(&loss) > 0.0;
        reference_loss_destroy(&loss);
    }
    assert_true(seen > CASES / 3);
}

/* Whether each row's gradient is orthogonal to it. */
static void check_orthogonal(const reference_loss *loss, const float *x, double tolerance)
{
    for (int64_t i = 0; i < loss->rows; i++) {
        double along = 0.0;
        for (int k = 0; k < loss->dim; k++)
            along += loss->gradient[i * loss->dim + k] * (double)x[i * loss->dim + k];
        assert_true(fabs(along) <= tolerance * (double)loss->dim * loss->size[i]);
    }
}

static void gradients_of_cosine_and_through_normalisation_are_orthogonal_to_their_row(void **state)
{
    (void)state;
    for (int number = 0; number < CASES; number++) {
        const trm_evaluate_options options = options_of_case(number);
        small_store store;
        double norms[10];
        reference_loss loss;
        make_small((uint64_t)number, &store);
        if (options.loss.metric == TRM_METRIC_COSINE) {
            reference_loss_evaluate(&store.view, &options, NULL, &loss);
            check_orthogonal(&loss, store.x, 1e-14);
            reference_loss_destroy(&loss);
        }
        reference_normalize(&store.view, store.x, norms);
        reference_loss_evaluate(&store.view, &options, norms, &loss);
        check_orthogonal(&loss, store.x, 1e-6); /* unit rows are rounded to float32 */
        reference_loss_destroy(&loss);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_losses_with_fallback_farthest_inside),
        cmocka_unit_test(golden_losses_with_fallback_skip),
        cmocka_unit_test(golden_losses_inside_the_margin),
        cmocka_unit_test(the_windows_margin_is_not_the_losss),
        cmocka_unit_test(golden_losses_of_batch_hard),
        cmocka_unit_test(golden_losses_of_batch_all),
        cmocka_unit_test(golden_means_as_they_are_printed),
        cmocka_unit_test(golden_sizes_of_the_sets),
        cmocka_unit_test(value_is_the_reductions),
        cmocka_unit_test(gradients_worked_out_by_hand),
        cmocka_unit_test(swap_takes_the_nearer_side_and_ties_keep_the_anchor),
        cmocka_unit_test(kinks_give_zero),
        cmocka_unit_test(rows_that_are_close_for_their_norms_pull_under_l2),
        cmocka_unit_test(a_lone_row_adds_its_nearest_negative),
        cmocka_unit_test(through_normalisation_by_hand),
        cmocka_unit_test(central_differences_agree_with_the_gradient),
        cmocka_unit_test(central_differences_agree_through_the_normalisation),
        cmocka_unit_test(gradients_of_l2_metrics_add_up_to_zero),
        cmocka_unit_test(gradients_of_cosine_and_through_normalisation_are_orthogonal_to_their_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
