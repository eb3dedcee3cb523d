/* From the nearest negatives to the answers; see first_look.h. */
#include "mine/first_look.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"

/* Offers an anchor its nearest negatives. Is that all it needs to see? */
static bool offer_nearest(const trm_anchors *anchors, const trm_near *near, trm_state *state, int64_t row)
{
    const trm_query *query = anchors->negatives;
    int64_t count, tally[TRM_TALLY_WORDS] = {0}; /* what would be counted here is known otherwise */
    const trm_candidate *nearest = trm_near_nearest(near, row, &count);
    double lo, hi;
    for (int64_t k = 0; k < count; k++) {
        const trm_seen seen = {.n = 1, .d = &nearest[k].key, .id = &nearest[k].id};
        query->type->offer(query, state, row, &seen, tally);
    }
    if (count == trm_pool_there(anchors->pool, row).negatives)
        return true;
    query->type->window(query, state, row, &lo, &hi);
    return hi <= nearest[count - 1].key; /* what is as far and was not seen has a higher id */
}

/* Offers all of the panel's anchors; the rows of those that need to see more become those of rest. */
static void offer_all(const trm_anchors *anchors, const trm_near *near, const trm_panel *panel, int64_t *rest,
                      int64_t *count)
{
    *count = 0;
#pragma omp parallel for schedule(dynamic, 64) num_threads(anchors->run->threads)
    for (int64_t k = 0; k < panel->count; k++) {
        const int64_t row = panel->row[k];
        const bool done =
            trm_anchors_pairs(anchors, row) == 0 || offer_nearest(anchors, near, panel->negatives, row);
        rest[k] = done ? -1 : row;
    }
    for (int64_t k = 0; k < panel->count; k++)
        if (rest[k] >= 0)
            rest[(*count)++] = rest[k];
}

/* The sweep for those. It takes the list of their rows. */
static trm_status ask_again(const trm_anchors *anchors, trm_panel *panel, int64_t *rest, int64_t count,
                            trm_sweep *sweep, trm_sweep_counts *counts, trm_error *err)
{
    trm_panel part;
    trm_status status = trm_panel_pick(anchors, panel, rest, count, &part, err);
    if (status == TRM_OK)
        status = trm_anchors_sweep(anchors, sweep, "negatives",
                                   (trm_asked){anchors->negatives, part.negatives}, counts, err);
    if (status == TRM_OK)
        trm_panel_put_back(panel, &part);
    trm_panel_close(&part);
    return status;
}

trm_status trm_first_look_finish(const trm_anchors *anchors, const trm_near *near, trm_panel *panel,
                                 trm_sweep *sweep, trm_sweep_counts *counts, trm_error *err)
{
    MPI_Comm comm = anchors->run->comm;
    int64_t count = 0, *rest = trm_alloc(panel->count, sizeof *rest);
    trm_status status =
        rest == NULL ? trm_fail_memory(err, "anchors that ask again", panel->count, sizeof *rest) : TRM_OK;
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        offer_all(anchors, near, panel, rest, &count);
    if (status == TRM_OK && trm_sum_int64(comm, count) > 0)
        status = ask_again(anchors, panel, rest, count, sweep, counts, err);
    else
        trm_free(rest);
    if (status == TRM_OK)
        trm_sweep_settle(sweep, anchors->negatives, panel->negatives);
    return status;
}
