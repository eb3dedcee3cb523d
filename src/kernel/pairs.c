/* A pair's product, of codes or in float32, and both windows.
 *
 * The terms of the blocks and the windows are as wide as the products of a tile need. A pair's product is better: row
 * i's part of its error is smaller by slack_i or more, so every bound moves inward by slack_i + slack_j. (That of codes may be
 * worse: then slack_i is negative.) The sums here are of float32 values in float64: they are off by 2^-51 of the terms, of
 * which lower() and upper() in kernel.c leave 2^-24. Compares are "not ruled out", so that a NaN keeps the pair. */
#include "kernel/pairs.h"

#include "kernel/codes.h"
#include "kernel/scan.h"
#include "metric/isa.h"

#if TRM_HAVE_X86
#include <immintrin.h>
#endif

typedef float float_dot(const float *x, const float *y, int dim);

static float dot_portable(const float *x, const float *y, int dim)
{
    enum { LANES = 8 };
    float sum[LANES] = {0}, all = 0.0F;
    int k = 0;
    for (; k + LANES <= dim; k += LANES)
        for (int j = 0; j < LANES; j++)
            sum[j] += x[k + j] * y[k + j];
    for (int j = 0; k < dim; k++, j++)
        sum[j] += x[k] * y[k];
    for (int j = 0; j < LANES; j++)
        all += sum[j];
    return all;
}

#if TRM_HAVE_X86
/* Four sums at a time, for the latency of a multiply-add. */
TRM_TARGET_AVX2 static float dot_avx2(const float *x, const float *y, int dim)
{
    __m256 s[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
    int k = 0;
    for (; k + 32 <= dim; k += 32)
        for (int j = 0; j < 4; j++)
            s[j] = _mm256_fmadd_ps(_mm256_loadu_ps(x + k + 8 * j), _mm256_loadu_ps(y + k + 8 * j), s[j]);
    for (; k + 8 <= dim; k += 8)
        s[0] = _mm256_fmadd_ps(_mm256_loadu_ps(x + k), _mm256_loadu_ps(y + k), s[0]);
    s[0] = _mm256_add_ps(_mm256_add_ps(s[0], s[1]), _mm256_add_ps(s[2], s[3]));
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(s[0]), _mm256_extractf128_ps(s[0], 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    h = _mm_add_ss(h, _mm_movehdup_ps(h));
    float sum = _mm_cvtss_f32(h);
    for (; k < dim; k++)
        sum += x[k] * y[k];
    return sum;
}

TRM_TARGET_AVX512 static float dot_avx512(const float *x, const float *y, int dim)
{
    __m512 s[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    int k = 0;
    for (; k + 64 <= dim; k += 64)
        for (int j = 0; j < 4; j++)
            s[j] = _mm512_fmadd_ps(_mm512_loadu_ps(x + k + 16 * j), _mm512_loadu_ps(y + k + 16 * j), s[j]);
    for (; k + 16 <= dim; k += 16)
        s[0] = _mm512_fmadd_ps(_mm512_loadu_ps(x + k), _mm512_loadu_ps(y + k), s[0]);
    const __mmask16 rest = (__mmask16)((1U << (dim - k)) - 1U);
    s[1] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(rest, x + k), _mm512_maskz_loadu_ps(rest, y + k), s[1]);
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3])));
}
#endif

static float_dot *dot_get(void)
{
#if TRM_HAVE_X86
    const trm_isa isa = trm_isa_get();
    if (isa == TRM_ISA_AVX512)
        return dot_avx512;
    if (isa >= TRM_ISA_AVX2)
        return dot_avx2;
#endif
    return dot_portable;
}

/* Can a pair not be ruled out? g: its product; inward: by how much both its bounds move. Sets the bounds of -v. Without jumps, which
 * nobody could foretell. */
static inline int test(const trm_tile *tile, trm_survivor *s, double g, double inward)
{
    const trm_block *a = tile->a, *b = tile->b;
    const int64_t row = s->row - tile->a_bounds->first, col = s->col - tile->b_bounds->first;
    const double near_row = (double)a->near_term[s->row], near_col = (double)b->near_term[s->col],
                 far_row = (double)a->far_term[s->row], far_col = (double)b->far_term[s->col];
    const int by_row = !(g <= (double)tile->a_bounds->near[row] + near_col + inward) &
                       !(g >= (double)tile->a_bounds->far[row] + far_col - inward),
              by_col = !(g <= (double)tile->b_bounds->near[col] + near_row + inward) &
                       !(g >= (double)tile->b_bounds->far[col] + far_row - inward);
    s->lo = (float)(near_row + near_col + inward - g);
    s->hi = (float)(far_row + far_col - inward - g);
    return by_row | by_col;
}

void trm_pairs_fp32(const trm_tile *tile, trm_workspace *work, int64_t from)
{
    const trm_block *a = tile->a, *b = tile->b;
    const int64_t dim = a->map.dim;
    float_dot *const dot = dot_get();
    int64_t kept = from;
    for (int64_t k = from; k < work->count; k++) {
        trm_survivor s = work->survivors[k];
        if (k + TRM_FETCH_AHEAD < work->count) {
            trm_row_fetch(a->mapped + work->survivors[k + TRM_FETCH_AHEAD].row * dim, dim);
            trm_row_fetch(b->mapped + work->survivors[k + TRM_FETCH_AHEAD].col * dim, dim);
        }
        const double g = (double)dot(a->mapped + s.row * dim, b->mapped + s.col * dim, (int)dim);
        const int keeps = test(tile, &s, g, (double)a->slack[s.row] + (double)b->slack[s.col]);
        work->survivors[kept] = s;
        kept += keeps;
    }
    work->count = kept;
    trm_scan_finish(tile, work, from);
}

void trm_pairs_codes(const trm_tile *tile, trm_workspace *work, int64_t from)
{
    const trm_block *a = tile->a, *b = tile->b;
    const int64_t stride = trm_codes_stride(a->map.dim), floats = stride / (int64_t)sizeof(float);
    trm_codes_product *const product = trm_codes_product_get();
    int64_t kept = from;
    for (int64_t k = from; k < work->count; k++) {
        trm_survivor s = work->survivors[k];
        if (k + TRM_FETCH_AHEAD < work->count) {
            trm_row_fetch(a->codes + work->survivors[k + TRM_FETCH_AHEAD].row * floats, floats);
            trm_row_fetch(b->codes + work->survivors[k + TRM_FETCH_AHEAD].col * floats, floats);
        }
        const uint8_t *x = trm_codes_row(a, s.row), *y = trm_codes_row(b, s.col);
        const trm_coded of_x = trm_coded_of(x), of_y = trm_coded_of(y);
        const double g = (double)of_x.scale * (double)of_y.scale * (double)product(x, y, stride);
        const int keeps = test(tile, &s, g, (double)of_x.slack + (double)of_y.slack);
        work->survivors[kept] = s;
        kept += keeps;
    }
    work->count = kept;
}
