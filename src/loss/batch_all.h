/* The batch-all loss: the hinge over every (anchor, positive, negative) of the store, without a list of them.
 *
 * With an anchor's thresholds sorted, the triplets that a negative at distance d is active in are those of
 * the largest thresholds: from the first t with (t - d) + margin > 0 on, a test that is monotone in t also as
 * rounded. So a sweep counts, for every threshold, the negatives whose first it is; sums of these counts say
 * how often each d(a,p) is in the loss, the number of thresholds from the first on how often each d(a,n) is.
 * O(N^2 log K) time, integers and exact sums: the same on any number of ranks. (Hermans et al. 2017 for the
 * loss.) */
#ifndef TRM_LOSS_BATCH_ALL_H
#define TRM_LOSS_BATCH_ALL_H

#include "rows/rows.h"
#include "rows/run.h"
#include "sweep/query.h"
#include "trimine/loss.h"

/* The query of its second sweep. */
extern const trm_query_type trm_batch_all_query;

/* In two steps, as an evaluation has. */
typedef struct trm_batch_all trm_batch_all;

/* Checks the options and plans the memory: panels and memory_bytes of mined. within: NULL, or only triplets with 0 <
 * d(a,n) - d(a,p) <= *within are there at all. The caller owns *all, also after a failure. Collective. Errors: USAGE
 * (soft, swap), MEMORY. */
trm_status trm_batch_all_create(const trm_run *run, const trm_rows *rows, const trm_loss_options *options,
                                const double *within, int64_t reserve, bool gradient, trm_mine_summary *mined,
                                trm_batch_all **all, trm_error *err) TRM_MUST_CHECK;
/* Fills in sum, count, active, pairs_multiplied, loss_s and gradient_s of the summary, memory of mined and this
 * rank's part. gradient: count x dim sums of the loss's gradient (not divided by anything) of this team's shard's rows
 * in arranged order that are this member's, [first, first + count) as trm_share gives them; owned by the caller; NULL:
 * none. Terms of a row are added in ascending (label, row id). Once. Collective. Errors: MEMORY, STOPPED, those of a
 * checkpoint. */
trm_status trm_batch_all_run(trm_batch_all *all, double *gradient, trm_mine_summary *mined,
                             trm_loss_summary *summary, trm_loss_part *part, trm_error *err) TRM_MUST_CHECK;
/* Frees and sets to NULL; NULL is fine. Not collective. */
void trm_batch_all_destroy(trm_batch_all **all);

#endif
