/* Which survivors of a tile are outdone by others of it. Inner to sweep/. */
#ifndef TRM_SWEEP_OUTDONE_H
#define TRM_SWEEP_OUTDONE_H

#include "sweep/side.h"

/* Which side of a survivor may want it. */
enum { TRM_WANTED_BY_A = 1, TRM_WANTED_BY_B = 2 };

/* Sets worker->wanted for the survivors of a tile, and drops those that neither side can want: a row that keeps the
 * nearest few needs none that lies behind as many others of the tile, which is known from their bounds, before
 * any distance is. So rows that have seen nothing yet, to which the whole tile may matter, decide a few pairs of
 * it. */
void trm_outdone_drop(const trm_tiles *tiles, const trm_tile *tile, trm_worker *worker);

#endif
