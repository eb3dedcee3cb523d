/* An evaluation in two steps: its options are checked and its memory is planned, and then it runs, by that plan.
 * trm_evaluate_plan is the first, trm_evaluate both. */
#ifndef TRM_LOSS_EVALUATION_H
#define TRM_LOSS_EVALUATION_H

#include "trimine/loss.h"

typedef struct trm_evaluation trm_evaluation;

/* As trm_evaluate_plan. The caller owns *evaluation, also after a failure, when there is nothing to run. run, rows and
 * what options point to are borrowed until it is destroyed; rows may be filled meanwhile. gradient: true on any rank
 * is true on all. Collective. */
trm_status trm_evaluation_create(trm_run *run, const trm_rows *rows, const trm_evaluate_options *options,
                                 bool gradient, trm_mine_summary *mined, trm_evaluation **evaluation,
                                 trm_error *err) TRM_MUST_CHECK;
/* As trm_evaluate, once; queries_gradient takes the place of the options'. Collective. */
trm_status trm_evaluation_run(trm_evaluation *evaluation, const trm_batch *batch, trm_triplet_fn emit,
                              void *context, float *gradient, float *queries_gradient,
                              trm_mine_summary *mined, trm_loss_summary *summary, trm_loss_part *part,
                              trm_error *err) TRM_MUST_CHECK;
/* As trm_anchors_travel, of what is mined; else 0. Not collective. */
void trm_evaluation_travel(const trm_evaluation *evaluation, int64_t *visit, int64_t *home);
/* Frees and sets to NULL; NULL is fine. Not collective. */
void trm_evaluation_destroy(trm_evaluation **evaluation);

#endif
