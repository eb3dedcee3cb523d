/* The bins of a histogram: equal ones over a range, as numpy.linspace puts their edges. A bin has the values from its edge up to
 * the next, which only the last bin has too. */
#ifndef TRM_BASE_BINS_H
#define TRM_BASE_BINS_H

#include <stdint.h>

/* Fills in bins + 1 edges from first to last; around a single value half a unit to each side. */
void trm_bins_set(double *edges, int64_t bins, double first, double last);
/* Bins a unit, about, for trm_bins_find. */
double trm_bins_scale(const double *edges, int64_t bins);
/* The last bin whose edge is not above x, which is within the edges or close. */
int64_t trm_bins_find(const double *edges, int64_t bins, double scale, double x);

#endif
