/* The query of neighbours; see nearest.h. */
#include "eval/nearest.h"

#include "eval/among.h"
#include "sweep/list.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* No more than there are rows. */
static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)shape;
    (void)pairs;
    const trm_nearest *nearest = query->settings;
    return smaller(nearest->k, trm_among_count(nearest->among, there));
}

#define NEAREST(which)                                                                                       \
    {                                                                                                        \
        .name = "nearest rows", .relation = (which), .shapes = 1, .fields = 1,                               \
        .field = {{"neighbours", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_list}},               \
        .slots = slots, .window = trm_list_window, .keeps = trm_list_keeps, .offer = trm_list_offer          \
    }

static const trm_query_type any = NEAREST(TRM_ANY_OTHER), same = NEAREST(TRM_SAME_LABEL),
                            other = NEAREST(TRM_OTHER_LABEL);

const trm_query_type *trm_nearest_type(trm_among among)
{
    return among == TRM_AMONG_ANY ? &any : among == TRM_AMONG_SAME ? &same : &other;
}

const trm_candidate *trm_nearest_list(const trm_state *state, int64_t row, int64_t *room)
{
    return trm_list_of(state, row, room);
}

int64_t trm_nearest_most(const trm_nearest *nearest, int64_t rows)
{
    return smaller(nearest->k, rows);
}
