/* Negatives of anchors whose nearest ones are known already: what --not-near-positive removes is found by a sweep in which each
 * anchor can keep its nearest negatives, too. Nearly always the answer is among these; only anchors of which filters have
 * removed too many ask again. */
#ifndef TRM_MINE_FIRST_LOOK_H
#define TRM_MINE_FIRST_LOOK_H

#include "mine/anchors.h"
#include "mine/near.h"

/* Does what a sweep for the negatives of the open panel would do, and settles what was found. near: that looked
 * (trm_near_looked). counts are added to. Collective. Errors: as of trm_sweep_run. */
trm_status trm_first_look_finish(const trm_anchors *anchors, const trm_near *near, trm_panel *panel,
                                 trm_sweep *sweep, trm_sweep_counts *counts, trm_error *err) TRM_MUST_CHECK;

#endif
