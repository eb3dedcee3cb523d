/* Kernel "fp32": our own packed micro-kernel. Windows are tested on the accumulators; nothing is stored
 * unless a pair survives, so a tile has no output at all in the common case.
 *
 * Layout: groups of as many rows as a micro-kernel has columns, k-major: packed[group][k][24 or 48]. As columns a
 * group is that many neighbouring floats for each k; as rows a strip of a group is broadcast from there. One layout
 * serves both sides, and a micro-tile reads both streams forwards. Order: a column group against all strips of the
 * tile, so that the group stays in the first cache, or close to it. */
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

/* Multiplies a strip of rows (a: its first float of k = 0) with a group of columns. May any pair be near enough? If so,
 * all products are in out, a row of the group's size each. */
typedef bool micro_kernel(const float *a, const float *b, int dims, edges e, float *out);

/* What runs a tile on a CPU: the driver below with a micro-kernel in it. */
typedef void runner(const trm_tile *tile, int dims, bool near_only, trm_workspace *work);

enum { STRIP = 4, GROUP = 24, WIDE_STRIP = 8, WIDE_GROUP = 48 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
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

/* Part i of parts of the next column group, which is likely to be asked for: without this the first strip of every
 * group waits for memory. */
INLINE void fetch_part(const trm_tile *tile, int64_t next, int dims, int group, int64_t i, int64_t parts)
{
    enum { LINE = 64 / sizeof(float) };
    if (next + group > tile->b->capacity)
        return;
    const int64_t floats = (int64_t)group * dims, each = (floats / parts + LINE) / LINE * LINE;
    const float *panel = tile->b->packed + next * dims;
    for (int64_t k = i * each; k < (i + 1) * each && k < floats; k += LINE)
        __builtin_prefetch(panel + k, 0, 2);
}

/* A column group against all strips of the tile. */
INLINE void run_group(const trm_tile *tile, int dims, int64_t col, int strip, int group, micro_kernel *micro,
                      trm_scan *scan, bool near_only, trm_workspace *work)
{
    _Alignas(64) float out[WIDE_STRIP * WIDE_GROUP];
    const int64_t row_end = tile->row + tile->rows, parts = (tile->rows + strip - 1) / strip;
    const int cols = (int)least(tile->col + tile->cols - col, group);
    const float *a = tile->a->packed + tile->row * dims, *b = tile->b->packed + col * dims;
    for (int64_t row = tile->row, within = 0, i = 0; row < row_end; row += strip, i++) {
        const int rows = (int)least(row_end - row, strip);
        fetch_part(tile, col + group, dims, group, i, parts);
        if (tile->fit == NULL || is_fit(tile, row, rows, col, col + cols)) {
            const edges e = {tile->a_bounds->near + (row - tile->a_bounds->first), tile->a->near_term + row,
                             tile->b_bounds->near + (col - tile->b_bounds->first), tile->b->near_term + col};
            if (micro(a + within, b, dims, e, out))
                scan(tile, out, group, row, rows, col, cols, near_only, work);
        }
        within += strip;
        if (within == group) {
            within = 0;
            a += (int64_t)group * dims;
        }
    }
}

INLINE void run(const trm_tile *tile, int dims, int strip, int group, micro_kernel *micro, bool near_only,
                trm_workspace *work)
{
    trm_scan *const scan = trm_scan_get();
    for (int64_t col = tile->col; col < tile->col + tile->cols; col += group)
        run_group(tile, dims, col, strip, group, micro, scan, near_only, work);
}

/* Four floats, as all of today's CPUs have registers for. */
typedef float four __attribute__((vector_size(16)));
typedef int32_t four_bits __attribute__((vector_size(16)));
typedef float four_floats __attribute__((vector_size(16), aligned(4), may_alias));

/* Columns at a time: as many accumulators as there are registers, less a few. */
#if defined(__aarch64__) || defined(__powerpc64__)
enum { PART = 24 };
#else
enum { PART = 8 };
#endif
enum { FOURS = PART / 4 };

/* Loops over accumulators have to be unrolled, or these are no registers. */
#ifdef __clang__
#define EACH(i, count) _Pragma("unroll") for (int i = 0; i < (count); i++)
#else
#define EACH(i, count) _Pragma("GCC unroll 8") for (int i = 0; i < (count); i++)
#endif

INLINE four load(const float *from)
{
    return *(const four_floats *)from;
}

/* A strip with PART columns of a group. */
INLINE four_bits part_portable(const float *a, const float *b, int dims, edges e, four sum[STRIP][FOURS])
{
    for (int k = 0; k < dims; k++, a += GROUP, b += GROUP) {
        const four row = load(a);
        EACH (i, STRIP) {
            EACH (j, FOURS)
                sum[i][j] += row[i] * load(b + 4 * j);
        }
    }
    four_bits left = {0};
    EACH (j, FOURS) {
        const four near = load(e.col_near + 4 * j), term = load(e.col_term + 4 * j);
        EACH (i, STRIP)
            left |= ~((sum[i][j] <= e.row_near[i] + term) & (sum[i][j] <= near + e.row_term[i]));
    }
    return left;
}

INLINE bool micro_portable(const float *a, const float *b, int dims, edges e, float *out)
{
    four sum[GROUP / PART][STRIP][FOURS] = {0};
    four_bits left = {0};
    EACH (p, GROUP / PART) {
        left |= part_portable(a, b + p * PART, dims, e, sum[p]);
        e.col_near += PART;
        e.col_term += PART;
    }
    if (__builtin_expect((left[0] | left[1] | left[2] | left[3]) == 0, 1))
        return false;
    for (int i = 0; i < STRIP; i++)
        for (int p = 0; p < GROUP / PART; p++)
            memcpy(out + i * GROUP + p * PART, sum[p][i], sizeof sum[p][i]);
    return true;
}

static void run_portable(const trm_tile *tile, int dims, bool near_only, trm_workspace *work)
{
    run(tile, dims, STRIP, GROUP, micro_portable, near_only, work);
}

#if TRM_HAVE_X86
/* Four rows by 24 columns: twelve accumulators, three vectors of columns, one of a row: all sixteen registers. */
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3)
#define START(i) __m256 r##i = _mm256_setzero_ps(), s##i = r##i, t##i = r##i;
#define ADD(i)                                                                                               \
    x = _mm256_broadcast_ss(a + (i));                                                                        \
    r##i = _mm256_fmadd_ps(x, y0, r##i);                                                                     \
    s##i = _mm256_fmadd_ps(x, y1, s##i);                                                                     \
    t##i = _mm256_fmadd_ps(x, y2, t##i);
#define TEST_ROW(i, v)                                                                                       \
    left = _mm256_or_ps(                                                                                     \
        left, _mm256_cmp_ps(v##i,                                                                            \
                            _mm256_min_ps(_mm256_add_ps(_mm256_broadcast_ss(e.row_near + (i)), term),        \
                                          _mm256_add_ps(_mm256_broadcast_ss(e.row_term + (i)), near)),       \
                            _CMP_NLE_UQ));
#define TEST(v, j)                                                                                           \
    {                                                                                                        \
        const __m256 near = _mm256_loadu_ps(e.col_near + (j)), term = _mm256_loadu_ps(e.col_term + (j));     \
        TEST_ROW(0, v) TEST_ROW(1, v) TEST_ROW(2, v) TEST_ROW(3, v)                                          \
    }
#define STORE(i)                                                                                             \
    _mm256_storeu_ps(out + (i)*GROUP, r##i);                                                                 \
    _mm256_storeu_ps(out + (i)*GROUP + 8, s##i);                                                             \
    _mm256_storeu_ps(out + (i)*GROUP + 16, t##i);

TRM_TARGET_AVX2 INLINE bool micro_avx2(const float *a, const float *b, int dims, edges e, float *out)
{
    EACH_ROW(START)
    for (int k = 0; k < dims; k++, a += GROUP, b += GROUP) {
        const __m256 y0 = _mm256_loadu_ps(b), y1 = _mm256_loadu_ps(b + 8), y2 = _mm256_loadu_ps(b + 16);
        __m256 x;
        EACH_ROW(ADD)
    }
    __m256 left = _mm256_setzero_ps();
    TEST(r, 0);
    TEST(s, 8);
    TEST(t, 16);
    if (__builtin_expect(_mm256_movemask_ps(left) == 0, 1))
        return false;
    EACH_ROW(STORE)
    return true;
}
#undef EACH_ROW
#undef START
#undef ADD
#undef TEST_ROW
#undef TEST
#undef STORE

TRM_TARGET_AVX2 static void run_avx2(const trm_tile *tile, int dims, bool near_only, trm_workspace *work)
{
    run(tile, dims, STRIP, GROUP, micro_avx2, near_only, work);
}

/* Eight rows by 48 columns: 24 accumulators, three vectors of columns; a row's value is broadcast from memory. */
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define START(i) __m512 r##i = _mm512_setzero_ps(), s##i = r##i, t##i = r##i;
#define ADD(i)                                                                                               \
    x = _mm512_set1_ps(a[i]);                                                                                \
    r##i = _mm512_fmadd_ps(x, y0, r##i);                                                                     \
    s##i = _mm512_fmadd_ps(x, y1, s##i);                                                                     \
    t##i = _mm512_fmadd_ps(x, y2, t##i);
#define TEST_ROW(i, v)                                                                                       \
    left |= (unsigned)_mm512_cmp_ps_mask(v##i,                                                               \
                                         _mm512_min_ps(_mm512_add_ps(_mm512_set1_ps(e.row_near[i]), term),   \
                                                       _mm512_add_ps(_mm512_set1_ps(e.row_term[i]), near)),  \
                                         _CMP_NLE_UQ);
#define TEST(v, j)                                                                                           \
    {                                                                                                        \
        const __m512 near = _mm512_loadu_ps(e.col_near + (j)), term = _mm512_loadu_ps(e.col_term + (j));     \
        TEST_ROW(0, v)                                                                                       \
        TEST_ROW(1, v)                                                                                       \
        TEST_ROW(2, v) TEST_ROW(3, v) TEST_ROW(4, v) TEST_ROW(5, v) TEST_ROW(6, v) TEST_ROW(7, v)            \
    }
#define STORE(i)                                                                                             \
    _mm512_storeu_ps(out + (i)*WIDE_GROUP, r##i);                                                            \
    _mm512_storeu_ps(out + (i)*WIDE_GROUP + 16, s##i);                                                       \
    _mm512_storeu_ps(out + (i)*WIDE_GROUP + 32, t##i);

TRM_TARGET_AVX512 INLINE bool micro_avx512(const float *a, const float *b, int dims, edges e, float *out)
{
    EACH_ROW(START)
    for (int k = 0; k < dims; k++, a += WIDE_GROUP, b += WIDE_GROUP) {
        const __m512 y0 = _mm512_loadu_ps(b), y1 = _mm512_loadu_ps(b + 16), y2 = _mm512_loadu_ps(b + 32);
        __m512 x;
        EACH_ROW(ADD)
    }
    unsigned left = 0;
    TEST(r, 0);
    TEST(s, 16);
    TEST(t, 32);
    if (__builtin_expect(left == 0, 1))
        return false;
    EACH_ROW(STORE)
    return true;
}
#undef EACH_ROW
#undef START
#undef ADD
#undef TEST_ROW
#undef TEST
#undef STORE

TRM_TARGET_AVX512 static void run_avx512(const trm_tile *tile, int dims, bool near_only, trm_workspace *work)
{
    run(tile, dims, WIDE_STRIP, WIDE_GROUP, micro_avx512, near_only, work);
}
#endif

static runner *runner_get(void)
{
#if TRM_HAVE_X86
    const trm_isa isa = trm_isa_get();
    if (isa == TRM_ISA_AVX512)
        return run_avx512;
    if (isa >= TRM_ISA_AVX2)
        return run_avx2;
#endif
    return run_portable;
}

/* Rows of a group on this CPU: a block that was packed for another is of no use. */
static int group_of_cpu(void)
{
    return trm_isa_get() == TRM_ISA_AVX512 ? WIDE_GROUP : GROUP;
}

void trm_fp32_pack(const float *mapped, int stride, int64_t row, int dims, int first, int width,
                   float *packed)
{
    const int group = group_of_cpu();
    for (int i = 0; i < TRM_TILE_ALIGN; i += group) {
        float *to = packed + (row + i) * dims + (int64_t)first * group;
        for (int k = 0; k < width; k++)
            for (int j = 0; j < group; j++)
                to[k * group + j] = mapped[(i + j) * stride + k];
    }
}

void trm_fp32_run(const trm_tile *tile, int dims, bool near_only, trm_workspace *work)
{
    runner_get()(tile, dims, near_only, work);
}

static void tile_fp32(const trm_tile *tile, trm_workspace *work)
{
    const int64_t from = work->count;
    trm_fp32_run(tile, tile->a->map.dim, false, work);
    trm_scan_finish(tile, work, from);
}

const trm_kernel trm_kernel_fp32 = {
    .name = "fp32", .pack = trm_fp32_pack, .radius = trm_float_dot_radius, .tile = tile_fp32};
