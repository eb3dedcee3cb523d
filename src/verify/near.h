/* What a result of radius says of all rows at once: degrees, rows in no pair, groups, the histogram. They follow from its
 * pairs, which are looked at first (questions.h). */
#ifndef TRM_VERIFY_NEAR_H
#define TRM_VERIFY_NEAR_H

#include "verify/view.h"

/* Counts all of it from the pairs, on one rank, which takes 16 bytes a row. Collective. Errors: DATA: the first that differs;
 * MEMORY, IO. */
trm_status trm_near_check(MPI_Comm comm, trm_result *result, const trm_view *view,
                          trm_error *err) TRM_MUST_CHECK;

#endif
