/* The window compare.
 *
 * First the near bound alone: a pair nearer than neither window's far end is nobody's, and that is almost
 * every pair. Only a run of columns in which something is left takes the full test. All compares are "not
 * ruled out" rather than "inside", so that a NaN, from a value or from a term that marks a row as not to be
 * trusted, keeps the pair. The min may return either operand when one is NaN: a row that is marked has NaN in
 * its near and its near_term, so that both operands are NaN for all its pairs. */
#include "kernel/scan.h"
#include "metric/isa.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

#if TRM_HAVE_X86
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
enum { RUN = TRM_SCAN_RUN };

/* The terms of one row and of a run of columns. */
typedef struct terms {
    float near, far, near_term, far_term;
} terms;

typedef struct column_terms {
    const float *near, *far, *near_term, *far_term;
} column_terms;

INLINE terms row_terms(const trm_tile *tile, int64_t row)
{
    const int64_t at = row - tile->a_bounds->first;
    return (terms){tile->a_bounds->near[at], tile->a_bounds->far[at], tile->a->near_term[row],
                   tile->a->far_term[row]};
}

INLINE column_terms terms_of_columns(const trm_tile *tile, int64_t col)
{
    const int64_t at = col - tile->b_bounds->first;
    return (column_terms){tile->b_bounds->near + at, tile->b_bounds->far + at, tile->b->near_term + col,
                          tile->b->far_term + col};
}

INLINE void emit(trm_workspace *work, int64_t row, int64_t col, float g, const terms *r, float near_term,
                 float far_term)
{
    trm_survivor *survivor = &work->survivors[work->count++];
    survivor->row = (int32_t)row;
    survivor->col = (int32_t)col;
    survivor->lo = (r->near_term + near_term) - g;
    survivor->hi = (r->far_term + far_term) - g;
}

/* The pairs of a run that may be near enough for either window; those that are in one. */
INLINE uint32_t near_mask_body(const float *g, terms r, column_terms c)
{
    uint32_t mask = 0;
    for (int j = 0; j < RUN; j++) {
        const float by_row = r.near + c.near_term[j], by_col = c.near[j] + r.near_term;
        mask |= (uint32_t) !(g[j] <= (by_row < by_col ? by_row : by_col)) << j;
    }
    return mask;
}

INLINE uint32_t full_mask_body(const float *g, terms r, column_terms c)
{
    uint32_t mask = 0;
    for (int j = 0; j < RUN; j++) {
        const int by_row = !(g[j] <= r.near + c.near_term[j]) & !(g[j] >= r.far + c.far_term[j]);
        const int by_col = !(g[j] <= c.near[j] + r.near_term) & !(g[j] >= c.far[j] + r.far_term);
        mask |= (uint32_t)(by_row | by_col) << j;
    }
    return mask;
}

/* Bits [0, count) of a run; none for less than 0, all for more than there are. */
static uint32_t first_bits(int64_t count)
{
    const int64_t bits = count < 0 ? 0 : count > RUN ? RUN : count;
    return (1U << bits) - 1U;
}

/* The columns of a run from col on that fit a row. */
static uint32_t fit_mask(const trm_fit *fit, int64_t col)
{
    uint32_t mask = 0;
    for (int part = 0; part < 2; part++)
        mask |= first_bits(fit->last[part] - col) & ~first_bits(fit->first[part] - col);
    return mask;
}

#define SCAN_BODY(NEAR_MASK, FULL_MASK)                                                                      \
    for (int i = 0; i < rows; i++) {                                                                         \
        const terms r = row_terms(tile, row + i);                                                            \
        for (int j = 0; j < cols; j += RUN) {                                                                \
            const float *run = g + i * stride + j;                                                           \
            const column_terms c = terms_of_columns(tile, col + j);                                          \
            uint32_t mask = NEAR_MASK(run, r, c);                                                            \
            if (mask == 0)                                                                                   \
                continue;                                                                                    \
            if (!near_only)                                                                                  \
                mask = FULL_MASK(run, r, c);                                                                 \
            mask &= first_bits(cols - j);                                                                    \
            if (tile->fit != NULL)                                                                           \
                mask &= fit_mask(tile->fit + (row + i - tile->row), col + j);                                \
            for (; mask != 0; mask &= mask - 1) {                                                            \
                const int k = __builtin_ctz(mask);                                                           \
                emit(work, row + i, col + j + k, run[k], &r, c.near_term[k], c.far_term[k]);                 \
            }                                                                                                \
        }                                                                                                    \
    }

static void scan_portable(const trm_tile *tile, const float *g, int64_t stride, int64_t row, int rows,
                          int64_t col, int cols, bool near_only,
                          trm_workspace *work){SCAN_BODY(near_mask_body, full_mask_body)}

#if TRM_HAVE_X86
TRM_TARGET_AVX2 INLINE uint32_t near_eight(const float *g, terms r, column_terms c, int j)
{
    const __m256 by_row = _mm256_add_ps(_mm256_set1_ps(r.near), _mm256_loadu_ps(c.near_term + j));
    const __m256 by_col = _mm256_add_ps(_mm256_set1_ps(r.near_term), _mm256_loadu_ps(c.near + j));
    return (uint32_t)_mm256_movemask_ps(
        _mm256_cmp_ps(_mm256_loadu_ps(g + j), _mm256_min_ps(by_row, by_col), _CMP_NLE_UQ));
}

TRM_TARGET_AVX2 INLINE uint32_t near_mask_avx2(const float *g, terms r, column_terms c)
{
    return near_eight(g, r, c, 0) | near_eight(g, r, c, 8) << 8 | near_eight(g, r, c, 16) << 16;
}

TRM_TARGET_AVX2 INLINE uint32_t full_eight(const float *g, terms r, column_terms c, int j)
{
    const __m256 v = _mm256_loadu_ps(g + j);
    const __m256 row_near = _mm256_add_ps(_mm256_set1_ps(r.near), _mm256_loadu_ps(c.near_term + j));
    const __m256 row_far = _mm256_add_ps(_mm256_set1_ps(r.far), _mm256_loadu_ps(c.far_term + j));
    const __m256 col_near = _mm256_add_ps(_mm256_set1_ps(r.near_term), _mm256_loadu_ps(c.near + j));
    const __m256 col_far = _mm256_add_ps(_mm256_set1_ps(r.far_term), _mm256_loadu_ps(c.far + j));
    const __m256 by_row =
        _mm256_and_ps(_mm256_cmp_ps(v, row_near, _CMP_NLE_UQ), _mm256_cmp_ps(v, row_far, _CMP_NGE_UQ));
    const __m256 by_col =
        _mm256_and_ps(_mm256_cmp_ps(v, col_near, _CMP_NLE_UQ), _mm256_cmp_ps(v, col_far, _CMP_NGE_UQ));
    return (uint32_t)_mm256_movemask_ps(_mm256_or_ps(by_row, by_col));
}

TRM_TARGET_AVX2 INLINE uint32_t full_mask_avx2(const float *g, terms r, column_terms c)
{
    return full_eight(g, r, c, 0) | full_eight(g, r, c, 8) << 8 | full_eight(g, r, c, 16) << 16;
}

TRM_TARGET_AVX2 static void scan_avx2(const trm_tile *tile, const float *g, int64_t stride, int64_t row,
                                      int rows, int64_t col, int cols, bool near_only, trm_workspace *work)
{
    SCAN_BODY(near_mask_avx2, full_mask_avx2)
}
#endif

double trm_float_dot_radius(int dim)
{
    const double ku = ((double)dim + 4.0) * 0x1p-24;
    return ku < 0.5 ? ku / (1.0 - ku) : INFINITY;
}

trm_scan *trm_scan_get(void)
{
#if TRM_HAVE_X86
    const trm_isa isa = trm_isa_get();
    if (isa >= TRM_ISA_AVX2)
        return scan_avx2;
#endif
    return scan_portable;
}

/* Rounds a float64 to a float below (direction -1) or above (+1), one more step outward for the float64
 * arithmetic. */
static float outward(double value, int direction)
{
    const double moved = value + direction * (fabs(value) * 0x1p-22 + 0x1p-140);
    if (moved > (double)FLT_MAX)
        return direction > 0 ? INFINITY : FLT_MAX;
    if (moved < -(double)FLT_MAX)
        return direction > 0 ? -FLT_MAX : -INFINITY;
    return (float)moved;
}

/* emit() left L = fl(fl(t_i + t_j) - g). The sum of the terms is on its side as it stands (kernel.c, 4); the
 * difference is off by u |L| at most, and by 2^-126 if denormals are flushed: L -+ (2^-23 |L| + 2^-125)
 * bounds -v. Every step from there is monotone; outward() covers the few float64 roundings (each 2^-53
 * relative to a value; the sum 1 + L of cosine may cancel, so it gets 2^-50 on its own) and the conversion. A
 * canonical distance under a metric with max(0, .) is never below 0. */
void trm_scan_finish(const trm_tile *tile, trm_workspace *work, int64_t from)
{
    const trm_map *map = &tile->a->map;
    const double unit = 1.0 / map->scale / map->scale;
    for (int64_t k = from; k < work->count; k++) {
        trm_survivor *survivor = &work->survivors[k];
        double lo = (double)survivor->lo, hi = (double)survivor->hi;
        lo -= 0x1p-23 * fabs(lo) + 0x1p-125;
        hi += 0x1p-23 * fabs(hi) + 0x1p-125;
        switch (map->metric) {
        case TRM_METRIC_SQL2:
        case TRM_METRIC_L2:
            lo = lo > 0.0 ? lo * 2.0 * unit : lo <= 0.0 ? 0.0 : lo;
            hi = hi > 0.0 ? hi * 2.0 * unit : hi <= 0.0 ? 0.0 : hi;
            if (map->metric == TRM_METRIC_L2) {
                lo = sqrt(lo);
                hi = sqrt(hi);
            }
            break;
        case TRM_METRIC_COSINE:
            lo = (1.0 + lo) - 0x1p-50;
            hi = (1.0 + hi) + 0x1p-50;
            hi = hi < 0.0 ? 0.0 : hi;
            break;
        case TRM_METRIC_DOT:
            lo *= unit;
            hi *= unit;
            break;
        }
        const bool clamped = map->metric != TRM_METRIC_DOT;
        const float low = isnan(lo) ? -INFINITY : outward(lo, -1);
        survivor->lo = clamped && low < 0.0F && !isnan(lo) ? 0.0F : low;
        survivor->hi = isnan(hi) ? INFINITY : outward(hi, 1);
    }
}
