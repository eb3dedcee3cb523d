/* An anchor's sorted thresholds, and the grid that finds a place among them in about one look.
 *
 * K cells of equal width over [t_1, t_K]; index[c] = how many thresholds lie in cells before c. The cell of a
 * distance is a monotone function, also as rounded, so thresholds in lower cells are smaller and those in
 * higher cells larger: only its own cell is searched. The tables of an anchor with thousands of thresholds
 * are far larger than a cache, and every distance lands somewhere else in them; so places are found for a
 * batch of distances at a time, each step asking for the next one's memory ahead. */
#ifndef TRM_MINE_THRESHOLDS_H
#define TRM_MINE_THRESHOLDS_H

#include "sweep/query.h"

/* The first fields of a query with thresholds; both of shape 0, a slot a pair. */
enum { TRM_FIELD_THRESHOLDS, TRM_FIELD_INDEX, TRM_FIELD_BEYOND_THRESHOLDS };
#define TRM_THRESHOLDS_FIELDS                                                                                \
    {.name = "thresholds", .kind = TRM_FIELD_GIVEN, .shape = 0, .bytes = sizeof(double)},                    \
    {                                                                                                        \
        .name = "index", .kind = TRM_FIELD_MADE, .shape = 0, .bytes = sizeof(int32_t)                        \
    }

typedef struct trm_thresholds {
    int64_t first, count; /* slots of the anchor in its state */
    const double *t;      /* ascending */
    const int32_t *index;
    double cells_per_unit; /* set by trm_thresholds_grid */
} trm_thresholds;

enum { TRM_THRESHOLDS_BATCH = 64 };

static inline trm_thresholds trm_thresholds_of(const trm_state *state, int64_t row)
{
    const int64_t first = state->offset[0][row];
    return (trm_thresholds){.first = first,
                            .count = state->offset[0][row + 1] - first,
                            .t = (const double *)state->field[TRM_FIELD_THRESHOLDS] + first,
                            .index = (const int32_t *)state->field[TRM_FIELD_INDEX] + first};
}

/* Of a trm_query_type: give puts the distances of a row's pairs into its thresholds; prepare makes its index. */
void trm_thresholds_give(const trm_query *query, trm_state *state, int64_t row, const trm_candidate *pair,
                         int64_t pairs);
void trm_thresholds_prepare(const trm_query *query, trm_state *state, int64_t row);

/* Lays the grid over an anchor with at least one threshold; needed before trm_thresholds_below. */
void trm_thresholds_grid(trm_thresholds *anchor);

/* Memory that the caller will touch beside an anchor's thresholds, slot by slot, to be asked for ahead. */
typedef struct trm_beside {
    const void *slot; /* the anchor's first; NULL: nothing */
    int64_t bytes;    /* of a slot */
} trm_beside;

/* below[i] = how many thresholds are < d[i] - less, n at most TRM_THRESHOLDS_BATCH. */
void trm_thresholds_below(const trm_thresholds *anchor, int64_t n, const double *d, double less,
                          trm_beside beside, int64_t *below);

/* Called along with the batch from distance `from` of n: asks for as large a part of the tables of the anchor
 * in the next slots, for a caller that comes to it next. Read one after another they come several times as
 * fast as by chance. */
void trm_thresholds_look_ahead(const trm_thresholds *anchor, trm_beside beside, int64_t from, int64_t n);

#endif
