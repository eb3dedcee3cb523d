/* Sets of done rectangles; see done.h. */
#include "sweep/done.h"

#include "base/alloc.h"

#include <string.h>

static bool is_empty(trm_rectangle r)
{
    return r.a_first >= r.a_last || r.b_first >= r.b_last;
}

static trm_rectangle turned(trm_rectangle r)
{
    return (trm_rectangle){r.b_first, r.b_last, r.a_first, r.a_last};
}

static bool meets(trm_rectangle r, trm_rectangle s)
{
    return r.a_first < s.a_last && s.a_first < r.a_last && r.b_first < s.b_last && s.b_first < r.b_last;
}

static bool holds(trm_rectangle r, trm_rectangle s)
{
    return r.a_first <= s.a_first && s.a_last <= r.a_last && r.b_first <= s.b_first && s.b_last <= r.b_last;
}

/* Does a done rectangle have pairs of another, either way round? */
static bool meets_pairs(const trm_done *done, trm_rectangle r, trm_rectangle s)
{
    return meets(r, s) || (!done->two_sets && meets(turned(r), s));
}

trm_status trm_done_add(trm_done *done, trm_rectangle rectangle, trm_error *err)
{
    if (is_empty(rectangle))
        return TRM_OK;
    if (done->count == done->room) {
        const int64_t room = done->room == 0 ? 16 : 2 * done->room;
        trm_rectangle *more = trm_alloc(room, sizeof *more);
        if (more == NULL)
            return trm_fail_memory(err, "the list of what is done", room, sizeof *more);
        if (done->count > 0)
            memcpy(more, done->rectangle, (size_t)done->count * sizeof *more);
        trm_free(done->rectangle);
        done->rectangle = more;
        done->room = room;
    }
    done->rectangle[done->count++] = rectangle;
    return TRM_OK;
}

trm_status trm_done_add_touching(trm_done *done, const trm_done *from, trm_rectangle area, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < from->count && status == TRM_OK; i++)
        if (meets_pairs(from, from->rectangle[i], area))
            status = trm_done_add(done, from->rectangle[i], err);
    return status;
}

void trm_done_clear(trm_done *done)
{
    done->count = 0;
}

void trm_done_free(trm_done *done)
{
    trm_free(done->rectangle);
    *done = (trm_done){0};
}

/* The edges of done rectangles cut a tile's ranges; between cuts a cell is done or not, as a whole. */
typedef struct cuts {
    bool at[TRM_BLOCK_MAX + 1]; /* by distance from first */
    int64_t first, last;
} cuts;

static void cut(cuts *range, int64_t place)
{
    if (place > range->first && place < range->last)
        range->at[place - range->first] = true;
}

static void cut_both(cuts *a, cuts *b, trm_rectangle r, trm_rectangle tile)
{
    if (!meets(r, tile))
        return;
    cut(a, r.a_first);
    cut(a, r.a_last);
    cut(b, r.b_first);
    cut(b, r.b_last);
}

static int64_t next_cut(const cuts *range, int64_t from)
{
    int64_t place = from + 1;
    while (place < range->last && !range->at[place - range->first])
        place++;
    return place;
}

static bool is_done(const trm_done *done, trm_rectangle cell)
{
    for (int64_t i = 0; i < done->count; i++)
        if (holds(done->rectangle[i], cell) || (!done->two_sets && holds(turned(done->rectangle[i]), cell)))
            return true;
    return false;
}

void trm_done_left(const trm_done *done, trm_rectangle tile, bool diagonal, bool whole, trm_left_fn left,
                   void *context)
{
    bool touched = false;
    for (int64_t i = 0; i < done->count && !touched; i++)
        touched = meets_pairs(done, done->rectangle[i], tile);
    if (!touched) {
        left(context, tile, diagonal);
        return;
    }
    cuts a = {.first = tile.a_first, .last = tile.a_last}, b = {.first = tile.b_first, .last = tile.b_last};
    for (int64_t i = 0; i < done->count; i++) {
        cut_both(&a, &b, done->rectangle[i], tile);
        if (!done->two_sets)
            cut_both(&a, &b, turned(done->rectangle[i]), tile);
    }
    for (int64_t i = a.first, i_next; i < a.last; i = i_next) {
        i_next = next_cut(&a, i);
        /* on a diagonal both ranges have the same cuts, and a cell below it is the mirror of one above */
        for (int64_t j = diagonal ? i : b.first, j_next; j < b.last; j = j_next) {
            j_next = next_cut(&b, j);
            const trm_rectangle cell = {i, i_next, j, j_next};
            if (is_done(done, cell))
                continue;
            if (whole) {
                left(context, tile, diagonal);
                return;
            }
            left(context, cell, diagonal && i == j);
        }
    }
}
