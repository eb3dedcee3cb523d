/* Losses and gradients: of a result of mine the gradient of its own lines, of a result of loss the value and the gradient of the
 * triplets that its options say. */
#ifndef TRM_VERIFY_LOSSES_H
#define TRM_VERIFY_LOSSES_H

#include "verify/census.h"
#include "verify/lines.h"
#include "verify/lists.h"
#include "verify/verify.h"

/* Is there a gradient, and as the rule says? Not collective. Errors: DATA, MEMORY. */
trm_status trm_losses_find(trm_result *result, const trm_rule *rule, bool *there,
                           trm_error *err) TRM_MUST_CHECK;

/* The gradient of lines, at the sample's rows. lists: of batches, or NULL. *rows: that were compared. Collective. Errors: DATA: the
 * first that differs; MEMORY, IO. */
trm_status trm_losses_of_lines(MPI_Comm comm, const trm_verify_ask *ask, trm_lines *lines,
                               const trm_census *census, const trm_batch_lists *lists, int64_t *rows,
                               trm_error *err) TRM_MUST_CHECK;

/* Why a result of loss can't be decided anew, or is not; empty: it can. Not collective. */
void trm_losses_undecided(const trm_verify_ask *ask, const trm_view *view, char why[TRM_VERIFY_WHY]);
/* The value, and the gradient where there is one. *triplets: that it is of. Collective. Errors: as above; those of the file of
 * triplets. */
trm_status trm_losses_decide(MPI_Comm comm, const trm_verify_ask *ask, trm_result *result,
                             const trm_census *census, int64_t *triplets, int64_t *rows,
                             trm_error *err) TRM_MUST_CHECK;

#endif
