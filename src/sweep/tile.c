/* One tile: filter, decide the survivors in float64, offer them to both rows' anchors.
 *
 * Where the filter lets most pairs through (thousands of thresholds an anchor: every distance lies in
 * somebody's window), filtering first is lost time: such tiles are decided whole by the blocked canonical
 * dot, which is exact as it stands. Which way a tile goes changes the time only, never the result. */
#include "base/alloc.h"
#include "metric/metric.h"
#include "sweep/side.h"

#include <string.h>

enum { WANTED_BY_A = 1, WANTED_BY_B = 2 };
/* Deciding one pair alone costs about three times its share of a blocked tile, plus the filter. */
enum { DENSE_ABOVE_ONE_IN = 6, DENSE_TILES_MAX = 256 };

trm_status trm_worker_create(int tile, trm_worker **worker, trm_error *err)
{
    trm_worker *made = trm_alloc_zero(1, sizeof *made);
    const int64_t area = (int64_t)tile * tile;
    trm_status status = made == NULL ? trm_fail_memory(err, "scratch", 1, sizeof *made)
                                     : trm_workspace_create(tile, &made->work, err);
    if (status == TRM_OK)
        status = trm_bounds_create(tile, &made->a_bounds, err);
    if (status == TRM_OK)
        status = trm_bounds_create(tile, &made->b_bounds, err);
    if (status == TRM_OK) {
        made->dense = trm_alloc(area, sizeof *made->dense);
        made->line = trm_alloc(tile, sizeof *made->line);
        made->lo = trm_alloc(tile, sizeof *made->lo);
        made->hi = trm_alloc(tile, sizeof *made->hi);
        made->changed = trm_alloc_zero(tile, sizeof *made->changed);
        made->decided = made->dense; /* a tile is either filtered or dense */
        made->wanted = trm_alloc(area, sizeof *made->wanted);
        if (!made->dense || !made->line || !made->lo || !made->hi || !made->changed || !made->wanted)
            status = trm_fail_memory(err, "scratch", area, sizeof *made->dense);
    }
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
    trm_free(old->line);
    trm_free(old->lo);
    trm_free(old->hi);
    trm_free(old->changed);
    trm_free(old->wanted);
    trm_free(old);
    *worker = NULL;
}

int64_t trm_worker_bytes(int tile)
{
    return (int64_t)tile * tile * (int64_t)(sizeof(trm_survivor) + sizeof(float) + sizeof(double) + 1);
}

void trm_side_set_windows(const trm_sink *sink, trm_side *side, int64_t first, int64_t count, double *lo,
                          double *hi)
{
    for (int64_t i = 0; i < count; i++)
        sink->window(sink, side->state, first + i, &lo[i], &hi[i]);
    trm_bounds_set(side->bounds, side->block, first, count, lo, hi);
}

/* Places [*from, *to) of the other block, within [first, last), that share label: rows are sorted by it. */
static void same_label_range(const int64_t *label, int64_t first, int64_t last, int64_t sought, int64_t *from,
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

/* Offers the distances d[0..) from row of side to the other's places [from, to). */
static bool offer_range(const trm_sink *sink, trm_side *side, int64_t row, const trm_side *other,
                        int64_t from, int64_t to, const double *d)
{
    if (from >= to)
        return false;
    return sink->offer(sink, side->state, row, to - from, d, other->id + from,
                       other->first + from - side->class_first[row]);
}

/* One row of a dense tile: distances d[0..last - first) to the other's places [first, last). */
static void offer_line(const trm_sink *sink, trm_side *side, int64_t row, const trm_side *other,
                       int64_t first, int64_t last, const double *d)
{
    int64_t from, to;
    same_label_range(other->label, first, last, side->label[row], &from, &to);
    if (!sink->same_label) {
        offer_range(sink, side, row, other, first, from, d);
        offer_range(sink, side, row, other, to, last, d + (to - first));
        return;
    }
    int64_t self = side->first + row - other->first; /* where row itself would be in the other block */
    if (self >= from && self < to) {
        offer_range(sink, side, row, other, from, self, d + (from - first));
        offer_range(sink, side, row, other, self + 1, to, d + (self + 1 - first));
    } else {
        offer_range(sink, side, row, other, from, to, d + (from - first));
    }
}

static bool has_slots(const trm_state *state, int64_t first, int64_t last)
{
    return state->offset[last] > state->offset[first];
}

/* Decides a whole tile. */
static void run_dense(const trm_tiles *tiles, const trm_tile *tile, bool diagonal, trm_worker *worker)
{
    trm_side *a = tiles->a, *b = tiles->b;
    const int64_t stride = tile->cols;
    trm_dot_tile(a->x + tile->row * tiles->dim, tile->rows, b->x + tile->col * tiles->dim, tile->cols,
                 tiles->dim, worker->dense, stride);
    for (int i = 0; i < tile->rows; i++) {
        double *line = worker->dense + i * stride;
        const double norm2 = a->norm2[tile->row + i];
        for (int j = 0; j < tile->cols; j++)
            line[j] = trm_distance(tiles->metric, line[j], norm2, b->norm2[tile->col + j]);
    }
    worker->counts.float64 += (int64_t)tile->rows * tile->cols;

    omp_set_lock(&a->locks[tile->row / tiles->tile]);
    for (int i = 0; i < tile->rows; i++)
        offer_line(tiles->sink, a, tile->row + i, b, tile->col, tile->col + tile->cols,
                   worker->dense + i * stride);
    trm_side_set_windows(tiles->sink, a, tile->row, tile->rows, worker->lo, worker->hi);
    omp_unset_lock(&a->locks[tile->row / tiles->tile]);
    if (diagonal) /* the whole square was just offered to its rows */
        return;
    omp_set_lock(&b->locks[tile->col / tiles->tile]);
    for (int j = 0; j < tile->cols; j++) {
        for (int i = 0; i < tile->rows; i++)
            worker->line[i] = worker->dense[i * stride + j];
        offer_line(tiles->sink, b, tile->col + j, a, tile->row, tile->row + tile->rows, worker->line);
    }
    trm_side_set_windows(tiles->sink, b, tile->col, tile->cols, worker->lo, worker->hi);
    omp_unset_lock(&b->locks[tile->col / tiles->tile]);
}

/* Marks the survivors that a side wants; under its lock, because another thread may be moving its state. */
static void mark_wanted(const trm_tiles *tiles, trm_side *side, int64_t lock, trm_worker *worker,
                        uint8_t mark)
{
    const trm_survivor *survivors = worker->work->survivors;
    omp_set_lock(&side->locks[lock]);
    for (int64_t k = 0; k < worker->work->count; k++) {
        int64_t row = mark == WANTED_BY_A ? survivors[k].row : survivors[k].col;
        if (tiles->sink->wants(tiles->sink, side->state, row, (double)survivors[k].lo,
                               (double)survivors[k].hi))
            worker->wanted[k] |= mark;
    }
    omp_unset_lock(&side->locks[lock]);
}

/* Offers the decided survivors to a side and moves the windows of the rows that changed. */
static void offer_decided(const trm_tiles *tiles, trm_side *side, const trm_side *other, int64_t tile_row,
                          trm_worker *worker, uint8_t mark)
{
    const trm_survivor *survivors = worker->work->survivors;
    const int64_t first = tile_row * tiles->tile;
    omp_set_lock(&side->locks[tile_row]);
    for (int64_t k = 0; k < worker->work->count; k++) {
        if (!(worker->wanted[k] & mark))
            continue;
        int64_t row = mark == WANTED_BY_A ? survivors[k].row : survivors[k].col;
        int64_t from = mark == WANTED_BY_A ? survivors[k].col : survivors[k].row;
        if (offer_range(tiles->sink, side, row, other, from, from + 1, &worker->decided[k]))
            worker->changed[row - first] = 1;
    }
    for (int64_t i = 0; i < tiles->tile && first + i < side->count; i++) {
        if (!worker->changed[i])
            continue;
        worker->changed[i] = 0;
        trm_side_set_windows(tiles->sink, side, first + i, 1, worker->lo, worker->hi);
    }
    omp_unset_lock(&side->locks[tile_row]);
}

/* Keeps the survivors with the right labels, each unordered pair once. */
static void drop_unfit(const trm_tiles *tiles, bool diagonal, trm_workspace *work)
{
    int64_t kept = 0;
    for (int64_t k = 0; k < work->count; k++) {
        trm_survivor s = work->survivors[k];
        if (diagonal && s.col <= s.row)
            continue;
        if ((tiles->a->label[s.row] == tiles->b->label[s.col]) == tiles->sink->same_label)
            work->survivors[kept++] = s;
    }
    work->count = kept;
}

/* Was filtering worth it? If not, the next tiles go without: one, two, four, ... at a time. */
static void judge_filter(trm_worker *worker, int64_t decided, int64_t elements)
{
    if (decided <= elements / DENSE_ABOVE_ONE_IN) {
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

static void run_filtered(const trm_tiles *tiles, const trm_tile *tile, bool diagonal, trm_worker *worker)
{
    trm_side *a = tiles->a, *b = tiles->b;
    trm_workspace *work = worker->work;
    const int64_t tile_a = tile->row / tiles->tile, tile_b = tile->col / tiles->tile;
    work->count = 0;
    take_windows(a, tile->row, tile->rows, tile_a, worker->a_bounds);
    take_windows(b, tile->col, tile->cols, tile_b, worker->b_bounds);
    a->block->kernel->tile(tile, work);
    drop_unfit(tiles, diagonal, work);
    worker->counts.survivors += work->count;
    if (work->count == 0) {
        worker->dense_streak = 0;
        return;
    }
    memset(worker->wanted, 0, (size_t)work->count);
    mark_wanted(tiles, a, tile_a, worker, WANTED_BY_A);
    mark_wanted(tiles, b, tile_b, worker, WANTED_BY_B);
    int64_t decided = 0;
    for (int64_t k = 0; k < work->count; k++) {
        if (!worker->wanted[k])
            continue;
        const int64_t i = work->survivors[k].row, j = work->survivors[k].col;
        double g = trm_dot(a->x + i * tiles->dim, b->x + j * tiles->dim, tiles->dim);
        worker->decided[k] = trm_distance(tiles->metric, g, a->norm2[i], b->norm2[j]);
        decided++;
    }
    worker->counts.float64 += decided;
    judge_filter(worker, decided, (int64_t)tile->rows * tile->cols);
    if (decided == 0)
        return;
    offer_decided(tiles, a, b, tile_a, worker, WANTED_BY_A);
    offer_decided(tiles, b, a, tile_b, worker, WANTED_BY_B);
}

/* A tile, or what is left of it, on its way through trm_done_left. */
typedef struct tile_job {
    const trm_tiles *tiles;
    trm_worker *worker;
} tile_job;

static void run_part(void *context, trm_rectangle part, bool diagonal)
{
    const tile_job *job = context;
    const trm_tiles *tiles = job->tiles;
    trm_worker *worker = job->worker;
    const trm_tile tile = {.a = tiles->a->block,
                           .b = tiles->b->block,
                           .a_bounds = worker->a_bounds,
                           .b_bounds = worker->b_bounds,
                           .row = part.a_first - tiles->a->first,
                           .col = part.b_first - tiles->b->first,
                           .rows = (int)(part.a_last - part.a_first),
                           .cols = (int)(part.b_last - part.b_first)};
    worker->counts.elements +=
        diagonal ? (int64_t)tile.rows * (tile.rows - 1) / 2 : (int64_t)tile.rows * tile.cols;
    if (tiles->sink->dense || worker->dense_left > 0) {
        worker->dense_left -= worker->dense_left > 0;
        run_dense(tiles, &tile, diagonal, worker);
    } else {
        run_filtered(tiles, &tile, diagonal, worker);
    }
}

void trm_tile_run(const trm_tiles *tiles, int64_t i, int64_t j, trm_worker *worker)
{
    const trm_side *a = tiles->a, *b = tiles->b;
    const int64_t tile = tiles->tile, row = i * tile, col = j * tile;
    const int64_t row_end = row + tile < a->count ? row + tile : a->count;
    const int64_t col_end = col + tile < b->count ? col + tile : b->count;
    const bool disjoint = a->label[row_end - 1] < b->label[col] || b->label[col_end - 1] < a->label[row];
    const bool one_label = a->label[row] == a->label[row_end - 1] && b->label[col] == b->label[col_end - 1] &&
                           a->label[row] == b->label[col];
    if (tiles->sink->same_label ? disjoint : one_label)
        return;
    if (!has_slots(a->state, row, row_end) && !has_slots(b->state, col, col_end))
        return;
    const trm_rectangle whole = {a->first + row, a->first + row_end, b->first + col, b->first + col_end};
    /* What takes the smallest may see a pair twice; what counts may not. */
    const bool may_repeat = tiles->sink->list != TRM_MERGE_SUM;
    trm_done_left(tiles->done, whole, tiles->region.triangle && i == j, may_repeat, run_part,
                  &(tile_job){tiles, worker});
}
