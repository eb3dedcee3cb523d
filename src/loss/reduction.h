/* From sums and counts to means and the value. */
#ifndef TRM_LOSS_REDUCTION_H
#define TRM_LOSS_REDUCTION_H

#include "base/error.h"
#include "base/word.h"
#include "trimine/loss.h"

/* The names of the reductions. */
extern const trm_words trm_reduction_words;

/* Fills in the means and value from sum, count, active, valid and rows. Not collective; the same on all
 * ranks. Errors: DATA (the sum is beyond float64). */
trm_status trm_loss_reduce(trm_loss_summary *summary, const trm_loss_options *options,
                           trm_error *err) TRM_MUST_CHECK;

#endif
