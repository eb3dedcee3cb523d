/* The options of mining as a list to check. */
#ifndef TRM_MINE_OPTIONS_H
#define TRM_MINE_OPTIONS_H

#include "par/arguments.h"
#include "trimine/mine.h"

/* The caller's options, over the defaults. Not collective. Errors: USAGE, as trm_sized_take. */
trm_status trm_mine_options_take(trm_mine_options *own, const trm_mine_options *given,
                                 trm_error *err) TRM_MUST_CHECK;

/* Adds all but reserve, which is each rank's own. Not collective. */
void trm_mine_arguments(trm_arguments *list, const trm_mine_options *options);

#endif
