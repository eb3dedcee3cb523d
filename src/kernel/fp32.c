/* Kernel "fp32": our own packed micro-kernel. Windows are tested on the accumulators; nothing is stored
 * unless a pair survives, so a tile has no output at all in the common case.
 *
 * Layout: groups of 32 rows, k-major: packed[group][k][32]. As columns a group is 32 neighbouring floats for
 * each k; as rows a strip of a group is broadcast from there. One layout serves both sides, and a micro-tile
 * reads both streams forwards. Order: a column group against all strips of a row group, so that both groups
 * stay in L1 or L2. */
#include "kernel/scan.h"
#include "metric/isa.h"

#include <string.h>

#if TRM_HAVE_X86
#include <immintrin.h>
#endif

enum { GROUP = TRM_TILE_ALIGN, STRIP = 8 };

static bool available(void)
{
    return true;
}

static int64_t packed_floats(int64_t rows, int dim)
{
    return (rows + GROUP - 1) / GROUP * GROUP * dim;
}

static void pack(const float *mapped, int stride, int64_t row, int dim, int first, int width, float *packed)
{
    float *to = packed + row * dim + (int64_t)first * GROUP;
    for (int k = 0; k < width; k++)
        for (int i = 0; i < GROUP; i++)
            to[k * GROUP + i] = mapped[i * stride + k];
}

/* The windows of a strip of rows and of a group of columns, from the first of them on. */
typedef struct edges {
    const float *row_near, *row_term, *col_near, *col_term;
} edges;

/* Multiplies STRIP rows (a: their first float of k = 0) with GROUP columns. Returns the rows of which a pair may be
 * near enough, a bit each; where there are any, all products are in out. */
typedef uint32_t micro_kernel(const float *a, const float *b, int dim, edges e, float *out);

/* Rows two at a time, so that the accumulators of a row are a few registers. */
static uint32_t micro_portable(const float *a, const float *b, int dim, edges e, float *out)
{
    uint32_t rows = 0;
    for (int i = 0; i < STRIP; i += 2) {
        for (int h = 0; h < GROUP; h += 8) {
            float s0[8] = {0}, s1[8] = {0};
            for (int k = 0; k < dim; k++) {
                const float x0 = a[k * GROUP + i], x1 = a[k * GROUP + i + 1];
                const float *y = b + k * GROUP + h;
                for (int j = 0; j < 8; j++) {
                    s0[j] += x0 * y[j];
                    s1[j] += x1 * y[j];
                }
            }
            memcpy(out + i * GROUP + h, s0, sizeof s0);
            memcpy(out + (i + 1) * GROUP + h, s1, sizeof s1);
        }
    }
    for (int i = 0; i < STRIP; i++) {
        int left = 0;
        for (int j = 0; j < GROUP; j++) {
            const float by_row = e.row_near[i] + e.col_term[j], by_col = e.col_near[j] + e.row_term[i];
            left |= !(out[i * GROUP + j] <= (by_row < by_col ? by_row : by_col));
        }
        rows |= (uint32_t)left << i;
    }
    return rows;
}

#if TRM_HAVE_X86
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

TRM_TARGET_AVX512 static uint32_t micro_avx512(const float *a, const float *b, int dim, edges e, float *out)
{
#define START(i) __m512 s##i = _mm512_setzero_ps(), t##i = s##i;
    EACH_ROW(START)
#undef START
    for (int k = 0; k < dim; k++) {
        const __m512 y0 = _mm512_loadu_ps(b), y1 = _mm512_loadu_ps(b + 16);
#define STEP(i)                                                                                              \
    {                                                                                                        \
        const __m512 x = _mm512_set1_ps(a[i]);                                                               \
        s##i = _mm512_fmadd_ps(x, y0, s##i);                                                                 \
        t##i = _mm512_fmadd_ps(x, y1, t##i);                                                                 \
    }
        EACH_ROW(STEP)
#undef STEP
        a += GROUP;
        b += GROUP;
    }
    const __m512 n0 = _mm512_loadu_ps(e.col_near), n1 = _mm512_loadu_ps(e.col_near + 16);
    const __m512 c0 = _mm512_loadu_ps(e.col_term), c1 = _mm512_loadu_ps(e.col_term + 16);
#define TEST(i)                                                                                              \
    unsigned left##i;                                                                                        \
    {                                                                                                        \
        const __m512 near = _mm512_set1_ps(e.row_near[i]), term = _mm512_set1_ps(e.row_term[i]);             \
        const __m512 m0 = _mm512_min_ps(_mm512_add_ps(near, c0), _mm512_add_ps(n0, term));                   \
        const __m512 m1 = _mm512_min_ps(_mm512_add_ps(near, c1), _mm512_add_ps(n1, term));                   \
        left##i = (unsigned)_mm512_cmp_ps_mask(s##i, m0, _CMP_NLE_UQ) |                                      \
                  (unsigned)_mm512_cmp_ps_mask(t##i, m1, _CMP_NLE_UQ);                                       \
    }
    EACH_ROW(TEST)
#undef TEST
#define ALSO(i) | left##i
    if (__builtin_expect((0 EACH_ROW(ALSO)) == 0, 1))
        return 0;
#undef ALSO
#define STORE(i)                                                                                             \
    _mm512_storeu_ps(out + (i)*GROUP, s##i);                                                                 \
    _mm512_storeu_ps(out + (i)*GROUP + 16, t##i);
    EACH_ROW(STORE)
#undef STORE
#define BIT(i) | (uint32_t)(left##i != 0) << (i)
    return 0 EACH_ROW(BIT);
#undef BIT
}

/* Four rows by 16 columns: eight accumulators, as many as the latency of two multiply-adds a cycle needs. */
TRM_TARGET_AVX2 static inline __attribute__((always_inline)) uint32_t
quarter_avx2(const float *a, const float *b, int dim, edges e, float *out)
{
#define EACH_OF_4(DO) DO(0) DO(1) DO(2) DO(3)
#define START(i) __m256 s##i = _mm256_setzero_ps(), t##i = s##i;
    EACH_OF_4(START)
#undef START
    for (int k = 0; k < dim; k++) {
        const __m256 y0 = _mm256_loadu_ps(b), y1 = _mm256_loadu_ps(b + 8);
#define STEP(i)                                                                                              \
    {                                                                                                        \
        const __m256 x = _mm256_broadcast_ss(a + (i));                                                       \
        s##i = _mm256_fmadd_ps(x, y0, s##i);                                                                 \
        t##i = _mm256_fmadd_ps(x, y1, t##i);                                                                 \
    }
        EACH_OF_4(STEP)
#undef STEP
        a += GROUP;
        b += GROUP;
    }
    const __m256 n0 = _mm256_loadu_ps(e.col_near), n1 = _mm256_loadu_ps(e.col_near + 8);
    const __m256 c0 = _mm256_loadu_ps(e.col_term), c1 = _mm256_loadu_ps(e.col_term + 8);
#define TEST(i)                                                                                              \
    __m256 left##i;                                                                                          \
    {                                                                                                        \
        const __m256 near = _mm256_broadcast_ss(e.row_near + (i)),                                           \
                     term = _mm256_broadcast_ss(e.row_term + (i));                                           \
        const __m256 m0 = _mm256_min_ps(_mm256_add_ps(near, c0), _mm256_add_ps(n0, term));                   \
        const __m256 m1 = _mm256_min_ps(_mm256_add_ps(near, c1), _mm256_add_ps(n1, term));                   \
        left##i = _mm256_or_ps(_mm256_cmp_ps(s##i, m0, _CMP_NLE_UQ), _mm256_cmp_ps(t##i, m1, _CMP_NLE_UQ));  \
        _mm256_storeu_ps(out + (i)*GROUP, s##i);                                                             \
        _mm256_storeu_ps(out + (i)*GROUP + 8, t##i);                                                         \
    }
    EACH_OF_4(TEST)
#undef TEST
    if (__builtin_expect(
            _mm256_movemask_ps(_mm256_or_ps(_mm256_or_ps(left0, left1), _mm256_or_ps(left2, left3))) == 0, 1))
        return 0;
#define BIT(i) | (uint32_t)(_mm256_movemask_ps(left##i) != 0) << (i)
    return 0 EACH_OF_4(BIT);
#undef BIT
#undef EACH_OF_4
}

TRM_TARGET_AVX2 static uint32_t micro_avx2(const float *a, const float *b, int dim, edges e, float *out)
{
    uint32_t rows = 0;
    for (int i = 0; i < STRIP; i += 4) {
        for (int j = 0; j < GROUP; j += 16) {
            const edges part = {e.row_near + i, e.row_term + i, e.col_near + j, e.col_term + j};
            rows |= quarter_avx2(a + i, b + j, dim, part, out + i * GROUP + j) << i;
        }
    }
    return rows;
}
#endif

static micro_kernel *micro_get(void)
{
#if TRM_HAVE_X86
    const trm_isa isa = trm_isa_get();
    if (isa == TRM_ISA_AVX512)
        return micro_avx512;
    if (isa == TRM_ISA_AVX2)
        return micro_avx2;
#endif
    return micro_portable;
}

static void tile_fp32(const trm_tile *tile, trm_workspace *work)
{
    const int dim = tile->a->map.dim;
    const int64_t from = work->count;
    const int64_t row_end = tile->row + tile->rows, col_end = tile->col + tile->cols;
    micro_kernel *const micro = micro_get();
    trm_scan *const scan = trm_scan_get();
    _Alignas(64) float out[STRIP * GROUP];
    for (int64_t col = tile->col; col < col_end; col += GROUP) {
        const float *b = tile->b->packed + col * dim;
        const int cols = col_end - col < GROUP ? (int)(col_end - col) : GROUP;
        for (int64_t row = tile->row; row < row_end; row += STRIP) {
            const float *a = tile->a->packed + row / GROUP * GROUP * dim + row % GROUP;
            const edges e = {tile->a_bounds->near + (row - tile->a_bounds->first), tile->a->near_term + row,
                             tile->b_bounds->near + (col - tile->b_bounds->first), tile->b->near_term + col};
            uint32_t rows = micro(a, b, dim, e, out);
            if (row_end - row < STRIP)
                rows &= (1U << (row_end - row)) - 1U;
            for (; rows != 0; rows &= rows - 1) {
                const int i = __builtin_ctz(rows);
                scan(tile, out + i * GROUP, GROUP, row + i, 1, col, cols, work);
            }
        }
    }
    trm_scan_finish(tile, work, from);
}

const trm_kernel trm_kernel_fp32 = {"fp32", available, packed_floats, pack, trm_float_dot_radius, tile_fp32};
