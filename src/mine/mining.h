/* Mining in two steps: its memory is planned, and then it runs, by that plan. trm_mine_plan is the first, trm_mine
 * both. */
#ifndef TRM_MINE_MINING_H
#define TRM_MINE_MINING_H

#include "trimine/mine.h"

typedef struct trm_mining trm_mining;

/* As trm_mine_plan. The caller owns *mining, also after a failure, when there is nothing to run. run, rows and the
 * texts of options are borrowed until it is destroyed; rows may be filled meanwhile. Collective. */
trm_status trm_mining_create(trm_run *run, const trm_rows *rows, const trm_mine_options *options,
                             trm_mine_summary *summary, trm_mining **mining, trm_error *err) TRM_MUST_CHECK;
/* As trm_mine, once. Collective. */
trm_status trm_mining_run(trm_mining *mining, trm_triplet_fn emit, void *context, trm_mine_summary *summary,
                          trm_mine_part *part, trm_error *err) TRM_MUST_CHECK;
/* As trm_anchors_travel. Not collective. */
void trm_mining_travel(const trm_mining *mining, int64_t *visit, int64_t *home);
/* Frees and sets to NULL; NULL is fine. Not collective. */
void trm_mining_destroy(trm_mining **mining);

#endif
