/* The canonical dot has the same bits in every form. */
#include "base/random.h"
#include "metric/isa.h"
#include "metric/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIM_MAX = 70, ROWS = 11, COLS = 9, STRIDE = 13 };

/* The definition, word for word. */
static double by_definition(const float *x, const float *y, int dim)
{
    double s[8] = {0.0};
    for (int j = 0; j < dim; j++)
        s[j % 8] = s[j % 8] + (double)x[j] * (double)y[j];
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

static void fill(float *x, int count, uint64_t stream)
{
    for (int i = 0; i < count; i++) {
        uint32_t bits[4];
        trm_random_bits(5, stream, (uint64_t)i, bits);
        x[i] = ldexpf((float)(int32_t)bits[0], (int)(bits[1] % 40) - 60);
        if (bits[2] % 8 == 0)
            x[i] = bits[3] % 2 ? -0.0F : 0.0F;
    }
}

static void assert_same_bits(double a, double b)
{
    assert_memory_equal(&a, &b, sizeof a);
}

/* Exactly sized buffers, so that a sanitizer sees any read past the end. */
static void dot_and_tile_have_the_bits_of_the_definition(void **state)
{
    (void)state;
    for (int isa = TRM_ISA_PORTABLE; isa <= TRM_ISA_AVX512; isa++) {
        trm_isa_limit((trm_isa)isa);
        for (int dim = 1; dim <= DIM_MAX; dim++) {
            for (int rows = 1; rows <= ROWS; rows += 2) {
                for (int cols = 1; cols <= COLS; cols += dim % 2 + 1) {
                    float *a = malloc((size_t)(rows * dim) * sizeof *a),
                          *b = malloc((size_t)(cols * dim) * sizeof *b);
                    double out[ROWS * STRIDE];
                    memset(out, 0x55, sizeof out);
                    const double untouched = out[0];
                    fill(a, rows * dim, 1);
                    fill(b, cols * dim, 2);
                    trm_dot_tile(a, rows, b, cols, dim, out, STRIDE);
                    for (int i = 0; i < ROWS; i++) {
                        for (int j = 0; j < STRIDE; j++) {
                            if (i >= rows || j >= cols) {
                                assert_same_bits(out[i * STRIDE + j], untouched);
                                continue;
                            }
                            const double sought = by_definition(a + i * dim, b + j * dim, dim);
                            assert_same_bits(out[i * STRIDE + j], sought);
                            assert_same_bits(trm_dot(a + i * dim, b + j * dim, dim), sought);
                        }
                    }
                    free(a);
                    free(b);
                }
            }
        }
    }
}

/* So long that only a few of them stay in a cache: a tile of them is computed in several panels. */
static void a_tile_of_long_rows_has_the_same_bits(void **state)
{
    (void)state;
    enum { LONG_ROWS = 20 };
    const int dims[] = {1003, 1500, 4099, 8192, 20001};
    const size_t count = sizeof dims / sizeof *dims;
    for (size_t k = 0; k < 2 * count; k++) {
        const int dim = dims[k / 2];
        trm_isa_limit(k % 2 == 0 ? TRM_ISA_AVX2 : TRM_ISA_AVX512);
        float *a = malloc((size_t)(LONG_ROWS * dim) * sizeof *a),
              *b = malloc((size_t)(COLS * dim) * sizeof *b);
        double out[LONG_ROWS * STRIDE];
        fill(a, LONG_ROWS * dim, 1);
        fill(b, COLS * dim, 2);
        trm_dot_tile(a, LONG_ROWS, b, COLS, dim, out, STRIDE);
        for (int i = 0; i < LONG_ROWS; i++)
            for (int j = 0; j < COLS; j++)
                assert_same_bits(out[i * STRIDE + j],
                                 by_definition(a + (int64_t)i * dim, b + (int64_t)j * dim, dim));
        free(a);
        free(b);
    }
}

static void the_instruction_set_can_be_lowered(void **state)
{
    (void)state;
    assert_string_equal(trm_isa_name(trm_isa_limit(TRM_ISA_PORTABLE)), "portable");
    assert_int_equal(trm_isa_get(), TRM_ISA_PORTABLE);
    assert_true(trm_isa_limit(TRM_ISA_AVX512) >= trm_isa_limit(TRM_ISA_AVX2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dot_and_tile_have_the_bits_of_the_definition),
        cmocka_unit_test(a_tile_of_long_rows_has_the_same_bits),
        cmocka_unit_test(the_instruction_set_can_be_lowered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
