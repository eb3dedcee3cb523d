/* Survivors that wait to be decided in float64. Inner to sweep/. */
#ifndef TRM_SWEEP_HELD_H
#define TRM_SWEEP_HELD_H

#include "sweep/side.h"

#include <math.h>
#include <string.h>

/* Survivors of one pair of tile rows, or a part of them. */
typedef struct trm_found {
    const trm_survivor *pair;
    int64_t count, tile_a, tile_b;
} trm_found;

/* A row that has seen nothing: as far as can be told, so many of the nearest are to come. */
void trm_nearest_begin(trm_nearest *nearest, const trm_side *side, int64_t row);

/* Notes a pair whose distance is in [lo, hi] (of a query that keeps the farthest, [-hi, -lo]). Does the bound move? */
static inline bool trm_nearest_note(trm_nearest *nearest, float lo, float hi)
{
    if (!(hi < nearest->hi[TRM_KEEPS_MAX - 1]) || !(lo > nearest->from))
        return false;
    int at = TRM_KEEPS_MAX - 1;
    for (; at > 0 && nearest->hi[at - 1] > hi; at--)
        nearest->hi[at] = nearest->hi[at - 1];
    nearest->hi[at] = hi;
    return true;
}

/* The row wants nothing beyond it; NaN: that is not known. */
static inline float trm_nearest_bound(const trm_nearest *nearest)
{
    return nearest->hi[TRM_KEEPS_MAX - 1];
}

/* How many of the nearest the row keeps; 0: none, or that is not known. */
static inline int trm_nearest_keeps(const trm_nearest *nearest)
{
    int keeps = 0;
    for (int k = 0; k < TRM_KEEPS_MAX; k++)
        keeps += nearest->hi[k] > -HUGE_VALF;
    return keeps;
}

/* The rows of a side begin: nothing is seen yet. By so many threads. */
void trm_held_begin(trm_side *side, int threads);
/* The row's bound (of -d, where the query keeps the farthest); NaN: that is not known. Under its lock. */
float trm_held_bound(const trm_side *side, int64_t row);

/* Can survivors wait? Else they are to be decided at once. */
bool trm_held_may_wait(const trm_tiles *tiles);
/* Takes the survivors of a tile that may be wanted to the others that wait, and narrows the windows by what they tell. Gives
 * how many these are; -1: more than most, and the whole tile is to be decided instead. */
int64_t trm_held_take(const trm_tiles *tiles, const trm_found *found, int64_t most, trm_worker *worker);
/* Decides what waits. Any thread, its own. */
void trm_held_decide(const trm_tiles *tiles, trm_worker *worker);

/* Decides survivors as far as they are wanted, and offers them; gives how many. */
int64_t trm_found_decide(const trm_tiles *tiles, const trm_found *found, trm_worker *worker);

#endif
