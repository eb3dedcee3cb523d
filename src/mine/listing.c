/* Lists of negatives whose number is known; see listing.h. */
#include "mine/listing.h"

#include <stdlib.h>

int64_t trm_listing_slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)query;
    (void)there;
    return shape == 0 ? pairs : 0;
}

void trm_listing_settle(const trm_query *query, trm_state *state, int64_t row, trm_candidate *scratch)
{
    (void)query;
    (void)scratch;
    int64_t count;
    trm_candidate *list = trm_listing_of(state, row, &count);
    if (count > 1)
        qsort(list, (size_t)count, sizeof *list, trm_candidate_compare);
}

void trm_listing_add(trm_state *state, int64_t row, const trm_candidate *more, int64_t count)
{
    int64_t room;
    trm_candidate *list = trm_listing_of(state, row, &room);
    int64_t at = count > 0 ? trm_candidates_count(list, room) : room;
    for (int64_t i = 0; i < count && at < room; i++)
        list[at++] = more[i];
}

int64_t trm_listing_answer(const trm_candidate *list, int64_t from, int64_t to, trm_answer *answer)
{
    for (int64_t i = from; i < to; i++)
        answer[i - from] = (trm_answer){list[i].id, list[i].key, TRM_KIND_SEMIHARD};
    return to > from ? to - from : 0;
}
