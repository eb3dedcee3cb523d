/* The rows that a result is of, as one rank sees them by itself: read in pieces, with what they are to an anchor. */
#ifndef TRM_VERIFY_VIEW_H
#define TRM_VERIFY_VIEW_H

#include "trimine/store.h"
#include "verify/rule.h"
#include "verify/verify.h"

/* An asker is a row that may be an anchor: of the store, or of the queries, which follow the store's rows in the files. */
typedef struct trm_view {
    const trm_rule *rule; /* borrowed */
    trm_store *store;
    int64_t rows, askers, first_asker;
    int dim;
    bool two_sets, labelled;
    int64_t ignored, *ignore; /* labels whose rows take no part */
    int64_t pairs;            /* with a list of them: sorted by (query, row) */
    int64_t *pair;            /* 2 each; NULL: positives go by label */
    struct trm_view_rows
        *kept; /* what rows asked for one by one come from: all rows of a set where they are few */
} trm_view;

/* Opens the store, and the list of pairs. Collective on comm; the view is each rank's own. The caller closes it, also
 * after a failure. Errors: USAGE, as trm_verify; DATA: other pairs than those of the result; as trm_store_open. */
trm_status trm_view_open(MPI_Comm comm, const trm_verify_ask *ask, const trm_result *result,
                         const trm_rule *rule, trm_view *view, trm_error *err) TRM_MUST_CHECK;
void trm_view_close(trm_view *view);

/* Rows a piece. */
int64_t trm_view_piece(const trm_view *view);
/* Rows [first, first + count) of the store (asker: of the askers): count x dim values, and labels, 0 where there are
 * none. Not collective. Errors: as trm_store_read. */
trm_status trm_view_read(const trm_view *view, bool asker, int64_t first, int64_t count, float *x,
                         int64_t *label, trm_error *err) TRM_MUST_CHECK;
/* One row: its dim values, its label, and |x| before it was normalised (1 where it is not); NULL: not wanted. A set of up to 1 GB is read whole when its first
 * row is asked for, on each rank; of a larger one each row is read by itself, which takes long. Not collective, not from several
 * threads. Errors: MEMORY, as trm_store_read. */
trm_status trm_view_row(const trm_view *view, bool asker, int64_t row, float *x, int64_t *label, double *norm,
                        trm_error *err) TRM_MUST_CHECK;
/* Labels alone. Not collective. Errors: as trm_store_read. */
trm_status trm_view_labels(const trm_view *view, bool asker, int64_t first, int64_t count, int64_t *label,
                           trm_error *err) TRM_MUST_CHECK;
/* The fingerprint of the store (asker: of the askers), each rank reading a part. Collective. Errors: as trm_store_read. */
trm_status trm_view_fingerprint(MPI_Comm comm, const trm_view *view, bool asker, char text[33],
                                trm_error *err) TRM_MUST_CHECK;

/* The names that labels stand for; left as it is where they stand for themselves, or there are none. Borrowed. */
trm_status trm_view_names(const trm_view *view, const trm_names **names, trm_error *err) TRM_MUST_CHECK;
/* Do rows with that label take no part? */
bool trm_view_ignores(const trm_view *view, int64_t label);
/* The listed positives of an asker, ascending, in every second place; how many, a repeated one as often as it is there. */
const int64_t *trm_view_listed(const trm_view *view, int64_t asker, int64_t *count);

#endif
