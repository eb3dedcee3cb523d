/* A drawn row: what it was drawn by, and its distance, which an answer needs, too.
 *
 * In a list of nearest ones the key is the distance, and d what else an answer needs.
 *
 * As with candidates (candidate.h) the smallest (key, id) wins, so it does not matter who saw a row, in which
 * order, or how often. Merges of draws: merge.h. */
#ifndef TRM_BASE_DRAW_H
#define TRM_BASE_DRAW_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct trm_draw {
    double key;
    int64_t id;
    double d;
} trm_draw;

/* Nothing drawn yet: loses against everything. */
#define TRM_NO_DRAW ((trm_draw){INFINITY, INT64_MAX, INFINITY})

static inline bool trm_draw_less(trm_draw a, trm_draw b)
{
    return a.key < b.key || (a.key == b.key && a.id < b.id);
}

static inline bool trm_draw_exists(trm_draw a)
{
    return a.id != INT64_MAX;
}

/* Keeps the smaller of both: whether that is the new one. */
static inline bool trm_draw_put(trm_draw *slot, trm_draw draw)
{
    const bool wins = trm_draw_less(draw, *slot);
    if (wins)
        *slot = draw;
    return wins;
}

/* For qsort: ascending (key, id). */
int trm_draw_compare(const void *a, const void *b);

/* Puts one draw into an ascending list: whether it was new and small enough. */
bool trm_draw_insert(trm_draw *list, int64_t length, trm_draw draw);

#endif
