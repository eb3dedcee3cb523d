/* The batches of a result of mine in batches: their rows, the draw of them, and drawn anchors of theirs decided anew. */
#ifndef TRM_VERIFY_LISTS_H
#define TRM_VERIFY_LISTS_H

#include "verify/census.h"
#include "verify/lines.h"

typedef struct trm_batch_lists {
    trm_result *result; /* borrowed, these three */
    const trm_view *view;
    const trm_census *census;
    int64_t count;  /* batches */
    int64_t *start; /* count + 1 */
    int64_t valid;  /* anchors of all batches with a positive and a negative */
    trm_result_array row;
} trm_batch_lists;

/* Reads where batches begin, and looks at all rows: ascending in each batch, and such as take part. Not collective. The caller
 * closes, also after a failure. Errors: DATA, MEMORY, IO. */
trm_status trm_batch_lists_open(trm_result *result, const trm_census *census, trm_batch_lists *lists,
                                trm_error *err) TRM_MUST_CHECK;
void trm_batch_lists_close(trm_batch_lists *lists);
/* Makes of numbers of places in all lists, ascending, which batch and row is there. Not collective. Errors: IO. */
trm_status trm_batch_lists_place(const trm_batch_lists *lists, int64_t count, trm_drawn *drawn,
                                 trm_error *err) TRM_MUST_CHECK;
/* Are the rows of the drawn anchors' batches those that the seed draws? Not collective. Errors: MEMORY, IO. */
trm_status trm_batch_lists_drawn(const trm_batch_lists *lists, int64_t count, const trm_drawn *drawn,
                                 bool *same, trm_error *err) TRM_MUST_CHECK;
/* Are the rows of the drawn anchors' batches those that the seed draws, where they were drawn, and are their triplets right?
 * Not collective. Errors: DATA: the first that differs; MEMORY, IO. */
trm_status trm_batch_lists_decide(const trm_batch_lists *lists, trm_lines *lines, int64_t count,
                                  const trm_drawn *drawn, int64_t *entries, trm_error *err) TRM_MUST_CHECK;

#endif
