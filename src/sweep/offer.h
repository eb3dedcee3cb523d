/* Offers decided distances to the rows of a side. Inner to sweep/. */
#ifndef TRM_SWEEP_OFFER_H
#define TRM_SWEEP_OFFER_H

#include "sweep/side.h"

/* Offers the distances d[0..to - from) from row of side to the other's places [from, to), of which all have the right
 * labels, without those that the row's list leaves out. Whether the row's window may have moved. Under the row's lock. */
bool trm_offer_range(const trm_tiles *tiles, trm_side *side, int64_t row, const trm_side *other, int64_t from,
                     int64_t to, const double *d, trm_worker *worker);
/* Offers one row of a dense tile, whatever labels there are: distances d[0..last - first) to the other's places [first,
 * last). Under the row's lock. */
void trm_offer_line(const trm_tiles *tiles, trm_side *side, int64_t row, const trm_side *other, int64_t first,
                    int64_t last, const double *d, trm_worker *worker);
/* Have rows lists of others that they leave out? */
bool trm_offer_has_lists(const trm_tiles *tiles);
/* Is the other's place one of these, where they have? */
bool trm_offer_leaves_out(const trm_tiles *tiles, const trm_side *side, int64_t row, const trm_side *other,
                          int64_t place);

#endif
