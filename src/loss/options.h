/* The options of a loss as a list to check. */
#ifndef TRM_LOSS_OPTIONS_H
#define TRM_LOSS_OPTIONS_H

#include "par/arguments.h"
#include "trimine/loss.h"

/* Not collective. */
void trm_loss_arguments(trm_arguments *list, const trm_loss_options *options);

/* Norms that a gradient is divided by, of rows first, first + 1, ... of what ("row", ...). Not collective.
 * Errors: DATA for one that is not finite and above 0. */
trm_status trm_loss_check_norms(int64_t count, const double *norms, const char *what, int64_t first,
                                trm_error *err) TRM_MUST_CHECK;

#endif
