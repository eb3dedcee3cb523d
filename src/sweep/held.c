/* Survivors that wait to be decided in float64; see held.h.
 *
 * A survivor's distance is in [lo, hi]. Where a row keeps the k nearest of those beyond a place, let u be such that k of
 * the survivors it has seen have lo beyond that place and hi <= u. Any pair with lo > u is farther than those k, each of
 * which is offered to the row sooner or later or is of no use to it as it stands; so this pair is of none. Where the
 * farthest are kept, the same with -hi and -lo. So windows narrow before anything is decided, and of what waits most
 * is outdone by the time it is looked at again.
 *
 * u is the last of the k smallest hi, which are in a trm_nearest, filled up with -INFINITY at the front. A row of which k
 * can't be told has NaN there, so that no pair is noted and none ruled out; one that is no anchor has -INFINITY alone. */
#include "sweep/held.h"

#include "metric/metric.h"
#include "sweep/offer.h"

#include <math.h>

/* Which side of a survivor wants it. */
enum { BY_A = 1, BY_B = 2 };

/* ---- what the rows of a side have seen ---- */

void trm_nearest_begin(trm_nearest *nearest, const trm_side *side, int64_t row)
{
    const bool asks = side->query != NULL && trm_side_has_slots(side, row, row + 1);
    double from = 0.0;
    int64_t keeps = 0;
    if (asks && side->query->type->keeps != NULL)
        keeps = side->query->type->keeps(side->query, side->state, row, &from);
    const bool told = keeps > 0 && keeps <= TRM_KEEPS_MAX;
    nearest->from = (double)(float)from < from ? nextafterf((float)from, INFINITY) : (float)from;
    for (int k = 0; k < TRM_KEEPS_MAX; k++)
        nearest->hi[k] = !asks || k < TRM_KEEPS_MAX - keeps ? -INFINITY : INFINITY;
    for (int k = 0; k < TRM_KEEPS_MAX && asks && !told; k++)
        nearest->hi[k] = NAN;
}

/* Has it been noted what the side's rows have seen? */
static bool is_noted(const trm_side *side)
{
    return side->nearest != NULL && side->query != NULL && side->query->type->keeps != NULL;
}

void trm_held_begin(trm_side *side, int threads)
{
    if (!is_noted(side))
        return;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t row = 0; row < side->count; row++)
        trm_nearest_begin(&side->nearest[row], side, row);
}

float trm_held_bound(const trm_side *side, int64_t row)
{
    return is_noted(side) ? trm_nearest_bound(&side->nearest[row]) : NAN;
}

/* ---- taking survivors ---- */

bool trm_held_may_wait(const trm_tiles *tiles)
{
    return (tiles->a->query == NULL || is_noted(tiles->a)) && (tiles->b->query == NULL || is_noted(tiles->b));
}

/* A survivor as a side sees it: its row there, the other row, and bounds of what the row keeps the smallest of. */
typedef struct seen {
    int64_t row, other;
    float lo, hi;
} seen;

static inline seen as_seen(const trm_survivor *survivor, bool by_a, bool farthest)
{
    return (seen){by_a ? survivor->row : survivor->col, by_a ? survivor->col : survivor->row,
                  farthest ? -survivor->hi : survivor->lo, farthest ? -survivor->lo : survivor->hi};
}

static inline int64_t wanting_row(const trm_survivor *survivor, uint8_t mark)
{
    return mark == BY_A ? survivor->row : survivor->col;
}

/* What is fetched while pair k is looked at. */
static inline const trm_survivor *later(const trm_found *found, int64_t k)
{
    return &found->pair[k + TRM_FETCH_AHEAD < found->count ? k + TRM_FETCH_AHEAD : k];
}

/* Narrows the windows of the rows of a tile row whose bounds moved. Their queries' own windows will be no narrower once the
 * pairs are decided. */
static void narrow_windows(trm_side *side, int64_t first, int64_t count, trm_worker *worker)
{
    const bool farthest = side->query->type->keeps_farthest;
    for (int64_t i = 0; i < count && first + i < side->count; i++) {
        if (!worker->changed[i])
            continue;
        worker->changed[i] = 0;
        const double bound = (double)trm_nearest_bound(&side->nearest[first + i]);
        trm_bounds_narrow(side->bounds, side->block, first + i, farthest ? -bound : -INFINITY,
                          farthest ? INFINITY : bound);
    }
}

/* What survivors tell the rows of a side; marks those that these may want. */
static void tell_side(const trm_tiles *tiles, trm_side *side, const trm_side *other, int64_t tile_row,
                      const trm_found *found, trm_worker *worker, uint8_t mark)
{
    const bool by_a = mark == BY_A;
    const int64_t first = tile_row * tiles->tile;
    if (side->query == NULL)
        return;
    const bool farthest = side->query->type->keeps_farthest, lists = trm_offer_has_lists(tiles);
    omp_set_lock(&side->locks[tile_row]);
    for (int64_t k = 0; k < found->count; k++) {
        const seen s = as_seen(&found->pair[k], by_a, farthest);
        __builtin_prefetch(&side->nearest[wanting_row(later(found, k), mark)]);
        if (lists && trm_offer_leaves_out(tiles, side, s.row, other, s.other))
            continue;
        if (trm_nearest_note(&side->nearest[s.row], s.lo, s.hi))
            worker->changed[s.row - first] = 1;
    }
    for (int64_t k = 0; k < found->count; k++) {
        const seen s = as_seen(&found->pair[k], by_a, farthest);
        worker->wanted[k] |= s.lo > trm_nearest_bound(&side->nearest[s.row]) ? 0 : mark;
    }
    narrow_windows(side, first, tiles->tile, worker);
    omp_unset_lock(&side->locks[tile_row]);
}

/* Room for the survivors of a tile: what waits is decided where there is none. */
static void make_room(const trm_tiles *tiles, int64_t count, trm_worker *worker)
{
    if (worker->held_count + count > worker->held_room || worker->held_parts == TRM_HELD_PARTS)
        trm_held_decide(tiles, worker);
}

int64_t trm_held_take(const trm_tiles *tiles, const trm_found *found, int64_t most, trm_worker *worker)
{
    int64_t wanted = 0;
    make_room(tiles, found->count, worker);
    memset(worker->wanted, 0, (size_t)found->count);
    tell_side(tiles, tiles->a, tiles->b, found->tile_a, found, worker, BY_A);
    tell_side(tiles, tiles->b, tiles->a, found->tile_b, found, worker, BY_B);
    for (int64_t k = 0; k < found->count; k++)
        wanted += worker->wanted[k] != 0;
    if (wanted > most)
        return -1;
    if (wanted == 0)
        return 0;
    for (int64_t k = 0; k < found->count; k++)
        if (worker->wanted[k] != 0)
            worker->held[worker->held_count++] = found->pair[k];
    worker->held_part[worker->held_parts++] =
        (trm_held_part){worker->held_count, found->tile_a, found->tile_b};
    return wanted;
}

/* ---- deciding ---- */

/* Takes the mark from what others outdo, which needs no question. Gives how many have it still. */
static int64_t mark_in_bounds(const trm_side *side, const trm_found *found, trm_worker *worker, uint8_t mark)
{
    if (!is_noted(side))
        return found->count;
    const bool farthest = side->query->type->keeps_farthest;
    int64_t left = 0;
    for (int64_t k = 0; k < found->count; k++) {
        const seen s = as_seen(&found->pair[k], mark == BY_A, farthest);
        __builtin_prefetch(&side->nearest[wanting_row(later(found, k), mark)]);
        const bool outdone = s.lo > trm_nearest_bound(&side->nearest[s.row]);
        worker->wanted[k] &= (uint8_t) ~(outdone ? mark : 0);
        left += !outdone;
    }
    return left;
}

/* Of a query whose window says it all, and so many survivors that each row's is better taken once. */
static void mark_in_windows(const trm_side *side, int64_t first, int64_t rows, const trm_found *found,
                            trm_worker *worker, uint8_t mark)
{
    for (int64_t i = 0; i < rows; i++)
        trm_side_window(side, first + i, &worker->lo[i], &worker->hi[i]);
    for (int64_t k = 0; k < found->count; k++) {
        const int64_t i = wanting_row(&found->pair[k], mark) - first;
        const bool none = worker->lo[i] > worker->hi[i]; /* whatever the bounds: they may be infinite, too */
        if (none || (double)found->pair[k].lo > worker->hi[i] || (double)found->pair[k].hi < worker->lo[i])
            worker->wanted[k] &= (uint8_t)~mark; /* what can't be compared is wanted */
    }
}

/* Takes the mark from the survivors that a side does not want; under its lock, because another thread may be moving its state. */
static void mark_wanted(const trm_tiles *tiles, trm_side *side, int64_t tile_row, const trm_found *found,
                        trm_worker *worker, uint8_t mark)
{
    const int64_t first = tile_row * tiles->tile, end = first + tiles->tile,
                  rows = (end < side->count ? end : side->count) - first;
    omp_set_lock(&side->locks[tile_row]);
    const int64_t left = mark_in_bounds(side, found, worker, mark);
    if (side->query->type->wants == NULL && left >= rows) {
        mark_in_windows(side, first, rows, found, worker, mark);
    } else {
        for (int64_t k = 0; k < found->count && left > 0; k++)
            if ((worker->wanted[k] & mark) != 0 &&
                !trm_side_wants(side, wanting_row(&found->pair[k], mark), (double)found->pair[k].lo,
                                (double)found->pair[k].hi))
                worker->wanted[k] &= (uint8_t)~mark;
    }
    omp_unset_lock(&side->locks[tile_row]);
}

/* The distances of those that are wanted, which go to worker->decided. Gives how many. */
static int64_t measure(const trm_tiles *tiles, const trm_found *found, trm_worker *worker)
{
    const trm_side *a = tiles->a, *b = tiles->b;
    const int dim = tiles->dim;
    int64_t decided = 0;
    for (int64_t k = 0; k < found->count; k++) {
        if (!worker->wanted[k])
            continue;
        if (k + TRM_FETCH_AHEAD < found->count && worker->wanted[k + TRM_FETCH_AHEAD]) {
            trm_row_fetch(a->x + later(found, k)->row * (int64_t)dim, dim);
            trm_row_fetch(b->x + later(found, k)->col * (int64_t)dim, dim);
        }
        const int64_t i = found->pair[k].row, j = found->pair[k].col;
        worker->decided[k] =
            trm_distance(tiles->metric, a->x + i * dim, a->norm2[i], b->x + j * dim, b->norm2[j], dim, NULL);
        decided++;
    }
    return decided;
}

/* Offers the decided survivors to a side and moves the windows of the rows that changed. */
static void offer_decided(const trm_tiles *tiles, trm_side *side, const trm_side *other, int64_t tile_row,
                          const trm_found *found, trm_worker *worker, uint8_t mark)
{
    const int64_t first = tile_row * tiles->tile;
    if (side->query == NULL)
        return;
    omp_set_lock(&side->locks[tile_row]);
    for (int64_t k = 0; k < found->count; k++) {
        if (!(worker->wanted[k] & mark))
            continue;
        const int64_t row = wanting_row(&found->pair[k], mark),
                      from = wanting_row(&found->pair[k], mark ^ (BY_A | BY_B));
        if (trm_offer_range(tiles, side, row, other, from, from + 1, &worker->decided[k], worker) &&
            isnan(trm_held_bound(side, row))) /* else the window was moved when the pair was noted */
            worker->changed[row - first] = 1;
    }
    trm_side_move_windows(side, first, tiles->tile, worker);
    omp_unset_lock(&side->locks[tile_row]);
}

int64_t trm_found_decide(const trm_tiles *tiles, const trm_found *found, trm_worker *worker)
{
    const uint8_t asked = (tiles->a->query != NULL ? BY_A : 0) | (tiles->b->query != NULL ? BY_B : 0);
    memset(worker->wanted, asked, (size_t)found->count);
    if (tiles->a->query != NULL)
        mark_wanted(tiles, tiles->a, found->tile_a, found, worker, BY_A);
    if (tiles->b->query != NULL)
        mark_wanted(tiles, tiles->b, found->tile_b, found, worker, BY_B);
    const int64_t decided = measure(tiles, found, worker);
    worker->counts.float64 += decided;
    if (decided > 0) {
        offer_decided(tiles, tiles->a, tiles->b, found->tile_a, found, worker, BY_A);
        offer_decided(tiles, tiles->b, tiles->a, found->tile_b, found, worker, BY_B);
    }
    return decided;
}

void trm_held_decide(const trm_tiles *tiles, trm_worker *worker)
{
    int64_t from = 0;
    for (int64_t p = 0; p < worker->held_parts; p++) {
        const trm_held_part *part = &worker->held_part[p];
        const trm_found found = {worker->held + from, part->end - from, part->tile_a, part->tile_b};
        trm_found_decide(tiles, &found, worker);
        from = part->end;
    }
    worker->held_count = worker->held_parts = 0;
}
