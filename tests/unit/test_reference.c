/* The brute-force reference against the golden values of the rules: seven rows on a line, worked out by hand.
 */
#include "support/reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { A, B, C, D };
static const float line[] = {0, 6, 1, 3, 6, -1, 4};
static const int64_t labels[] = {A, A, B, C, B, D, C};
static const reference_store golden = {7, 1, line, labels, NULL, 0, 0.0};

static reference_result mine(trm_metric metric, double margin, trm_window window, trm_fallback fallback)
{
    trm_mine_options options;
    trm_mine_options_init(&options);
    options.metric = metric;
    options.margin = margin;
    options.window = window;
    options.fallback = fallback;
    reference_result result;
    reference_mine(&golden, &options, &result);
    return result;
}

static void check_loss(reference_result result, int64_t triplets, double sum, int64_t active)
{
    assert_int_equal(result.summary.triplets.total, triplets);
    assert_int_equal(result.loss_active, active);
    assert_true(result.loss_sum == sum);
    reference_destroy(&result);
}

static void golden_triplets_with_fallback_farthest_inside(void **state)
{
    (void)state;
    static const int64_t want[6][4] = {{0, 1, 4, 1}, {1, 0, 5, 0}, {2, 4, 1, 1},
                                       {3, 6, 2, 0}, {4, 2, 0, 0}, {6, 3, 1, 0}};
    reference_result result = mine(TRM_METRIC_L2, 1.0, TRM_WINDOW_NONE, TRM_FALLBACK_FARTHEST_INSIDE);
    assert_int_equal(result.count, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(result.triplets[i].anchor, want[i][0]);
        assert_int_equal(result.triplets[i].positive, want[i][1]);
        assert_int_equal(result.triplets[i].negative, want[i][2]);
        assert_int_equal(result.triplets[i].kind, want[i][3]);
    }
    assert_int_equal(result.summary.triplets.semihard, 4);
    assert_int_equal(result.summary.triplets.fallback, 2);
    reference_destroy(&result);
}

static void golden_counts_of_anchors_classes_and_pairs(void **state)
{
    (void)state;
    reference_result result = mine(TRM_METRIC_L2, 1.0, TRM_WINDOW_NONE, TRM_FALLBACK_SKIP);
    assert_int_equal(result.summary.anchors.total, 7);
    assert_int_equal(result.summary.anchors.valid, 6);
    assert_int_equal(result.summary.anchors.no_positive, 1);
    assert_int_equal(result.summary.anchors.no_negative, 0);
    assert_int_equal(result.summary.anchors.ignored, 0);
    assert_int_equal(result.summary.classes, 4);
    assert_int_equal(result.summary.positive_pairs, 6);
    assert_int_equal(result.summary.triplets.skipped, 2);
    reference_destroy(&result);
}

static void golden_loss_with_fallback_farthest_inside(void **state)
{
    (void)state;
    const trm_fallback inside = TRM_FALLBACK_FARTHEST_INSIDE;
    check_loss(mine(TRM_METRIC_L2, 1.0, TRM_WINDOW_NONE, inside), 6, 2.0, 2);   /* mean 1/3, nonzero 1 */
    check_loss(mine(TRM_METRIC_SQL2, 1.0, TRM_WINDOW_NONE, inside), 6, 2.0, 2); /* 1/3 */
    check_loss(mine(TRM_METRIC_L2, 1.5, TRM_WINDOW_NONE, inside), 6, 5.0, 6);   /* 5/6, 5/6 */
    check_loss(mine(TRM_METRIC_SQL2, 1.5, TRM_WINDOW_NONE, inside), 6, 3.0, 2); /* 0.5, 1.5 */
}

static void golden_loss_with_fallback_skip(void **state)
{
    (void)state;
    check_loss(mine(TRM_METRIC_L2, 1.0, TRM_WINDOW_NONE, TRM_FALLBACK_SKIP), 4, 0.0, 0);
    check_loss(mine(TRM_METRIC_SQL2, 1.0, TRM_WINDOW_NONE, TRM_FALLBACK_SKIP), 4, 0.0, 0);
    check_loss(mine(TRM_METRIC_L2, 1.5, TRM_WINDOW_NONE, TRM_FALLBACK_SKIP), 4, 2.0, 4); /* mean 0.5 */
    check_loss(mine(TRM_METRIC_SQL2, 1.5, TRM_WINDOW_NONE, TRM_FALLBACK_SKIP), 4, 0.0, 0);
}

static void golden_triplets_inside_the_margin(void **state)
{
    (void)state;
    check_loss(mine(TRM_METRIC_L2, 1.0, TRM_WINDOW_LT, TRM_FALLBACK_SKIP), 0, 0.0, 0);
    check_loss(mine(TRM_METRIC_SQL2, 1.0, TRM_WINDOW_LT, TRM_FALLBACK_SKIP), 0, 0.0, 0);
    check_loss(mine(TRM_METRIC_L2, 1.5, TRM_WINDOW_LT, TRM_FALLBACK_SKIP), 4, 2.0, 4);
    check_loss(mine(TRM_METRIC_SQL2, 1.5, TRM_WINDOW_LT, TRM_FALLBACK_SKIP), 0, 0.0, 0);
    check_loss(mine(TRM_METRIC_L2, 1.0, TRM_WINDOW_LE, TRM_FALLBACK_SKIP), 4, 0.0,
               0); /* at the bound, hinge 0 */
}

static void dot_of_zero_is_never_minus_zero(void **state)
{
    (void)state;
    const float x[] = {1, 0, 0, 1};
    const reference_store store = {2, 2, x, labels, NULL, 0, 0.0};
    assert_false(signbit(reference_distance(&store, TRM_METRIC_DOT, 0, 1)));
}

static void sum_is_rounded_once(void **state)
{
    (void)state;
    const double cancel[] = {1e300, 1.0, -1e300, 0x1p-1074};
    assert_true(reference_sum(cancel, 4) == 1.0);
    const double tie[] = {1.0, 0x1p-53, 0x1p-120};
    assert_true(reference_sum(tie, 3) == 1.0 + 0x1p-52);
    assert_true(reference_sum(tie, 2) == 1.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_triplets_with_fallback_farthest_inside),
        cmocka_unit_test(golden_counts_of_anchors_classes_and_pairs),
        cmocka_unit_test(golden_loss_with_fallback_farthest_inside),
        cmocka_unit_test(golden_loss_with_fallback_skip),
        cmocka_unit_test(golden_triplets_inside_the_margin),
        cmocka_unit_test(dot_of_zero_is_never_minus_zero),
        cmocka_unit_test(sum_is_rounded_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
