/* The sample on which chains are timed; see sample.h. */
#include "sweep/sample.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "metric/metric.h"
#include "sweep/held.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum {
    STRETCHES = TRM_SAMPLE_STRETCHES,
    LENGTH = TRM_SAMPLE_LENGTH,
    ROWS = STRETCHES * LENGTH,
    DISTANCES = 64 /* that are timed */
};

_Static_assert((int)LENGTH == (int)TRM_TILE_ALIGN, "a stretch is one group of a kernel");

/* The stretches of one side, one behind the other. */
typedef struct part {
    const trm_side *side;
    int64_t first[STRETCHES]; /* of side */
    float *x;
    double *norm2, *lo, *hi;
    trm_bounds *bounds;
    trm_nearest *nearest; /* what each row sees in the sample */
    bool farthest;
} part;

struct trm_sample {
    trm_tiles tiles;
    int threads;
    trm_workspace **work; /* of each thread */
    part a, b;
    trm_block *packed[TRM_CHAINS][2];
    double pack_ns[TRM_CHAINS];
    double distance_ns;
};

/* A point of [0, count) for k = 0, 1, ...: multiples of an irrational number are spread evenly. */
static int64_t spread(int k, double irrational, int64_t count)
{
    const double at = (k + 1) * irrational;
    return (int64_t)((at - floor(at)) * (double)count);
}

/* The stretch of a side's rows [from, to) at about that place: every other one is a's, the rest b's, so that no row is in
 * both. */
static int64_t stretch_at(int64_t from, int64_t to, int64_t place, bool of_b)
{
    const int64_t pairs = (to - from) / (2 * LENGTH), pair = (place - from) / (2 * LENGTH);
    return from + 2 * LENGTH * (pair < pairs ? pair : pairs - 1) + (of_b ? LENGTH : 0);
}

/* Where the stretches are. false: the region has no room for them. */
static bool place(trm_sample *s)
{
    const trm_tiles *tiles = &s->tiles;
    const trm_region *region = &tiles->region;
    const int64_t block = tiles->block, row = region->a_first * block, col = region->b_first * block,
                  row_last = region->a_last * block, col_last = region->b_last * block,
                  row_end = row_last < tiles->a->count ? row_last : tiles->a->count,
                  col_end = col_last < tiles->b->count ? col_last : tiles->b->count;
    if (row_end - row < 2 * LENGTH || col_end - col < 2 * LENGTH)
        return false;
    for (int t = 0; t < STRETCHES; t++) {
        int64_t i = row + spread(t, 0.6180339887, row_end - row),
                j = col + spread(t, 0.4142135624, col_end - col);
        i = stretch_at(row, row_end, i, false);
        if (tiles->relation == TRM_SAME_LABEL) { /* few others are of any use */
            int64_t from, to;
            trm_same_label_range(tiles->b->label, col, col_end, tiles->a->label[i], &from, &to);
            if (to > from)
                j = from + spread(t, 0.4142135624, to - from);
        }
        s->a.first[t] = i;
        s->b.first[t] = stretch_at(col, col_end, j, true);
    }
    return true;
}

static void part_free(part *p)
{
    trm_free(p->x);
    trm_free(p->norm2);
    trm_free(p->lo);
    trm_free(p->hi);
    trm_free(p->nearest);
    trm_bounds_destroy(&p->bounds);
}

static trm_status part_make(part *p, const trm_side *side, int dim, trm_error *err)
{
    p->side = side;
    p->x = trm_alloc((int64_t)ROWS * dim, sizeof *p->x);
    p->norm2 = trm_alloc(ROWS, sizeof *p->norm2);
    p->lo = trm_alloc(ROWS, sizeof *p->lo);
    p->hi = trm_alloc(ROWS, sizeof *p->hi);
    p->nearest = trm_alloc(ROWS, sizeof *p->nearest);
    if (p->x == NULL || p->norm2 == NULL || p->lo == NULL || p->hi == NULL || p->nearest == NULL)
        return trm_fail_memory(err, "a sample of rows", ROWS, (size_t)dim * sizeof *p->x);
    for (int t = 0; t < STRETCHES; t++) {
        memcpy(p->x + (int64_t)t * LENGTH * dim, side->x + p->first[t] * dim,
               sizeof(float) * LENGTH * (size_t)dim);
        memcpy(p->norm2 + (int64_t)t * LENGTH, side->norm2 + p->first[t], sizeof(double) * LENGTH);
    }
    return trm_bounds_create(ROWS, &p->bounds, err);
}

/* What a canonical distance takes of two rows that are in no cache that matters. */
static double time_distance(const trm_sample *s)
{
    const int dim = s->tiles.dim, apart = ROWS / DISTANCES;
    double sum = 0.0;
    const double start = trm_clock();
    for (int k = 0; k < DISTANCES; k++) {
        const int i = k * apart, j = (DISTANCES - 1 - k) * apart;
        sum += trm_distance(s->tiles.metric, s->a.x + (int64_t)i * dim, s->a.norm2[i],
                            s->b.x + (int64_t)j * dim, s->b.norm2[j], dim, NULL);
    }
    const double elapsed = trm_clock() - start;
    volatile double needed = sum; /* so that it is computed */
    (void)needed;
    return elapsed * 1e9 / DISTANCES;
}

static trm_status make_workspaces(trm_sample *s, trm_error *err)
{
    s->work = trm_alloc_zero(s->threads, sizeof(trm_workspace *));
    if (s->work == NULL)
        return trm_fail_memory(err, "a trial's scratch", s->threads, sizeof(trm_workspace *));
    trm_status status = TRM_OK;
    for (int k = 0; k < s->threads && status == TRM_OK; k++)
        status = trm_workspace_create(LENGTH * LENGTH, &s->work[k], err);
    return status;
}

trm_status trm_sample_create(const trm_tiles *tiles, int threads, trm_sample **result, trm_error *err)
{
    trm_sample *s = trm_alloc_zero(1, sizeof *s);
    *result = s;
    if (s == NULL)
        return trm_fail_memory(err, "a sample", 1, sizeof *s);
    s->tiles = *tiles;
    s->threads = threads < TRM_SAMPLE_TILES ? threads : TRM_SAMPLE_TILES;
    if (!place(s)) {
        trm_sample_destroy(result);
        return TRM_OK;
    }
    trm_status status = make_workspaces(s, err);
    if (status == TRM_OK)
        status = part_make(&s->a, tiles->a, tiles->dim, err);
    if (status == TRM_OK)
        status = part_make(&s->b, tiles->b, tiles->dim, err);
    if (status == TRM_OK)
        s->distance_ns = time_distance(s);
    else
        trm_sample_destroy(result);
    return status;
}

void trm_sample_destroy(trm_sample **sample)
{
    trm_sample *s = *sample;
    if (s == NULL)
        return;
    for (int c = 0; c < TRM_CHAINS; c++)
        for (int side = 0; side < 2; side++)
            trm_block_destroy(&s->packed[c][side]);
    for (int k = 0; s->work != NULL && k < s->threads; k++)
        trm_workspace_destroy(&s->work[k]);
    trm_free(s->work);
    part_free(&s->a);
    part_free(&s->b);
    trm_free(s);
    *sample = NULL;
}

int64_t trm_sample_bytes(int dim, int threads)
{
    return 2 * (int64_t)ROWS * (dim * (int64_t)sizeof(float) + 36 + (int64_t)sizeof(trm_nearest)) +
           threads * (int64_t)LENGTH * LENGTH * (int64_t)(sizeof(trm_survivor) + sizeof(float));
}

int64_t trm_sample_chain_bytes(const trm_kernel *kernel, int dim)
{
    return 2 * trm_block_bytes(kernel, ROWS, dim, 0);
}

/* Packs both sides for a chain, unless they are. */
static trm_status pack(trm_sample *s, int place, const trm_chain *chain, trm_error *err)
{
    trm_block **block = s->packed[place];
    if (block[1] != NULL)
        return TRM_OK;
    trm_map map = s->tiles.a->block->map;
    map.width = chain->width;
    for (int side = 0; side < 2; side++) {
        trm_block_destroy(&block[side]); /* where memory was lacking last time */
        const trm_status status = trm_block_create(chain->kernel, &map, ROWS, &block[side], err);
        if (status != TRM_OK)
            return status;
        block[side]->rows = ROWS;
    }
    const double start = trm_clock();
#pragma omp parallel for schedule(dynamic, 1) num_threads(s->threads)
    for (int t = 0; t < 2 * STRETCHES; t++) {
        const part *p = t < STRETCHES ? &s->a : &s->b;
        trm_block_fill(t < STRETCHES ? block[0] : block[1], (int64_t)(t % STRETCHES) * LENGTH, LENGTH, p->x,
                       p->norm2);
    }
    s->pack_ns[place] = (trm_clock() - start) * 1e9 * s->threads / (2.0 * ROWS);
    return TRM_OK;
}

static void set_bounds(part *p, const trm_block *block)
{
    trm_bounds_set(p->bounds, block, 0, ROWS, p->lo, p->hi);
}

/* Which pairs of a small tile have the right labels. */
static void find_fit(const trm_sample *s, int i, int j, trm_fit *fit)
{
    const trm_relation relation = s->tiles.relation;
    const int64_t *a = s->a.side->label + s->a.first[i], *b = s->b.side->label + s->b.first[j];
    const int64_t base = (int64_t)j * LENGTH;
    for (int k = 0; k < LENGTH; k++) {
        int64_t from = 0, to = 0;
        if (relation == TRM_SAME_LABEL || relation == TRM_OTHER_LABEL)
            trm_same_label_range(b, 0, LENGTH, a[k], &from, &to);
        fit[k] = trm_fit_of_row(relation, base, base + LENGTH, base + from, base + to);
    }
}

/* Runs a chain on the small tile of stretches i and j. */
static void run_tile(const trm_sample *s, int place, int i, int j, const trm_fit *fit, trm_workspace *work)
{
    const trm_tile tile = {.a = s->packed[place][0],
                           .b = s->packed[place][1],
                           .fit = fit,
                           .a_bounds = s->a.bounds,
                           .b_bounds = s->b.bounds,
                           .row = (int64_t)i * LENGTH,
                           .col = (int64_t)j * LENGTH,
                           .rows = LENGTH,
                           .cols = LENGTH};
    work->count = 0;
    trm_kernel_run(&tile, work);
}

/* Is tile t that of a stretch with its own partner? */
static bool of_partners(int t)
{
    return t / STRETCHES == t % STRETCHES;
}

/* Is tile t of use? Among rows of the same label each stretch has its own partner. */
static bool of_use(const trm_sample *s, int t)
{
    return s->tiles.relation != TRM_SAME_LABEL || of_partners(t);
}

static int64_t place_in(const part *p, int row)
{
    return p->first[row / LENGTH] + row % LENGTH;
}

static void take_windows(part *p)
{
    p->farthest = p->side->query != NULL && p->side->query->type->keeps_farthest;
    for (int i = 0; i < ROWS; i++) {
        const int64_t row = place_in(p, i);
        trm_side_window(p->side, row, &p->lo[i], &p->hi[i]);
        /* a pair of the sample that it has seen may count twice, which is of no weight */
        if (trm_held_bound(p->side, row) < INFINITY)
            p->nearest[i] = p->side->nearest[row];
        else
            trm_nearest_begin(&p->nearest[i], p->side, row);
    }
}

/* What a survivor tells a row of p. */
static void note_survivor(part *p, int row, const trm_survivor *found)
{
    const float lo = p->farthest ? -found->hi : found->lo, hi = p->farthest ? -found->lo : found->hi;
    trm_nearest_note(&p->nearest[row], lo, hi);
}

/* A row that has seen n pairs wants about one in n of the next. This is the mean of that over the rest of a sweep, as a part of what
 * it is after the part x: the integral of x / t over t from x to 1, by 1 - x. */
static double mean_later(double x)
{
    return x > 0.0 && x < 1.0 ? x * -log(x) / (1.0 - x) : x;
}

/* Narrows the windows of rows that keep a few. */
static void narrow(part *p, double seen)
{
    for (int i = 0; i < ROWS; i++) {
        const double end = (double)trm_nearest_bound_later(&p->nearest[i], mean_later(seen));
        if (p->farthest)
            p->lo[i] = -end > p->lo[i] ? -end : p->lo[i];
        else
            p->hi[i] = end < p->hi[i] ? end : p->hi[i];
    }
}

trm_status trm_sample_look(trm_sample *s, double seen, int place, const trm_chain *plain, trm_error *err)
{
    trm_workspace *work = s->work[0];
    take_windows(&s->a);
    take_windows(&s->b);
    const trm_status status = pack(s, place, plain, err);
    if (status != TRM_OK)
        return status;
    set_bounds(&s->a, s->packed[place][0]);
    set_bounds(&s->b, s->packed[place][1]);
    for (int t = 0; t < TRM_SAMPLE_TILES; t++) {
        trm_fit fit[LENGTH];
        if (!of_use(s, t))
            continue;
        find_fit(s, t / STRETCHES, t % STRETCHES, fit);
        run_tile(s, place, t / STRETCHES, t % STRETCHES, fit, work);
        for (int64_t k = 0; k < work->count; k++) {
            note_survivor(&s->a, work->survivors[k].row, &work->survivors[k]);
            note_survivor(&s->b, work->survivors[k].col, &work->survivors[k]);
        }
    }
    narrow(&s->a, seen);
    narrow(&s->b, seen);
    return TRM_OK;
}

/* Does a row want a distance in [lo, hi]? */
static bool wants(const part *p, int row, const trm_survivor *found)
{
    return (double)found->lo <= p->hi[row] && (double)found->hi >= p->lo[row] &&
           trm_side_wants(p->side, place_in(p, row), (double)found->lo, (double)found->hi);
}

/* Times a chain on one small tile, with the distances that it would leave; nanoseconds. */
static double time_tile(const trm_sample *s, int place, int t, trm_workspace *work)
{
    trm_fit fit[LENGTH];
    double shortest = INFINITY;
    int64_t wanted = 0;
    find_fit(s, t / STRETCHES, t % STRETCHES, fit);
    for (int round = 0; round < TRM_SAMPLE_ROUNDS; round++) {
        const double start = trm_clock();
        run_tile(s, place, t / STRETCHES, t % STRETCHES, fit, work);
        const double elapsed = trm_clock() - start;
        shortest = elapsed < shortest ? elapsed : shortest;
    }
    for (int64_t k = 0; k < work->count; k++) {
        const trm_survivor *found = &work->survivors[k];
        wanted += wants(&s->a, found->row, found) || wants(&s->b, found->col, found);
    }
    return shortest * 1e9 + (double)wanted * s->distance_ns;
}

/* The mean of the tiles of each stretch with its own partner, or of all others; nanoseconds of a pair. */
static double time_tiles(const trm_sample *s, int place, bool own)
{
    double total = 0.0;
    int tiles = 0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(s->threads) reduction(+ : total, tiles)
    for (int t = 0; t < TRM_SAMPLE_TILES; t++)
        if (own == of_partners(t)) {
            total += time_tile(s, place, t, s->work[omp_get_thread_num()]);
            tiles++;
        }
    return total / ((double)tiles * LENGTH * LENGTH);
}

trm_status trm_sample_time(trm_sample *s, int place, const trm_chain *chain, double enough, double *ns,
                           double *pack_ns, trm_error *err)
{
    const trm_status status = pack(s, place, chain, err);
    if (status != TRM_OK)
        return status;
    set_bounds(&s->a, s->packed[place][0]);
    set_bounds(&s->b, s->packed[place][1]);
    *ns = time_tiles(s, place, true);
    if (s->tiles.relation != TRM_SAME_LABEL && !(*ns > enough))
        *ns = (*ns + (STRETCHES - 1) * time_tiles(s, place, false)) / STRETCHES;
    *pack_ns = s->pack_ns[place];
    return TRM_OK;
}
