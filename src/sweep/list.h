/* Parts of queries whose first field is an ascending list of the nearest rows: trm_merge_list, of shape 0. */
#ifndef TRM_SWEEP_LIST_H
#define TRM_SWEEP_LIST_H

#include "sweep/query.h"

/* A row's list, and how many slots it has; those that are used come first. */
trm_candidate *trm_list_of(const trm_state *state, int64_t row, int64_t *room);
/* As trm_query_type has them: up to the last in the list; as many as there are slots; each distance that is small enough
 * goes in. */
void trm_list_window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi);
int64_t trm_list_keeps(const trm_query *query, const trm_state *state, int64_t row, double *from);
bool trm_list_offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                    int64_t *tally);

#endif
