/* Which survivors of a tile are outdone by others of it. Inner to sweep/. */
#ifndef TRM_SWEEP_OUTDONE_H
#define TRM_SWEEP_OUTDONE_H

#include "sweep/side.h"

/* Which side of a survivor may want it. */
enum { TRM_WANTED_BY_A = 1, TRM_WANTED_BY_B = 2 };

/* Can it be told how many of the nearest the rows of a side keep? */
bool trm_outdone_told(const trm_tiles *tiles, const trm_side *side);
/* How many a row keeps where it can, of those beyond *from (of -d, where the query keeps the farthest); 0: of this row it
 * can't be told, or it is no anchor. */
int64_t trm_outdone_keeps(const trm_side *side, int64_t row, double *from);

/* Puts a value among the count smallest, which ascend; INFINITY is no value. */
static inline void trm_keep_smallest(float *smallest, int count, float value)
{
    int at = count;
    for (; at > 0 && smallest[at - 1] > value; at--)
        if (at < count)
            smallest[at] = smallest[at - 1];
    if (at < count)
        smallest[at] = value;
}

/* Sets worker->wanted for the survivors of a tile, and drops those that neither side can want: a row that keeps the
 * nearest few needs none that lies behind as many others of the tile, which is known from their bounds, before
 * any distance is. So rows that have seen nothing yet, to which the whole tile may matter, decide a few pairs of
 * it. */
void trm_outdone_drop(const trm_tiles *tiles, const trm_tile *tile, trm_worker *worker);

#endif
