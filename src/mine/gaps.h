/* How far beyond the positive the nearest farther negative is: what a margin has to be to find some. */
#ifndef TRM_MINE_GAPS_H
#define TRM_MINE_GAPS_H

#include "rows/rows.h"
#include "rows/run.h"

enum { TRM_GAPS_SAMPLE = 64 };

/* Quantiles of d(a,n) - d(a,p), n the nearest negative farther than p, over a sample of the pairs that the options
 * select. */
typedef struct trm_gaps {
    int64_t sampled;            /* pairs; 0 where there are none */
    int64_t without;            /* of them, those without any farther negative */
    double at_10, at_50, at_90; /* percent of the others; 0 where there are none */
} trm_gaps;

/* Looks at every row for each pair of the sample, in float64. The sample depends on the store and the options alone, so
 * the answer is the same on any number of ranks. Collective. Errors: MEMORY. */
trm_status trm_mine_gaps(const trm_run *run, const trm_rows *rows, const trm_mine_options *options,
                         trm_gaps *gaps, trm_error *err) TRM_MUST_CHECK;

/* The same for so many pairs, one by one: gap[pairs], ascending, INFINITY where there is no such negative. Of a policy that does not
 * look for farther negatives n is the nearest of all, and a gap may be negative. *sampled: pairs, or 0 where there is none to look
 * at. Collective. Errors: MEMORY. */
trm_status trm_mine_sample_gaps(const trm_run *run, const trm_rows *rows, const trm_mine_options *options,
                                int pairs, double *gap, int64_t *sampled, trm_error *err) TRM_MUST_CHECK;

#endif
