/* The canonical dot, one pair at a time and blocked; and the sum of squared differences.
 *
 * Lane l of a register of eight doubles is accumulator l of the definition, so every form adds the same exact
 * products in the same order. A tail that is filled with zeros adds +0 to accumulators that are never -0
 * (they start at +0, and in round to nearest x + y is -0 only when both are), so it changes no bit.
 *
 * A squared difference of two float32 is not exact in float64, as a product of two is. A fused multiply-add
 * would round once where the definition rounds twice, and give other bits on CPUs that have it. So nothing
 * here may be fused: the intrinsics are separate, and all is compiled with -ffp-contract=off (gcc would fuse
 * even intrinsics, and everything on aarch64, where the instruction is always there). */
#include "metric/isa.h"
#include "metric/metric.h"

#if TRM_HAVE_X86
#include <immintrin.h>
#endif

#ifdef __FAST_MATH__
#error "canonical distances need the arithmetic as it is written: build without -ffast-math"
#endif

#define INLINE static inline __attribute__((always_inline))

INLINE double reduce(const double s[8])
{
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

INLINE double dot_body(const float *x, const float *y, int dim)
{
    double s[8] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    int k = 0;
    for (; k + 8 <= dim; k += 8)
        for (int l = 0; l < 8; l++)
            s[l] += (double)x[k + l] * (double)y[k + l];
    for (int l = 0; k + l < dim; l++)
        s[l] += (double)x[k + l] * (double)y[k + l];
    return reduce(s);
}

static double dot_portable(const float *x, const float *y, int dim)
{
    return dot_body(x, y, dim);
}

static double difference_portable(const float *x, const float *y, int dim)
{
    double s[8] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    for (int k = 0; k < dim; k += 8)
        for (int l = 0; l < 8 && k + l < dim; l++) {
            const double difference = (double)x[k + l] - (double)y[k + l];
            s[l] += difference * difference;
        }
    return reduce(s);
}

static void dot_tile_portable(const float *a, int rows, const float *b, int cols, int dim, double *out,
                              int64_t stride)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++)
            out[i * stride + j] = dot_body(a + (int64_t)i * dim, b + (int64_t)j * dim, dim);
}

#if TRM_HAVE_X86
/* s0+s1 | s2+s3 of the low half l and s4+s5 | s6+s7 of the high half h. */
TRM_TARGET_AVX2 INLINE double reduce_avx2(__m256d l, __m256d h)
{
    const __m256d pairs = _mm256_hadd_pd(l, h); /* s01 s45 s23 s67 */
    const __m128d quads = _mm_add_pd(_mm256_castpd256_pd128(pairs), _mm256_extractf128_pd(pairs, 1));
    return _mm_cvtsd_f64(quads) + _mm_cvtsd_f64(_mm_unpackhi_pd(quads, quads));
}

/* The last dim mod 8 elements, zero-filled. */
TRM_TARGET_AVX2 INLINE __m256 tail_avx2(const float *x, __m256i mask)
{
    return _mm256_maskload_ps(x, mask);
}

TRM_TARGET_AVX2 INLINE __m256i tail_mask(int count)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

TRM_TARGET_AVX2 INLINE __m256d low_avx2(__m256 x)
{
    return _mm256_cvtps_pd(_mm256_castps256_ps128(x));
}

TRM_TARGET_AVX2 INLINE __m256d high_avx2(__m256 x)
{
    return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
}

TRM_TARGET_AVX2 static double dot_avx2(const float *x, const float *y, int dim)
{
    __m256d l = _mm256_setzero_pd(), h = _mm256_setzero_pd();
    int k = 0;
    for (; k + 8 <= dim; k += 8) {
        l = _mm256_fmadd_pd(_mm256_cvtps_pd(_mm_loadu_ps(x + k)), _mm256_cvtps_pd(_mm_loadu_ps(y + k)), l);
        h = _mm256_fmadd_pd(_mm256_cvtps_pd(_mm_loadu_ps(x + k + 4)),
                            _mm256_cvtps_pd(_mm_loadu_ps(y + k + 4)), h);
    }
    if (k < dim) {
        const __m256i mask = tail_mask(dim - k);
        const __m256 xt = tail_avx2(x + k, mask), yt = tail_avx2(y + k, mask);
        l = _mm256_fmadd_pd(low_avx2(xt), low_avx2(yt), l);
        h = _mm256_fmadd_pd(high_avx2(xt), high_avx2(yt), h);
    }
    return reduce_avx2(l, h);
}

/* s + (x - y)^2, each step rounded. */
TRM_TARGET_AVX2 INLINE __m256d add_square_avx2(__m256d s, __m256d x, __m256d y)
{
    const __m256d difference = _mm256_sub_pd(x, y);
    return _mm256_add_pd(s, _mm256_mul_pd(difference, difference));
}

TRM_TARGET_AVX2 static double difference_avx2(const float *x, const float *y, int dim)
{
    __m256d l = _mm256_setzero_pd(), h = _mm256_setzero_pd();
    int k = 0;
    for (; k + 8 <= dim; k += 8) {
        l = add_square_avx2(l, _mm256_cvtps_pd(_mm_loadu_ps(x + k)), _mm256_cvtps_pd(_mm_loadu_ps(y + k)));
        h = add_square_avx2(h, _mm256_cvtps_pd(_mm_loadu_ps(x + k + 4)),
                            _mm256_cvtps_pd(_mm_loadu_ps(y + k + 4)));
    }
    if (k < dim) {
        const __m256i mask = tail_mask(dim - k);
        const __m256 xt = tail_avx2(x + k, mask), yt = tail_avx2(y + k, mask);
        l = add_square_avx2(l, low_avx2(xt), low_avx2(yt));
        h = add_square_avx2(h, high_avx2(xt), high_avx2(yt));
    }
    return reduce_avx2(l, h);
}

/* A row as float64, zero-filled to a multiple of eight: converted once, not once for every pair. */
TRM_TARGET_AVX2 INLINE void widen_avx2(const float *x, int dim, double *wide)
{
    int k = 0;
    for (; k + 8 <= dim; k += 8) {
        _mm256_store_pd(wide + k, _mm256_cvtps_pd(_mm_loadu_ps(x + k)));
        _mm256_store_pd(wide + k + 4, _mm256_cvtps_pd(_mm_loadu_ps(x + k + 4)));
    }
    if (k < dim) {
        const __m256 tail = tail_avx2(x + k, tail_mask(dim - k));
        _mm256_store_pd(wide + k, low_avx2(tail));
        _mm256_store_pd(wide + k + 4, high_avx2(tail));
    }
}

enum { BLOCK_ROWS_AVX2 = 2, BLOCK_COLS_AVX2 = 3 };

/* Two rows by three columns: twelve accumulators, and a row's eight numbers twice, are all the registers; the
 * columns' come from memory. */
TRM_TARGET_AVX2 INLINE void block_avx2(const double *a, const double *b, int width, double out[6])
{
#define EACH_PAIR(DO) DO(0, 0) DO(0, 1) DO(0, 2) DO(1, 0) DO(1, 1) DO(1, 2)
#define START(r, c) __m256d l##r##c = _mm256_setzero_pd(), h##r##c = l##r##c;
    EACH_PAIR(START)
#undef START
    for (int k = 0; k < width; k += 8) {
        const __m256d al0 = _mm256_load_pd(a + k), al1 = _mm256_load_pd(a + width + k);
        const __m256d ah0 = _mm256_load_pd(a + k + 4), ah1 = _mm256_load_pd(a + width + k + 4);
#define STEP(r, c)                                                                                           \
    l##r##c = _mm256_fmadd_pd(al##r, _mm256_load_pd(b + (c)*width + k), l##r##c);                            \
    h##r##c = _mm256_fmadd_pd(ah##r, _mm256_load_pd(b + (c)*width + k + 4), h##r##c);
        EACH_PAIR(STEP)
#undef STEP
    }
#define END(r, c) out[3 * (r) + (c)] = reduce_avx2(l##r##c, h##r##c);
    EACH_PAIR(END)
#undef END
#undef EACH_PAIR
}

/* Rows with so many columns as there is room for at once. */
TRM_TARGET_AVX2 static void dot_panel_avx2(const float *a, int rows, const float *b, int cols, int dim,
                                           double *wide, double *out, int64_t stride)
{
    const int width = (dim + 7) / 8 * 8;
    double *const columns = wide + BLOCK_ROWS_AVX2 * width;
    for (int j = 0; j < cols || j % BLOCK_COLS_AVX2 != 0; j++) /* past the edge: the last again, not stored */
        widen_avx2(b + (int64_t)(j < cols ? j : cols - 1) * dim, dim, columns + (int64_t)j * width);
    for (int i = 0; i < rows; i += BLOCK_ROWS_AVX2) {
        const int height = rows - i < BLOCK_ROWS_AVX2 ? rows - i : BLOCK_ROWS_AVX2;
        for (int r = 0; r < BLOCK_ROWS_AVX2; r++)
            widen_avx2(a + (int64_t)(i + (r < height ? r : height - 1)) * dim, dim, wide + r * width);
        for (int j = 0; j < cols; j += BLOCK_COLS_AVX2) {
            double block[BLOCK_ROWS_AVX2 * BLOCK_COLS_AVX2];
            const int left = cols - j < BLOCK_COLS_AVX2 ? cols - j : BLOCK_COLS_AVX2;
            block_avx2(wide, columns + (int64_t)j * width, width, block);
            for (int r = 0; r < height; r++)
                for (int c = 0; c < left; c++)
                    out[(i + r) * stride + j + c] = block[r * BLOCK_COLS_AVX2 + c];
        }
    }
}

/* In panels of columns, converted, that stay in the caches while all rows pass; rows too long for that one by one. */
TRM_TARGET_AVX2 static void dot_tile_avx2(const float *a, int rows, const float *b, int cols, int dim,
                                          double *out, int64_t stride)
{
    enum { PANEL = 1 << 13 };
    _Alignas(64) double wide[PANEL];
    const int width = (dim + 7) / 8 * 8, fit = PANEL / width - BLOCK_ROWS_AVX2,
              panel = fit / BLOCK_COLS_AVX2 * BLOCK_COLS_AVX2;
    for (int j = 0; panel > 0 && j < cols; j += panel)
        dot_panel_avx2(a, rows, b + (int64_t)j * dim, cols - j < panel ? cols - j : panel, dim, wide, out + j,
                       stride);
    for (int i = 0; panel <= 0 && i < rows; i++)
        for (int j = 0; j < cols; j++)
            out[i * stride + j] = dot_avx2(a + (int64_t)i * dim, b + (int64_t)j * dim, dim);
}

TRM_TARGET_AVX512 INLINE __m512d load_avx512(const float *x, __mmask8 mask)
{
    return _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, x));
}

TRM_TARGET_AVX512 static double dot_avx512(const float *x, const float *y, int dim)
{
    __m512d s = _mm512_setzero_pd();
    int k = 0;
    for (; k + 8 <= dim; k += 8)
        s = _mm512_fmadd_pd(_mm512_cvtps_pd(_mm256_loadu_ps(x + k)), _mm512_cvtps_pd(_mm256_loadu_ps(y + k)),
                            s);
    if (k < dim) {
        const __mmask8 mask = (__mmask8)((1U << (dim - k)) - 1U);
        s = _mm512_fmadd_pd(load_avx512(x + k, mask), load_avx512(y + k, mask), s);
    }
    return reduce_avx2(_mm512_castpd512_pd256(s), _mm512_extractf64x4_pd(s, 1));
}

/* s01 of u, s01 of v, s23 of u, s23 of v, ... */
TRM_TARGET_AVX512 INLINE __m512d pairs_avx512(__m512d u, __m512d v)
{
    return _mm512_add_pd(_mm512_unpacklo_pd(u, v), _mm512_unpackhi_pd(u, v));
}

/* Adds neighbouring 128-bit lanes: of u into the low half, of v into the high half. */
TRM_TARGET_AVX512 INLINE __m512d lanes_avx512(__m512d u, __m512d v)
{
    return _mm512_add_pd(_mm512_shuffle_f64x2(u, v, 0x88), _mm512_shuffle_f64x2(u, v, 0xdd));
}

/* The eight canonical sums of eight accumulator sets, in order. */
TRM_TARGET_AVX512 INLINE __m512d reduce8_avx512(__m512d v0, __m512d v1, __m512d v2, __m512d v3, __m512d v4,
                                                __m512d v5, __m512d v6, __m512d v7)
{
    return lanes_avx512(lanes_avx512(pairs_avx512(v0, v1), pairs_avx512(v2, v3)),
                        lanes_avx512(pairs_avx512(v4, v5), pairs_avx512(v6, v7)));
}

enum { BLOCK_ROWS = 6, BLOCK_COLS = 4 };

/* Six rows by four columns: 24 accumulators, which with a row of b's and one of a's are all the registers.
 * out holds two rows of four a register. */
TRM_TARGET_AVX512 INLINE void block_avx512(const float *const a[BLOCK_ROWS], const float *const b[BLOCK_COLS],
                                           int dim, __m512d out[BLOCK_ROWS / 2])
{
    const float *b0 = b[0], *b1 = b[1], *b2 = b[2], *b3 = b[3];
    __mmask8 mask = 0xff;
#define EACH_ROW(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5)
#define START(r)                                                                                             \
    const float *a##r = a[r];                                                                                \
    __m512d s##r##0 = _mm512_setzero_pd(), s##r##1 = s##r##0, s##r##2 = s##r##0, s##r##3 = s##r##0;
    EACH_ROW(START)
#undef START
#define WHOLE(p) _mm512_cvtps_pd(_mm256_loadu_ps(p))
#define PART(p) load_avx512(p, mask)
#define ROW(LOAD, r)                                                                                         \
    x = LOAD(a##r + k);                                                                                      \
    s##r##0 = _mm512_fmadd_pd(x, y0, s##r##0), s##r##1 = _mm512_fmadd_pd(x, y1, s##r##1);                    \
    s##r##2 = _mm512_fmadd_pd(x, y2, s##r##2), s##r##3 = _mm512_fmadd_pd(x, y3, s##r##3);
#define WHOLE_ROW(r) ROW(WHOLE, r)
#define PART_ROW(r) ROW(PART, r)
    int k = 0;
    __m512d x;
    for (; k + 8 <= dim; k += 8) {
        const __m512d y0 = WHOLE(b0 + k), y1 = WHOLE(b1 + k), y2 = WHOLE(b2 + k), y3 = WHOLE(b3 + k);
        EACH_ROW(WHOLE_ROW)
    }
    if (k < dim) {
        mask = (__mmask8)((1U << (dim - k)) - 1U);
        const __m512d y0 = PART(b0 + k), y1 = PART(b1 + k), y2 = PART(b2 + k), y3 = PART(b3 + k);
        EACH_ROW(PART_ROW)
    }
#undef PART_ROW
#undef WHOLE_ROW
#undef ROW
#undef PART
#undef WHOLE
#undef EACH_ROW
    out[0] = reduce8_avx512(s00, s01, s02, s03, s10, s11, s12, s13);
    out[1] = reduce8_avx512(s20, s21, s22, s23, s30, s31, s32, s33);
    out[2] = reduce8_avx512(s40, s41, s42, s43, s50, s51, s52, s53);
}

TRM_TARGET_AVX512 static void dot_panel_avx512(const float *a, int rows, const float *b, int cols, int dim,
                                               double *out, int64_t stride)
{
    for (int j = 0; j < cols; j += BLOCK_COLS) {
        const float *pb[BLOCK_COLS];
        const int width = cols - j < BLOCK_COLS ? cols - j : BLOCK_COLS;
        const __mmask8 mask = (__mmask8)((1U << width) - 1U);
        for (int c = 0; c < BLOCK_COLS; c++) /* past the edge: the last column again, not stored */
            pb[c] = b + (int64_t)(j + (c < width ? c : width - 1)) * dim;
        for (int i = 0; i < rows; i += BLOCK_ROWS) {
            const float *pa[BLOCK_ROWS];
            const int height = rows - i < BLOCK_ROWS ? rows - i : BLOCK_ROWS;
            for (int r = 0; r < BLOCK_ROWS; r++)
                pa[r] = a + (int64_t)(i + (r < height ? r : height - 1)) * dim;
            __m512d block[BLOCK_ROWS / 2];
            block_avx512(pa, pb, dim, block);
            for (int r = 0; r < height; r++) {
                const __m512d pair = block[r / 2];
                const __m256d line =
                    r % 2 == 0 ? _mm512_castpd512_pd256(pair) : _mm512_extractf64x4_pd(pair, 1);
                _mm256_mask_storeu_pd(out + (i + r) * stride + j, mask, line);
            }
        }
    }
}

/* In panels of rows that stay in the L2 cache while all columns pass. */
TRM_TARGET_AVX512 static void dot_tile_avx512(const float *a, int rows, const float *b, int cols, int dim,
                                              double *out, int64_t stride)
{
    enum { PANEL_FLOATS = 1 << 16 };
    const int fit = PANEL_FLOATS / dim / BLOCK_ROWS * BLOCK_ROWS, panel = fit > BLOCK_ROWS ? fit : BLOCK_ROWS;
    for (int i = 0; i < rows; i += panel)
        dot_panel_avx512(a + (int64_t)i * dim, rows - i < panel ? rows - i : panel, b, cols, dim,
                         out + i * stride, stride);
}
#endif

double trm_dot(const float *x, const float *y, int dim)
{
#if TRM_HAVE_X86
    const trm_isa isa = trm_isa_get();
    if (isa == TRM_ISA_AVX512)
        return dot_avx512(x, y, dim);
    if (isa >= TRM_ISA_AVX2)
        return dot_avx2(x, y, dim);
#endif
    return dot_portable(x, y, dim);
}

/* Few pairs come here, so AVX-512 has no form of its own. */
double trm_squared_difference(const float *x, const float *y, int dim)
{
#if TRM_HAVE_X86
    if (trm_isa_get() != TRM_ISA_PORTABLE)
        return difference_avx2(x, y, dim);
#endif
    return difference_portable(x, y, dim);
}

void trm_dot_tile(const float *a, int rows, const float *b, int cols, int dim, double *out, int64_t stride)
{
#if TRM_HAVE_X86
    const trm_isa isa = trm_isa_get();
    if (isa == TRM_ISA_AVX512) {
        dot_tile_avx512(a, rows, b, cols, dim, out, stride);
        return;
    }
    if (isa >= TRM_ISA_AVX2) {
        dot_tile_avx2(a, rows, b, cols, dim, out, stride);
        return;
    }
#endif
    dot_tile_portable(a, rows, b, cols, dim, out, stride);
}
