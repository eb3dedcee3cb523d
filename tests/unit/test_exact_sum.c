/* The exact sum: correctly rounded to nearest even, whatever the order. Compared with sums of scaled values
 * in 128-bit integers, with Shewchuk's partial sums and with cases worked out by hand. */
#include "base/exact_sum.h"
#include "base/random.h"
#include "base/unit_sum.h"
#include "support/random_store.h"
#include "support/reference.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

__extension__ typedef __int128 wide;

static double sum_of(const double *values, int count)
{
    trm_exact_sum sum;
    trm_exact_sum_clear(&sum);
    for (int i = 0; i < count; i++)
        trm_exact_sum_add(&sum, values[i]);
    return trm_exact_sum_value(&sum);
}

#define SUM(...)                                                                                             \
    sum_of((const double[]){__VA_ARGS__}, (int)(sizeof((const double[]){__VA_ARGS__}) / sizeof(double)))

static void assert_same(double got, double want)
{
    if (memcmp(&got, &want, sizeof got) != 0)
        fail_msg("got %a, want %a", got, want);
}

static void empty_sum_is_plus_zero(void **state)
{
    (void)state;
    trm_exact_sum sum;
    trm_exact_sum_clear(&sum);
    assert_same(trm_exact_sum_value(&sum), 0.0);
    assert_same(SUM(0.0, -0.0), 0.0);
    assert_same(SUM(3.5, -3.5), 0.0);
}

static void one_value_comes_back(void **state)
{
    (void)state;
    const double values[] = {1.0,
                             -1.0,
                             0.1,
                             -0.1,
                             DBL_MAX,
                             -DBL_MAX,
                             DBL_MIN,
                             -DBL_MIN,
                             0x1p-1074,
                             -0x1p-1074,
                             DBL_MIN - 0x1p-1074,
                             0x1.fffffffffffffp-1,
                             0x1p31,
                             0x1p32,
                             -0x1p63,
                             0x1p1023};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_same(SUM(values[i]), values[i]);
    test_random random = {7};
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = test_random_next(&random);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value) && value != 0.0)
            assert_same(sum_of(&value, 1), value);
    }
}

static void small_terms_survive_cancellation(void **state)
{
    (void)state;
    assert_same(SUM(1e308, 1.0, -1e308), 1.0);
    assert_same(SUM(1e308, 0x1p-1074, -1e308), 0x1p-1074);
    assert_same(SUM(1e308, 1.0, -1e308, 0x1p-1074, -1.0), 0x1p-1074);
    assert_same(SUM(-1e308, -0x1p-1074, 1e308, -0x1p-1074), -0x1p-1073);
    assert_same(SUM(DBL_MIN, -0x1p-1074), DBL_MIN - 0x1p-1074);
}

static void intermediate_overflow_does_no_harm(void **state)
{
    (void)state;
    assert_same(SUM(DBL_MAX, DBL_MAX, -DBL_MAX), DBL_MAX);
    assert_same(SUM(-DBL_MAX, -DBL_MAX, -DBL_MAX, DBL_MAX, DBL_MAX, 1.0, DBL_MAX), 1.0);
}

static void beyond_the_range_is_infinite(void **state)
{
    (void)state;
    assert_same(SUM(DBL_MAX, DBL_MAX), INFINITY);
    assert_same(SUM(-DBL_MAX, -DBL_MAX), -INFINITY);
    assert_same(SUM(DBL_MAX, 0x1p970), INFINITY); /* a tie: even is beyond */
    assert_same(SUM(DBL_MAX, 0x1p970, -0x1p-1074), DBL_MAX);
    assert_same(SUM(-DBL_MAX, -0x1p970, 0x1p-1074), -DBL_MAX);
}

static void ties_go_to_even(void **state)
{
    (void)state;
    const double u = 0x1p-53;
    assert_same(SUM(1.0, u), 1.0);
    assert_same(SUM(1.0 + 2 * u, u), 1.0 + 4 * u);
    assert_same(SUM(-1.0, -u), -1.0);
    assert_same(SUM(-1.0 - 2 * u, -u), -1.0 - 4 * u);
    assert_same(SUM(1.0, u, 0x1p-1074), 1.0 + 2 * u);
    assert_same(SUM(1.0 + 2 * u, u, -0x1p-1074), 1.0 + 2 * u);
    assert_same(SUM(-1.0, -u, -0x1p-1074), -1.0 - 2 * u);
    assert_same(SUM(2.0, -u), 2.0); /* 2^-53 is a quarter of the gap under 2, so it rounds up */
    assert_same(SUM(1.0, -u), 1.0 - u);
    assert_same(SUM(1.0, -u / 2), 1.0);
    assert_same(SUM(1.0, -u / 2, -0x1p-1074), 1.0 - u);
    assert_same(SUM(0x1p53, 1.0), 0x1p53);
    assert_same(SUM(0x1p53, 3.0), 0x1p53 + 4.0);
    assert_same(SUM(0x1p54 - 2.0, 1.0), 0x1p54); /* carries into a new power of two */
}

static void negative_totals_borrow_through_all_digits(void **state)
{
    (void)state;
    assert_same(SUM(0x1p-1074, -1e308), -1e308);
    assert_same(SUM(0x1p-1074, -1.0), -1.0);
    assert_same(SUM(0x1p-1000, -0x1p-947), -(0x1p-947 - 0x1p-1000));
    assert_same(SUM(1.0, -3.0, 0x1p-60), -2.0);
    assert_same(SUM(0x1p32, -0x1p33), -0x1p32);
}

/* Integers below 2^60 scaled by one power of two: their exact sum fits 128 bits. */
static void agrees_with_integer_sums(void **state)
{
    (void)state;
    test_random random = {11};
    for (int round = 0; round < 3000; round++) {
        int scale = (int)test_random_below(&random, 1900) - 1074;
        int count = 1 + (int)test_random_below(&random, 60);
        int width = 1 + (int)test_random_below(&random, 53);
        wide total = 0;
        trm_exact_sum sum;
        trm_exact_sum_clear(&sum);
        for (int i = 0; i < count; i++) {
            int64_t value = (int64_t)(test_random_next(&random) >> (64 - width));
            int shift = (int)test_random_below(&random, 60);
            value = test_random_below(&random, 2) ? value : -value;
            total += (wide)value * ((wide)1 << shift);
            trm_exact_sum_add(&sum, ldexp((double)value, scale + shift));
        }
        /* To 53 bits by hand, to nearest even; ldexp then is exact as the sum is a multiple of 2^-1074. */
        bool negative = total < 0;
        wide magnitude = negative ? -total : total;
        int drop = 0;
        while (magnitude >> drop >= (wide)1 << 53)
            drop++;
        wide kept = magnitude >> drop;
        wide rest = magnitude - (kept << drop);
        if (drop > 0) {
            wide half = (wide)1 << (drop - 1);
            if (rest > half || (rest == half && (kept & 1)))
                kept++;
        }
        double want = ldexp((double)(int64_t)kept, scale + drop);
        assert_same(trm_exact_sum_value(&sum), negative ? -want : want);
    }
}

static void agrees_with_partial_sums_over_wide_exponents(void **state)
{
    (void)state;
    test_random random = {13};
    for (int round = 0; round < 2000; round++) {
        double values[64];
        int count = 2 + (int)test_random_below(&random, 62);
        int spread = 1 + (int)test_random_below(&random, 900);
        for (int i = 0; i < count; i++) {
            double mantissa = (double)(int64_t)(test_random_next(&random) >> 11);
            int exponent = (int)test_random_below(&random, spread) - spread / 2;
            values[i] = ldexp(test_random_below(&random, 2) ? mantissa : -mantissa, exponent);
            if (i > 0 && test_random_below(&random, 3) == 0)
                values[i] = -values[test_random_below(&random, i)];
        }
        assert_same(sum_of(values, count), reference_sum(values, count));
    }
}

static void order_and_merging_change_nothing(void **state)
{
    (void)state;
    enum { COUNT = 500, PARTS = 5 };
    double values[COUNT];
    test_random random = {17};
    for (int i = 0; i < COUNT; i++)
        values[i] = ldexp((double)test_random_unit(&random), (int)test_random_below(&random, 2000) - 1000);
    const double want = sum_of(values, COUNT);
    for (int round = 0; round < 20; round++) {
        for (int i = COUNT - 1; i > 0; i--) {
            int j = (int)test_random_below(&random, i + 1);
            double t = values[i];
            values[i] = values[j];
            values[j] = t;
        }
        assert_same(sum_of(values, COUNT), want);
        trm_exact_sum parts[PARTS], merged;
        trm_exact_sum_clear(&merged);
        for (int p = 0; p < PARTS; p++)
            trm_exact_sum_clear(&parts[p]);
        for (int i = 0; i < COUNT; i++)
            trm_exact_sum_add(&parts[test_random_below(&random, PARTS)], values[i]);
        for (int p = 0; p < PARTS; p++) {
            if (test_random_below(&random, 2))
                trm_exact_sum_carry(&parts[p]);
            trm_exact_sum_merge(&merged, &parts[p]);
        }
        assert_same(trm_exact_sum_value(&merged), want);
    }
}

/* As MPI_SUM does it: limb by limb, after carries were moved on. */
static void limbs_of_carried_sums_may_be_added(void **state)
{
    (void)state;
    const double values[] = {-1e300, 0x1p-1074, 3.25, 1e300, -7.0, -DBL_MAX};
    trm_exact_sum total;
    trm_exact_sum_clear(&total);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        trm_exact_sum one;
        trm_exact_sum_clear(&one);
        trm_exact_sum_add(&one, values[i]);
        trm_exact_sum_carry(&one);
        for (int l = 0; l < TRM_EXACT_SUM_LIMBS - 1; l++)
            assert_true(one.limb[l] >= 0 && one.limb[l] < INT64_C(1) << 32);
        for (int l = 0; l < TRM_EXACT_SUM_LIMBS; l++)
            total.limb[l] += one.limb[l];
    }
    trm_exact_sum_add(&total, DBL_MAX);
    assert_same(trm_exact_sum_value(&total), -3.75);
}

static void reading_the_value_changes_nothing(void **state)
{
    (void)state;
    trm_exact_sum sum;
    trm_exact_sum_clear(&sum);
    double plain = 0.0;
    for (int i = 1; i <= 1000; i++) {
        trm_exact_sum_add(&sum, -(double)i);
        plain -= i;
        assert_same(trm_exact_sum_value(&sum), plain);
        assert_same(trm_exact_sum_value(&sum), plain);
    }
}

/* More additions than a limb can take without moving carries on. */
static void millions_of_additions_do_not_overflow(void **state)
{
    (void)state;
    enum { COUNT = 20000000 };
    trm_exact_sum sum;
    trm_exact_sum_clear(&sum);
    for (int i = 0; i < COUNT; i++)
        trm_exact_sum_add(&sum, -0x1.fffffffffffffp100);
    assert_same(trm_exact_sum_value(&sum), -0x1.fffffffffffffp100 * COUNT);
}

/* Over all exponents, so that every bin and its place in the sum is seen; folded now and then. */
static void bins_hold_the_same_sum(void **state)
{
    (void)state;
    static trm_exact_bins bins;
    memset(&bins, 0, sizeof bins);
    trm_exact_sum folded, plain;
    trm_exact_sum_clear(&folded);
    trm_exact_sum_clear(&plain);
    for (int i = 0; i < 200000; i++) {
        uint32_t bits[4];
        trm_random_bits(11, 3, (uint64_t)i, bits);
        const double sign = bits[3] & 1 ? -1.0 : 1.0;
        const double value =
            sign * ldexp((double)bits[0] * 0x1p21 + (double)(bits[1] >> 11), i % 2100 - 1120);
        const int64_t times = (int64_t)(((uint64_t)bits[2] << 2 | bits[3] >> 30) >> (bits[3] >> 8) % 34);
        if (!isfinite(value))
            continue;
        trm_exact_bins_add_times(&bins, value, times);
        trm_exact_sum_add_times(&plain, value, times);
        if (i % 777 != 0)
            continue;
        trm_exact_bins_fold(&bins, &folded);
        assert_same(trm_exact_sum_value(&folded), trm_exact_sum_value(&plain));
    }
    trm_exact_bins_fold(&bins, &folded);
    assert_same(trm_exact_sum_value(&folded), trm_exact_sum_value(&plain));
    trm_exact_sum_carry(&folded);
    trm_exact_sum_carry(&plain);
    assert_memory_equal(folded.limb, plain.limb, sizeof plain.limb);
}

/* As large as a bin may get before it is folded: the largest mantissa and count, 2^40 times. */
static void a_full_bin_does_not_overflow(void **state)
{
    (void)state;
    static trm_exact_bins bins;
    memset(&bins, 0, sizeof bins);
    const int64_t times = (INT64_C(1) << 34) - 1;
    const double value = -0x1.fffffffffffffp3;
    trm_exact_bins_add_times(&bins, value, times);
    for (int i = 0; i < TRM_EXACT_BINS; i++)
        bins.bin[i] *= INT64_C(1) << 40;
    trm_exact_sum sum;
    trm_exact_sum_clear(&sum);
    trm_exact_bins_fold(&bins, &sum);
    trm_exact_sum_add_times(&sum, -value * 0x1p40, times);
    assert_same(trm_exact_sum_value(&sum), 0.0);
}

/* The short sum of values in [0, 1] is the wide one, in any order and merged, at its bounds, too. */
static void unit_sums_are_exact(void **state)
{
    test_random random = {11};
    trm_unit_sum part[3] = {{{0}}}, backwards = {{0}};
    double value[3000];
    (void)state;
    for (int i = 0; i < 3000; i++)
        value[i] = i % 7 == 0 ? (double)(i % 2)
                              : ldexp(0.5 + fabs((double)test_random_unit(&random)) / 2.0, -i % 98);
    value[1] = 0x1p-98;
    value[2] = nextafter(1.0, 0.0);
    for (int i = 0; i < 3000; i++) {
        trm_unit_sum_add(&part[i % 3], value[i]);
        trm_unit_sum_add(&backwards, value[2999 - i]);
    }
    trm_unit_sum_merge(&part[0], &part[1]);
    trm_unit_sum_merge(&part[0], &part[2]);
    assert_memory_equal(&part[0], &backwards, sizeof backwards);
    assert_same(trm_unit_sum_value(&part[0]), sum_of(value, 3000));
    trm_unit_sum full = {{UINT64_MAX, UINT64_MAX, 0}};
    trm_unit_sum_merge(&full, &(trm_unit_sum){{1, 0, 0}}); /* a carry through a full word */
    assert_same(trm_unit_sum_value(&full), 0x1p-22);
    for (int i = 0; i < 31; i++) /* 1000 values, 2^31 times each */
        trm_unit_sum_merge(&part[1], &(trm_unit_sum){{part[1].word[0], part[1].word[1], part[1].word[2]}});
    trm_exact_sum wide_sum;
    trm_exact_sum_clear(&wide_sum);
    for (int i = 1; i < 3000; i += 3)
        trm_exact_sum_add(&wide_sum, ldexp(value[i], 31));
    assert_same(trm_exact_sum_value(&wide_sum), trm_unit_sum_value(&part[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_sum_is_plus_zero),
        cmocka_unit_test(one_value_comes_back),
        cmocka_unit_test(small_terms_survive_cancellation),
        cmocka_unit_test(intermediate_overflow_does_no_harm),
        cmocka_unit_test(beyond_the_range_is_infinite),
        cmocka_unit_test(ties_go_to_even),
        cmocka_unit_test(negative_totals_borrow_through_all_digits),
        cmocka_unit_test(agrees_with_integer_sums),
        cmocka_unit_test(agrees_with_partial_sums_over_wide_exponents),
        cmocka_unit_test(order_and_merging_change_nothing),
        cmocka_unit_test(limbs_of_carried_sums_may_be_added),
        cmocka_unit_test(reading_the_value_changes_nothing),
        cmocka_unit_test(millions_of_additions_do_not_overflow),
        cmocka_unit_test(bins_hold_the_same_sum),
        cmocka_unit_test(a_full_bin_does_not_overflow),
        cmocka_unit_test(unit_sums_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
