/* Places among thresholds; see thresholds.h. */
#include "mine/thresholds.h"

#include <stddef.h>

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

void trm_thresholds_prepare(const trm_sink *sink, trm_state *state, int64_t row)
{
    (void)sink;
    trm_thresholds anchor = trm_thresholds_of(state, row);
    if (anchor.count == 0)
        return;
    trm_thresholds_grid(&anchor);
    int32_t *index = state->index + anchor.first;
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

/* d is in that cell. Few thresholds are: comparing with a fixed number of them, of which those past the
 * cell's end don't count, has no branch to guess wrong. */
static inline int64_t below_in_cell(const trm_thresholds *anchor, int64_t cell, double d)
{
    const int64_t at = anchor->index[cell];
    const int64_t end = cell + 1 < anchor->count ? anchor->index[cell + 1] : anchor->count;
    if (end - at > TRM_STATE_PADDING)
        return at + search(anchor->t + at, end - at, d);
    int64_t below = 0;
    for (int64_t k = 0; k < TRM_STATE_PADDING; k++)
        below += (int64_t)(k < end - at) & (int64_t)(anchor->t[at + k] < d);
    return at + below;
}

void trm_thresholds_below(const trm_thresholds *anchor, int64_t n, const double *d, double less,
                          const trm_candidate *also, int64_t *below)
{
    for (int64_t i = 0; i < n; i++) {
        below[i] = cell_of(anchor, d[i] - less);
        __builtin_prefetch(&anchor->index[below[i]]);
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = anchor->index[below[i]];
        __builtin_prefetch(&anchor->t[at]);
        if (also != NULL)
            __builtin_prefetch(&also[at], 1);
    }
    for (int64_t i = 0; i < n; i++)
        below[i] = below_in_cell(anchor, below[i], d[i] - less);
}
