/* Which distances lie in an interval; see intervals.h. */
#include "mine/intervals.h"

#include "metric/isa.h"

#include <math.h>
#include <stdbool.h>

#if TRM_HAVE_X86
#include <immintrin.h>
#endif

static uint64_t find_portable(const trm_intervals *w, const double *d, int n)
{
    uint64_t found = 0;
    for (int i = 0; i < n; i++) {
        bool in = false;
        for (int k = 0; k < w->count; k++)
            in |= (d[i] >= w->from[k]) & (d[i] <= w->to[k]);
        found |= (uint64_t)in << i;
    }
    return found;
}

#if TRM_HAVE_X86
/* Thirty-two distances at a time in four registers, while the intervals come one after another. */
TRM_TARGET_AVX512 static uint64_t find_avx512(const trm_intervals *w, const double *d, int n)
{
    uint64_t found = 0;
    for (int i = 0; i < n; i += 32) {
        __m512d x[4];
        uint32_t in = 0;
        for (int part = 0; part < 4; part++) {
            const int left = n - i - 8 * part;
            const __mmask8 there = (__mmask8)(left >= 8 ? 0xffU : left > 0 ? (1U << left) - 1U : 0U);
            x[part] = _mm512_mask_loadu_pd(_mm512_set1_pd(NAN), there, d + i + 8 * part);
        }
        for (int k = 0; k < w->count; k++) {
            const __m512d from = _mm512_set1_pd(w->from[k]), to = _mm512_set1_pd(w->to[k]);
            for (int part = 0; part < 4; part++) {
                const __mmask8 above = _mm512_cmp_pd_mask(x[part], from, _CMP_GE_OQ);
                in |= (uint32_t)_mm512_mask_cmp_pd_mask(above, x[part], to, _CMP_LE_OQ) << (8 * part);
            }
        }
        found |= (uint64_t)in << i;
    }
    return found;
}

/* Sixteen at a time in four registers, and what is left of them one by one. */
TRM_TARGET_AVX2 static uint64_t find_avx2(const trm_intervals *w, const double *d, int n)
{
    uint64_t found = 0;
    int i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256d x[4], in[4];
        for (int part = 0; part < 4; part++) {
            x[part] = _mm256_loadu_pd(d + i + 4 * part);
            in[part] = _mm256_setzero_pd();
        }
        for (int k = 0; k < w->count; k++) {
            const __m256d from = _mm256_set1_pd(w->from[k]), to = _mm256_set1_pd(w->to[k]);
            for (int part = 0; part < 4; part++)
                in[part] = _mm256_or_pd(in[part], _mm256_and_pd(_mm256_cmp_pd(x[part], from, _CMP_GE_OQ),
                                                                _mm256_cmp_pd(x[part], to, _CMP_LE_OQ)));
        }
        for (int part = 0; part < 4; part++)
            found |= (uint64_t)(unsigned)_mm256_movemask_pd(in[part]) << (i + 4 * part);
    }
    return i < n ? found | find_portable(w, d + i, n - i) << i : found;
}
#endif

uint64_t trm_intervals_find(const trm_intervals *intervals, const double *d, int n)
{
#if TRM_HAVE_X86
    if (trm_isa_get() == TRM_ISA_AVX512)
        return find_avx512(intervals, d, n);
    if (trm_isa_get() >= TRM_ISA_AVX2)
        return find_avx2(intervals, d, n);
#endif
    return find_portable(intervals, d, n);
}
