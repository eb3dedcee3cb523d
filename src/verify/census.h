/* The labels of all rows, and how many positives and negatives anchors have by them. 24 bytes a row of the store. */
#ifndef TRM_VERIFY_CENSUS_H
#define TRM_VERIFY_CENSUS_H

#include "verify/view.h"

/* A row that takes part. */
typedef struct trm_citizen {
    int64_t label, row;
} trm_citizen;

typedef struct trm_census {
    const trm_view *view; /* borrowed */
    int64_t *label;       /* of each row of the store */
    int64_t taking;       /* rows of the store that take part, by (label, row): */
    trm_citizen *citizen;
    /* of all anchors: */
    int64_t most_positives, valid; /* valid: with a positive and a negative */
} trm_census;

/* Not collective. The caller frees, also after a failure. Errors: MEMORY, as trm_store_read. */
trm_status trm_census_take(const trm_view *view, trm_census *census, trm_error *err) TRM_MUST_CHECK;
void trm_census_free(trm_census *census);
/* The rows of a label: citizens [*first, *last). */
void trm_census_class(const trm_census *census, int64_t label, int64_t *first, int64_t *last);

#endif
