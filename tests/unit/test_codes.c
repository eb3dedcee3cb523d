/* A row's small whole numbers tell its products as well as they say, in every form. */
#include "base/random.h"
#include "kernel/codes.h"
#include "metric/isa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { ROWS = 24, HEADER = sizeof(trm_coded) };

static const int dims[] = {1, 2, 15, 16, 17, 47, 48, 49, 112, 113, 384, 784, 4096, 65536};
enum { DIMS = sizeof dims / sizeof dims[0] };

static double uniform(int row, int k)
{
    uint32_t bits[4];
    trm_random_bits(11, (uint64_t)row, (uint64_t)k, bits);
    return ((double)bits[0] + 0.5) * 0x1p-31 - 1.0;
}

/* A block with codes and nothing else. */
static trm_block *make(int dim, double (*value)(int row, int k))
{
    trm_block *block = calloc(1, sizeof *block);
    block->map.dim = dim;
    block->mapped = calloc((size_t)ROWS * (size_t)dim, sizeof *block->mapped);
    block->codes = aligned_alloc(64, ROWS * (size_t)trm_codes_stride(dim));
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < dim; k++)
            block->mapped[i * dim + k] = (float)value(i, k);
    return block;
}

static void end(trm_block *block)
{
    free(block->mapped);
    free(block->codes);
    free(block);
}

static double exactly(const trm_block *block, int i, int j)
{
    const int dim = block->map.dim;
    long double sum = 0.0L;
    for (int k = 0; k < dim; k++)
        sum += (long double)block->mapped[i * dim + k] * (long double)block->mapped[j * dim + k];
    return (double)sum;
}

/* With no error of the tile's, slack is the error of the codes. */
static double error_of(const trm_block *block, int row)
{
    return -(double)trm_coded_of(trm_codes_row(block, row)).slack;
}

static double told(const trm_block *block, int i, int j)
{
    const uint8_t *x = trm_codes_row(block, i), *y = trm_codes_row(block, j);
    const int32_t sum = trm_codes_product_get()(x, y, trm_codes_stride(block->map.dim));
    return (double)trm_coded_of(x).scale * (double)trm_coded_of(y).scale * (double)sum;
}

static void put_all(trm_block *block)
{
    for (int i = 0; i < ROWS; i++)
        trm_codes_put(block, i, exactly(block, i, i), 0.0);
}

static double ordinary(int row, int k)
{
    return uniform(row, k);
}

static double outlying(int row, int k)
{
    return k == row % 3 ? 100.0 : 1e-2 * uniform(row, k);
}

static double huge(int row, int k)
{
    return 0x1p39 * uniform(row, k);
}

static double of_all_sizes(int row, int k)
{
    return ldexp(uniform(row, k), -(row * 7 + k) % 160);
}

static double denormal(int row, int k)
{
    return (double)FLT_MIN * uniform(row, k);
}

static double ends(int row, int k)
{
    return (row + k) % 2 ? 1.0 : -1.0;
}

static double some_zero(int row, int k)
{
    return row % 3 == 0 ? 0.0 : uniform(row, k);
}

/* Rows that are alike have the largest products, and the most to lose. */
static double alike(int row, int k)
{
    return uniform(0, k) + 1e-3 * uniform(row, k);
}

static double (*const kinds[])(int row, int k) = {ordinary, outlying, huge,      of_all_sizes,
                                                  denormal, ends,     some_zero, alike};

static void no_product_is_farther_off_than_the_rows_say(void **state)
{
    (void)state;
    for (int isa = TRM_ISA_PORTABLE; isa <= TRM_ISA_AVX512; isa++) {
        trm_isa_limit((trm_isa)isa);
        for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
            for (int n = 0; n < DIMS; n++) {
                trm_block *block = make(dims[n], kinds[kind]);
                put_all(block);
                for (int i = 0; i < ROWS; i++)
                    for (int j = 0; j < ROWS; j++)
                        assert_true(fabs(told(block, i, j) - exactly(block, i, j)) <=
                                    error_of(block, i) + error_of(block, j));
                end(block);
            }
        }
    }
    trm_isa_limit(TRM_ISA_AVX512);
}

static void the_sum_of_products_is_exact(void **state)
{
    (void)state;
    for (int isa = TRM_ISA_PORTABLE; isa <= TRM_ISA_AVX512; isa++) {
        trm_isa_limit((trm_isa)isa);
        for (int n = 0; n < DIMS; n++) {
            trm_block *block = make(dims[n], n % 2 ? ends : ordinary);
            const int64_t stride = trm_codes_stride(dims[n]);
            put_all(block);
            for (int i = 0; i < ROWS; i++) {
                const uint8_t *x = trm_codes_row(block, i), *y = trm_codes_row(block, ROWS - 1 - i);
                int64_t sum = 0, of_y = 0;
                for (int64_t k = HEADER; k < stride; k++) {
                    sum += (int64_t)(int8_t)x[k] * (int8_t)y[k];
                    of_y += (int8_t)y[k];
                }
                assert_int_equal(trm_codes_product_get()(x, y, stride), sum);
                assert_int_equal(trm_coded_of(y).sum, of_y);
            }
            end(block);
        }
    }
    trm_isa_limit(TRM_ISA_AVX512);
}

/* Else the look would rule out nothing. */
static void the_error_is_a_small_part_of_the_rows(void **state)
{
    (void)state;
    for (int n = 0; n < DIMS; n++) {
        trm_block *block = make(dims[n], ordinary);
        put_all(block);
        for (int i = 0; i < ROWS; i++)
            assert_true(error_of(block, i) <= 0.02 * exactly(block, i, i));
        end(block);
    }
}

/* Its slack is endless, so that both bounds of its pairs are. */
static void a_row_that_can_not_be_coded_survives(void **state)
{
    static const double norms2[] = {INFINITY, NAN, 0x1p97};
    (void)state;
    for (int i = 0; i < 3; i++) {
        trm_block *block = make(17, ordinary);
        trm_codes_put(block, 0, norms2[i], 1.0);
        assert_true(trm_coded_of(trm_codes_row(block, 0)).slack == -INFINITY);
        end(block);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_product_is_farther_off_than_the_rows_say),
        cmocka_unit_test(the_sum_of_products_is_exact),
        cmocka_unit_test(the_error_is_a_small_part_of_the_rows),
        cmocka_unit_test(a_row_that_can_not_be_coded_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
