/* Exact order statistics of values that are spread over the ranks, by looking at them several times.
 *
 * Each look counts, of the interval that a wanted value must lie in, how many values lie in each of 4096 parts
 * of it; the sum over the ranks tells the part. Intervals are of the order of all float64 values (base/order.h),
 * so every look gains twelve bits whatever the values are like. As soon as few values are left in all intervals
 * they are collected on all ranks and sorted: mostly after two looks, at worst, with great heaps of equal
 * values, six. */
#ifndef TRM_MINE_QUANTILES_H
#define TRM_MINE_QUANTILES_H

#include "base/error.h"
#include "trimine/mine.h"

#include <mpi.h>

/* What is measured of a triplet. */
enum { TRM_SERIES_D_AP, TRM_SERIES_D_AN, TRM_SERIES_GAP, TRM_SERIES };

/* Whether a triplet counts, and its values. */
static inline bool trm_series_of(const trm_triplet *triplet, double value[TRM_SERIES])
{
    value[TRM_SERIES_D_AP] = triplet->d_ap;
    value[TRM_SERIES_D_AN] = triplet->d_an;
    value[TRM_SERIES_GAP] = triplet->d_an - triplet->d_ap;
    return triplet->positive >= 0;
}

/* Looks at some triplets; gets all of a rank's, in any order and pieces. */
typedef void (*trm_look_fn)(void *looker, const trm_triplet *triplets, int64_t count);
/* Shows look all of this rank's triplets. Not collective. */
typedef trm_status (*trm_walk_fn)(void *source, trm_look_fn look, void *looker, trm_error *err);

/* The value at a place (0 is the smallest) of a series that lies within [low, high], in their order. */
typedef struct trm_wanted {
    int series;
    int64_t place;
    uint64_t low, high; /* of the series; both are the value's in the end */
    int64_t below;      /* values less than low: 0 */
} trm_wanted;

enum { TRM_WANTED_MOST = 6 * TRM_SERIES };

/* Bytes that a rank needs to find any of that many values. Not collective. */
int64_t trm_quantiles_bytes(int threads, int64_t values);
/* Finds them. total: of each series, over all ranks. Collective; wanted and total equal on all. Errors:
 * MEMORY, and what walk returns. */
trm_status trm_quantiles_find(MPI_Comm comm, int threads, trm_walk_fn walk, void *source, int64_t total,
                              int count, trm_wanted *wanted, trm_error *err) TRM_MUST_CHECK;

#endif
