/* The options of a loss: tables of them, and as a list to check. */
#ifndef TRM_LOSS_OPTIONS_H
#define TRM_LOSS_OPTIONS_H

#include "options/option.h"
#include "par/arguments.h"
#include "trimine/packed.h"

/* Of trm_loss_options: the loss, and its gradient at the hinge's corner. */
extern const trm_options trm_loss_table, trm_corner_table;
/* Of trm_packed_options, but for its loss. */
extern const trm_options trm_packed_table;
/* Of trm_mine_options: the policy of negatives, over a store or in packed triplets. */
extern const trm_options trm_loss_negatives_table;
/* Of trm_survey_options: what is told of the triplets beside the loss. */
extern const trm_options trm_survey_table;
/* Of trm_source. */
extern const trm_words trm_source_words;

/* Add all but trm_packed_options.loss. Not collective. */
void trm_loss_arguments(trm_arguments *list, const trm_loss_options *options);
void trm_packed_arguments(trm_arguments *list, const trm_packed_options *options);

/* Norms that a gradient is divided by, of rows first, first + 1, ... of what ("row", ...). Not collective.
 * Errors: DATA for one that is not finite and above 0. */
trm_status trm_loss_check_norms(int64_t count, const double *norms, const char *what, int64_t first,
                                trm_error *err) TRM_MUST_CHECK;

#endif
