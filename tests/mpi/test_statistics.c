/* Statistics of triplets: those of a plain program that has all values in one sorted array, and the same bits
 * however the triplets are spread over ranks, threads, pieces and places. */
#include "base/alloc.h"
#include "loss/margins.h"
#include "mine/statistics.h"
#include "par/agree.h"
#include "store/result.h"
#include "support/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What values are like. */
typedef enum sort { ANY, SIGNED, TIES, EQUAL, NEIGHBOURS, SPREAD, SORTS } sort;

static uint64_t mixed(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static double unit(uint64_t draw)
{
    return (double)(mixed(draw) >> 11) * 0x1p-53;
}

static double value_at(sort kind, uint64_t draw)
{
    switch (kind) {
    case ANY:
        return mixed(draw) % 9 == 0 ? 0.0 : unit(draw + 1);
    case SIGNED:
        return unit(draw) * 100.0 - 70.0;
    case TIES: /* nine tenths of all are one value, the rest few others */
        return mixed(draw) % 10 < 9 ? 3.0 : (double)(mixed(draw) % 100 / 10);
    case EQUAL:
        return 0.1;
    case NEIGHBOURS: /* two values next to each other, far from 0 */
        return mixed(draw) % 3 == 0 ? nextafter(1e9, 2e9) : 1e9;
    default: /* every magnitude that distances of float32 rows may have, and beyond */
        return ldexp(unit(draw) - 0.5, (int)(mixed(draw + 1) % 600) - 300);
    }
}

static trm_triplet triplet_at(sort kind, int64_t i)
{
    const uint64_t draw = (uint64_t)i * 64 + (uint64_t)kind * 7;
    return (trm_triplet){.anchor = i,
                         .positive = i % 11 == 10 ? -1 : i,
                         .d_ap = value_at(kind, draw),
                         .d_an = kind == EQUAL ? 0.7 : value_at(kind, draw + 32),
                         .kind = i % 5 == 0};
}

/* ---- the plain program ---- */

typedef struct plain {
    int64_t count;
    double *sorted[TRM_SERIES];
} plain;

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static plain plain_of(sort kind, int64_t triplets)
{
    plain all = {0};
    for (int k = 0; k < TRM_SERIES; k++)
        all.sorted[k] = trm_alloc(triplets, sizeof(double));
    for (int64_t i = 0; i < triplets; i++) {
        const trm_triplet t = triplet_at(kind, i);
        if (t.positive < 0)
            continue;
        all.sorted[0][all.count] = t.d_ap;
        all.sorted[1][all.count] = t.d_an;
        all.sorted[2][all.count++] = t.d_an - t.d_ap;
    }
    for (int k = 0; k < TRM_SERIES; k++)
        qsort(all.sorted[k], (size_t)all.count, sizeof(double), compare);
    return all;
}

/* numpy.quantile(x, q), 'linear'. */
static double quantile(const double *sorted, int64_t count, double q)
{
    const double place = (double)(count - 1) * q, floored = floor(place), way = place - floored;
    const int64_t i = (int64_t)floored;
    const double a = sorted[i], b = sorted[i + 1 < count ? i + 1 : i];
    return way < 0.5 ? a + (b - a) * way : b - (b - a) * (1.0 - way);
}

/* numpy.histogram's edges, and how many are in each of its bins, by looking at all edges. */
static bool same_histogram(const double *sorted, int64_t count, const trm_statistic *of, int64_t bins)
{
    double first = sorted[0], last = sorted[count - 1];
    int64_t i = 0;
    if (first == last) {
        first -= 0.5;
        last += 0.5;
    }
    for (int64_t bin = 0; bin < bins; bin++) {
        const double step = (last - first) / (double)bins;
        const double end = bin + 1 == bins ? last : (double)(bin + 1) * step + first;
        int64_t inside = 0;
        for (; i < count && (sorted[i] < end || bin + 1 == bins); i++)
            inside++;
        if (of->edges[bin] != (double)bin * step + first || of->edges[bin + 1] != end ||
            of->bin[bin] != inside)
            return false;
    }
    return true;
}

static bool near(double a, double b, double scale)
{
    return fabs(a - b) <= 1e-13 * scale;
}

/* Mean and deviation in wider numbers, as far as these go. */
static bool same_moments(const double *sorted, int64_t count, const trm_statistic *of)
{
    long double sum = 0.0L, squares = 0.0L;
    for (int64_t i = 0; i < count; i++)
        sum += (long double)sorted[i];
    const long double mean = sum / (long double)count;
    for (int64_t i = 0; i < count; i++)
        squares += ((long double)sorted[i] - mean) * ((long double)sorted[i] - mean);
    const double largest = fmax(fabs(sorted[0]), fabs(sorted[count - 1]));
    const double std = (double)sqrtl(squares / (long double)count);
    return near(of->mean, (double)mean, largest) && near(of->std, std, largest);
}

static bool is_plain(const plain *all, const trm_statistics_summary *summary)
{
    for (int k = 0; k < TRM_SERIES; k++) {
        const trm_statistic *of = &summary->of[k];
        const double *sorted = all->sorted[k];
        const int64_t n = all->count;
        if (of->count != n)
            return false;
        if (n > 0 && (of->min != sorted[0] || of->max != sorted[n - 1] ||
                      of->q1 != quantile(sorted, n, 0.25) || of->median != quantile(sorted, n, 0.5) ||
                      of->q3 != quantile(sorted, n, 0.75) || !same_moments(sorted, n, of) ||
                      (summary->bins > 0 && !same_histogram(sorted, n, of, summary->bins))))
            return false;
    }
    return true;
}

static void free_plain(plain *all)
{
    for (int k = 0; k < TRM_SERIES; k++)
        trm_free(all->sorted[k]);
}

/* ---- triplets to a place that shows them again ---- */

typedef enum spot { KEPT, IN_FILE, SPOOLED, SPOTS } spot;

typedef struct setup {
    MPI_Comm comm;
    int rank, ranks, threads, panels;
    uint64_t salt; /* says who gets which triplet, and when */
    spot to;
    int64_t bins;
} setup;

static trm_status feed(const setup *s, trm_statistics *statistics, trm_triplet_file *file, sort kind,
                       int64_t triplets, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int panel = 0; panel < s->panels && status == TRM_OK; panel++) {
        trm_triplet *some = trm_alloc(triplets, sizeof *some);
        int64_t count = 0;
        for (int64_t i = 0; i < triplets; i++) {
            const uint64_t draw = mixed((uint64_t)i + s->salt);
            if ((int)(draw % (uint64_t)s->ranks) == s->rank && (int)(draw >> 40) % s->panels == panel)
                some[count++] = triplet_at(kind, i);
        }
        status = trm_statistics_add(statistics, some, count, err);
        if (status == TRM_OK)
            status = file != NULL ? trm_triplet_file_add(file, &some, count, err)
                                  : trm_statistics_keep(statistics, &some, count, err);
        trm_free(some);
    }
    return trm_agree(s->comm, status, err);
}

static trm_status summarize(const setup *s, sort kind, int64_t triplets, trm_statistics_summary *summary,
                            trm_error *err)
{
    trm_statistics *statistics = NULL;
    trm_triplet_file *file = NULL;
    trm_claim *claim = NULL;
    *summary = (trm_statistics_summary){0};
    trm_status status = trm_statistics_create(s->comm, s->threads, &statistics, err);
    if (status == TRM_OK && s->to != KEPT)
        status = trm_claim_take(s->comm, "output", in_folder("out.h5"), true, 0, NULL, &claim, err);
    if (status == TRM_OK && s->to != KEPT)
        status = trm_triplet_file_create(s->comm, claim, TRM_FORM_TRIPLETS, 1, triplets + 1, s->to == SPOOLED,
                                         1 << 20, &file, err);
    if (status == TRM_OK)
        status = feed(s, statistics, file, kind, triplets, err);
    if (status == TRM_OK)
        status =
            trm_statistics_finish(statistics, file != NULL ? trm_triplet_file_walk : trm_statistics_walk,
                                  file != NULL ? (void *)file : (void *)statistics, s->bins, summary, err);
    trm_triplet_file_destroy(&file);
    trm_claim_release(&claim);
    trm_statistics_destroy(&statistics);
    return status;
}

static bool same(const trm_statistics_summary *a, const trm_statistics_summary *b)
{
    for (int k = 0; k < TRM_SERIES; k++) {
        const trm_statistic *x = &a->of[k], *y = &b->of[k];
        const double here[] = {x->mean, x->std, x->min, x->q1, x->median, x->q3, x->max};
        const double there[] = {y->mean, y->std, y->min, y->q1, y->median, y->q3, y->max};
        if (x->count != y->count || memcmp(here, there, sizeof here) != 0)
            return false;
    }
    return true;
}

/* On all ranks, against the plain program and, bit for bit, against this rank alone. */
static bool is_right(const setup *s, sort kind, int64_t triplets)
{
    const setup alone = {MPI_COMM_SELF, 0, 1, 1, 1, 0, KEPT, s->bins};
    trm_statistics_summary summary, one;
    trm_error err = TRM_ERROR_INIT;
    plain all = plain_of(kind, triplets);
    const bool made = summarize(s, kind, triplets, &summary, &err) == TRM_OK;
    const bool right = made && summarize(&alone, kind, triplets, &one, &err) == TRM_OK && summary.ordered &&
                       is_plain(&all, &summary) && same(&summary, &one);
    if (!right)
        print_message("kind %d, %d triplets, spot %d, %d panels: %s\n", kind, (int)triplets, s->to, s->panels,
                      err.text);
    trm_statistics_free(&summary);
    trm_statistics_free(&one);
    free_plain(&all);
    return everywhere(right);
}

static void statistics_are_those_of_a_plain_program(void **state)
{
    static const int64_t counts[] = {0, 1, 2, 3, 4, 5, 6, 7, 40, 1001};
    (void)state;
    for (int kind = 0; kind < SORTS; kind++)
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            const setup s = {
                MPI_COMM_WORLD,    rank, ranks, 1 + (int)i % 3, 1 + (int)i % 4, i, (spot)(i % SPOTS),
                1 + (int64_t)i % 7};
            assert_true(is_right(&s, (sort)kind, counts[i]));
        }
}

/* More values than are collected: the search narrows down, also among great heaps of equal ones. */
static void many_values_are_narrowed_down(void **state)
{
    enum { MANY = 150000 };
    (void)state;
    for (int kind = 0; kind < SORTS; kind++) {
        const spot to = (spot)(kind % SPOTS);
        const setup s = {MPI_COMM_WORLD, rank, ranks, 2, to == SPOOLED ? 1 : 3, 5, to, 100};
        assert_true(is_right(&s, (sort)kind, MANY));
    }
}

static trm_status of_values(int64_t count, const double *d_ap, trm_statistics_summary *summary,
                            trm_error *err)
{
    trm_statistics *statistics = NULL;
    trm_triplet *some = trm_alloc_zero(count, sizeof *some);
    for (int64_t i = 0; i < count; i++)
        some[i].d_ap = d_ap[i];
    *summary = (trm_statistics_summary){0};
    trm_status status = trm_statistics_create(MPI_COMM_WORLD, 2, &statistics, err);
    if (status == TRM_OK) /* rank 0 has them all */
        status =
            trm_agree(MPI_COMM_WORLD, trm_statistics_add(statistics, some, rank == 0 ? count : 0, err), err);
    if (status == TRM_OK)
        status = trm_statistics_finish(statistics, NULL, NULL, 3, summary, err);
    trm_free(some);
    trm_statistics_destroy(&statistics);
    return status;
}

static void mean_and_deviation_lose_nothing_to_cancellation(void **state)
{
    const double apart = nextafter(1e9, 2e9) - 1e9;
    static const double cancels[] = {1e100, 3.0, -1e100};
    const double close[] = {1e9, 1e9, 1e9 + apart, 1e9 + apart}, offset[] = {1e9, 1e9 + 2.0};
    trm_statistics_summary summary;
    trm_error err = TRM_ERROR_INIT;
    (void)state;
    bool good = of_values(3, cancels, &summary, &err) == TRM_OK && summary.of[0].mean == 1.0;
    assert_true(everywhere(good));
    good = of_values(4, close, &summary, &err) == TRM_OK && summary.of[0].std == apart / 2.0;
    assert_true(everywhere(good));
    good = of_values(2, offset, &summary, &err) == TRM_OK && summary.of[0].std == 1.0 &&
           summary.of[0].mean == 1e9 + 1.0;
    assert_true(everywhere(good));
}

static void without_a_second_look_there_are_no_quartiles(void **state)
{
    static const double values[] = {1.0, 2.0, 6.0};
    trm_statistics_summary summary;
    trm_error err = TRM_ERROR_INIT;
    (void)state;
    const bool good = of_values(3, values, &summary, &err) == TRM_OK && !summary.ordered &&
                      summary.bins == 0 && summary.of[0].count == 3 && summary.of[0].mean == 3.0 &&
                      summary.of[0].max == 6.0 && summary.of[2].min == -6.0;
    assert_true(everywhere(good));
}

/* So that nothing overflows further on: not the gap, not a square, not the width of a histogram. */
static void what_no_float32_rows_have_is_refused_on_all_ranks(void **state)
{
    static const double values[] = {0x1.1p400, -0x1.1p400, INFINITY, NAN};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        trm_statistics_summary summary;
        trm_error err = TRM_ERROR_INIT;
        const double some[] = {1.0, values[i]};
        const trm_status status = of_values(2, some, &summary, &err);
        assert_true(everywhere(status == TRM_ERR_DATA && strstr(err.text, "triplet (0, 0, 0)") != NULL));
    }
}

static trm_status fail_on_last(void *source, trm_look_fn look, void *looker, trm_error *err)
{
    (void)look;
    (void)looker;
    (void)source;
    return rank == ranks - 1 ? trm_fail(err, TRM_ERR_IO, "unreadable") : TRM_OK;
}

static void a_look_that_fails_on_one_rank_fails_on_all(void **state)
{
    trm_statistics *statistics = NULL;
    trm_statistics_summary summary = {0};
    trm_error err = TRM_ERROR_INIT;
    trm_triplet some[3] = {{.d_ap = 1.0}, {.d_ap = 2.0}, {.d_ap = 3.0}};
    (void)state;
    bool good = trm_statistics_create(MPI_COMM_WORLD, 1, &statistics, &err) == TRM_OK &&
                trm_statistics_add(statistics, some, 3, &err) == TRM_OK;
    assert_true(everywhere(good));
    const trm_status status = trm_statistics_finish(statistics, fail_on_last, NULL, 4, &summary, &err);
    trm_statistics_free(&summary);
    trm_statistics_destroy(&statistics);
    assert_true(everywhere(status == TRM_ERR_IO && strcmp(err.text, "unreadable") == 0));
}

/* ---- margins ---- */

/* One triplet after another, by the definition of the loss. */
static trm_margin plain_margin(sort kind, int64_t triplets, double margin)
{
    trm_margin m = {.margin = margin, .count = triplets};
    long double sum = 0.0L;
    for (int64_t i = 0; i < triplets; i++) {
        const trm_triplet t = triplet_at(kind, i);
        m.semihard += t.kind == TRM_KIND_SEMIHARD && t.d_an > t.d_ap && t.d_an - t.d_ap < margin;
        if ((t.d_ap - t.d_an) + margin > 0.0) {
            m.active++;
            sum += ((long double)t.d_ap - (long double)t.d_an) + (long double)margin;
        }
    }
    m.sum = (double)sum;
    return m;
}

static bool is_margin(const trm_margin *a, const trm_margin *b)
{
    const double n = (double)a->count, active = (double)a->active;
    return a->margin == b->margin && a->count == b->count && a->semihard == b->semihard &&
           a->active == b->active && near(a->sum, b->sum, fabs(b->sum)) &&
           a->mean_all == (n > 0 ? a->sum / n : 0.0) &&
           a->mean_nonzero == (active > 0 ? a->sum / active : 0.0) &&
           a->active_share == (n > 0 ? active / n : 0.0);
}

static void every_margin_is_that_of_a_loss_with_it_alone(void **state)
{
    /* in no order, one twice, and the exact gap of values that tie */
    static const double margin[] = {0.5, 0.0, 2.0, 0.25, 0.5, 1e-9, 6.0};
    enum { MARGINS = sizeof margin / sizeof *margin };
    static const int64_t counts[] = {0, 1, 500};
    static const sort kinds[] = {ANY, SIGNED, TIES};
    (void)state;
    for (int k = 0; k < 9; k++) {
        const int64_t count = counts[k % 3];
        trm_margins *margins = NULL;
        trm_margin total[MARGINS];
        trm_error err = TRM_ERROR_INIT;
        bool good = trm_margins_create(MPI_COMM_WORLD, 1 + k % 3, MARGINS, margin, &margins, &err) == TRM_OK;
        assert_true(everywhere(good));
        for (int64_t i = rank; i < count; i += ranks) {
            const trm_triplet t = triplet_at(kinds[k / 3], i);
            trm_margins_add(margins, &t, 1);
        }
        good = trm_margins_total(margins, total, &err) == TRM_OK;
        for (int i = 0; i < MARGINS && good; i++) {
            const trm_margin one = plain_margin(kinds[k / 3], count, margin[i]);
            good = is_margin(&total[i], &one);
        }
        trm_margins_destroy(&margins);
        assert_true(everywhere(good));
    }
}

static void a_margin_whose_sum_is_beyond_float64_is_refused(void **state)
{
    static const double margin[] = {1.0, 1.7e308};
    trm_margins *margins = NULL;
    trm_margin total[2];
    trm_error err = TRM_ERROR_INIT;
    const trm_triplet some[2] = {{.d_ap = 1.0}, {.d_ap = 2.0}};
    (void)state;
    bool good = trm_margins_create(MPI_COMM_WORLD, 1, 2, margin, &margins, &err) == TRM_OK;
    assert_true(everywhere(good));
    trm_margins_add(margins, some, 2);
    const trm_status status = trm_margins_total(margins, total, &err);
    trm_margins_destroy(&margins);
    assert_true(everywhere(status == TRM_ERR_DATA && strstr(err.text, "1.7e308") != NULL));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_are_those_of_a_plain_program),
        cmocka_unit_test(many_values_are_narrowed_down),
        cmocka_unit_test(mean_and_deviation_lose_nothing_to_cancellation),
        cmocka_unit_test(without_a_second_look_there_are_no_quartiles),
        cmocka_unit_test(what_no_float32_rows_have_is_refused_on_all_ranks),
        cmocka_unit_test(a_look_that_fails_on_one_rank_fails_on_all),
        cmocka_unit_test(every_margin_is_that_of_a_loss_with_it_alone),
        cmocka_unit_test(a_margin_whose_sum_is_beyond_float64_is_refused),
    };
    start_mpi(&argc, &argv, 600);
    const int failed = cmocka_run_group_tests(tests, make_folder, remove_folder);
    MPI_Finalize();
    return failed;
}
