/* Kernel "fp32": our own packed micro-kernel. Windows are tested on the accumulators; nothing is stored
 * unless a pair survives, so a tile has no output at all in the common case.
 *
 * Layout: groups of as many rows as a micro-kernel has columns, k-major: packed[group][k][24 or 48]. As columns a
 * group is that many neighbouring floats for each k; as rows a strip of a group is broadcast from there. One layout
 * serves both sides, and a micro-tile reads both streams forwards. Order: a column group against all strips of
 * the tile, so that the group stays in L1 or L2. */
#include "kernel/fp32.h"
#include "kernel/scan.h"
#include "metric/isa.h"

#include <string.h>

#if TRM_HAVE_X86
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

/* The windows of a strip of rows and of a group of columns, from the first of them on. */
typedef struct edges {
    const float *row_near, *row_term, *col_near, *col_term;
} edges;

/* Multiplies a strip of rows (a: their first float of k = 0) with a group of columns. Returns the rows of which a pair
 * may be near enough, a bit each; where there are any, all products are in out, a row of the group's size each. */
typedef uint32_t micro_kernel(const float *a, const float *b, int dims, edges e, float *out);

typedef struct micro_shape {
    int strip, group; /* a group is a number of strips; TRM_TILE_ALIGN a number of groups */
    micro_kernel *multiply;
} micro_shape;

enum { STRIP = 4, GROUP = 24, LARGEST = 8 * 48 };

/* Rows two at a time, so that the accumulators of a row are a few registers. */
static uint32_t micro_portable(const float *a, const float *b, int dims, edges e, float *out)
{
    uint32_t rows = 0;
    for (int i = 0; i < STRIP; i += 2) {
        for (int h = 0; h < GROUP; h += 8) {
            float s0[8] = {0}, s1[8] = {0};
            for (int k = 0; k < dims; k++) {
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

static const micro_shape shape_portable = {STRIP, GROUP, micro_portable};

#if TRM_HAVE_X86
/* Four rows by 24 columns: twelve accumulators, three vectors of columns, one of a row: all sixteen registers. */
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3)

TRM_TARGET_AVX2 static uint32_t micro_avx2(const float *a, const float *b, int dims, edges e, float *out)
{
#define START(i) __m256 r##i = _mm256_setzero_ps(), s##i = r##i, t##i = r##i;
    EACH_ROW(START)
#undef START
#define ROW(i)                                                                                               \
    x = _mm256_broadcast_ss(a + (i));                                                                        \
    r##i = _mm256_fmadd_ps(x, y0, r##i);                                                                     \
    s##i = _mm256_fmadd_ps(x, y1, s##i);                                                                     \
    t##i = _mm256_fmadd_ps(x, y2, t##i);
    for (int k = 0; k < dims; k++) {
        const __m256 y0 = _mm256_loadu_ps(b), y1 = _mm256_loadu_ps(b + 8), y2 = _mm256_loadu_ps(b + 16);
        __m256 x;
        EACH_ROW(ROW)
        a += GROUP;
        b += GROUP;
    }
#undef ROW
#define VECTOR(i, j, v)                                                                                      \
    _mm256_cmp_ps(v,                                                                                         \
                  _mm256_min_ps(_mm256_add_ps(near, _mm256_loadu_ps(e.col_term + (j))),                      \
                                _mm256_add_ps(term, _mm256_loadu_ps(e.col_near + (j)))),                     \
                  _CMP_NLE_UQ)
#define TEST(i)                                                                                              \
    __m256 left##i;                                                                                          \
    {                                                                                                        \
        const __m256 near = _mm256_broadcast_ss(e.row_near + (i)),                                           \
                     term = _mm256_broadcast_ss(e.row_term + (i));                                           \
        left##i = _mm256_or_ps(_mm256_or_ps(VECTOR(i, 0, r##i), VECTOR(i, 8, s##i)), VECTOR(i, 16, t##i));   \
    }
    EACH_ROW(TEST)
#undef TEST
#undef VECTOR
    if (__builtin_expect(
            _mm256_movemask_ps(_mm256_or_ps(_mm256_or_ps(left0, left1), _mm256_or_ps(left2, left3))) == 0, 1))
        return 0;
#define STORE(i)                                                                                             \
    _mm256_storeu_ps(out + (i)*GROUP, r##i);                                                                 \
    _mm256_storeu_ps(out + (i)*GROUP + 8, s##i);                                                             \
    _mm256_storeu_ps(out + (i)*GROUP + 16, t##i);
    EACH_ROW(STORE)
#undef STORE
#define BIT(i) | (uint32_t)(_mm256_movemask_ps(left##i) != 0) << (i)
    return 0 EACH_ROW(BIT);
#undef BIT
}
#undef EACH_ROW

static const micro_shape shape_avx2 = {STRIP, GROUP, micro_avx2};

/* Eight rows by 48 columns: 24 accumulators, three vectors of columns, one of a row. */
enum { WIDE_STRIP = 8, WIDE_GROUP = 48 };
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)

TRM_TARGET_AVX512 static uint32_t micro_avx512(const float *a, const float *b, int dims, edges e, float *out)
{
#define START(i) __m512 r##i = _mm512_setzero_ps(), s##i = r##i, t##i = r##i;
    EACH_ROW(START)
#undef START
#define ROW(i)                                                                                               \
    x = _mm512_set1_ps(a[i]);                                                                                \
    r##i = _mm512_fmadd_ps(x, y0, r##i);                                                                     \
    s##i = _mm512_fmadd_ps(x, y1, s##i);                                                                     \
    t##i = _mm512_fmadd_ps(x, y2, t##i);
    for (int k = 0; k < dims; k++) {
        const __m512 y0 = _mm512_loadu_ps(b), y1 = _mm512_loadu_ps(b + 16), y2 = _mm512_loadu_ps(b + 32);
        __m512 x;
        EACH_ROW(ROW)
        a += WIDE_GROUP;
        b += WIDE_GROUP;
    }
#undef ROW
#define VECTOR(i, j, v)                                                                                      \
    (unsigned)_mm512_cmp_ps_mask(v,                                                                          \
                                 _mm512_min_ps(_mm512_add_ps(near, _mm512_loadu_ps(e.col_term + (j))),       \
                                               _mm512_add_ps(term, _mm512_loadu_ps(e.col_near + (j)))),      \
                                 _CMP_NLE_UQ)
#define TEST(i)                                                                                              \
    unsigned left##i;                                                                                        \
    {                                                                                                        \
        const __m512 near = _mm512_set1_ps(e.row_near[i]), term = _mm512_set1_ps(e.row_term[i]);             \
        left##i = VECTOR(i, 0, r##i) | VECTOR(i, 16, s##i) | VECTOR(i, 32, t##i);                            \
    }
    EACH_ROW(TEST)
#undef TEST
#undef VECTOR
#define ALSO(i) | left##i
    if (__builtin_expect((0 EACH_ROW(ALSO)) == 0, 1))
        return 0;
#undef ALSO
#define STORE(i)                                                                                             \
    _mm512_storeu_ps(out + (i)*WIDE_GROUP, r##i);                                                            \
    _mm512_storeu_ps(out + (i)*WIDE_GROUP + 16, s##i);                                                       \
    _mm512_storeu_ps(out + (i)*WIDE_GROUP + 32, t##i);
    EACH_ROW(STORE)
#undef STORE
#define BIT(i) | (uint32_t)(left##i != 0) << (i)
    return 0 EACH_ROW(BIT);
#undef BIT
}
#undef EACH_ROW

static const micro_shape shape_avx512 = {WIDE_STRIP, WIDE_GROUP, micro_avx512};
#endif

/* For this CPU. Blocks that were packed for another are of no use. */
static const micro_shape *shape_get(void)
{
#if TRM_HAVE_X86
    const trm_isa isa = trm_isa_get();
    if (isa == TRM_ISA_AVX512)
        return &shape_avx512;
    if (isa == TRM_ISA_AVX2)
        return &shape_avx2;
#endif
    return &shape_portable;
}

int64_t trm_fp32_packed_floats(int64_t rows, int dims)
{
    return trm_tile_round_up(rows) * dims;
}

void trm_fp32_pack(const float *mapped, int stride, int64_t row, int dims, int first, int width,
                   float *packed)
{
    const int group = shape_get()->group;
    for (int i = 0; i < TRM_TILE_ALIGN; i += group) {
        float *to = packed + (row + i) * dims + (int64_t)first * group;
        for (int k = 0; k < width; k++)
            for (int j = 0; j < group; j++)
                to[k * group + j] = mapped[(i + j) * stride + k];
    }
}

/* Does a column of [col, col_end) fit a row of the strip? */
static bool is_fit(const trm_tile *tile, int64_t row, int rows, int64_t col, int64_t col_end)
{
    const trm_fit *fit = tile->fit + (row - tile->row);
    for (int i = 0; i < rows; i++)
        for (int part = 0; part < 2; part++)
            if (fit[i].first[part] < col_end && fit[i].last[part] > col &&
                fit[i].first[part] < fit[i].last[part])
                return true;
    return false;
}

static int least(int64_t a, int64_t b)
{
    return (int)(a < b ? a : b);
}

/* A column group against all strips. */
static void run_group(const micro_shape *shape, const trm_tile *tile, int dims, int64_t col, trm_scan *scan,
                      bool near_only, trm_workspace *work)
{
    const int group = shape->group, cols = least(tile->col + tile->cols - col, group);
    const int64_t row_end = tile->row + tile->rows;
    const float *b = tile->b->packed + col * dims;
    _Alignas(64) float out[LARGEST];
    for (int64_t row = tile->row; row < row_end; row += shape->strip) {
        const int count = least(row_end - row, shape->strip);
        if (tile->fit != NULL && !is_fit(tile, row, count, col, col + cols))
            continue;
        const float *a = tile->a->packed + row / group * group * dims + row % group;
        const edges e = {tile->a_bounds->near + (row - tile->a_bounds->first), tile->a->near_term + row,
                         tile->b_bounds->near + (col - tile->b_bounds->first), tile->b->near_term + col};
        uint32_t rows = shape->multiply(a, b, dims, e, out) & ((1U << count) - 1U);
        for (; rows != 0; rows &= rows - 1) {
            const int i = __builtin_ctz(rows);
            scan(tile, out + i * group, group, row + i, 1, col, cols, near_only, work);
        }
    }
}

void trm_fp32_run(const trm_tile *tile, int dims, bool near_only, trm_workspace *work)
{
    const micro_shape *const shape = shape_get();
    trm_scan *const scan = trm_scan_get();
    for (int64_t col = tile->col; col < tile->col + tile->cols; col += shape->group)
        run_group(shape, tile, dims, col, scan, near_only, work);
}

static bool available(void)
{
    return true;
}

static void tile_fp32(const trm_tile *tile, trm_workspace *work)
{
    const int64_t from = work->count;
    trm_fp32_run(tile, tile->a->map.dim, false, work);
    trm_scan_finish(tile, work, from);
}

const trm_kernel trm_kernel_fp32 = {.name = "fp32",
                                    .available = available,
                                    .packed_floats = trm_fp32_packed_floats,
                                    .pack = trm_fp32_pack,
                                    .radius = trm_float_dot_radius,
                                    .tile = tile_fp32};
