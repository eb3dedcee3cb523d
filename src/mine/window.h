/* Which distances are inside the window of a threshold t = d(a,p). Tests are made on d - t as rounded, which is
 * monotone in d and in t. */
#ifndef TRM_MINE_WINDOW_H
#define TRM_MINE_WINDOW_H

#include "trimine/mine.h"

#include <float.h>
#include <math.h>

static inline bool trm_window_has(const trm_mine_options *options, double d, double t)
{
    const double gap = d - t;
    return options->window == TRM_WINDOW_NONE || gap < options->margin ||
           (options->window == TRM_WINDOW_LE && gap == options->margin);
}

/* An upper bound of the distances that are inside the window of threshold t. */
static inline double trm_window_end(const trm_mine_options *options, double t)
{
    if (options->window == TRM_WINDOW_NONE)
        return INFINITY;
    return t + options->margin + 8.0 * DBL_EPSILON * (fabs(t) + options->margin);
}

/* How many of count ascending thresholds are < d, or, with the window of options, too small for d to be inside
 * theirs. */
static inline int64_t trm_window_behind(const trm_mine_options *options, bool windowed, const double *t,
                                        int64_t count, double d)
{
    const double *base = t;
    while (count > 0) { /* branch-free in the common question: which half is data, not control */
        const int64_t half = count / 2;
        const bool behind = windowed ? !trm_window_has(options, d, base[half]) : base[half] < d;
        base = behind ? base + half + 1 : base;
        count = behind ? count - half - 1 : half;
    }
    return base - t;
}

#endif
