/* Survivors that others of their tile outdo; see outdone.h. A survivor's distance is in [lo, hi]. Where a row keeps the
 * k nearest of those beyond a place, let u be such that k of its survivors have lo beyond that place and hi <= u. Any
 * survivor with lo > u is farther than those k, each of which is offered to the row or is of no use to it as it
 * stands; so this one is of none. Where the farthest are kept, the same with -hi and -lo.
 *
 * u is found without keeping lists: the row's survivors are put into groups, a few times as many as it keeps, of which
 * each remembers its smallest hi. The k-th smallest of these belong to k survivors, and is near the k-th of all. */
#include "sweep/outdone.h"

#include <math.h>

enum { MANY = 4, GROUPS_A_KEPT = TRM_KEPT_GROUPS / TRM_KEEPS_MAX };

/* A survivor as a side sees it: its row there, the other row, and bounds of what the row keeps the smallest of. */
typedef struct seen {
    int64_t row, other;
    float lo, hi;
} seen;

static seen as_seen(const trm_survivor *survivor, bool by_a, bool farthest)
{
    return (seen){by_a ? survivor->row : survivor->col, by_a ? survivor->col : survivor->row,
                  farthest ? -survivor->hi : survivor->lo, farthest ? -survivor->lo : survivor->hi};
}

bool trm_outdone_told(const trm_tiles *tiles, const trm_side *side)
{
    /* of those that are listed none is offered, so they can't outdo others */
    return side->query != NULL && side->query->type->keeps != NULL && tiles->relation != TRM_NOT_LISTED &&
           tiles->relation != TRM_NOT_LISTED_OTHER_LABEL;
}

/* Groups of the survivors of a row that keeps so many: a power of two. */
static int groups_of(int keeps)
{
    int groups = 1;
    while (keeps > 1 && groups < GROUPS_A_KEPT * keeps)
        groups *= 2;
    return groups;
}

int64_t trm_outdone_keeps(const trm_side *side, int64_t row, double *from)
{
    *from = 0.0;
    return trm_side_has_slots(side, row, row + 1)
               ? side->query->type->keeps(side->query, side->state, row, from)
               : 0;
}

/* What the rows [first, first + count) of a side keep, nothing seen yet. Gives how many they keep in all. */
static int64_t begin_rows(const trm_side *side, int64_t first, int64_t count, trm_worker *worker)
{
    int64_t all = 0;
    for (int64_t i = 0; i < count; i++) {
        trm_kept *row = &worker->kept[i];
        const int64_t keeps = trm_outdone_keeps(side, first + i, &row->from);
        row->keeps = keeps <= TRM_KEEPS_MAX ? (int)keeps : 0;
        row->last_group = groups_of(row->keeps) - 1;
        row->bound = INFINITY;
        for (int k = 0; k <= row->last_group; k++)
            row->best[k] = INFINITY;
        all += keeps;
    }
    return all;
}

/* The count-th smallest of the groups' best. */
static float bound_of(const trm_kept *row)
{
    float list[TRM_KEEPS_MAX];
    for (int k = 0; k < row->keeps; k++)
        list[k] = INFINITY;
    for (int k = 0; k <= row->last_group; k++)
        trm_keep_smallest(list, row->keeps, row->best[k]);
    return list[row->keeps - 1];
}

/* Finds the bound of each row of a side, from first on. */
static void find_bounds(const trm_side *side, int64_t first, int64_t count, bool by_a, trm_worker *worker)
{
    const trm_workspace *work = worker->work;
    const bool farthest = side->query->type->keeps_farthest;
    for (int64_t k = 0; k < work->count; k++) {
        const seen s = as_seen(&work->survivors[k], by_a, farthest);
        trm_kept *row = &worker->kept[s.row - first];
        float *best = &row->best[s.other & row->last_group];
        *best = (double)s.lo > row->from && s.hi < *best ? s.hi : *best;
    }
    for (int64_t i = 0; i < count; i++)
        if (worker->kept[i].keeps > 0)
            worker->kept[i].bound = bound_of(&worker->kept[i]);
}

/* Marks the survivors that one side's rows, from first on, may want. */
static void mark_side(const trm_tiles *tiles, const trm_side *side, int64_t first, int64_t count,
                      trm_worker *worker, uint8_t mark)
{
    const trm_workspace *work = worker->work;
    const bool by_a = mark == TRM_WANTED_BY_A;
    if (side->query == NULL)
        return;
    /* where there are fewer survivors, few rows have many to spare */
    if (!trm_outdone_told(tiles, side) || work->count <= MANY * count ||
        work->count <= MANY * begin_rows(side, first, count, worker)) {
        for (int64_t k = 0; k < work->count; k++)
            worker->wanted[k] |= mark;
        return;
    }
    find_bounds(side, first, count, by_a, worker);
    for (int64_t k = 0; k < work->count; k++) {
        const seen s = as_seen(&work->survivors[k], by_a, side->query->type->keeps_farthest);
        worker->wanted[k] |= s.lo > worker->kept[s.row - first].bound ? 0 : mark;
    }
}

void trm_outdone_drop(const trm_tiles *tiles, const trm_tile *tile, trm_worker *worker)
{
    trm_workspace *work = worker->work;
    int64_t kept = 0;
    for (int64_t k = 0; k < work->count; k++)
        worker->wanted[k] = 0;
    mark_side(tiles, tiles->a, tile->row, tile->rows, worker, TRM_WANTED_BY_A);
    mark_side(tiles, tiles->b, tile->col, tile->cols, worker, TRM_WANTED_BY_B);
    for (int64_t k = 0; k < work->count; k++) {
        if (!worker->wanted[k])
            continue;
        work->survivors[kept] = work->survivors[k];
        worker->wanted[kept++] = worker->wanted[k];
    }
    work->count = kept;
}
