/* The four metrics: names, margins and formulas. */
#include "metric/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void every_metric_is_found_by_its_name(void **state)
{
    (void)state;
    static const char *const names[] = {"sql2", "l2", "cosine", "dot"};
    for (int i = 0; i < 4; i++) {
        trm_metric metric = TRM_METRIC_SQL2;
        assert_string_equal(trm_metric_name((trm_metric)i), names[i]);
        assert_int_equal(trm_metric_from_name(names[i], &metric), 0);
        assert_int_equal(metric, i);
    }
    trm_metric metric = TRM_METRIC_DOT;
    assert_int_equal(trm_metric_from_name("euclid", &metric), -1);
    assert_int_equal(metric, TRM_METRIC_DOT);
}

static void the_margin_is_a_half_for_cosine_and_one_otherwise(void **state)
{
    (void)state;
    assert_true(trm_metric_default_margin(TRM_METRIC_SQL2) == 1.0);
    assert_true(trm_metric_default_margin(TRM_METRIC_L2) == 1.0);
    assert_true(trm_metric_default_margin(TRM_METRIC_COSINE) == 0.5);
    assert_true(trm_metric_default_margin(TRM_METRIC_DOT) == 1.0);
}

static void distances_follow_their_formulas(void **state)
{
    (void)state;
    /* (1, 2) and (4, 6) */
    assert_true(trm_distance(TRM_METRIC_SQL2, 16.0, 5.0, 52.0) == 25.0);
    assert_true(trm_distance(TRM_METRIC_L2, 16.0, 5.0, 52.0) == 5.0);
    assert_true(trm_distance(TRM_METRIC_COSINE, 3.0, 4.0, 9.0) == 0.5);
    assert_true(trm_distance(TRM_METRIC_DOT, 16.0, 5.0, 52.0) == -16.0);
}

static void distances_are_never_below_zero_nor_minus_zero(void **state)
{
    (void)state;
    assert_true(trm_distance(TRM_METRIC_SQL2, 1.5, 1.0, 1.0) == 0.0);
    assert_true(trm_distance(TRM_METRIC_COSINE, 1.5, 1.0, 1.0) == 0.0);
    assert_false(signbit(trm_distance(TRM_METRIC_DOT, 0.0, 1.0, 1.0)));
    assert_false(signbit(trm_distance(TRM_METRIC_L2, 1.0, 1.0, 1.0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_is_found_by_its_name),
        cmocka_unit_test(the_margin_is_a_half_for_cosine_and_one_otherwise),
        cmocka_unit_test(distances_follow_their_formulas),
        cmocka_unit_test(distances_are_never_below_zero_nor_minus_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
