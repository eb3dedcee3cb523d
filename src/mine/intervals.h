/* A few intervals of distances, and which of many distances lie in one of them: what a row with a few thresholds still cares
 * about. Nearly no distance does, once the row has seen some, so to find those takes less time than to find the place of each. */
#ifndef TRM_MINE_INTERVALS_H
#define TRM_MINE_INTERVALS_H

#include <stdint.h>

enum { TRM_INTERVALS_MAX = 32, TRM_INTERVALS_BATCH = 64 };

typedef struct trm_intervals {
    int count;
    double from[TRM_INTERVALS_MAX],
        to[TRM_INTERVALS_MAX]; /* both ends belong to it; from > to: it is empty */
} trm_intervals;

/* Bit i: d[i] is in an interval. n is at most TRM_INTERVALS_BATCH; NaN is in none. */
uint64_t trm_intervals_find(const trm_intervals *intervals, const double *d, int n);

#endif
