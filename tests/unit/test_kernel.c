/* No kernel ever loses a pair, and what it says about a survivor is true; for every metric, kernel and
 * instruction set. */
#include "base/random.h"
#include "kernel/basis.h"
#include "kernel/blas_threads.h"
#include "kernel/fp32.h"
#include "kernel/kernel.h"
#include "metric/isa.h"
#include "metric/metric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { A_ROWS = 77, B_ROWS = 55, ROWS = A_ROWS + B_ROWS, TILE = 96 };

typedef enum windows {
    AT_A_DISTANCE,
    RANDOM,
    EVERYTHING,
    NOTHING,
    FROM_BELOW,
    FROM_ABOVE,
    MIXED,
    WINDOW_KINDS
} windows;

typedef struct bench {
    trm_metric metric;
    int dim;
    float *x;
    double norm2[ROWS];
    double d[A_ROWS][B_ROWS];
    float *shift;
    trm_basis *basis; /* of all rows */
    double lo[ROWS], hi[ROWS];
} bench;

static uint64_t draws;

static double uniform(void)
{
    uint32_t bits[4];
    trm_random_bits(7, 1, draws++, bits);
    return ((double)bits[0] + 0.5) * 0x1p-32;
}

static double signed_uniform(void)
{
    return 2.0 * uniform() - 1.0;
}

/* A scale that brings the largest norm to at most one, also after the shift. */
static double scale_of(const bench *t)
{
    double largest = 0.0;
    for (int i = 0; i < ROWS; i++)
        largest = fmax(largest, t->norm2[i]);
    return trm_map_scale(2.0 * sqrt(largest));
}

static void measure(bench *t)
{
    for (int i = 0; i < ROWS; i++)
        t->norm2[i] = trm_dot(t->x + i * t->dim, t->x + i * t->dim, t->dim);
    const trm_map map = {.metric = t->metric, .dim = t->dim, .shift = t->shift, .scale = scale_of(t)};
    trm_basis_destroy(&t->basis);
    assert_int_equal(trm_basis_create(t->x, t->norm2, ROWS, &map, &t->basis, NULL), TRM_OK);
    for (int i = 0; i < A_ROWS; i++)
        for (int j = 0; j < B_ROWS; j++)
            t->d[i][j] = trm_distance(t->metric, t->x + i * t->dim, t->norm2[i], t->x + (A_ROWS + j) * t->dim,
                                      t->norm2[A_ROWS + j], t->dim, NULL);
}

static void set_window(bench *t, int row, windows kind)
{
    double d =
        row < A_ROWS ? t->d[row][(int)(uniform() * B_ROWS)] : t->d[(int)(uniform() * A_ROWS)][row - A_ROWS];
    double e =
        row < A_ROWS ? t->d[row][(int)(uniform() * B_ROWS)] : t->d[(int)(uniform() * A_ROWS)][row - A_ROWS];
    double *lo = &t->lo[row], *hi = &t->hi[row];
    switch (kind) {
    case AT_A_DISTANCE:
        *lo = *hi = d;
        break;
    case RANDOM:
        *lo = d < e ? d : e, *hi = d < e ? e : d;
        break;
    case EVERYTHING:
        *lo = -INFINITY, *hi = INFINITY;
        break;
    case NOTHING:
        *lo = INFINITY, *hi = -INFINITY;
        break;
    case FROM_BELOW:
        *lo = -INFINITY, *hi = d;
        break;
    case FROM_ABOVE:
        *lo = d, *hi = INFINITY;
        break;
    case MIXED:
    case WINDOW_KINDS:
        set_window(t, row, (windows)(uniform() * MIXED));
        break;
    }
}

static int wanted(const bench *t, int i, int j)
{
    const double d = t->d[i][j];
    return (t->lo[i] <= d && d <= t->hi[i]) || (t->lo[A_ROWS + j] <= d && d <= t->hi[A_ROWS + j]);
}

/* Runs the tile in pieces and checks both promises. Returns the number of survivors. */
static int64_t check(const bench *t, const trm_kernel *kernel, double scale)
{
    const trm_map map = {.metric = t->metric,
                         .dim = t->dim,
                         .shift = t->shift,
                         .scale = scale,
                         .basis = t->basis,
                         .width = 1 + (int)(uniform() * t->basis->widths)};
    trm_block *a = NULL, *b = NULL;
    trm_bounds *wa = NULL, *wb = NULL;
    trm_workspace *work = NULL;
    static uint8_t seen[A_ROWS][B_ROWS];
    assert_int_equal(trm_block_create(kernel, &map, A_ROWS, &a, NULL), TRM_OK);
    assert_int_equal(trm_block_create(kernel, &map, B_ROWS, &b, NULL), TRM_OK);
    assert_int_equal(trm_bounds_create(A_ROWS, &wa, NULL), TRM_OK);
    assert_int_equal(trm_bounds_create(B_ROWS, &wb, NULL), TRM_OK);
    assert_int_equal(trm_workspace_create(TILE * trm_tile_round_up(TILE), &work, NULL), TRM_OK);
    a->rows = A_ROWS;
    b->rows = B_ROWS;
    trm_block_fill(a, 0, 48, t->x, t->norm2);
    trm_block_fill(a, 48, A_ROWS - 48, t->x, t->norm2);
    trm_block_fill(b, 0, B_ROWS, t->x + A_ROWS * t->dim, t->norm2 + A_ROWS);
    trm_bounds_set(wa, a, 0, A_ROWS, t->lo, t->hi);
    trm_bounds_set(wb, b, 0, B_ROWS, t->lo + A_ROWS, t->hi + A_ROWS);
    const trm_tile tiles[] = {{a, b, wa, wb, 0, 0, 48, B_ROWS, NULL},
                              {a, b, wa, wb, 48, 0, A_ROWS - 48, 48, NULL},
                              {a, b, wa, wb, 48, 48, A_ROWS - 48, B_ROWS - 48, NULL}};
    for (size_t i = 0; i < 3; i++)
        trm_kernel_run(&tiles[i], work);
    memset(seen, 0, sizeof seen);
    for (int64_t k = 0; k < work->count; k++) {
        const trm_survivor s = work->survivors[k];
        assert_in_range(s.row, 0, A_ROWS - 1);
        assert_in_range(s.col, 0, B_ROWS - 1);
        assert_int_equal(seen[s.row][s.col], 0);
        seen[s.row][s.col] = 1;
        const double d = t->d[s.row][s.col];
        if (!isnan(d) && !((double)s.lo <= d && d <= (double)s.hi))
            fail_msg("%s %s %s dim %d: distance %.17g not in [%.9g, %.9g]", kernel->name, trm_kernel_isa(),
                     trm_metric_name(t->metric), t->dim, d, (double)s.lo, (double)s.hi);
    }
    for (int i = 0; i < A_ROWS; i++)
        for (int j = 0; j < B_ROWS; j++)
            if (wanted(t, i, j) && !seen[i][j])
                fail_msg("%s %s %s dim %d: lost (%d, %d) at %.17g", kernel->name, trm_kernel_isa(),
                         trm_metric_name(t->metric), t->dim, i, j, t->d[i][j]);
    const int64_t count = work->count;
    trm_block_destroy(&a);
    trm_block_destroy(&b);
    trm_bounds_destroy(&wa);
    trm_bounds_destroy(&wb);
    trm_workspace_destroy(&work);
    return count;
}

static void check_all(bench *t)
{
    for (int m = 0; m < 4; m++) {
        t->metric = (trm_metric)m;
        measure(t);
        for (int w = 0; w < WINDOW_KINDS; w++) {
            if (t->dim > 100 && w != AT_A_DISTANCE && w != MIXED)
                continue; /* the others are about windows, not about dimensions */
            for (int i = 0; i < ROWS; i++)
                set_window(t, i, (windows)w);
            for (int k = 0; trm_kernel_at(k) != NULL; k++) {
                for (int isa = TRM_ISA_PORTABLE; isa <= TRM_ISA_AVX512; isa++) {
                    if (trm_isa_limit((trm_isa)isa) != (trm_isa)isa)
                        continue; /* this CPU does not have it */
                    check(t, trm_kernel_at(k), scale_of(t));
                    if (w == MIXED) /* any scale is correct */
                        check(t, trm_kernel_at(k), 1.0);
                }
            }
        }
    }
}

/* Rows of 4096 are for bounds that grow with the dimension: with sanitizers they would take most of the time, and
 * the code is the same as for 784. */
#ifdef TEST_SANITIZED
static const int dims[] = {1, 2, 3, 7, 8, 31, 64, 145, 784};
#else
static const int dims[] = {1, 2, 3, 7, 8, 31, 64, 145, 784, 4096};
#endif

/* Rows by a rule: value(row, k). */
static void attack(double (*value)(int row, int k), int with_shift)
{
    for (size_t n = 0; n < sizeof dims / sizeof dims[0]; n++) {
        bench *t = calloc(1, sizeof *t);
        t->dim = dims[n];
        t->x = calloc((size_t)(ROWS * t->dim), sizeof *t->x);
        t->shift = with_shift ? calloc((size_t)t->dim, sizeof *t->shift) : NULL;
        for (int i = 0; i < ROWS; i++)
            for (int k = 0; k < t->dim; k++)
                t->x[i * t->dim + k] = (float)value(i, k);
        for (int k = 0; with_shift && k < t->dim; k++) {
            double sum = 0.0;
            for (int i = 0; i < ROWS; i++)
                sum += (double)t->x[i * t->dim + k] / ROWS;
            t->shift[k] = (float)sum;
        }
        check_all(t);
        trm_basis_destroy(&t->basis);
        free(t->x);
        free(t->shift);
        free(t);
    }
}

static double ordinary(int row, int k)
{
    (void)row, (void)k;
    return signed_uniform();
}

static double offset(int row, int k)
{
    (void)row, (void)k;
    return 1e6 + 0.5 * signed_uniform();
}

/* One column of 1e9; near duplicates one step apart in another. */
static double column(int row, int k)
{
    return k == 0 ? 1e9 : k == 1 ? 1e3 + 0x1p-14 * (row % 5) : signed_uniform();
}

static double power(int row, int k)
{
    (void)k;
    return signed_uniform() * pow(10.0, -30.0 + 60.0 * (row % 13) / 12.0);
}

static double huge(int row, int k)
{
    (void)k;
    return signed_uniform() * (row % 3 == 0 ? 1.0 : (double)FLT_MAX);
}

static double denormal(int row, int k)
{
    (void)row, (void)k;
    return signed_uniform() * 1e-40;
}

static double identical(int row, int k)
{
    (void)row;
    return 0.1 * (1 + k % 5);
}

static double integers(int row, int k)
{
    (void)row, (void)k;
    return floor(3.0 * uniform());
}

static double some_zero(int row, int k)
{
    (void)k;
    return row % 4 == 0 ? 0.0 : signed_uniform();
}

static void no_pair_is_lost_on_ordinary_rows(void **state)
{
    (void)state;
    attack(ordinary, 0);
    attack(ordinary, 1);
}

static void no_pair_is_lost_under_a_large_common_offset(void **state)
{
    (void)state;
    attack(offset, 0);
    attack(offset, 1);
    attack(column, 1);
}

static void no_pair_is_lost_where_norms_span_sixty_decades(void **state)
{
    (void)state;
    attack(power, 0);
}

static void no_pair_is_lost_near_the_ends_of_the_float_range(void **state)
{
    (void)state;
    attack(huge, 0);
    attack(denormal, 0);
}

/* A value for (a, b) that does not change. */
static double fixed(int a, int b)
{
    uint32_t bits[4];
    trm_random_bits(8, (uint64_t)a, (uint64_t)b, bits);
    return ((double)bits[0] + 0.5) * 0x1p-31 - 1.0;
}

/* Each direction holds half of the one before. */
static double steep(int row, int k)
{
    return fixed(row, k) * pow(2.0, -k / 2.0);
}

/* Three directions hold everything; with noise, nearly everything. */
static double three_directions(int row, int k)
{
    return fixed(row, -1) * fixed(-2, k) + fixed(row, -3) * fixed(-4, k) +
           0.1 * fixed(row, -5) * fixed(-6, k);
}

static double nearly_three_directions(int row, int k)
{
    return three_directions(row, k) + 1e-4 * fixed(row, k);
}

/* Columns come twice, rows come three times. */
static double repeated(int row, int k)
{
    return fixed(row / 3, k / 2);
}

/* One row far from all others, and one value far larger than the rest of its row. */
static double outlying(int row, int k)
{
    return fixed(row, k) * (row == 5 ? 1e4 : 1.0) * (k == row % 7 ? 300.0 : 1.0);
}

static void no_pair_is_lost_whatever_the_spectrum(void **state)
{
    (void)state;
    attack(steep, 0);
    attack(three_directions, 0);
    attack(nearly_three_directions, 1);
    attack(repeated, 1);
    attack(outlying, 0);
}

static void no_pair_is_lost_among_ties_and_zero_rows(void **state)
{
    (void)state;
    attack(identical, 0);
    attack(integers, 0);
    attack(some_zero, 0);
}

/* All but the one that leaves everything to float64. */
static int rules_out(const trm_kernel *kernel)
{
    return kernel->radius(1) < INFINITY;
}

static void unfiltered_rows_with_nan_or_infinity_survive(void **state)
{
    (void)state;
    bench *t = calloc(1, sizeof *t);
    t->dim = 8;
    t->x = calloc((size_t)(ROWS * t->dim), sizeof *t->x);
    for (int i = 0; i < ROWS * t->dim; i++)
        t->x[i] = (float)signed_uniform();
    t->x[3 * t->dim] = INFINITY;
    t->x[5 * t->dim] = NAN;
    measure(t);
    for (int i = 0; i < ROWS; i++)
        t->lo[i] = 1.0, t->hi[i] = -1.0;
    for (int k = 0; trm_kernel_at(k) != NULL; k++) {
        for (int isa = TRM_ISA_PORTABLE; isa <= TRM_ISA_AVX512; isa++) {
            if (trm_isa_limit((trm_isa)isa) != (trm_isa)isa)
                continue; /* this CPU does not have it */
            if (rules_out(trm_kernel_at(k)))
                assert_int_equal(check(t, trm_kernel_at(k), 0.5), 2 * B_ROWS);
        }
    }
    trm_basis_destroy(&t->basis);
    free(t->x);
    free(t);
}

static void the_filter_filters(void **state)
{
    (void)state;
    bench *t = calloc(1, sizeof *t);
    t->dim = 64;
    t->x = calloc((size_t)(ROWS * t->dim), sizeof *t->x);
    for (int i = 0; i < ROWS; i++) {
        double norm2 = 0.0;
        for (int k = 0; k < t->dim; k++) {
            t->x[i * t->dim + k] = (float)signed_uniform();
            norm2 += (double)t->x[i * t->dim + k] * (double)t->x[i * t->dim + k];
        }
        for (int k = 0; k < t->dim; k++)
            t->x[i * t->dim + k] /= (float)sqrt(norm2);
    }
    for (int m = 0; m < 4; m++) {
        t->metric = (trm_metric)m;
        measure(t);
        for (int i = 0; i < ROWS; i++)
            set_window(t, i, AT_A_DISTANCE);
        for (int k = 0; trm_kernel_at(k) != NULL; k++) {
            for (int isa = TRM_ISA_PORTABLE; isa <= TRM_ISA_AVX512; isa++) {
                if (trm_isa_limit((trm_isa)isa) != (trm_isa)isa || !rules_out(trm_kernel_at(k)))
                    continue; /* this CPU does not have it */
                /* a window of one distance holds that pair and those within the radius of it: a hair */
                assert_in_range(check(t, trm_kernel_at(k), 0.5), 1, ROWS + 10);
            }
        }
        for (int i = 0; i < ROWS; i++)
            set_window(t, i, NOTHING);
        for (int k = 0; trm_kernel_at(k) != NULL; k++)
            if (rules_out(trm_kernel_at(k)))
                assert_int_equal(check(t, trm_kernel_at(k), 0.5), 0);
    }
    trm_basis_destroy(&t->basis);
    free(t->x);
    free(t);
}

/* Packed for a kernel, with windows around half of the pairs. */
typedef struct packed {
    trm_block *a, *b;
    trm_bounds *wa, *wb;
    trm_workspace *work;
} packed;

static packed pack_all(bench *t, const trm_kernel *kernel)
{
    const trm_map map = {.metric = t->metric, .dim = t->dim, .scale = 0x1p-4};
    packed p = {.a = NULL};
    assert_int_equal(trm_block_create(kernel, &map, A_ROWS, &p.a, NULL), TRM_OK);
    assert_int_equal(trm_block_create(kernel, &map, B_ROWS, &p.b, NULL), TRM_OK);
    assert_int_equal(trm_bounds_create(A_ROWS, &p.wa, NULL), TRM_OK);
    assert_int_equal(trm_bounds_create(B_ROWS, &p.wb, NULL), TRM_OK);
    assert_int_equal(trm_workspace_create(TILE * trm_tile_round_up(TILE), &p.work, NULL), TRM_OK);
    p.a->rows = A_ROWS;
    p.b->rows = B_ROWS;
    trm_block_fill(p.a, 0, A_ROWS, t->x, t->norm2);
    trm_block_fill(p.b, 0, B_ROWS, t->x + A_ROWS * t->dim, t->norm2 + A_ROWS);
    trm_bounds_set(p.wa, p.a, 0, A_ROWS, t->lo, t->hi);
    trm_bounds_set(p.wb, p.b, 0, B_ROWS, t->lo + A_ROWS, t->hi + A_ROWS);
    return p;
}

static void unpack(packed *p)
{
    trm_block_destroy(&p->a);
    trm_block_destroy(&p->b);
    trm_bounds_destroy(&p->wa);
    trm_bounds_destroy(&p->wb);
    trm_workspace_destroy(&p->work);
}

/* Marks the survivors; returns how many there are. */
static int64_t mark(const packed *p, uint8_t seen[A_ROWS][B_ROWS])
{
    memset(seen, 0, (size_t)A_ROWS * B_ROWS);
    for (int64_t k = 0; k < p->work->count; k++)
        seen[p->work->survivors[k].row][p->work->survivors[k].col]++;
    return p->work->count;
}

static void draw_fit(trm_fit fit[A_ROWS])
{
    for (int i = 0; i < A_ROWS; i++) {
        int64_t place[4];
        for (int k = 0; k < 4; k++)
            place[k] = (int64_t)(uniform() * (B_ROWS + 1));
        for (int k = 1; k < 4; k++) /* each behind the one before */
            place[k] = place[k] > place[k - 1] ? place[k] : place[k - 1];
        fit[i] = (trm_fit){{place[0], place[2]}, {place[1], place[3]}};
        if (i / 4 % 4 == 1) /* strips without any */
            fit[i] = (trm_fit){{B_ROWS}, {0}};
    }
}

static int fits(const trm_fit *fit, int col)
{
    return (fit->first[0] <= col && col < fit->last[0]) || (fit->first[1] <= col && col < fit->last[1]);
}

static bench *half_wanted(int dim)
{
    bench *t = calloc(1, sizeof *t);
    t->dim = dim;
    t->x = calloc((size_t)(ROWS * t->dim), sizeof *t->x);
    for (int i = 0; i < ROWS * t->dim; i++)
        t->x[i] = (float)signed_uniform();
    measure(t);
    for (int i = 0; i < ROWS; i++)
        set_window(t, i, RANDOM);
    return t;
}

static void only_pairs_that_fit_survive(void **state)
{
    (void)state;
    static uint8_t all[A_ROWS][B_ROWS], some[A_ROWS][B_ROWS];
    static trm_fit fit[A_ROWS];
    bench *t = half_wanted(19);
    for (int k = 0; trm_kernel_at(k) != NULL; k++) {
        if (trm_kernel_at(k)->needs_basis)
            continue; /* its first stage is the driver of fp32 */
        for (int isa = TRM_ISA_PORTABLE; isa <= TRM_ISA_AVX512; isa++) {
            if (trm_isa_limit((trm_isa)isa) != (trm_isa)isa)
                continue; /* this CPU does not have it */
            packed p = pack_all(t, trm_kernel_at(k));
            trm_tile tile = {p.a, p.b, p.wa, p.wb, 0, 0, A_ROWS, B_ROWS, NULL};
            trm_kernel_run(&tile, p.work);
            assert_in_range(mark(&p, all), A_ROWS * B_ROWS / 10, A_ROWS * B_ROWS);
            draw_fit(fit);
            tile.fit = fit;
            p.work->count = 0;
            trm_kernel_run(&tile, p.work);
            assert_in_range(mark(&p, some), 1, A_ROWS * B_ROWS);
            for (int i = 0; i < A_ROWS; i++)
                for (int j = 0; j < B_ROWS; j++)
                    assert_int_equal(some[i][j], all[i][j] && fits(&fit[i], j));
            unpack(&p);
        }
    }
    trm_basis_destroy(&t->basis);
    free(t->x);
    free(t);
}

/* The driver goes by the number of columns that it is told. By the near bound alone all those survive that do by both,
 * and others. */
static void the_driver_takes_any_number_of_columns_and_the_near_bound_alone(void **state)
{
    (void)state;
    enum { DIMS = 7 };
    static uint8_t both[A_ROWS][B_ROWS], near[A_ROWS][B_ROWS];
    bench *t = half_wanted(DIMS);
    for (int isa = TRM_ISA_PORTABLE; isa <= TRM_ISA_AVX512; isa++) {
        if (trm_isa_limit((trm_isa)isa) != (trm_isa)isa)
            continue; /* this CPU does not have it */
        packed p = pack_all(t, trm_kernel_find("fp32"));
        const trm_tile tile = {p.a, p.b, p.wa, p.wb, 0, 0, A_ROWS, B_ROWS, NULL};
        trm_fp32_run(&tile, DIMS, false, p.work);
        const int64_t by_both = mark(&p, both);
        p.a->map.dim = p.b->map.dim = 1; /* which is not asked */
        p.work->count = 0;
        trm_fp32_run(&tile, DIMS, false, p.work);
        assert_int_equal(mark(&p, near), by_both);
        assert_memory_equal(near, both, sizeof both);
        p.work->count = 0;
        trm_fp32_run(&tile, DIMS, true, p.work);
        assert_true(mark(&p, near) > by_both && by_both > 0);
        for (int i = 0; i < A_ROWS; i++)
            for (int j = 0; j < B_ROWS; j++)
                assert_true(near[i][j] >= both[i][j] && near[i][j] <= 1);
        p.a->map.dim = p.b->map.dim = DIMS;
        unpack(&p);
    }
    trm_basis_destroy(&t->basis);
    free(t->x);
    free(t);
}

/* The filter sees rows less their mean. What is left out of the shift must not widen it: the canonical
 * distance of rows that are close for their norms is as good as that of others. */
static void the_filter_filters_under_a_large_common_offset(void **state)
{
    (void)state;
    bench *t = calloc(1, sizeof *t);
    t->dim = 64;
    t->x = calloc((size_t)(ROWS * t->dim), sizeof *t->x);
    t->shift = calloc((size_t)t->dim, sizeof *t->shift);
    t->shift[5] = 0x1p30F;
    for (int i = 0; i < ROWS * t->dim; i++)
        t->x[i] = i % t->dim == 5 ? t->shift[5] : (float)signed_uniform();
    for (int m = TRM_METRIC_SQL2; m <= TRM_METRIC_L2; m++) {
        t->metric = (trm_metric)m;
        measure(t);
        for (int i = 0; i < ROWS; i++)
            set_window(t, i, AT_A_DISTANCE);
        for (int k = 0; trm_kernel_at(k) != NULL; k++)
            if (rules_out(trm_kernel_at(k)))
                assert_in_range(check(t, trm_kernel_at(k), 0x1p-4), 1, ROWS + 10);
    }
    trm_basis_destroy(&t->basis);
    free(t->x);
    free(t->shift);
    free(t);
}

/* Rows of coordinates signed_uniform() * size[k], all moved by offset. */
static double directions_of(bench *t, const float *size, float offset)
{
    double directions = -1.0;
    t->x = calloc((size_t)(ROWS * t->dim), sizeof *t->x);
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < t->dim; k++)
            t->x[i * t->dim + k] = (float)signed_uniform() * size[k] + offset;
    measure(t);
    const trm_map map = {.metric = TRM_METRIC_COSINE, .dim = t->dim, .scale = 1.0};
    assert_int_equal(trm_basis_directions(t->x, t->norm2, ROWS, &map, &directions, NULL), TRM_OK);
    free(t->x);
    return directions;
}

static void directions_are_counted_by_how_much_each_holds(void **state)
{
    (void)state;
    enum { DIM = 24 };
    float even[DIM], half[DIM], one[DIM] = {1.0F}, none[DIM] = {0.0F};
    bench *t = calloc(1, sizeof *t);
    t->dim = DIM;
    for (int k = 0; k < DIM; k++) {
        even[k] = 1.0F;
        half[k] = k % 2 == 0 ? 1.0F : 0.0F;
    }
    const double all = directions_of(t, even, 0.0F), of_half = directions_of(t, half, 0.0F);
    assert_true(all > 0.8 * DIM && all < 1.2 * DIM);
    assert_true(of_half > 0.4 * DIM && of_half < 0.6 * DIM);
    assert_true(directions_of(t, one, 0.0F) < 1.5);
    /* an offset is no direction */
    assert_true(directions_of(t, even, 10.0F) > 0.5 * DIM);
    assert_true(isinf(directions_of(t, none, 1.0F)));
    trm_basis_destroy(&t->basis);
    free(t);
}

static void the_scale_brings_the_largest_norm_to_at_most_one(void **state)
{
    (void)state;
    assert_true(trm_map_scale(0.0) == 1.0);
    for (double norm = 1e-40; norm < 1e40; norm *= 1.7) {
        const double scaled = trm_map_scale(norm) * norm;
        int exponent;
        assert_true(scaled <= 1.0 && scaled > 0.25);
        assert_true(frexp(trm_map_scale(norm), &exponent) == 0.5);
    }
    assert_true(trm_map_scale(1.0) * 1.0 <= 1.0);
}

static void kernels_are_found_by_name(void **state)
{
    (void)state;
    assert_string_equal(trm_kernel_find("blas")->name, "blas");
    assert_string_equal(trm_kernel_find("fp32")->name, "fp32");
    assert_string_equal(trm_kernel_find("auto")->name, "fp32");
    assert_null(trm_kernel_find("fp31"));
    assert_null(trm_kernel_at(99));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_pair_is_lost_on_ordinary_rows),
        cmocka_unit_test(no_pair_is_lost_under_a_large_common_offset),
        cmocka_unit_test(no_pair_is_lost_where_norms_span_sixty_decades),
        cmocka_unit_test(no_pair_is_lost_near_the_ends_of_the_float_range),
        cmocka_unit_test(no_pair_is_lost_whatever_the_spectrum),
        cmocka_unit_test(no_pair_is_lost_among_ties_and_zero_rows),
        cmocka_unit_test(unfiltered_rows_with_nan_or_infinity_survive),
        cmocka_unit_test(the_filter_filters),
        cmocka_unit_test(only_pairs_that_fit_survive),
        cmocka_unit_test(the_driver_takes_any_number_of_columns_and_the_near_bound_alone),
        cmocka_unit_test(the_filter_filters_under_a_large_common_offset),
        cmocka_unit_test(directions_are_counted_by_how_much_each_holds),
        cmocka_unit_test(the_scale_brings_the_largest_norm_to_at_most_one),
        cmocka_unit_test(kernels_are_found_by_name),
    };
    trm_blas_one_thread(); /* as in a run: threads inside it would mostly wait for each other */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
