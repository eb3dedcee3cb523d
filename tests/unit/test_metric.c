/* The four metrics: names, margins, formulas, and the same bits of a tile and of single pairs in every form.
 */
#include "base/random.h"
#include "metric/isa.h"
#include "metric/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static double distance(trm_metric metric, const float *x, const float *y)
{
    return trm_distance(metric, x, trm_dot(x, x, 2), y, trm_dot(y, y, 2), 2, NULL);
}

static void distances_follow_their_formulas(void **state)
{
    (void)state;
    const float x[] = {1, 2}, y[] = {4, 6}, z[] = {0, 2}, w[] = {3, 4};
    double dot = 0.0;
    assert_true(distance(TRM_METRIC_SQL2, x, y) == 25.0);
    assert_true(distance(TRM_METRIC_L2, x, y) == 5.0);
    assert_true(distance(TRM_METRIC_COSINE, z, w) == 1.0 - 8.0 / 10.0);
    assert_true(trm_distance(TRM_METRIC_DOT, x, 5.0, y, 52.0, 2, &dot) == -16.0);
    assert_true(dot == 16.0);
}

static void distances_are_never_below_zero_nor_minus_zero(void **state)
{
    (void)state;
    const float x[] = {1, 1}, across[] = {1, -1}, origin[] = {0, 0}, other_origin[] = {-0.0F, 0};
    assert_true(trm_distance(TRM_METRIC_COSINE, x, 1.0, x, 1.0, 2, NULL) == 0.0); /* a cosine of 2 */
    assert_false(signbit(distance(TRM_METRIC_DOT, x, across)));
    for (int m = TRM_METRIC_SQL2; m <= TRM_METRIC_L2; m++) {
        assert_true(distance((trm_metric)m, x, x) == 0.0);
        assert_false(signbit(distance((trm_metric)m, x, x)));
        assert_true(distance((trm_metric)m, origin, other_origin) == 0.0);
        assert_false(signbit(distance((trm_metric)m, origin, other_origin)));
    }
}

/* ---- bits ---- */

enum { ROWS = 13, COLS = 22, STRIDE = 24, DIM_MAX = 67 };
enum { ORDINARY, OFFSETS, NEAR_DUPLICATES, DUPLICATES, DENORMALS, HUGE_VALUES, ZEROS, MIXED, KINDS };

static double uniform(uint64_t stream, uint64_t draw)
{
    uint32_t bits[4];
    trm_random_bits(3, stream, draw, bits);
    return ((double)bits[0] - 0x1p31) * 0x1p-31;
}

static float element(int kind, int row, int k)
{
    const uint64_t at = (uint64_t)row * DIM_MAX + (uint64_t)k;
    const double u = uniform(1, at), common = uniform(2, (uint64_t)k);
    switch (kind) {
    case OFFSETS: /* of all sizes, beside elements of many sizes, whose squared differences are not exact */
        return k == 0 ? ldexpf(1.0F, (int)(uniform(4, (uint64_t)row % 5) * 40.0))
                      : (float)ldexp(u, (int)(uniform(6, at) * 12.0));
    case NEAR_DUPLICATES:
        return (float)(common * (1.0 + ldexp(u, -row - 2)));
    case DUPLICATES:
        return (float)(k % 5 == 4 ? copysign(0.0, u)
                                  : uniform(5, (uint64_t)(row % 3) * DIM_MAX + (uint64_t)k));
    case DENORMALS:
        return (float)(common * 1e-37 + u * 1e-41);
    case HUGE_VALUES:
        return (float)(row % 2 ? u * (double)FLT_MAX : (double)FLT_MAX * (1.0 - fabs(u) * 1e-4));
    case ZEROS:
        return row % 3 == 0 ? (k % 2 ? -0.0F : 0.0F) : (float)u;
    case MIXED:
        return element(row % MIXED, row, k);
    default:
        return (float)u;
    }
}

/* sql2 word for word. Each step is stored, so that no compiler joins two into one. */
static double sql2_by_definition(const float *x, const float *y, int dim, int *close)
{
    double g[8] = {0.0}, nx[8] = {0.0}, ny[8] = {0.0}, q[8] = {0.0};
    for (int k = 0; k < dim; k++) {
        const double a = (double)x[k], b = (double)y[k];
        volatile double difference = a - b;
        volatile double square = difference * difference;
        g[k % 8] += a * b;
        nx[k % 8] += a * a;
        ny[k % 8] += b * b;
        q[k % 8] += square;
    }
#define TOTAL(s) (((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])))
    const double norms = TOTAL(nx) + TOTAL(ny), e = norms - 2.0 * TOTAL(g);
    *close = !(e >= norms / 1024.0);
    return *close ? TOTAL(q) : e;
#undef TOTAL
}

static void assert_same_bits(double a, double b)
{
    assert_memory_equal(&a, &b, sizeof a);
}

/* Of one kind and dimension; how many pairs are close. */
static int check_bits(int kind, int dim)
{
    float *a = malloc((size_t)(ROWS * dim) * sizeof *a), *b = malloc((size_t)(COLS * dim) * sizeof *b);
    double a_norm2[ROWS], b_norm2[COLS], out[ROWS * STRIDE], dots[ROWS * STRIDE];
    int all_close = 0;
    for (int i = 0; i < (ROWS + COLS) * dim; i++)
        *(i < ROWS * dim ? a + i : b + (i - ROWS * dim)) = element(kind, i / dim, i % dim);
    for (int i = 0; i < ROWS; i++)
        a_norm2[i] = trm_dot(a + i * dim, a + i * dim, dim);
    for (int j = 0; j < COLS; j++)
        b_norm2[j] = trm_dot(b + j * dim, b + j * dim, dim);
    for (int m = 0; m < 4; m++) {
        const trm_metric metric = (trm_metric)m;
        memset(out, 0x55, sizeof out);
        const double untouched = out[0];
        trm_distance_tile(metric, a, a_norm2, ROWS, b, b_norm2, COLS, dim, out, m % 2 ? dots : NULL, STRIDE);
        for (int i = 0; i < ROWS; i++) {
            for (int j = 0; j < COLS; j++) {
                const float *x = a + i * dim, *y = b + j * dim;
                int close = 0;
                double dot = 0.0;
                const double d = trm_distance(metric, x, a_norm2[i], y, b_norm2[j], dim, &dot);
                if (isnan(d)) { /* cosine of a zero row, which is refused elsewhere */
                    assert_true(isnan(out[i * STRIDE + j]));
                    continue;
                }
                assert_same_bits(d, out[i * STRIDE + j]);
                assert_same_bits(d, trm_distance(metric, y, b_norm2[j], x, a_norm2[i], dim, NULL));
                assert_same_bits(dot, trm_dot(x, y, dim));
                assert_true(m % 2 == 0 || memcmp(&dot, &dots[i * STRIDE + j], sizeof dot) == 0);
                const double sql2 = sql2_by_definition(x, y, dim, &close);
                if (metric == TRM_METRIC_SQL2)
                    assert_same_bits(d, sql2);
                if (metric == TRM_METRIC_L2)
                    assert_same_bits(d, sqrt(sql2));
                all_close += close;
            }
            for (int j = COLS; j < STRIDE; j++)
                assert_same_bits(out[i * STRIDE + j], untouched);
        }
    }
    free(a);
    free(b);
    return all_close;
}

static void pairs_and_tiles_have_the_bits_of_the_definition(void **state)
{
    (void)state;
    for (int isa = TRM_ISA_PORTABLE; isa <= TRM_ISA_AVX512; isa++) {
        trm_isa_limit((trm_isa)isa);
        for (int kind = 0; kind < KINDS; kind++) {
            int close = 0;
            for (int dim = 1; dim <= DIM_MAX; dim += dim < 20 ? 1 : 5)
                close += check_bits(kind, dim);
            assert_true(close > 0); /* both branches were taken */
        }
    }
    trm_isa_limit(TRM_ISA_AVX512);
}

/* The exact value is the sum of squares of small whole numbers. */
static void close_rows_keep_their_digits_under_any_offset(void **state)
{
    (void)state;
    for (int power = 0; power <= 22; power++) {
        float x[9], y[9];
        double exact = 0.0;
        for (int k = 0; k < 9; k++) {
            x[k] = ldexpf(1.0F, power) + (float)(k % 3);
            y[k] = ldexpf(1.0F, power) + (float)((k * 7) % 4);
            exact += (double)((x[k] - y[k]) * (x[k] - y[k]));
        }
        const double d = trm_distance(TRM_METRIC_SQL2, x, trm_dot(x, x, 9), y, trm_dot(y, y, 9), 9, NULL);
        assert_true(d == exact);
    }
}

static void unlike_rows_are_never_at_distance_zero(void **state)
{
    (void)state;
    const float least = 0x1p-149F, x[] = {1e30F, least}, y[] = {1e30F, 0.0F};
    for (int m = TRM_METRIC_SQL2; m <= TRM_METRIC_L2; m++)
        assert_true(distance((trm_metric)m, x, y) == (m == TRM_METRIC_SQL2 ? 0x1p-298 : 0x1p-149));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_is_found_by_its_name),
        cmocka_unit_test(the_margin_is_a_half_for_cosine_and_one_otherwise),
        cmocka_unit_test(distances_follow_their_formulas),
        cmocka_unit_test(distances_are_never_below_zero_nor_minus_zero),
        cmocka_unit_test(pairs_and_tiles_have_the_bits_of_the_definition),
        cmocka_unit_test(close_rows_keep_their_digits_under_any_offset),
        cmocka_unit_test(unlike_rows_are_never_at_distance_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
