/* Results of eval with the ranks of each query: what they say by themselves, and drawn queries ranked anew. */
#ifndef TRM_VERIFY_RELEVANT_H
#define TRM_VERIFY_RELEVANT_H

#include "verify/anew.h"

/* Looks at all lists, and takes the hash. lines: relevant rows. Collective. Errors: DATA, the first fault; MEMORY, IO. */
trm_status trm_relevant_check(MPI_Comm comm, trm_result *result, const trm_view *view, int64_t *lines,
                              char hash[33], trm_error *err) TRM_MUST_CHECK;
/* Compares what the group's rows find with the result. Not collective. Errors: DATA, IO, MEMORY. */
trm_status trm_relevant_decide(const trm_group *group, trm_result *result, int64_t *entries,
                               trm_error *err) TRM_MUST_CHECK;

#endif
