/* An anchor's sorted thresholds, and the grid that finds a place among them in about one look.
 *
 * K cells of equal width over [t_1, t_K]; index[c] = how many thresholds lie in cells before c. The cell of a
 * distance is a monotone function, also as rounded, so thresholds in lower cells are smaller and those in
 * higher cells larger: only its own cell is searched. The tables of an anchor with thousands of thresholds
 * are far larger than a cache, and every distance lands somewhere else in them; so places are found for a
 * batch of distances at a time, each step asking for the next one's memory ahead. */
#ifndef TRM_MINE_THRESHOLDS_H
#define TRM_MINE_THRESHOLDS_H

#include "sweep/sink.h"

typedef struct trm_thresholds {
    int64_t first, count; /* slots of the anchor in its state */
    const double *t;      /* ascending */
    const int32_t *index;
    double cells_per_unit; /* set by trm_thresholds_grid */
} trm_thresholds;

enum { TRM_THRESHOLDS_BATCH = 64 };

static inline trm_thresholds trm_thresholds_of(const trm_state *state, int64_t row)
{
    const int64_t first = state->offset[row];
    return (trm_thresholds){.first = first,
                            .count = state->offset[row + 1] - first,
                            .t = state->bound + first,
                            .index = state->index + first};
}

/* A trm_sink's prepare: makes row's index. */
void trm_thresholds_prepare(const trm_sink *sink, trm_state *state, int64_t row);

/* Lays the grid over an anchor with at least one threshold; needed before trm_thresholds_below. */
void trm_thresholds_grid(trm_thresholds *anchor);

/* below[i] = how many thresholds are < d[i] - less, n at most TRM_THRESHOLDS_BATCH. also: memory of 16 bytes
 * a slot that the caller will touch at those places, asked for ahead; or NULL. */
void trm_thresholds_below(const trm_thresholds *anchor, int64_t n, const double *d, double less,
                          const trm_candidate *also, int64_t *below);

/* Called along with the batch from distance `from` of n: asks for as large a part of the tables of the anchor
 * in the next slots, for a caller that comes to it next. Read one after another they come several times as
 * fast as by chance. also: as above. */
void trm_thresholds_look_ahead(const trm_thresholds *anchor, const trm_candidate *also, int64_t from,
                               int64_t n);

#endif
