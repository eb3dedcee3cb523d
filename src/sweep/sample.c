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
    PIECE = 12, /* consecutive rows */
    ROWS = STRETCHES * LENGTH,
    DISTANCES = 64 /* that are timed */
};

_Static_assert((int)LENGTH == (int)TRM_TILE_ALIGN, "a stretch is one group of a kernel");
_Static_assert(LENGTH % PIECE == 0, "a stretch is whole pieces");

/* The stretches of one side, one behind the other. */
typedef struct part {
    const trm_side *side;
    int64_t row[ROWS]; /* each one's place in the side */
    int64_t label[ROWS];
    float *x;
    double *norm2, *lo, *hi;
    trm_bounds *bounds;
    trm_nearest *nearest; /* what each row has seen in the sweep */
    trm_nearest *here;    /* the nearest of those that it meets in the sample, while its window is open */
    int *met;             /* and how many there were */
    bool *open;           /* is its window so still? */
    bool farthest;
} part;

struct trm_sample {
    trm_tiles tiles;
    int threads;
    trm_workspace **work; /* of each thread */
    part a, b;
    trm_block *packed[TRM_CHAINS][2];
    int stretches[TRM_CHAINS]; /* of each side that are packed, the first ones */
    double pack_s[TRM_CHAINS];
    double distance_ns;
    double least_first; /* since the last look: that a chain took for the first tile */
    bool looked;
};

/* A point of [0, count) for k = 0, 1, ...: multiples of an irrational number are spread evenly. */
static int64_t spread(int k, double irrational, int64_t count)
{
    const double at = (k + 1) * irrational;
    return (int64_t)((at - floor(at)) * (double)count);
}

/* So many of a side's rows [from, to) at about that place: every other such piece is a's, the rest b's, so that no row is in
 * both. */
static int64_t piece_at(int64_t from, int64_t to, int64_t place, int length, bool of_b)
{
    const int64_t pairs = (to - from) / (2 * length), pair = (place - from) / (2 * length);
    return from + 2 * length * (pair < pairs ? pair : pairs - 1) + (of_b ? length : 0);
}

/* Rows of [from, to) in tiles with an anchor, those of a tile at once, as long as there are most or fewer before: the place of the
 * next one; to: there are no more. *count: how many there were before. */
static int64_t anchored_from(const trm_side *side, int tile, int64_t from, int64_t to, int64_t most,
                             int64_t *count)
{
    *count = 0;
    for (int64_t first = from; first < to; first += tile) {
        const int64_t last = first + tile < to ? first + tile : to, rows = last - first;
        if (!trm_side_has_slots(side, first, last))
            continue;
        if (*count + rows > most)
            return first + most - *count;
        *count += rows;
    }
    return to;
}

/* The place for k of rows [from, to), spread evenly over those in tiles with an anchor, or over all where there is none: a sweep
 * leaves tiles out that nobody asks for, whose pairs any chain rules out at once. */
static int64_t place_for(const trm_side *side, int tile, int64_t from, int64_t to, int k, double irrational)
{
    int64_t rows, before;
    (void)anchored_from(side, tile, from, to, INT64_MAX, &rows);
    const int64_t at = spread(k, irrational, rows > 0 ? rows : to - from);
    return rows > 0 ? anchored_from(side, tile, from, to, at, &before) : from + at;
}

/* A piece is for the rows around its place; where it has no anchor, the next one may. */
static int64_t anchored_piece(const trm_side *side, int64_t first, int length, int64_t to)
{
    const int64_t next = first + 2 * length;
    return !trm_side_has_slots(side, first, first + length) && next + length <= to &&
                   trm_side_has_slots(side, next, next + length)
               ? next
               : first;
}

static void put_piece(part *p, int at, int64_t first, int length)
{
    for (int k = 0; k < length; k++)
        p->row[at + k] = first + k;
}

/* Pieces spread over a side's rows [from, to), or, if it is to ask, over those with anchors. Each stretch gets some from all over
 * them, in ascending order: so labels are, too. */
static void place_pieces(const trm_sample *s, part *p, const trm_side *side, bool asks, int64_t from,
                         int64_t to, double irrational)
{
    enum { PIECES = ROWS / PIECE };
    int64_t first[PIECES];
    for (int k = 0; k < PIECES; k++) {
        const int64_t place = asks ? place_for(side, s->tiles.tile, from, to, k, irrational)
                                   : from + spread(k, irrational, to - from);
        int64_t at = piece_at(from, to, place, PIECE, p == &s->b);
        at = asks ? anchored_piece(side, at, PIECE, to) : at;
        int j = k;
        for (; j > 0 && first[j - 1] > at; j--)
            first[j] = first[j - 1];
        first[j] = at;
    }
    for (int k = 0; k < PIECES; k++)
        put_piece(p, k % STRETCHES * LENGTH + k / STRETCHES * PIECE, first[k], PIECE);
}

/* Stretches, each of one label if there are enough rows of it, and for each a partner of the same label. */
static void place_partners(trm_sample *s, bool a_asks, int64_t row, int64_t row_end, int64_t col,
                           int64_t col_end)
{
    const trm_tiles *tiles = &s->tiles;
    for (int t = 0; t < STRETCHES; t++) {
        int64_t from, to;
        int64_t i = place_for(tiles->a, tiles->tile, row, row_end, t, 0.6180339887);
        i = anchored_piece(tiles->a, piece_at(row, row_end, i, LENGTH, false), LENGTH, row_end);
        trm_same_label_range(tiles->b->label, col, col_end, tiles->a->label[i], &from, &to);
        if (to == from) {
            from = col;
            to = col_end;
        }
        int64_t j = piece_at(col, col_end, from + spread(t, 0.4142135624, to - from), LENGTH, true);
        j = a_asks ? j : anchored_piece(tiles->b, j, LENGTH, col_end);
        put_piece(&s->a, t * LENGTH, i, LENGTH);
        put_piece(&s->b, t * LENGTH, j, LENGTH);
    }
}

/* Which rows are in the sample. false: the region has no room for it. One side is enough to ask. */
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
    const bool a_asks = trm_side_has_slots(tiles->a, row, row_end);
    if (tiles->relation == TRM_SAME_LABEL) { /* few others are of any use */
        place_partners(s, a_asks, row, row_end, col, col_end);
    } else {
        place_pieces(s, &s->a, tiles->a, true, row, row_end, 0.6180339887);
        place_pieces(s, &s->b, tiles->b, !a_asks, col, col_end, 0.4142135624);
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
    trm_free(p->here);
    trm_free(p->met);
    trm_free(p->open);
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
    p->here = trm_alloc(ROWS, sizeof *p->here);
    p->met = trm_alloc(ROWS, sizeof *p->met);
    p->open = trm_alloc(ROWS, sizeof *p->open);
    if (p->x == NULL || p->norm2 == NULL || p->lo == NULL || p->hi == NULL || p->nearest == NULL ||
        p->here == NULL || p->met == NULL || p->open == NULL)
        return trm_fail_memory(err, "a sample of rows", ROWS, (size_t)dim * sizeof *p->x);
    for (int i = 0; i < ROWS; i++) {
        memcpy(p->x + (int64_t)i * dim, side->x + p->row[i] * dim, sizeof(float) * (size_t)dim);
        p->norm2[i] = side->norm2[p->row[i]];
        p->label[i] = side->label[p->row[i]];
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
    return 2 * (int64_t)ROWS * (2 * dim * (int64_t)sizeof(float) + 57 + 2 * (int64_t)sizeof(trm_nearest)) +
           threads * (int64_t)LENGTH * LENGTH * (int64_t)(sizeof(trm_survivor) + sizeof(float));
}

int64_t trm_sample_chain_bytes(const trm_kernel *kernel, int dim)
{
    const int64_t mapped = kernel->pairs != NULL ? ROWS * dim * (int64_t)sizeof(float) : 0;
    return 2 * (trm_block_bytes(kernel, ROWS, dim, 0) - mapped);
}

/* A block of one side for a chain. The mapped rows are those of the first chain that has any. */
static trm_status make_block(trm_sample *s, int place, int side, const trm_chain *chain, trm_error *err)
{
    trm_map map = s->tiles.a->block->map;
    map.width = chain->width;
    for (int c = 0; c < TRM_CHAINS; c++)
        if (s->packed[c][side] != NULL && s->packed[c][side]->mapped != NULL)
            return trm_block_create_beside(s->packed[c][side], chain->kernel, chain->width,
                                           &s->packed[place][side], err);
    return trm_block_create(chain->kernel, &map, ROWS, &s->packed[place][side], err);
}

/* The windows of the stretches that are packed. */
static void set_bounds(const trm_sample *s, int place)
{
    const int64_t rows = (int64_t)s->stretches[place] * LENGTH;
    trm_bounds_set(s->a.bounds, s->packed[place][0], 0, rows, s->a.lo, s->a.hi);
    trm_bounds_set(s->b.bounds, s->packed[place][1], 0, rows, s->b.lo, s->b.hi);
}

/* Packs the first stretches of both sides for a chain, unless they are, and sets the windows. */
static trm_status pack(trm_sample *s, int place, const trm_chain *chain, int stretches, trm_error *err)
{
    trm_block **block = s->packed[place];
    const int from = s->stretches[place];
    for (int side = 0; side < 2; side++) { /* one may be there, where memory was lacking last time */
        const trm_status status = block[side] == NULL ? make_block(s, place, side, chain, err) : TRM_OK;
        if (status != TRM_OK)
            return status;
        block[side]->rows = ROWS;
    }
    const double start = trm_clock();
#pragma omp parallel for schedule(dynamic, 1) num_threads(s->threads)
    for (int k = 2 * from; k < 2 * stretches; k++) {
        const part *p = k % 2 == 0 ? &s->a : &s->b;
        trm_block_fill(block[k % 2], (int64_t)(k / 2) * LENGTH, LENGTH, p->x, p->norm2);
    }
    s->pack_s[place] += trm_clock() - start;
    s->stretches[place] = stretches > from ? stretches : from;
    set_bounds(s, place);
    return TRM_OK;
}

/* Which pairs of a small tile have the right labels. */
static void find_fit(const trm_sample *s, int i, int j, trm_fit *fit)
{
    const trm_relation relation = s->tiles.relation;
    const int64_t base = (int64_t)j * LENGTH;
    const int64_t *a = s->a.label + (int64_t)i * LENGTH, *b = s->b.label + base;
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

/* Is tile t of use? Among rows of the same label each stretch has its own partner. */
static bool of_use(const trm_sample *s, int t)
{
    return s->tiles.relation != TRM_SAME_LABEL || t / STRETCHES == t % STRETCHES;
}

/* first: there was no look before. What was noted while a window was open stays. */
static void take_windows(part *p, bool first)
{
    p->farthest = p->side->query != NULL && p->side->query->type->keeps_farthest;
    for (int i = 0; i < ROWS; i++) {
        const int64_t row = p->row[i];
        trm_side_window(p->side, row, &p->lo[i], &p->hi[i]);
        trm_nearest_begin(&p->nearest[i], p->side, row);
        p->open[i] = !(trm_held_bound(p->side, row) < INFINITY);
        if (p->open[i] || first) {
            p->here[i] = p->nearest[i];
            for (int k = 0; k < TRM_KEEPS_MAX && trm_nearest_keeps(&p->nearest[i]) > 0; k++)
                p->here[i].hi[k] = INFINITY; /* as many as there is room for */
            p->met[i] = 0;
        }
        if (!p->open[i])
            p->nearest[i] = p->side->nearest[row];
    }
}

/* What a survivor tells a row of p. */
static void note_survivor(part *p, int row, const trm_survivor *found)
{
    const float lo = p->farthest ? -found->hi : found->lo, hi = p->farthest ? -found->lo : found->hi;
    if (!p->open[row])
        return;
    trm_nearest_note(&p->here[row], lo, hi);
    p->met[row]++;
}

/* ---- windows as they will be ----
 *
 * A row that has met n others keeps the nearest k of them. When it has met N, how far will the k-th be? Near a row the number
 * of rows within a distance r grows like r^m, where m is the dimension that the data have there, and so does that of rows beyond
 * a distance and within r more. So ln r goes with ln(rank) / m, and 1 / m is the mean of ln(r_j / r_i), i < j, of the j nearest
 * (Hill, 1975; Levina and Bickel, 2004). Distances that have no least value, as those of dot, go with the logarithm of the rank
 * themselves, by the same estimate without a logarithm. */

/* The distance on the scale that goes with ln(rank). */
static double scaled(const trm_sample *s, const part *p, int row, double distance)
{
    const double from = (double)p->here[row].from, least = from > 0.0 ? from : 0.0;
    return s->tiles.metric == TRM_METRIC_DOT || p->farthest ? distance : log(distance - least);
}

static double unscaled(const trm_sample *s, const part *p, int row, double value)
{
    const double from = (double)p->here[row].from, least = from > 0.0 ? from : 0.0;
    return s->tiles.metric == TRM_METRIC_DOT || p->farthest ? value : least + exp(value);
}

/* Did a row meet enough in the sample while its window was open? */
static bool met_enough(const part *p, int row)
{
    return trm_nearest_bound(&p->here[row]) < INFINITY && p->met[row] >= TRM_KEEPS_MAX;
}

/* Adds the mean spacings of rows whose windows are open to a sum, and counts them. */
static void add_spacings(const trm_sample *s, const part *p, double *sum, int *rows)
{
    for (int i = 0; i < ROWS; i++) {
        if (!p->open[i] || !met_enough(p, i))
            continue;
        const double last = scaled(s, p, i, (double)trm_nearest_bound(&p->here[i]));
        double spacing = 0.0;
        for (int k = 0; k < TRM_KEEPS_MAX - 1; k++)
            spacing += (last - scaled(s, p, i, (double)p->here[i].hi[k])) / (TRM_KEEPS_MAX - 1);
        if (spacing < INFINITY) { /* else some are the same row */
            *sum += spacing;
            ++*rows;
        }
    }
}

/* A row that keeps the nearest of those that it has met, a part x of all, wants about one of them in the next 1 / x. This is the
 * mean of 1 / t over the rest of a sweep, t from x to 1: how much more it wants in the mean than it will at the end. */
static double mean_later(double x)
{
    return x > 0.0 && x < 1.0 ? -log(x) / (1.0 - x) : 1.0;
}

/* Where a row's list of the nearest in the sample says that a rank is, which may be less than 1. */
static double at_rank(const trm_sample *s, const part *p, int row, double rank, double spacing)
{
    enum { MIDDLE = TRM_KEEPS_MAX / 2 };
    const float *hi = p->here[row].hi;
    if (rank >= 1.0)
        return (double)hi[rank < TRM_KEEPS_MAX ? (int)rank - 1 : TRM_KEEPS_MAX - 1];
    return unscaled(s, p, row, scaled(s, p, row, (double)hi[MIDDLE]) + spacing * log(rank / (MIDDLE + 1)));
}

/* The end of a row's window in the mean of what is left of a sweep; NAN: it keeps more than a few. spacing: the mean of all rows. */
static double later(const trm_sample *s, const part *p, int row, const trm_ahead *ahead)
{
    const double now = (double)trm_nearest_bound(&p->nearest[row]);
    const double last = trm_nearest_keeps(&p->nearest[row]) / ahead->each;
    const double times = mean_later(ahead->seen > last ? ahead->seen : last);
    if (isnan(now) || now == -INFINITY)
        return now;
    if (met_enough(p, row)) {
        const double told = at_rank(s, p, row, p->met[row] * last * times, ahead->spacing);
        return told < now ? told : now;
    }
    if (now < INFINITY)
        return unscaled(s, p, row, scaled(s, p, row, now) + ahead->spacing * log(ahead->seen * times));
    return (double)p->here[row].hi[0];
}

/* Narrows the windows of rows that keep a few. */
static void narrow(const trm_sample *s, part *p, const trm_ahead *ahead)
{
    for (int i = 0; i < ROWS; i++) {
        const double end = later(s, p, i, ahead);
        if (p->farthest)
            p->lo[i] = -end > p->lo[i] ? -end : p->lo[i];
        else
            p->hi[i] = end < p->hi[i] ? end : p->hi[i];
    }
}

trm_status trm_sample_look(trm_sample *s, trm_ahead *ahead, int place, const trm_chain *plain, trm_error *err)
{
    trm_workspace *work = s->work[0];
    double spacings = 0.0;
    int rows = 0;
    take_windows(&s->a, !s->looked);
    take_windows(&s->b, !s->looked);
    s->looked = true;
    const trm_status status = pack(s, place, plain, STRETCHES, err);
    if (status != TRM_OK)
        return status;
    s->least_first = INFINITY;
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
    add_spacings(s, &s->a, &spacings, &rows);
    add_spacings(s, &s->b, &spacings, &rows);
    if (rows > 0)
        ahead->spacing = spacings / rows;
    narrow(s, &s->a, ahead);
    narrow(s, &s->b, ahead);
    return TRM_OK;
}

/* Does a row want a distance in [lo, hi]? */
static bool wants(const part *p, int row, const trm_survivor *found)
{
    return (double)found->lo <= p->hi[row] && (double)found->hi >= p->lo[row] &&
           trm_side_wants(p->side, p->row[row], (double)found->lo, (double)found->hi);
}

/* How many of the survivors rows want; where these are many, by some of them. */
static double count_wanted(const trm_sample *s, const trm_workspace *work)
{
    enum { SOME = 256 };
    const int64_t step = 1 + work->count / SOME;
    int64_t wanted = 0, asked = 0;
    for (int64_t k = 0; k < work->count; k += step, asked++) {
        const trm_survivor *found = &work->survivors[k];
        wanted += wants(&s->a, found->row, found) || wants(&s->b, found->col, found);
    }
    return asked > 0 ? (double)wanted * (double)work->count / (double)asked : 0.0;
}

/* Times a chain on one small tile, with the distances that it would leave; nanoseconds. */
static double time_tile(const trm_sample *s, int place, int t, trm_workspace *work)
{
    trm_fit fit[LENGTH];
    double shortest = INFINITY;
    find_fit(s, t / STRETCHES, t % STRETCHES, fit);
    for (int round = 0; round < TRM_SAMPLE_ROUNDS; round++) {
        const double start = trm_clock();
        run_tile(s, place, t / STRETCHES, t % STRETCHES, fit, work);
        const double elapsed = trm_clock() - start;
        shortest = elapsed < shortest ? elapsed : shortest;
    }
    return shortest * 1e9 + count_wanted(s, work) * s->distance_ns;
}

/* Tiles [from, to), of all: those of each stretch with its partner first, then with the one behind that, and so on; nanoseconds. */
static double time_tiles(const trm_sample *s, int place, int from, int to)
{
    double total = 0.0;
#pragma omp parallel for schedule(dynamic, 1) num_threads(s->threads) reduction(+ : total)
    for (int k = from; k < to; k++) {
        const int a = k % STRETCHES, b = (a + k / STRETCHES) % STRETCHES;
        total += time_tile(s, place, a * STRETCHES + b, s->work[omp_get_thread_num()]);
    }
    return total;
}

/* Tiles that are timed at once, as long as the chain may be worth it: one, for which a fourth of the rows is packed; the
 * partners'; the others in two parts. */
static const struct {
    int last, stretches;
} parts[] = {{1, 1},
             {STRETCHES, STRETCHES},
             {STRETCHES * ((STRETCHES + 1) / 2), STRETCHES},
             {TRM_SAMPLE_TILES, STRETCHES}};
enum { PARTS = sizeof parts / sizeof *parts, TO_PARTNERS = 2 };

trm_status trm_sample_time(trm_sample *s, int place, const trm_chain *chain, trm_enough enough, double *ns,
                           double *pack_ns, trm_error *err)
{
    const double tile = (double)LENGTH * LENGTH;
    const int last = s->tiles.relation == TRM_SAME_LABEL ? TO_PARTNERS : PARTS;
    double total = 0.0;
    bool goes_on = true;
    for (int p = 0, from = 0; p < last && goes_on; from = parts[p].last, p++) {
        const bool has_more = p == 0 || s->stretches[place] < parts[p].stretches;
        const trm_status status = has_more ? pack(s, place, chain, parts[p].stretches, err) : TRM_OK;
        if (status != TRM_OK)
            return status;
        total += time_tiles(s, place, from, parts[p].last);
        *ns = total / (parts[p].last * tile);
        if (p == 0) { /* one tile may be unlike the rest: it is held against the same tile */
            s->least_first = total < s->least_first ? total : s->least_first;
            goes_on = !(total > enough.times * s->least_first);
            *ns = goes_on ? *ns : total / s->least_first * enough.least;
        } else {
            goes_on =
                !(*ns > enough.times * enough.least) && !(total > enough.least * parts[last - 1].last * tile);
        }
    }
    *pack_ns = s->pack_s[place] * 1e9 * s->threads / (2.0 * s->stretches[place] * LENGTH);
    return TRM_OK;
}

double trm_sample_packing_s(const trm_sample *s)
{
    double packing = 0.0;
    for (int c = 0; s != NULL && c < TRM_CHAINS; c++)
        packing += s->pack_s[c];
    return packing;
}
