/* Bins of a histogram; see bins.h. */
#include "base/bins.h"

#include <math.h>

void trm_bins_set(double *edges, int64_t bins, double first, double last)
{
    const double around = first < last ? 0.0 : 0.5;
    first -= around;
    last += around;
    const double step = (last - first) / (double)bins;
    for (int64_t i = 0; i < bins; i++)
        edges[i] = (double)i * step + first;
    edges[bins] = last;
}

double trm_bins_scale(const double *edges, int64_t bins)
{
    const double width = edges[bins] - edges[0];
    const double scale = width > 0.0 ? (double)bins / width : 0.0;
    return scale < INFINITY ? scale : 0.0;
}

int64_t trm_bins_find(const double *edges, int64_t bins, double scale, double x)
{
    const double guess = (x - edges[0]) * scale;
    int64_t bin = guess < (double)(bins - 1) ? (int64_t)guess : bins - 1;
    bin = bin > 0 ? bin : 0;
    while (bin > 0 && x < edges[bin])
        bin--;
    while (bin < bins - 1 && x >= edges[bin + 1])
        bin++;
    return bin;
}
