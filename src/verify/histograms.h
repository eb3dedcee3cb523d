/* Histograms counted anew: equal bins as numpy.histogram has them, by a search of each value's place between the edges. */
#ifndef TRM_VERIFY_HISTOGRAMS_H
#define TRM_VERIFY_HISTOGRAMS_H

#include "verify/lines.h"

typedef struct trm_bins {
    int64_t bins;
    double *edge;   /* bins + 1 */
    int64_t *count; /* bins */
} trm_bins;

/* None of these is collective. */

/* Equal bins from first to last; around a single value half a unit to each side. The caller frees, also after a failure.
 * Errors: MEMORY. */
trm_status trm_bins_make(trm_bins *of, int64_t bins, double first, double last,
                         trm_error *err) TRM_MUST_CHECK;
void trm_bins_free(trm_bins *of);
void trm_bins_count(trm_bins *of, double value);
/* Are the two datasets these? Errors: DATA: the first that differs; IO, MEMORY. */
trm_status trm_bins_compare(const trm_bins *of, trm_result *result, const char *edges, const char *counts,
                            trm_error *err) TRM_MUST_CHECK;

/* The histograms of a result of mine, where it has them, against its lines. Collective. Errors: DATA: the first that
 * differs; IO, MEMORY. */
trm_status trm_histograms_check(MPI_Comm comm, trm_lines *lines, trm_error *err) TRM_MUST_CHECK;

#endif
