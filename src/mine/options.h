/* The options of mining as a list to check. */
#ifndef TRM_MINE_OPTIONS_H
#define TRM_MINE_OPTIONS_H

#include "par/arguments.h"
#include "trimine/mine.h"

/* Adds all but reserve, which is each rank's own. Not collective. */
void trm_mine_arguments(trm_arguments *list, const trm_mine_options *options);

#endif
