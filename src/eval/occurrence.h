/* How often each row of a store is somebody's neighbour. A row's count lives at the rank that its row id names (par/exchange.h),
 * with its label. */
#ifndef TRM_EVAL_OCCURRENCE_H
#define TRM_EVAL_OCCURRENCE_H

#include "rows/rows.h"
#include "rows/run.h"
#include "trimine/knn.h"

typedef struct trm_occurrence trm_occurrence;

/* One neighbour in somebody's list. */
typedef struct trm_occurring {
    int64_t id;    /* of the neighbour */
    int64_t label; /* of the row whose list it is in */
} trm_occurring;

/* Of the rows of a store; rows is borrowed for the call. Collective. The caller owns *occurrence. Errors: MEMORY. */
trm_status trm_occurrence_create(const trm_run *run, const trm_rows *rows, trm_occurrence **occurrence,
                                 trm_error *err) TRM_MUST_CHECK;
/* Counts. Collective; count may differ. Errors: MEMORY. */
trm_status trm_occurrence_add(trm_occurrence *occurrence, int64_t count, const trm_occurring *neighbour,
                              trm_error *err) TRM_MUST_CHECK;
/* Fills in summary->occurrence and same_label. Collective. */
void trm_occurrence_finish(const trm_occurrence *occurrence, trm_knn_summary *summary);
/* Frees and sets to NULL; NULL is fine. Not collective. */
void trm_occurrence_destroy(trm_occurrence **occurrence);

/* Bytes that it holds on a rank; and that creating it needs for a while, and counting so many neighbours at once on each rank.
 * Not collective. */
int64_t trm_occurrence_bytes(const trm_run *run, const trm_rows *rows);
int64_t trm_occurrence_add_bytes(const trm_run *run, int64_t count);

#endif
