/* Triplets of drawn anchors, decided anew, beside the lines of the result. */
#ifndef TRM_VERIFY_COMPARE_H
#define TRM_VERIFY_COMPARE_H

#include "verify/anew.h"
#include "verify/lines.h"

/* Compares the triplets of the anchors of a group, which have been looked at, with their lines; the same anchors are in drawn.
 * entries: their triplets are added to it. Not collective. Errors: DATA: the first that differs; MEMORY, IO. */
trm_status trm_triplets_compare(const trm_group *group, trm_lines *lines, const trm_drawn *drawn,
                                int64_t *entries, trm_error *err) TRM_MUST_CHECK;

#endif
