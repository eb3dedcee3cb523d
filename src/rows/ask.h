/* Asking for rows by their row ids, of rows arranged by id: the rank that has a row answers. */
#ifndef TRM_ROWS_ASK_H
#define TRM_ROWS_ASK_H

#include "rows/rows.h"
#include "rows/run.h"

#include <stddef.h>

/* The team that has row id, 0 <= id < rows->total. */
int trm_team_of_id(const trm_rows *rows, int64_t id);

/* Writes what is asked of a row of the shard, size bytes. */
typedef void (*trm_answer_row_fn)(const trm_rows *rows, int64_t row, void *into);

/* answers: count items of size bytes, in the order of id, which ascends (repeats are fine). Collective; count may differ by
 * rank. Errors: MEMORY. */
trm_status trm_ask_rows(const trm_run *run, const trm_rows *rows, int64_t count, const int64_t *id,
                        size_t size, trm_answer_row_fn answer, void *answers, trm_error *err) TRM_MUST_CHECK;
/* The same of labels. */
trm_status trm_ask_labels(const trm_run *run, const trm_rows *rows, int64_t count, const int64_t *id,
                          int64_t *label, trm_error *err) TRM_MUST_CHECK;
/* Tells the teams that have them of these row ids, which ascend: of all that ranks tell, *told (new memory; the caller's) are
 * those of this team's shard, as rows of it, in any order, some twice. Every member of a team tells the same. Collective. Errors:
 * MEMORY. */
trm_status trm_tell_rows(const trm_run *run, const trm_rows *rows, int64_t count, const int64_t *id,
                         int64_t **told, int64_t *told_count, trm_error *err) TRM_MUST_CHECK;

#endif
