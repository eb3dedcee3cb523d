/* What the policies that draw have in common; see draws.h. */
#include "mine/draws.h"

int64_t trm_draws_most(const trm_negatives *negatives)
{
    return negatives->count;
}

int64_t trm_draws_slots(const trm_query *query, int shape, int64_t class_size, int64_t pairs)
{
    (void)shape;
    (void)class_size;
    return pairs > 0 ? trm_draws_most(query->settings) : 0;
}

/* In the order of the draw. */
int64_t trm_draws_answer(const trm_negatives *negatives, const trm_state *state, int64_t row,
                         const trm_candidate *pair, int64_t i, trm_answer *answers)
{
    (void)negatives;
    (void)pair;
    (void)i;
    int64_t room, count = 0;
    for (const trm_draw *list = trm_draws_of(state, 0, row, &room);
         count < room && trm_draw_exists(list[count]); count++)
        answers[count] = (trm_answer){list[count].id, list[count].d, TRM_KIND_SEMIHARD};
    return count;
}
