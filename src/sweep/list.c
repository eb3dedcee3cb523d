/* Lists of the nearest; see list.h. */
#include "sweep/list.h"

trm_candidate *trm_list_of(const trm_state *state, int64_t row, int64_t *room)
{
    *room = trm_state_count(state, 0, row);
    return (trm_candidate *)state->field[0] + state->offset[0][row];
}

void trm_list_window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)query;
    int64_t count;
    const trm_candidate *list = trm_list_of(state, row, &count);
    *lo = -INFINITY;
    *hi = list[count - 1].key;
}

int64_t trm_list_keeps(const trm_query *query, const trm_state *state, int64_t row, double *from)
{
    (void)query;
    *from = -INFINITY;
    return trm_state_count(state, 0, row);
}

bool trm_list_offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                    int64_t *tally)
{
    (void)query;
    (void)tally;
    int64_t count;
    trm_candidate *list = trm_list_of(state, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++)
        if (seen->d[i] <= list[count - 1].key)
            changed |= trm_candidate_insert(list, count, (trm_candidate){seen->d[i], seen->id[i]});
    return changed;
}
