/* Kernel "bf16": rows are rounded to bfloat16, two coordinates a word, and the first stage multiplies those, on CPUs with an
 * instruction for it twice as many at once as float32. The second is a float32 dot for each pair that is left. It rules out by
 * both ends of a window, and its error is a fraction of int8's, which tells where many windows end among the bulk of the pairs.
 *
 * The proof (in prose: docs/KERNELS.md); notation of kernel.c. b: the rounded row, a = |b|, r = |y - b| as it is, measured.
 * 1. |<y_i,y_j> - <b_i,b_j>| <= a_i r_j + r_i a_j + r_i r_j.
 * 2. A product of two bfloat16 is exact in float32, with 16 bits of 24. They are summed in some order, the instruction's own:
 * the computed g is off by gamma_(D + 4) a_i a_j at most, as a float32 dot is (scan.h), and by (D + 4) t, t = 2^-126, for what is
 * flushed. Coordinates below t are packed as 0, so that r knows of them.
 * 3. With |x||y| <= (l x^2 + y^2 / l) / 2, l the same for all rows, about r / a, all of this is at most e_i + e_j, e_i =
 * ((l + gamma) a_i^2 + r_i^2 / l + r_i^2) / 2 + tiny. a and r are measured in float64: a factor 1 + 2^-20 takes that. */
#include "kernel/pairs.h"
#include "kernel/scan.h"
#include "kernel/strips.h"
#include "metric/isa.h"

#include <math.h>
#include <string.h>

#if TRM_HAVE_X86
#define TRM_TARGET_BF16 __attribute__((target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq,avx512bf16")))
#endif

/* Layout: groups of 48 rows, for each a column of words for every two coordinates, the first in the lower half. */
enum { GROUP = TRM_TILE_ALIGN };

static int columns(int dim, int width)
{
    (void)width;
    return (dim + 1) / 2;
}

static bool has_instruction(void)
{
#if TRM_HAVE_X86
    return trm_isa_get() == TRM_ISA_AVX512 && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

/* ---- multiplying ---- */

/* The halves of a word. */
static void widen(const float *word, float value[2])
{
    uint32_t bits;
    memcpy(&bits, word, sizeof bits);
    const uint32_t half[2] = {bits << 16, bits & 0xFFFF0000U};
    memcpy(value, half, sizeof half);
}

/* For tests. */
static uint32_t micro_portable(const float *a, const float *b, int words, trm_edges e, float *out)
{
    uint32_t rows = 0;
    for (int i = 0; i < TRM_STRIP_MAX; i++)
        for (int j = 0; j < GROUP; j++) {
            float g = 0.0F;
            for (int k = 0; k < words; k++) {
                float x[2], y[2];
                widen(a + k * GROUP + i, x);
                widen(b + k * GROUP + j, y);
                g += x[0] * y[0];
                g += x[1] * y[1];
            }
            const float by_row = e.row_near[i] + e.col_term[j], by_col = e.col_near[j] + e.row_term[i];
            rows |= (uint32_t) !(g <= (by_row < by_col ? by_row : by_col)) << i;
            out[i * GROUP + j] = g;
        }
    return rows;
}

#if TRM_HAVE_X86
#define EACH_OF_8(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

/* Eight rows by 48 columns: 24 accumulators, three vectors of columns, one of a row. */
TRM_TARGET_BF16 static uint32_t micro_bf16(const float *a, const float *b, int words, trm_edges e, float *out)
{
#define START(i) __m512 r##i = _mm512_setzero_ps(), s##i = r##i, t##i = r##i;
    EACH_OF_8(START)
#undef START
    for (int k = 0; k < words; k++, a += GROUP, b += GROUP) {
        const __m512bh y0 = (__m512bh)_mm512_loadu_ps(b), y1 = (__m512bh)_mm512_loadu_ps(b + 16),
                       y2 = (__m512bh)_mm512_loadu_ps(b + 32);
#define STEP(i)                                                                                              \
    {                                                                                                        \
        const __m512bh x = (__m512bh)_mm512_set1_ps(a[i]);                                                   \
        r##i = _mm512_dpbf16_ps(r##i, x, y0);                                                                \
        s##i = _mm512_dpbf16_ps(s##i, x, y1);                                                                \
        t##i = _mm512_dpbf16_ps(t##i, x, y2);                                                                \
    }
        EACH_OF_8(STEP)
#undef STEP
    }
#define TEST(i)                                                                                              \
    {                                                                                                        \
        const __m512 near = _mm512_set1_ps(e.row_near[i]), term = _mm512_set1_ps(e.row_term[i]);             \
        float *const to = out + (i)*GROUP;                                                                   \
        const unsigned left = trm_strip_test(r##i, near, term, e, 0, to) |                                   \
                              trm_strip_test(s##i, near, term, e, 16, to) |                                  \
                              trm_strip_test(t##i, near, term, e, 32, to);                                   \
        rows |= (uint32_t)(left != 0) << (i);                                                                \
    }
    uint32_t rows = 0;
    EACH_OF_8(TEST)
#undef TEST
    return rows;
}
#endif

static trm_strip_kernel *micro_get(void)
{
#if TRM_HAVE_X86
    if (has_instruction())
        return micro_bf16;
#endif
    return micro_portable;
}

/* ---- packing ---- */

/* The nearest bfloat16, of two the even one; what is below the normal numbers is 0. */
static uint32_t round_off(float y)
{
    uint32_t bits;
    if (!(fabsf(y) >= 0x1p-126F))
        return 0;
    memcpy(&bits, &y, sizeof bits);
    return (bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16;
}

/* Rounds two coordinates into a word, and adds what is kept of them, and what is not, to the squared lengths. */
static void put(const float y[2], float *word, double *length2, double *rest2)
{
    const uint32_t bits = round_off(y[0]) | round_off(y[1]) << 16;
    float kept[2];
    memcpy(word, &bits, sizeof bits);
    widen(word, kept);
    for (int k = 0; k < 2; k++) {
        const double rest = (double)y[k] - (double)kept[k];
        *length2 += (double)kept[k] * (double)kept[k];
        *rest2 += rest * rest;
    }
}

static void encode(trm_block *block, int64_t row, int count, const double *n, double *error)
{
    const int dim = block->map.dim;
    const double ratio = 0.0015, gamma = trm_float_dot_radius(dim); /* ratio: r / a, about */
    float *group = block->packed + row * block->columns;
    double length2[GROUP] = {0.0}, rest2[GROUP] = {0.0};
    for (int k = 0; k < block->columns; k++)
        for (int i = 0; i < count; i++) { /* a sum of one row alone would wait for each of its additions */
            const float *y = block->mapped + (row + i) * dim, last[2] = {y[dim - 1], 0.0F};
            put(2 * k + 1 < dim ? y + 2 * k : last, group + k * GROUP + i, &length2[i], &rest2[i]);
        }
    for (int i = 0; i < count; i++)
        error[i] = n[i] <= 0x1p96 ? ((ratio + gamma) * length2[i] + rest2[i] / ratio + rest2[i]) / 2.0 *
                                            (1.0 + 0x1p-20) +
                                        (dim + 16.0) * 0x1p-120
                                  : INFINITY; /* it survives */
}

static void tile_bf16(const trm_tile *tile, trm_workspace *work)
{
    trm_strips_run(tile, TRM_STRIP_MAX, micro_get(), tile->a->columns, 0, work);
}

const trm_kernel trm_kernel_bf16 = {.name = "bf16",
                                    .promising = has_instruction,
                                    .radius = trm_float_dot_radius,
                                    .tile = tile_bf16,
                                    .columns = columns,
                                    .encode = encode,
                                    .pairs = trm_pairs_fp32};
