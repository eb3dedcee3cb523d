/* The kernel table, packed blocks, and the proof that a filtered pair is nobody's.
 *
 * Notation. u = 2^-24 (float32), w = 2^-53 (float64), D = dim, s = scale, x a row as given, N = its canonical
 * <x, x>, Y its exact image under the map, y the float32 image that is multiplied, n = |y|^2. Rows with n >
 * 2^96 or with anything not finite are marked with NaN terms, and every pair of theirs survives; below, n <=
 * 2^96, so no dot overflows. Denormals may be flushed: a flushed result or operand is off by t = 2^-126 at
 * most.
 *
 * 1. The dot. |g - <y_i, y_j>| <= k |y_i||y_j| + (D + 4) t (1 + |y_i| + |y_j|), k = radius(D) of the kernel,
 * and k |y_i||y_j| <= k n_i / 2 + k n_j / 2.
 * 2. The map. It is computed in float64 and rounded once: y = Y + f with |f| <= u' |Y| + t sqrt(D), u' = u (1
 * + 2^-20) (for cosine, 1 / |x| adds (D/16 + 8) w, relative, which is added explicitly below). sql2, l2: |
 * |y_i-y_j|^2 - |Y_i-Y_j|^2 | <= F (2 |y_i-y_j| + F), F = |f_i| + |f_j|. With |y_i-y_j| <= |y_i|+|y_j| and F
 * <= u''(|y_i|+|y_j|) + 2 t sqrt(D) half of this is at most u''(1 + u'')(|y_i|+|y_j|)^2 <= 2 u (1 +
 * 2^-10)(n_i + n_j), plus at most 4 t sqrt(D) (|y_i| + |y_j| + t sqrt(D)). cosine: |<y_i,y_j> - <Y_i,Y_j>| <=
 * |f_i||y_j| + |Y_i||f_j|, |Y| = 1: at most 2 (u (1 + 2^-10) + (D/16 + 8) w) + 4 t sqrt(D). dot: likewise <=
 * 2 u (1 + 2^-10) |y_i||y_j| <= u (1 + 2^-10)(n_i + n_j), plus the same in t. sqrt(D) <= (D + 1) / 2, so 1.
 * and 2. together spend at most (D + 16) 4 t (1 + |y|) on each of the two rows for t.
 * 3. The canonical distance differs from the exact one too. A canonical dot is off by (D/8 + 4) w |x_i||x_j|
 * (1 + tiny): eight chains of ceil(D/8) additions and three more; products are exact. sql2 has two forms.
 * With q, the exact value, they are off by r q or less, r = (D/4 + 16) 2^-43: e = (n_i + n_j) - 2 g: two
 * norms, twice the dot, one sum, one difference: (2 (D/8 + 4) + 3) w (N_i + N_j), to first order; we take
 * (D/4 + 16) w. It is used only where e >= (N_i + N_j) / 1024, so this is at most 1024 (D/4 + 16) w e = r e,
 * and q >= e (1 - r). The sum of squared differences: all its terms are positive, and each passes a
 * difference (squared: two roundings), a product and ceil(D/8) + 2 additions: (D/8 + 6) w q. Differences of
 * float32 are multiples of 2^-149, so no square is flushed. q = |x_i - x_j|^2 is as large for shifted rows:
 * s^2 q = |Y_i - Y_j|^2 <= 2 (|Y_i|^2 + |Y_j|^2), so in units of v, s^2/2 of it, the canonical distance is
 * off by r (n_i + n_j), whatever the norms were before the shift: a common offset costs the filter nothing.
 * (|Y|^2 for n: by 2., within the factor 1 + 2^-10 and the terms in t below.) l2: the window is squared, and
 * widened by 2^-50 for the rounding of the root (w) and of the square. cosine: dot (D/8 + 4) w, half of each
 * norm's, root, product, quotient, difference (of at most 2): under (D/4
 * + 16) w. dot: (D/8 + 4) w |x_i||x_j| s^2 <= (D/8 + 4) w s^2 (N_i + N_j) / 2; we take (D/4 + 16) w of that.
 * The values of n and N that enter are off by D w, relative: the factor 1 + 2^-10 on the sum below takes
 * that. So with e_i = (k n_i / 2 + map + canonical + tiny)(1 + 2^-10) and p(d) = -d s^2/2, -d^2 s^2/2, 1 - d,
 * -d s^2: p(d) + a (n_i + n_j)/2 - e_i - e_j <= g <= p(d) + a (n_i + n_j)/2 + e_i + e_j,  a = 1 for sql2 and
 * l2, else 0. With near_term = a n/2 - e and far_term = a n/2 + e, a pair whose d is in row i's [lo, hi] has
 * g >= near_i + near_term_j and g <= far_i + far_term_j, near_i = near_term_i + p(hi), far_i = far_term_i +
 * p(lo).
 * 4. Floats. The compare uses fl(near_i + near_term_j) <= sum + u |sum| <= sum of (value + u |value|).
 * lower() gives a float f with f + u |f| <= value (minus t, if the sum is flushed); upper() the mirror. So
 * fl(sum) <= exact bound <= g. The compare keeps a pair if not g <= bound; g may equal the bound only if
 * every rounding above took its full share with a strictly positive slack (the factors 1 + 2^-10 and the t
 * terms are never 0), so no pair inside is on the bound. near is never -inf, but -FLT_MAX, so that a padding
 * row's +inf still rules the pair out. */
#include "base/alloc.h"
#include "kernel/basis.h"
#include "kernel/codes.h"
#include "kernel/pairs.h"
#include "kernel/scan.h"
#include "metric/isa.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const trm_kernel *const table[] = {&trm_kernel_fp32,   &trm_kernel_blas,    &trm_kernel_prefix,
                                          &trm_kernel_int8,   &trm_kernel_prefix8, &trm_kernel_bf16,
                                          &trm_kernel_float64};
enum { KERNELS = sizeof table / sizeof table[0] };

enum { CHUNK = 128 }; /* columns mapped at a time: 24 KiB of stack */

static const double largest_trusted = 0x1p96;

const trm_kernel *trm_kernel_at(int index)
{
    return index >= 0 && index < (int)KERNELS ? table[index] : NULL;
}

bool trm_kernel_promising(const trm_kernel *kernel)
{
    return kernel->promising == NULL || kernel->promising();
}

bool trm_kernel_leads(const trm_kernel *kernel)
{
    return kernel->leads != NULL && kernel->leads();
}

const trm_kernel *trm_kernel_find(const char *name)
{
    for (int i = 0; i < (int)KERNELS; i++)
        if (strcmp(name, table[i]->name) == 0)
            return table[i];
    return strcmp(name, "auto") == 0 ? &trm_kernel_fp32 : NULL;
}

const char *trm_kernel_isa(void)
{
    return trm_isa_name(trm_isa_get());
}

double trm_map_scale(double largest_norm)
{
    int exponent = 0;
    if (!(largest_norm > 0.0) || isinf(largest_norm))
        return 1.0;
    frexp(largest_norm, &exponent);
    return ldexp(1.0, -exponent);
}

/* f with f + u |f| <= value; slack: what the float64 arithmetic behind value may be off by. */
static float lower(double value, double slack)
{
    const double moved = value - (3.0 * 0x1p-24 * fabs(value) + slack + 0x1p-124);
    if (moved > (double)FLT_MAX)
        return FLT_MAX;
    if (moved < -(double)FLT_MAX)
        return -FLT_MAX;
    return (float)moved;
}

static float upper(double value, double slack)
{
    return -lower(-value, slack);
}

static int columns_of(const trm_kernel *kernel, int dim, int width)
{
    return kernel->columns != NULL ? kernel->columns(dim, width) : dim;
}

static int64_t packed_floats(const trm_kernel *kernel, int64_t rows, int columns)
{
    return kernel->packed_floats != NULL ? kernel->packed_floats(rows, columns)
                                         : trm_tile_round_up(rows) * columns;
}

static int64_t codes_floats(const trm_kernel *kernel, int64_t rows, int dim)
{
    const bool has = kernel->codes_from > 0 && dim >= kernel->codes_from;
    return has ? rows * trm_codes_stride(dim) / (int64_t)sizeof(float) : 0;
}

int64_t trm_block_bytes(const trm_kernel *kernel, int64_t capacity, int dim, int width)
{
    const int64_t rows = trm_tile_round_up(capacity), kept = kernel->pairs != NULL ? rows * (dim + 1) : 0;
    const int columns = columns_of(kernel, dim, width > 0 ? width : trm_basis_widest(dim));
    return (int64_t)sizeof(trm_block) +
           (packed_floats(kernel, rows, columns) + 2 * rows + kept + codes_floats(kernel, rows, dim)) *
               (int64_t)sizeof(float);
}

/* Memory that is not of just that many floats is given up: what one kernel leaves would be in no plan of another. */
static void give_up_other(float **memory, int64_t *room, int64_t floats)
{
    if (floats == *room)
        return;
    trm_free(*memory);
    *memory = NULL;
    *room = 0;
}

/* Memory of that many floats, where there is none yet. 0: none. */
static bool have_room(float **memory, int64_t *room, int64_t floats)
{
    if (floats == *room)
        return true;
    *memory = trm_alloc(floats, sizeof **memory);
    *room = *memory != NULL ? floats : 0;
    return *memory != NULL;
}

trm_status trm_block_change(trm_block *block, const trm_kernel *kernel, int width, trm_error *err)
{
    const int64_t rows = block->capacity;
    const int dim = block->map.dim, columns = columns_of(kernel, dim, width);
    const int64_t floats = packed_floats(kernel, rows, columns), kept = kernel->pairs != NULL ? rows : 0,
                  codes = codes_floats(kernel, rows, dim);
    int64_t mapped = block->mapped != NULL ? rows * dim : 0, slack = block->slack != NULL ? rows : 0,
            coded = block->codes != NULL ? codes_floats(block->kernel, rows, dim) : 0;
    block->kernel = kernel;
    block->map.width = width;
    block->columns = columns;
    give_up_other(&block->packed, &block->room, floats);
    give_up_other(&block->slack, &slack, kept);
    give_up_other(&block->codes, &coded, codes);
    if (!block->borrows)
        give_up_other(&block->mapped, &mapped, kept * dim);
    const bool has_mapped = block->borrows || have_room(&block->mapped, &mapped, kept * dim);
    if (!have_room(&block->packed, &block->room, floats) || !has_mapped ||
        !have_room(&block->slack, &slack, kept) || !have_room(&block->codes, &coded, codes))
        return trm_fail_memory(err, "packed rows", floats + kept * (dim + 1) + codes, sizeof(float));
    return TRM_OK;
}

static trm_status create(const trm_kernel *kernel, const trm_map *map, int64_t capacity, float *mapped,
                         trm_block **block, trm_error *err)
{
    *block = NULL;
    trm_block *made = trm_alloc_zero(1, sizeof *made);
    if (made == NULL)
        return trm_fail_memory(err, "packed rows", 1, sizeof *made);
    made->map = *map;
    made->capacity = trm_tile_round_up(capacity);
    made->mapped = mapped;
    made->borrows = mapped != NULL;
    made->near_term = trm_alloc(made->capacity, sizeof *made->near_term);
    made->far_term = trm_alloc(made->capacity, sizeof *made->far_term);
    trm_status status = made->near_term == NULL || made->far_term == NULL
                            ? trm_fail_memory(err, "packed rows", 2 * made->capacity, sizeof(float))
                            : trm_block_change(made, kernel, map->width, err);
    if (status != TRM_OK)
        trm_block_destroy(&made);
    *block = made;
    return status;
}

trm_status trm_block_create(const trm_kernel *kernel, const trm_map *map, int64_t capacity, trm_block **block,
                            trm_error *err)
{
    return create(kernel, map, capacity, NULL, block, err);
}

trm_status trm_block_create_beside(const trm_block *other, const trm_kernel *kernel, int width,
                                   trm_block **block, trm_error *err)
{
    trm_map map = other->map;
    map.width = width;
    return create(kernel, &map, other->capacity, kernel->pairs != NULL ? other->mapped : NULL, block, err);
}

void trm_block_destroy(trm_block **block)
{
    if (*block == NULL)
        return;
    trm_free((*block)->packed);
    if (!(*block)->borrows)
        trm_free((*block)->mapped);
    trm_free((*block)->slack);
    trm_free((*block)->codes);
    trm_free((*block)->near_term);
    trm_free((*block)->far_term);
    trm_free(*block);
    *block = NULL;
}

double trm_map_row(const trm_map *map, const float *x, double norm2, int first, int width, float *y)
{
    const bool shifted =
        map->shift != NULL && (map->metric == TRM_METRIC_SQL2 || map->metric == TRM_METRIC_L2);
    const double factor = map->metric == TRM_METRIC_COSINE ? 1.0 / sqrt(norm2) : map->scale;
    enum { SUMS = 8 }; /* one sum would wait for each of its additions */
    double n[SUMS] = {0.0};
    for (int k = 0; k < width; k++) {
        const double value =
            shifted ? (double)x[first + k] - (double)map->shift[first + k] : (double)x[first + k];
        y[k] = (float)(value * factor);
        n[k % SUMS] += (double)y[k] * (double)y[k];
    }
    return ((n[0] + n[1]) + (n[2] + n[3])) + ((n[4] + n[5]) + (n[6] + n[7]));
}

/* near_term and far_term of a row: the proof is on top of this file. dot: its part of the error of a product. */
static void set_terms(trm_block *block, int64_t row, double n, double norm2, double dot)
{
    const trm_map *map = &block->map;
    const double dim = map->dim, u = 0x1p-24, w = 0x1p-53;
    const double canonical = (dim / 4.0 + 16.0) * w, by_distance = (dim / 4.0 + 16.0) * 0x1p-43;
    const double tiny = (dim + 16.0) * 0x1p-124 * (1.0 + sqrt(n));
    double e = 0.0, centre = 0.0;
    switch (map->metric) {
    case TRM_METRIC_SQL2:
    case TRM_METRIC_L2:
        centre = n / 2.0;
        e = dot + 2.0 * u * n + by_distance * n + tiny;
        break;
    case TRM_METRIC_COSINE:
        e = dot + u + (dim / 16.0 + 8.0) * w + canonical / 2.0 + tiny;
        break;
    case TRM_METRIC_DOT:
        e = dot + u * n + canonical * norm2 * map->scale * map->scale / 2.0 + tiny;
        break;
    }
    e *= 1.0 + 0x1p-10;
    const bool trusted = n <= largest_trusted && e <= largest_trusted && norm2 < INFINITY &&
                         (map->metric != TRM_METRIC_COSINE || norm2 > 0.0);
    block->near_term[row] = trusted ? lower(centre - e, (centre + e) * 0x1p-50) : NAN;
    block->far_term[row] = trusted ? upper(centre + e, (centre + e) * 0x1p-50) : NAN;
}

/* Maps and packs a group of rows, of which rows are there; gives |y|^2 and its part of a product's error for each. */
static void pack_group(trm_block *block, int64_t group, int rows, const float *x, const double *norm2,
                       double *n, double *error)
{
    const int dim = block->map.dim;
    float mapped[TRM_TILE_ALIGN * CHUNK];
    memset(mapped, 0, sizeof mapped);
    for (int k = 0; k < dim; k += CHUNK) {
        const int width = dim - k < CHUNK ? dim - k : CHUNK;
        for (int i = 0; i < rows; i++)
            n[i] += trm_map_row(&block->map, x + (group + i) * dim, norm2[group + i], k, width,
                                mapped + i * CHUNK);
        block->kernel->pack(mapped, CHUNK, group, dim, k, width, block->packed);
    }
    for (int i = 0; i < rows; i++)
        error[i] = block->kernel->radius(dim) * n[i] / 2.0;
}

/* The same for a kernel of two stages. A pair is ruled out by the larger of the two errors at first; slack is what it
 * is too large by in the second stage, a little less than that. */
static void encode_group(trm_block *block, int64_t group, int rows, const float *x, const double *norm2,
                         double *n, double *error)
{
    const int dim = block->map.dim;
    for (int i = 0; i < rows; i++)
        n[i] = trm_map_row(&block->map, x + (group + i) * dim, norm2[group + i], 0, dim,
                           block->mapped + (group + i) * dim);
    if (rows < TRM_TILE_ALIGN)
        memset(block->packed + group * block->columns, 0,
               sizeof *block->packed * TRM_TILE_ALIGN * (size_t)block->columns);
    block->kernel->encode(block, group, rows, n, error);
    for (int i = 0; i < rows; i++) {
        const double of_pair = block->kernel->radius(dim) * n[i] / 2.0;
        error[i] = error[i] <= of_pair ? of_pair : error[i];
        block->slack[group + i] = (float)((error[i] - of_pair) * (1.0 - 0x1p-20));
        if (block->codes != NULL)
            trm_codes_put(block, group + i, n[i], error[i]);
    }
}

void trm_block_fill(trm_block *block, int64_t first, int64_t count, const float *x, const double *norm2)
{
    for (int64_t group = first; group < first + count; group += TRM_TILE_ALIGN) {
        const int64_t left = first + count - group;
        const int rows = left < TRM_TILE_ALIGN ? (int)left : TRM_TILE_ALIGN;
        double n[TRM_TILE_ALIGN] = {0.0}, error[TRM_TILE_ALIGN];
        if (block->kernel->encode != NULL)
            encode_group(block, group, rows, x, norm2, n, error);
        else
            pack_group(block, group, rows, x, norm2, n, error);
        for (int i = 0; i < rows; i++)
            set_terms(block, group + i, n[i], norm2[group + i], error[i]);
        for (int i = rows; i < TRM_TILE_ALIGN; i++) {
            block->near_term[group + i] = INFINITY;
            block->far_term[group + i] = -INFINITY;
        }
    }
}

trm_status trm_bounds_create(int64_t capacity, trm_bounds **bounds, trm_error *err)
{
    const int64_t rows = trm_tile_round_up(capacity);
    *bounds = NULL;
    trm_bounds *made = trm_alloc_zero(1, sizeof *made);
    if (made == NULL)
        return trm_fail_memory(err, "windows", 1, sizeof *made);
    made->capacity = rows;
    made->near = trm_alloc(rows, sizeof *made->near);
    made->far = trm_alloc(rows, sizeof *made->far);
    if (made->near == NULL || made->far == NULL) {
        trm_bounds_destroy(&made);
        return trm_fail_memory(err, "windows", 2 * rows, sizeof(float));
    }
    for (int64_t i = 0; i < rows; i++) {
        made->near[i] = INFINITY;
        made->far[i] = -INFINITY;
    }
    *bounds = made;
    return TRM_OK;
}

void trm_bounds_copy(const trm_bounds *from, int64_t first, int64_t count, trm_bounds *into)
{
    const int64_t rows = trm_tile_round_up(count);
    into->first = first;
    memcpy(into->near, from->near + first - from->first, (size_t)rows * sizeof *into->near);
    memcpy(into->far, from->far + first - from->first, (size_t)rows * sizeof *into->far);
}

bool trm_bounds_open(const trm_bounds *bounds, int64_t row, bool near)
{
    const int64_t at = row - bounds->first;
    return near ? bounds->far[at] == INFINITY : bounds->near[at] == -FLT_MAX;
}

void trm_bounds_destroy(trm_bounds **bounds)
{
    if (*bounds == NULL)
        return;
    trm_free((*bounds)->near);
    trm_free((*bounds)->far);
    trm_free(*bounds);
    *bounds = NULL;
}

/* p(d): the exact v of a pair at distance d. */
static double place(const trm_map *map, double d)
{
    switch (map->metric) {
    case TRM_METRIC_SQL2:
        return -d * map->scale * map->scale / 2.0;
    case TRM_METRIC_L2:
        return -(d * map->scale) * (d * map->scale) / 2.0;
    case TRM_METRIC_COSINE:
        return 1.0 - d;
    case TRM_METRIC_DOT:
        return -d * map->scale * map->scale;
    }
    return 0.0;
}

/* A term and p in float64 are each off by a few w, relative, and their sum too; for l2 this covers the root
 * as well. */
static double place_slack(const trm_map *map, double term, double p)
{
    return 0x1p-49 * (fabs(term) + fabs(p) + (map->metric == TRM_METRIC_COSINE ? 2.0 : 0.0));
}

/* The window [lo, hi] of a row in units of v. */
typedef struct window {
    float near, far;
} window;

static window window_of(const trm_block *block, int64_t row, double lo, double hi)
{
    const trm_map *map = &block->map;
    const bool clamped = map->metric != TRM_METRIC_DOT; /* distances are never below 0 */
    const double near_term = (double)block->near_term[row], far_term = (double)block->far_term[row];
    if (isnan(near_term))
        return (window){NAN, NAN};
    if (lo > hi || (clamped && hi < 0.0))
        return (window){INFINITY, -INFINITY};
    const bool no_near = !(hi < INFINITY), no_far = !(lo > (clamped ? 0.0 : -INFINITY));
    const double p_hi = no_near ? 0.0 : place(map, hi), p_lo = no_far ? 0.0 : place(map, lo);
    return (window){no_near ? -FLT_MAX : lower(near_term + p_hi, place_slack(map, near_term, p_hi)),
                    no_far ? INFINITY : upper(far_term + p_lo, place_slack(map, far_term, p_lo))};
}

void trm_bounds_set(trm_bounds *bounds, const trm_block *block, int64_t first, int64_t count,
                    const double *lo, const double *hi)
{
    for (int64_t i = 0; i < count; i++) {
        const window w = window_of(block, first + i, lo[i], hi[i]);
        bounds->near[first + i] = w.near;
        bounds->far[first + i] = w.far;
    }
    if (first + count != block->rows)
        return;
    for (int64_t i = block->rows; i < trm_tile_round_up(block->rows); i++) {
        bounds->near[i] = INFINITY;
        bounds->far[i] = -INFINITY;
    }
}

void trm_bounds_narrow(trm_bounds *bounds, const trm_block *block, int64_t row, double lo, double hi)
{
    const window w = window_of(block, row, lo, hi);
    if (w.near > bounds->near[row]) /* not where the row is not to be trusted, which has NaN */
        bounds->near[row] = w.near;
    if (w.far < bounds->far[row])
        bounds->far[row] = w.far;
}

void trm_kernel_run(const trm_tile *tile, trm_workspace *work)
{
    const int64_t from = work->count;
    tile->a->kernel->tile(tile, work);
    work->stage_survivors[0] += work->count - from;
    if (tile->a->codes != NULL)
        trm_pairs_codes(tile, work, from);
    if (tile->a->kernel->pairs != NULL)
        tile->a->kernel->pairs(tile, work, from);
    work->stage_survivors[1] += work->count - from;
}

trm_status trm_workspace_create(int64_t pairs, trm_workspace **work, trm_error *err)
{
    *work = NULL;
    trm_workspace *made = trm_alloc_zero(1, sizeof *made);
    if (made == NULL)
        return trm_fail_memory(err, "scratch", 1, sizeof *made);
    made->capacity = pairs;
    made->survivors = trm_alloc(made->capacity, sizeof *made->survivors);
    made->scratch = trm_alloc_zero(pairs, sizeof *made->scratch);
    if (made->survivors == NULL || made->scratch == NULL) {
        trm_workspace_destroy(&made);
        return trm_fail_memory(err, "scratch", pairs, sizeof(trm_survivor));
    }
    *work = made;
    return TRM_OK;
}

void trm_workspace_destroy(trm_workspace **work)
{
    if (*work == NULL)
        return;
    trm_free((*work)->survivors);
    trm_free((*work)->scratch);
    trm_free(*work);
    *work = NULL;
}
