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
        made->sets = sets;
        made->offset = trm_alloc(rows + 1, sizeof *made->offset);
        made->bound = trm_alloc_zero(bounds ? made->slots + TRM_STATE_PADDING : 0, sizeof *made->bound);
        made->index = trm_alloc(bounds ? made->slots : 0, sizeof *made->index);
        made->best = trm_alloc(sets * made->slots, sizeof *made->best);
    }
    if (made == NULL || made->offset == NULL || made->bound == NULL || made->index == NULL ||
        made->best == NULL) {
        trm_state_destroy(&made);
        return trm_fail_memory(err, "candidates", sets * offset[rows], sizeof(trm_candidate));
    }
    memcpy(made->offset, offset, (size_t)(rows + 1) * sizeof *offset);
    for (int64_t i = 0; i < sets * made->slots; i++)
        made->best[i] = TRM_NO_CANDIDATE;
    *state = made;
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
