/* Results of knn and radius: what they say by themselves, and drawn rows asked anew. */
#ifndef TRM_VERIFY_QUESTIONS_H
#define TRM_VERIFY_QUESTIONS_H

#include "verify/anew.h"
#include "verify/lines.h"

/* Looks at all rows of a result of knn (radius: of all pairs), and takes the hash; of radius notes the pairs that drawn
 * rows are the first of. lines: rows, or pairs. Collective. Errors: DATA, the first fault; MEMORY, IO. */
trm_status trm_knn_check(MPI_Comm comm, trm_result *result, const trm_view *view, int64_t *lines,
                         char hash[33], trm_error *err) TRM_MUST_CHECK;
trm_status trm_radius_check(MPI_Comm comm, trm_result *result, const trm_view *view, int64_t drawn_count,
                            trm_drawn *drawn, int64_t *lines, char hash[33], trm_error *err) TRM_MUST_CHECK;

/* Compares what a group's rows, which have been looked at, found with the result. Not collective. Errors: DATA, IO, MEMORY. */
trm_status trm_knn_decide(const trm_group *group, trm_result *result, int64_t *entries,
                          trm_error *err) TRM_MUST_CHECK;
trm_status trm_radius_decide(const trm_group *group, trm_result *result, const trm_drawn *drawn,
                             int64_t *entries, trm_error *err) TRM_MUST_CHECK;

#endif
