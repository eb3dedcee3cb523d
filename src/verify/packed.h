/* A result of packed triplets, against their file: each anchor's choice among its own negatives, the value, and gradients. */
#ifndef TRM_VERIFY_PACKED_H
#define TRM_VERIFY_PACKED_H

#include "store/result_read.h"
#include "verify/rule.h"
#include "verify/verify.h"

/* ask->store is the file of packed triplets. All anchors are decided anew, and the gradient of the sample's is compared. Collective.
 * Errors: as trm_verify, and as trm_packed_read. */
trm_status trm_packed_verify(MPI_Comm comm, const trm_verify_ask *ask, trm_result *result,
                             const trm_rule *rule, trm_verify_found *found, trm_error *err) TRM_MUST_CHECK;

#endif
