/* One tile: filter, decide the survivors in float64, offer them to both rows' anchors.
 *
 * Where the filter lets most pairs through (thousands of thresholds an anchor: every distance lies in
 * somebody's window), filtering first is lost time: such tiles are decided whole by the blocked canonical
 * dot, which is exact as it stands. Which way a tile goes changes the time only, never the result. */
#include "base/alloc.h"
#include "metric/metric.h"
#include "sweep/held.h"
#include "sweep/offer.h"

#include <string.h>

/* Deciding one pair alone costs about three times its share of a blocked tile, plus the filter; asking both
 * sides whether they want it costs up to twice that share, where they have thousands of thresholds. */
enum { DENSE_ABOVE_ONE_IN = 6, ASK_UP_TO_ONE_IN = 3, DENSE_TILES_MAX = 256 };
/* All pairs of a class are decided that has no more of them in a tile. */
enum { DENSE_PAIRS = 512 };
/* Columns gathered at once: a cache line's. Rows of a block are that much apart, so that a column of them
 * does not fall into one set of the cache. */
enum { LINES = 8, PADDING = 8 };
/* Rows of a strip that is a part of a group. */
enum { STRIP_STEP = 8 };

trm_status trm_worker_create(int tile, trm_worker **worker, trm_error *err)
{
    trm_worker *made = trm_alloc_zero(1, sizeof *made);
    const int64_t strip = trm_tile_round_up(tile) * TRM_TILE_ALIGN; /* the filter goes by strips */
    trm_status status = made == NULL ? trm_fail_memory(err, "scratch", 1, sizeof *made)
                                     : trm_workspace_create(strip, &made->work, err);
    if (status == TRM_OK)
        status = trm_bounds_create(tile, &made->a_bounds, err);
    if (status == TRM_OK)
        status = trm_bounds_create(tile, &made->b_bounds, err);
    if (status == TRM_OK) {
        made->lo = trm_alloc(tile, sizeof *made->lo);
        made->hi = trm_alloc(tile, sizeof *made->hi);
        made->changed = trm_alloc_zero(tile, sizeof *made->changed);
        made->wanted = trm_alloc(strip, sizeof *made->wanted);
        made->fit = trm_alloc(tile, sizeof *made->fit);
        made->held_room = strip * TRM_HELD_STRIPS;
        made->held = trm_alloc(made->held_room, sizeof *made->held);
        made->held_part = trm_alloc(TRM_HELD_PARTS, sizeof *made->held_part);
        if (!made->held || !made->held_part || !made->fit || !made->lo || !made->hi || !made->changed ||
            !made->wanted)
            status = trm_fail_memory(err, "scratch", strip, sizeof *made->held);
    }
    if (status == TRM_OK)
        status = trm_worker_widen(made, tile, err);
    if (status != TRM_OK)
        trm_worker_destroy(&made);
    *worker = made;
    return status;
}

void trm_worker_destroy(trm_worker **worker)
{
    trm_worker *old = *worker;
    if (old == NULL)
        return;
    trm_workspace_destroy(&old->work);
    trm_bounds_destroy(&old->a_bounds);
    trm_bounds_destroy(&old->b_bounds);
    trm_free(old->dense);
    trm_free(old->lines);
    trm_free(old->lo);
    trm_free(old->hi);
    trm_free(old->changed);
    trm_free(old->wanted);
    trm_free(old->fit);
    trm_free(old->held);
    trm_free(old->held_part);
    trm_free(old);
    *worker = NULL;
}

trm_status trm_worker_widen(trm_worker *worker, int block, trm_error *err)
{
    if (worker->block >= block)
        return TRM_OK;
    trm_free(worker->dense);
    trm_free(worker->lines);
    worker->dense = trm_alloc(block * (int64_t)(block + PADDING), sizeof *worker->dense);
    worker->lines = trm_alloc(LINES * (int64_t)block, sizeof *worker->lines);
    worker->decided = worker->dense; /* a tile is either filtered or dense */
    worker->block = worker->dense != NULL && worker->lines != NULL ? block : 0;
    return worker->block > 0 ? TRM_OK
                             : trm_fail_memory(err, "scratch", block * (int64_t)block, sizeof(double));
}

int64_t trm_worker_block_bytes(int block)
{
    return (int64_t)block * (block + PADDING + LINES) * (int64_t)sizeof(double);
}

int64_t trm_worker_bytes(int tile)
{
    const size_t pair = (1 + TRM_HELD_STRIPS) * sizeof(trm_survivor) + sizeof(float) + 1;
    return trm_tile_round_up(tile) * TRM_TILE_ALIGN * (int64_t)pair +
           TRM_HELD_PARTS * (int64_t)sizeof(trm_held_part) + trm_worker_block_bytes(tile);
}

bool trm_side_has_slots(const trm_side *side, int64_t first, int64_t last)
{
    return side->query != NULL && side->state->offset[0][last] > side->state->offset[0][first];
}

void trm_side_window(const trm_side *side, int64_t row, double *lo, double *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    if (!trm_side_has_slots(side, row, row + 1))
        return;
    side->query->type->window(side->query, side->state, row, lo, hi);
    const double bound = (double)trm_held_bound(side, row);
    if (!side->query->type->keeps_farthest)
        *hi = bound < *hi ? bound : *hi;
    else
        *lo = -bound > *lo ? -bound : *lo;
}

bool trm_side_wants(const trm_side *side, int64_t row, double lo, double hi)
{
    if (!trm_side_has_slots(side, row, row + 1))
        return false;
    const bool outdone = (side->query->type->keeps_farthest ? -hi : lo) > (double)trm_held_bound(side, row);
    return !outdone && trm_query_wants(side->query, side->state, row, lo, hi);
}

void trm_side_set_windows(trm_side *side, int64_t first, int64_t count, double *lo, double *hi)
{
    for (int64_t i = 0; i < count; i++)
        trm_side_window(side, first + i, &lo[i], &hi[i]);
    trm_bounds_set(side->bounds, side->block, first, count, lo, hi);
}

void trm_side_move_windows(trm_side *side, int64_t first, int64_t count, trm_worker *worker)
{
    for (int64_t i = 0; i < count && first + i < side->count; i++) {
        if (!worker->changed[i])
            continue;
        worker->changed[i] = 0;
        trm_side_set_windows(side, first + i, 1, worker->lo, worker->hi);
    }
}

void trm_same_label_range(const int64_t *label, int64_t first, int64_t last, int64_t sought, int64_t *from,
                          int64_t *to)
{
    int64_t lo = first, hi = last;
    while (lo < hi) {
        int64_t middle = lo + (hi - lo) / 2;
        if (label[middle] < sought)
            lo = middle + 1;
        else
            hi = middle;
    }
    *from = lo;
    hi = last;
    while (lo < hi) {
        int64_t middle = lo + (hi - lo) / 2;
        if (label[middle] <= sought)
            lo = middle + 1;
        else
            hi = middle;
    }
    *to = lo;
}

/* Rows [row, row_end) of a with rows [col, col_end) of b: is there no use for any of these pairs? */
static bool is_idle(const trm_tiles *tiles, int64_t row, int64_t row_end, int64_t col, int64_t col_end)
{
    const trm_side *a = tiles->a, *b = tiles->b;
    const bool disjoint = a->label[row_end - 1] < b->label[col] || b->label[col_end - 1] < a->label[row];
    const bool one_label = a->label[row] == a->label[row_end - 1] && b->label[col] == b->label[col_end - 1] &&
                           a->label[row] == b->label[col];
    if ((tiles->relation == TRM_SAME_LABEL && disjoint) || (tiles->relation == TRM_OTHER_LABEL && one_label))
        return true;
    return !trm_side_has_slots(a, row, row_end) && !trm_side_has_slots(b, col, col_end);
}

/* The end of the tile row that row is in, or end. */
static int64_t tile_end(int64_t row, int tile, int64_t end)
{
    const int64_t next = (row / tile + 1) * tile;
    return next < end ? next : end;
}

/* A part of a block: rows of a, columns of b, within their sides. On the diagonal it begins with the square of its
 * rows, of which the pairs above the diagonal are meant; more columns may follow within a tile. */
typedef struct trm_area {
    int64_t row, row_end, col, col_end;
    bool diagonal;
} trm_area;

static int64_t pairs_of(const trm_area *area)
{
    const int64_t rows = area->row_end - area->row, cols = area->col_end - area->col;
    return rows * cols - (area->diagonal ? rows * (rows + 1) / 2 : 0);
}

/* Visits the tiles of an area, of a square on the diagonal those on and above it. */
typedef void (*tile_fn)(const trm_tiles *tiles, const trm_area *whole, const trm_area *tile,
                        trm_worker *worker);

static void visit_tiles(const trm_tiles *tiles, const trm_area *whole, trm_worker *worker, tile_fn visit)
{
    trm_area tile;
    for (tile.row = whole->row; tile.row < whole->row_end; tile.row = tile.row_end) {
        tile.row_end = tile_end(tile.row, tiles->tile, whole->row_end);
        for (tile.col = whole->diagonal ? tile.row : whole->col; tile.col < whole->col_end;
             tile.col = tile.col_end) {
            tile.col_end = tile_end(tile.col, tiles->tile, whole->col_end);
            tile.diagonal = whole->diagonal && tile.row == tile.col;
            if (!is_idle(tiles, tile.row, tile.row_end, tile.col, tile.col_end))
                visit(tiles, whole, &tile, worker);
        }
    }
}

static int64_t stride_of(const trm_area *whole)
{
    return whole->col_end - whole->col + PADDING;
}

/* A tile's distances, to their place in the area's; of one above the diagonal to the mirrored place, too. */
static void measure_tile(const trm_tiles *tiles, const trm_area *whole, const trm_area *tile,
                         trm_worker *worker)
{
    const trm_side *a = tiles->a, *b = tiles->b;
    const int64_t stride = stride_of(whole), rows = tile->row_end - tile->row,
                  cols = tile->col_end - tile->col;
    const int64_t down = tile->row - whole->row, along = tile->col - whole->col;
    double *d = worker->dense + down * stride + along;
    trm_distance_tile(tiles->metric, a->x + tile->row * tiles->dim, a->norm2 + tile->row, (int)rows,
                      b->x + tile->col * tiles->dim, b->norm2 + tile->col, (int)cols, tiles->dim, d, NULL,
                      stride);
    worker->counts.float64 += pairs_of(tile); /* on the diagonal each is computed twice, and decided once */
    worker->counts.elements += pairs_of(tile);
    if (!whole->diagonal || tile->diagonal)
        return;
    double *mirrored = worker->dense + along * stride + down;
    for (int64_t j = 0; j < cols; j++)
        for (int64_t i = 0; i < rows; i++)
            mirrored[j * stride + i] = d[i * stride + j];
}

/* Offers an area's distances to its rows [row, row_end), of one tile row. */
static void offer_rows(const trm_tiles *tiles, const trm_area *whole, int64_t row, int64_t row_end,
                       trm_worker *worker)
{
    for (int64_t i = row; i < row_end; i++)
        trm_offer_line(tiles, tiles->a, i, tiles->b, whole->col, whole->col_end,
                       worker->dense + (i - whole->row) * stride_of(whole), worker);
}

/* The same for its columns. */
static void offer_columns(const trm_tiles *tiles, const trm_area *whole, int64_t col, int64_t col_end,
                          trm_worker *worker)
{
    const int64_t stride = stride_of(whole), rows = whole->row_end - whole->row;
    for (int64_t j = col; j < col_end; j += LINES) {
        const int64_t count = col_end - j < LINES ? col_end - j : LINES;
        const double *d = worker->dense + (j - whole->col);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < count; k++)
                worker->lines[k * rows + i] = d[i * stride + k];
        for (int64_t k = 0; k < count; k++)
            trm_offer_line(tiles, tiles->b, j + k, tiles->a, whole->row, whole->row_end,
                           worker->lines + k * rows, worker);
    }
}

typedef void (*offer_fn)(const trm_tiles *tiles, const trm_area *whole, int64_t first, int64_t last,
                         trm_worker *worker);

/* Offers to the rows [first, last) of a side, tile row by tile row under its lock; threads begin at different
 * ones. */
static void offer_side(const trm_tiles *tiles, const trm_area *whole, trm_side *side, int64_t first,
                       int64_t last, trm_worker *worker, offer_fn offer)
{
    const int64_t base = first / tiles->tile, groups = (last - 1) / tiles->tile + 1 - base;
    for (int64_t k = 0; k < groups; k++) {
        const int64_t lock = base + (k + omp_get_thread_num()) % groups;
        const int64_t from = lock == base ? first : lock * tiles->tile;
        const int64_t to = tile_end(from, tiles->tile, last);
        if (!trm_side_has_slots(side, from, to))
            continue;
        omp_set_lock(&side->locks[lock]);
        offer(tiles, whole, from, to, worker);
        if (!tiles->every_pair) /* else nobody asks for windows */
            trm_side_set_windows(side, from, to - from, worker->lo, worker->hi);
        omp_unset_lock(&side->locks[lock]);
    }
}

/* Decides a whole area. */
static void run_dense(const trm_tiles *tiles, const trm_area *whole, trm_worker *worker)
{
    visit_tiles(tiles, whole, worker, measure_tile);
    offer_side(tiles, whole, tiles->a, whole->row, whole->row_end, worker, offer_rows);
    /* on the diagonal the whole square was just offered to its rows */
    const int64_t col = whole->diagonal ? whole->row_end : whole->col;
    if (col < whole->col_end)
        offer_side(tiles, whole, tiles->b, col, whole->col_end, worker, offer_columns);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

trm_fit trm_fit_of_row(trm_relation relation, int64_t first, int64_t last, int64_t from, int64_t to)
{
    switch (relation) {
    case TRM_SAME_LABEL:
        return (trm_fit){{larger(first, from)}, {to}};
    case TRM_OTHER_LABEL:
        return (trm_fit){{first, larger(first, to)}, {from, last}};
    case TRM_ANY_OTHER:
    case TRM_NOT_LISTED:
    case TRM_NOT_LISTED_OTHER_LABEL:
        break;
    }
    return (trm_fit){{first}, {last}};
}

/* Which pairs fit, for every row of the tile around an area: those of the area with the right labels, on the diagonal
 * each unordered pair once. NULL: all of the tile. */
static const trm_fit *find_fit(const trm_tiles *tiles, const trm_tile *tile, const trm_area *area,
                               trm_worker *worker)
{
    const int64_t *a = tiles->a->label, *b = tiles->b->label;
    const bool by_label = tiles->relation == TRM_SAME_LABEL || tiles->relation == TRM_OTHER_LABEL;
    const bool disjoint = a[area->row_end - 1] < b[area->col] || b[area->col_end - 1] < a[area->row];
    if (!area->diagonal && tile->row == area->row && tile->col == area->col &&
        (!by_label || (disjoint && tiles->relation == TRM_OTHER_LABEL)))
        return NULL;
    int64_t from = area->col, to = area->col;
    for (int64_t i = tile->row; i < area->row; i++)
        worker->fit[i - tile->row] = (trm_fit){{0}, {0}};
    for (int64_t i = area->row; i < area->row_end; i++) {
        if (by_label && (i == area->row || a[i] != a[i - 1]))
            trm_same_label_range(b, area->col, area->col_end, a[i], &from, &to);
        worker->fit[i - tile->row] =
            trm_fit_of_row(tiles->relation, area->diagonal ? i + 1 : area->col, area->col_end, from, to);
    }
    return worker->fit;
}

/* Was filtering worth it? If not, the next tiles go without: one, two, four, ... at a time. */
static void judge_filter(trm_worker *worker, bool worth_it)
{
    if (worth_it) {
        worker->dense_streak = 0;
        return;
    }
    worker->dense_streak = worker->dense_streak == 0 ? 1 : 2 * worker->dense_streak;
    if (worker->dense_streak > DENSE_TILES_MAX)
        worker->dense_streak = DENSE_TILES_MAX;
    worker->dense_left = worker->dense_streak;
}

/* The windows of a tile's rows as they are now; by the time they are used they may be stale, which is only
 * wider. */
static void take_windows(const trm_side *side, int64_t first, int64_t count, int64_t lock, trm_bounds *into)
{
    omp_set_lock(&side->locks[lock]);
    trm_bounds_copy(side->bounds, first, count, into);
    omp_unset_lock(&side->locks[lock]);
}

/* The pairs of a tile that fit. Gives the number of pairs decided, or to be; -1: too many are left to look at one by one,
 * and nothing was offered. */
static int64_t run_filtered(const trm_tiles *tiles, const trm_tile *tile, trm_worker *worker)
{
    trm_side *a = tiles->a, *b = tiles->b;
    trm_workspace *work = worker->work;
    const int64_t tile_a = tile->row / tiles->tile, tile_b = tile->col / tiles->tile;
    work->count = 0;
    take_windows(a, tile->row, tile->rows, tile_a, worker->a_bounds);
    take_windows(b, tile->col, tile->cols, tile_b, worker->b_bounds);
    trm_kernel_run(tile, work);
    worker->counts.survivors += work->count;
    if (work->count == 0)
        return 0;
    const trm_found found = {work->survivors, work->count, tile_a, tile_b};
    const int64_t most = (int64_t)tile->rows * tile->cols / ASK_UP_TO_ONE_IN;
    if (trm_held_may_wait(tiles)) /* what the rows keep is no sign of a filter that rules out too little */
        return trm_held_take(tiles, &found, most + (int64_t)(tile->rows + tile->cols) * TRM_KEEPS_MAX,
                             worker);
    return work->count > most ? -1 : trm_found_decide(tiles, &found, worker);
}

/* The next part of an area, after the part before (or none: row_end == whole->row), whose rows are of one
 * label and whose columns have the same; false past the last. Rows are sorted by label. */
static bool next_class(const trm_tiles *tiles, const trm_area *whole, trm_area *part)
{
    const int64_t *a = tiles->a->label, *b = tiles->b->label;
    while (part->row_end < whole->row_end) {
        int64_t none;
        part->row = part->row_end;
        trm_same_label_range(a, part->row, whole->row_end, a[part->row], &none, &part->row_end);
        trm_same_label_range(b, whole->col, whole->col_end, a[part->row], &part->col, &part->col_end);
        part->diagonal = whole->diagonal; /* rows and columns are the same rows then, and so are a class's */
        if (part->col < part->col_end)
            return true;
    }
    return false;
}

/* A part of a tile by the filter, or dense where that rules out too little. Was the filter worth it? */
static bool run_area(const trm_tiles *tiles, const trm_area *area, trm_worker *worker)
{
    /* what is left of a tile may begin anywhere; the kernel goes by whole groups of rows */
    const int64_t row = area->row / TRM_TILE_ALIGN * TRM_TILE_ALIGN,
                  col = area->col / TRM_TILE_ALIGN * TRM_TILE_ALIGN;
    trm_tile tile = {.a = tiles->a->block,
                     .b = tiles->b->block,
                     .a_bounds = worker->a_bounds,
                     .b_bounds = worker->b_bounds,
                     .row = row,
                     .col = col,
                     .rows = (int)(area->row_end - row),
                     .cols = (int)(area->col_end - col)};
    tile.fit = find_fit(tiles, &tile, area, worker);
    const int64_t decided = run_filtered(tiles, &tile, worker);
    if (decided >= 0)
        worker->counts.elements += pairs_of(area);
    else
        run_dense(tiles, area, worker);
    return decided >= 0 && decided <= (int64_t)tile.rows * tile.cols / DENSE_ABOVE_ONE_IN;
}

/* Where most of the rows whose anchors ask have seen nothing yet, they still want the nearest (or the farthest) there is.
 * Then, how many rows across these are looked at first: each of so many is wanted, and of the rest of a group as
 * many as a row keeps of so many. That is least at the root of the two. 0: they are not so cold. */
static int64_t first_rows(const trm_tiles *tiles, const trm_area *area, bool by_rows)
{
    const trm_side *side = by_rows ? tiles->b : tiles->a;
    const int64_t first = by_rows ? area->col : area->row, last = by_rows ? area->col_end : area->row_end,
                  lock = first / tiles->tile;
    int64_t open = 0, keeps = 0, rows = 0;
    if (side->query == NULL || side->query->type->keeps == NULL)
        return 0;
    omp_set_lock(&side->locks[lock]);
    for (int64_t i = first; i < last; i++) {
        double from;
        if (!trm_bounds_open(side->bounds, i, side->query->type->keeps_farthest))
            continue;
        keeps += side->query->type->keeps(side->query, side->state, i, &from);
        open++;
    }
    omp_unset_lock(&side->locks[lock]);
    if (open <= (last - first) / 2)
        return 0;
    while (rows < TRM_TILE_ALIGN && rows * rows * open < TRM_TILE_ALIGN * keeps)
        rows += STRIP_STEP;
    return rows;
}

/* Where a strip ends that begins so: with its group, or after so many rows. */
static int64_t strip_end(int64_t from, int64_t last, int64_t rows)
{
    const int64_t next = (from / TRM_TILE_ALIGN + 1) * TRM_TILE_ALIGN,
                  end = rows > 0 && from + rows < next ? from + rows : next;
    return end < last ? end : last;
}

/* An area in strips of one group of rows, across the side whose anchors ask: what a strip tells these narrows their windows
 * for the next. Was the filter of any use? */
static bool run_strips(const trm_tiles *tiles, const trm_area *area, trm_worker *worker)
{
    trm_area strip = *area;
    const bool by_rows = area->diagonal || tiles->b->query != NULL;
    int64_t *from = by_rows ? &strip.row : &strip.col, *to = by_rows ? &strip.row_end : &strip.col_end;
    const int64_t last = *to;
    int64_t few = first_rows(tiles, area, by_rows);
    bool of_use = false;
    for (; *from < last; *from = *to) {
        *to = strip_end(*from, last, few);
        few = 0;
        strip.col = area->diagonal ? strip.row : strip.col;
        of_use |= run_area(tiles, &strip, worker);
    }
    return of_use;
}

/* A part of a tile, by the filter, or dense where the filter has just shown to be of no use. */
static void run_part_of_tile(const trm_tiles *tiles, const trm_area *area, trm_worker *worker)
{
    if (worker->dense_left > 0) {
        worker->dense_left--;
        run_dense(tiles, area, worker);
    } else {
        judge_filter(worker, run_strips(tiles, area, worker));
    }
}

/* A tile of an area; where only the pairs of one label are asked for, no others. */
static void run_tile(const trm_tiles *tiles, const trm_area *whole, const trm_area *area, trm_worker *worker)
{
    (void)whole;
    if (tiles->relation != TRM_SAME_LABEL) {
        run_part_of_tile(tiles, area, worker);
        return;
    }
    trm_area part = {.row_end = area->row};
    while (next_class(tiles, area, &part)) {
        if (tiles->every_pair || pairs_of(&part) < DENSE_PAIRS)
            run_dense(tiles, &part, worker);
        else
            run_part_of_tile(tiles, &part, worker);
    }
}

/* A block, or what is left of it, on its way through trm_done_left. */
typedef struct block_job {
    const trm_tiles *tiles;
    trm_worker *worker;
} block_job;

static void run_part(void *context, trm_rectangle part, bool diagonal)
{
    const block_job *job = context;
    const trm_tiles *tiles = job->tiles;
    trm_worker *worker = job->worker;
    const int64_t a = tiles->a->first, b = tiles->b->first;
    const trm_area area = {part.a_first - a, part.a_last - a, part.b_first - b, part.b_last - b, diagonal};
    const int span = tiles->block / tiles->tile;
    if (tiles->relation == TRM_SAME_LABEL || (!tiles->every_pair && worker->dense_left == 0)) {
        visit_tiles(tiles, &area, worker, run_tile);
        return;
    }
    worker->dense_left = worker->dense_left > span * span ? worker->dense_left - span * span : 0;
    run_dense(tiles, &area, worker);
}

void trm_block_run(const trm_tiles *tiles, int64_t i, int64_t j, trm_worker *worker)
{
    const trm_side *a = tiles->a, *b = tiles->b;
    const int64_t block = tiles->block, row = i * block, col = j * block;
    const int64_t row_end = row + block < a->count ? row + block : a->count;
    const int64_t col_end = col + block < b->count ? col + block : b->count;
    if (is_idle(tiles, row, row_end, col, col_end))
        return;
    const trm_rectangle whole = {a->first + row, a->first + row_end, b->first + col, b->first + col_end};
    trm_done_left(tiles->done, whole, tiles->region.triangle && i == j, tiles->may_repeat, run_part,
                  &(block_job){tiles, worker});
}
