/* Neighbours in two steps: the memory is planned, and then they are found, by that plan; and their options.
 * trm_knn_plan is the first, trm_knn both. */
#ifndef TRM_EVAL_NEIGHBOURS_H
#define TRM_EVAL_NEIGHBOURS_H

#include "options/option.h"
#include "trimine/knn.h"

typedef struct trm_neighbours trm_neighbours;

/* Of trm_knn_options. */
extern const trm_options trm_knn_table;

/* Rows whose lists of k are handed out at a time. */
int64_t trm_neighbours_at_once(int64_t k);

/* As trm_knn_plan. The caller owns *neighbours, also after a failure, when there is nothing to run. run, rows and queries are
 * borrowed until it is destroyed; rows may be filled meanwhile. Collective. */
trm_status trm_neighbours_create(trm_run *run, const trm_rows *rows, const trm_knn_options *options,
                                 trm_knn_summary *summary, trm_neighbours **neighbours,
                                 trm_error *err) TRM_MUST_CHECK;
/* As trm_knn, once. Collective. */
trm_status trm_neighbours_run(trm_neighbours *neighbours, trm_knn_fn take, void *context,
                              trm_knn_summary *summary, trm_error *err) TRM_MUST_CHECK;
/* As trm_anchors_travel, by the plan that was made last. Not collective. */
void trm_neighbours_travel(const trm_neighbours *neighbours, int64_t *visit, int64_t *home);
/* Frees and sets to NULL; NULL is fine. Not collective. */
void trm_neighbours_destroy(trm_neighbours **neighbours);

#endif
