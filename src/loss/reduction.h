/* From sums and counts to means and the value. */
#ifndef TRM_LOSS_REDUCTION_H
#define TRM_LOSS_REDUCTION_H

#include "trimine/loss.h"

/* Fills in the means and value from sum, count, active, valid and rows. Not collective. */
void trm_loss_reduce(trm_loss_summary *summary, trm_reduction reduction);

#endif
