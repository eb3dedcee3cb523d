/* State arrays of a sink; see sink.h. */
#include "base/alloc.h"
#include "sweep/sink.h"

#include <string.h>

trm_status trm_state_create(int64_t rows, const int64_t *offset, int sets, bool bounds, trm_state **state,
                            trm_error *err)
{
    trm_state *made = trm_alloc_zero(1, sizeof *made);
    if (made != NULL) {
        made->rows = rows;
        made->slots = offset[rows];
        made->offset = trm_alloc(rows + 1, sizeof *made->offset);
        made->bound = trm_alloc_zero(bounds ? made->slots : 0, sizeof *made->bound);
        made->index = trm_alloc(bounds ? made->slots : 0, sizeof *made->index);
    }
    if (made == NULL || made->offset == NULL || made->bound == NULL || made->index == NULL) {
        trm_state_destroy(&made);
        return trm_fail_memory(err, "thresholds", offset[rows], sizeof(double));
    }
    memcpy(made->offset, offset, (size_t)(rows + 1) * sizeof *offset);
    trm_status status = trm_state_ask(made, sets, err);
    if (status != TRM_OK)
        trm_state_destroy(&made);
    *state = made;
    return status;
}

trm_status trm_state_ask(trm_state *state, int sets, trm_error *err)
{
    trm_free(state->best);
    state->sets = sets;
    state->best = trm_alloc(sets * state->slots, sizeof *state->best);
    if (state->best == NULL)
        return trm_fail_memory(err, "candidates", sets * state->slots, sizeof *state->best);
    for (int64_t i = 0; i < sets * state->slots; i++)
        state->best[i] = TRM_NO_CANDIDATE;
    return TRM_OK;
}

void trm_state_destroy(trm_state **state)
{
    if (*state == NULL)
        return;
    trm_free((*state)->offset);
    trm_free((*state)->bound);
    trm_free((*state)->index);
    trm_free((*state)->best);
    trm_free(*state);
    *state = NULL;
}
