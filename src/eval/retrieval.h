/* An evaluation of retrieval in two steps: the memory is planned, and then it is run by that plan; and its options.
 * trm_eval_plan is the first, trm_eval both. */
#ifndef TRM_EVAL_RETRIEVAL_H
#define TRM_EVAL_RETRIEVAL_H

#include "options/option.h"
#include "trimine/eval.h"

typedef struct trm_retrieval trm_retrieval;

/* Of trm_eval_options. */
extern const trm_options trm_eval_table;
/* What the options alone tell. Not collective. Errors: USAGE. */
trm_status trm_retrieval_check(const trm_eval_options *options, trm_error *err) TRM_MUST_CHECK;
/* The name of a metric at place i of trm_eval_values in reports, "precision_at_1" or "hit_rate_at", which of the values of k it
 * is at (-1: of none), and whether it is asked for; false past the last. Not collective. */
typedef struct trm_eval_place {
    const char *name;
    int k;
    bool asked;
} trm_eval_place;
bool trm_retrieval_place(const trm_retrieval *retrieval, int i, trm_eval_place *place);

/* As trm_eval_plan. The caller owns *retrieval, also after a failure, when there is nothing to run. run, rows, queries and pairs
 * are borrowed until it is destroyed; rows may be filled meanwhile. Collective. */
trm_status trm_retrieval_create(trm_run *run, const trm_rows *rows, const trm_eval_options *options,
                                trm_eval_summary *summary, trm_retrieval **retrieval,
                                trm_error *err) TRM_MUST_CHECK;
/* How many rows are relevant to a row of the shard of those that ask. Not collective. */
int64_t trm_retrieval_relevant(const trm_retrieval *retrieval, int64_t row);
/* As trm_eval, once. Collective. */
trm_status trm_retrieval_run(trm_retrieval *retrieval, const trm_eval_takers *takers,
                             trm_eval_summary *summary, trm_error *err) TRM_MUST_CHECK;
/* As trm_anchors_travel, by the plan that was made last. Not collective. */
void trm_retrieval_travel(const trm_retrieval *retrieval, int64_t *visit, int64_t *home);
/* Frees and sets to NULL; NULL is fine. Not collective. */
void trm_retrieval_destroy(trm_retrieval **retrieval);

#endif
