/* Places among thresholds; see thresholds.h. */
#include "mine/thresholds.h"

#include "metric/isa.h"

#include <stddef.h>

#if TRM_HAVE_X86
#include <immintrin.h>
#endif

void trm_thresholds_grid(trm_thresholds *anchor)
{
    const double width = anchor->t[anchor->count - 1] - anchor->t[0];
    const double per_unit = width > 0.0 ? (double)anchor->count / width : 0.0;
    anchor->cells_per_unit = per_unit < INFINITY ? per_unit : 0.0;
}

static inline int64_t cell_of(const trm_thresholds *anchor, double d)
{
    const double last = (double)(anchor->count - 1);
    double cell = (d - anchor->t[0]) * anchor->cells_per_unit;
    cell = cell > 0.0 ? cell : 0.0;
    cell = cell < last ? cell : last;
    return (int64_t)cell;
}

void trm_thresholds_give(const trm_query *query, trm_state *state, int64_t row, const trm_candidate *pair,
                         int64_t pairs)
{
    (void)query;
    double *threshold = (double *)state->field[TRM_FIELD_THRESHOLDS] + state->offset[0][row];
    for (int64_t i = 0; i < pairs; i++)
        threshold[i] = pair[i].key;
}

void trm_thresholds_prepare(const trm_query *query, trm_state *state, int64_t row)
{
    (void)query;
    trm_thresholds anchor = trm_thresholds_of(state, row);
    if (anchor.count == 0)
        return;
    trm_thresholds_grid(&anchor);
    int32_t *index = (int32_t *)state->field[TRM_FIELD_INDEX] + anchor.first;
    int64_t cell = 0;
    for (int64_t i = 0; i < anchor.count; i++)
        for (const int64_t last = cell_of(&anchor, anchor.t[i]); cell <= last; cell++)
            index[cell] = (int32_t)i;
    for (; cell < anchor.count; cell++)
        index[cell] = (int32_t)anchor.count;
}

/* How many of count ascending values are < d: a search whose halves are data, not control. */
static int64_t search(const double *t, int64_t count, double d)
{
    const double *base = t;
    while (count > 0) {
        const int64_t half = count / 2;
        const bool below = base[half] < d;
        base = below ? base + half + 1 : base;
        count = below ? count - half - 1 : half;
    }
    return base - t;
}

/* d is in that cell: the portable form looks at its few thresholds one by one. */
static inline int64_t below_in_cell(const trm_thresholds *anchor, int64_t cell, double d)
{
    const int64_t at = anchor->index[cell];
    const int64_t end = cell + 1 < anchor->count ? anchor->index[cell + 1] : anchor->count;
    return at + search(anchor->t + at, end - at, d);
}

static void settle_portable(const trm_thresholds *anchor, int64_t n, const double *d, double less,
                            int64_t *at)
{
    for (int64_t i = 0; i < n; i++)
        at[i] = below_in_cell(anchor, at[i], d[i] - less);
}

#if TRM_HAVE_X86
/* Eight thresholds at one compare, or two; those past the cell's end are larger, since thresholds ascend, and so are
 * not counted but at the end of all, where what is behind them means nothing and is masked. No branch that
 * the data could make guess wrong, but for cells of more than eight. */
TRM_TARGET_AVX512 static void settle_avx512(const trm_thresholds *anchor, int64_t n, const double *d,
                                            double less, int64_t *at)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t first = anchor->index[at[i]], left = anchor->count - first;
        const double sought = d[i] - less;
        const __mmask8 there = (__mmask8)(left >= 8 ? 0xffU : (1U << left) - 1U);
        const __mmask8 below = _mm512_mask_cmp_pd_mask(there, _mm512_maskz_loadu_pd(there, anchor->t + first),
                                                       _mm512_set1_pd(sought), _CMP_LT_OQ);
        at[i] = below == 0xff ? below_in_cell(anchor, at[i], sought) : first + __builtin_popcount(below);
    }
}

TRM_TARGET_AVX2 static void settle_avx2(const trm_thresholds *anchor, int64_t n, const double *d, double less,
                                        int64_t *at)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t first = anchor->index[at[i]];
        const double sought = d[i] - less, *t = anchor->t + first;
        if (anchor->count - first < 8) {
            at[i] = below_in_cell(anchor, at[i], sought);
            continue;
        }
        const __m256d limit = _mm256_set1_pd(sought);
        const int below = _mm256_movemask_pd(_mm256_cmp_pd(_mm256_loadu_pd(t), limit, _CMP_LT_OQ)) |
                          _mm256_movemask_pd(_mm256_cmp_pd(_mm256_loadu_pd(t + 4), limit, _CMP_LT_OQ)) << 4;
        at[i] = below == 0xff ? below_in_cell(anchor, at[i], sought)
                              : first + __builtin_popcount((unsigned)below);
    }
}
#endif

void trm_thresholds_below(const trm_thresholds *anchor, int64_t n, const double *d, double less,
                          trm_beside beside, int64_t *below)
{
    for (int64_t i = 0; i < n; i++) {
        below[i] = cell_of(anchor, d[i] - less);
        __builtin_prefetch(&anchor->index[below[i]]);
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = anchor->index[below[i]];
        __builtin_prefetch(&anchor->t[at]);
        if (beside.slot != NULL)
            __builtin_prefetch((const char *)beside.slot + at * beside.bytes, 1);
    }
#if TRM_HAVE_X86
    if (trm_isa_get() == TRM_ISA_AVX512) {
        settle_avx512(anchor, n, d, less, below);
        return;
    }
    if (trm_isa_get() >= TRM_ISA_AVX2) {
        settle_avx2(anchor, n, d, less, below);
        return;
    }
#endif
    settle_portable(anchor, n, d, less, below);
}

/* The part of a table of count items after another as long that is as large as [from, to) of n. */
static void ask_for(const void *table, int64_t count, int64_t size, int64_t from, int64_t to, int64_t n)
{
    enum { LINE = 64 };
    const int64_t bytes = count * size, end = bytes * to / n;
    for (int64_t at = bytes * from / n / LINE * LINE; at < end; at += LINE)
        __builtin_prefetch((const char *)table + bytes + at, 0, 2);
}

void trm_thresholds_look_ahead(const trm_thresholds *anchor, trm_beside beside, int64_t from, int64_t n)
{
    enum { THRESHOLDS_A_DISTANCE = 8 }; /* beyond, most of what would be read would not be used */
    const int64_t count = anchor->count,
                  to = from + TRM_THRESHOLDS_BATCH < n ? from + TRM_THRESHOLDS_BATCH : n;
    if (count > THRESHOLDS_A_DISTANCE * n)
        return;
    ask_for(anchor->t, count, sizeof *anchor->t, from, to, n);
    ask_for(anchor->index, count, sizeof *anchor->index, from, to, n);
    ask_for(beside.slot, count, beside.bytes, from, to, n);
}
