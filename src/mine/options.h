/* The options of mining: tables of them, and as a list to check. */
#ifndef TRM_MINE_OPTIONS_H
#define TRM_MINE_OPTIONS_H

#include "options/option.h"
#include "par/arguments.h"
#include "trimine/mine.h"

/* Of trm_mine_options: what every policy takes, what only the semihard one does, and what only hard and topk do: a row
 * a filter, in their order, then the ranks. */
extern const trm_options trm_mine_table, trm_negatives_table, trm_semihard_table, trm_filters_table,
    trm_sets_table;
/* Of mine; a loss over a store has an option of that name of its own, and trm_mine_table checks the field. */
extern const trm_options trm_lone_table;
/* And what only those do that are sets. */
extern const trm_options trm_set_table;
extern const trm_words trm_window_words, trm_pick_words, trm_fallback_words, trm_rank_order_words,
    trm_shortlist_words;

/* The caller's options, over the defaults. Not collective. Errors: USAGE, as trm_sized_take. */
trm_status trm_mine_options_take(trm_mine_options *own, const trm_mine_options *given,
                                 trm_error *err) TRM_MUST_CHECK;

/* Is anything drawn by the seed? Not collective. */
bool trm_mine_draws(const trm_mine_options *options);

/* Adds all but reserve, which is each rank's own. Not collective. */
void trm_mine_arguments(trm_arguments *list, const trm_mine_options *options);

#endif
