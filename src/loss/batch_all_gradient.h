/* The gradient of batch-all: every pair of rows weighted by how many active triplets it is in. Inner to
 * loss/. */
#ifndef TRM_LOSS_BATCH_ALL_GRADIENT_H
#define TRM_LOSS_BATCH_ALL_GRADIENT_H

#include "mine/checkpoint.h"
#include "mine/thresholds.h"
#include "rows/rows.h"
#include "rows/run.h"
#include "trimine/loss.h"

/* Which triplets there are, and which of them are active. */
typedef struct trm_batch_all_rule {
    double margin; /* of the hinge */
    bool limited;  /* only triplets with 0 < d(a,n) - d(a,p) <= within */
    double within;
} trm_batch_all_rule;

/* For each of a batch of distances to negatives: thresholds [first, end) make active triplets, members of
 * them make triplets. */
typedef struct trm_batch_all_found {
    int64_t first[TRM_THRESHOLDS_BATCH], end[TRM_THRESHOLDS_BATCH], members[TRM_THRESHOLDS_BATCH];
} trm_batch_all_found;

/* The field that counts. */
enum { TRM_FIELD_ACTIVE = TRM_FIELD_BEYOND_THRESHOLDS };

/* n at most TRM_THRESHOLDS_BATCH. beside: as in trm_thresholds_below. */
void trm_batch_all_find(const trm_thresholds *anchor, int64_t n, const double *d,
                        const trm_batch_all_rule *rule, trm_beside beside, trm_batch_all_found *found);

/* state: all anchors' thresholds with how many negatives each is active with (TRM_FIELD_ACTIVE). sum: see
 * trm_batch_all. seconds is added to. Kept by checkpoint as it goes, and goes on from what that has. Collective.
 * Errors: MEMORY, STOPPED, those of the place that keeps. */
trm_status trm_batch_all_gradient(trm_mine_checkpoint *checkpoint, trm_metric metric,
                                  const trm_batch_all_rule *rule, const trm_state *state, double *sum,
                                  double *seconds, trm_error *err) TRM_MUST_CHECK;

#endif
