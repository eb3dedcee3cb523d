/* Statistics of triplets; see statistics.h. */
#include "mine/statistics.h"

#include "base/alloc.h"
#include "base/bins.h"
#include "base/exact_sum.h"
#include "base/order.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <string.h>

const char *const trm_series_names[TRM_SERIES] = {"d_ap", "d_an", "gap"};

static const double most_distance = 0x1p400;
enum { AT_ONCE = 1 << 13 }; /* triplets that are looked at */

/* What one thread adds up of some triplets. */
typedef struct tally {
    int64_t count, bad; /* bad: the first triplet that can't be one, or INT64_MAX */
    uint64_t least[TRM_SERIES], most[TRM_SERIES];
    trm_exact_bins sum[TRM_SERIES], squares[TRM_SERIES];
} tally;

/* d(a,p) and d(a,n) of the triplets of one array. */
typedef struct piece {
    double (*pair)[2];
    int64_t count;
} piece;

struct trm_statistics {
    MPI_Comm comm; /* borrowed */
    int threads;
    int64_t count;
    uint64_t least[TRM_SERIES], most[TRM_SERIES]; /* in the order of values */
    trm_exact_sum sum[TRM_SERIES], squares[TRM_SERIES];
    tally *tally; /* a thread's each; their bins are zero between calls */
    piece *pieces;
    int64_t piece_count, piece_room;
};

int64_t trm_statistics_bytes(int threads)
{
    return threads * (int64_t)sizeof(tally);
}

int64_t trm_statistics_finish_bytes(int threads, int64_t triplets, int64_t bins)
{
    const int64_t histogram = TRM_SERIES * bins * (int64_t)sizeof(int64_t);
    return (threads + 2) * histogram + AT_ONCE * (int64_t)sizeof(trm_triplet) +
           trm_quantiles_bytes(threads, TRM_SERIES * triplets);
}

trm_status trm_statistics_create(MPI_Comm comm, int threads, trm_statistics **statistics, trm_error *err)
{
    trm_status status = TRM_OK;
    trm_statistics *made = trm_alloc_zero(1, sizeof *made);
    tally *tallies = trm_alloc_zero(threads, sizeof *tallies);
    if (made == NULL || tallies == NULL)
        status = trm_fail_memory(err, "statistics", threads, sizeof *tallies);
    status = trm_agree(comm, status, err);
    if (status != TRM_OK) {
        trm_free(made);
        trm_free(tallies);
        made = NULL;
    } else {
        *made = (trm_statistics){.comm = comm, .threads = threads, .tally = tallies};
        memset(made->least, 0xff, sizeof made->least);
    }
    *statistics = made;
    return status;
}

void trm_statistics_destroy(trm_statistics **statistics)
{
    trm_statistics *old = *statistics;
    if (old == NULL)
        return;
    for (int64_t i = 0; i < old->piece_count; i++)
        trm_free(old->pieces[i].pair);
    trm_free(old->pieces);
    trm_free(old->tally);
    trm_free(old);
    *statistics = NULL;
}

void trm_statistics_free(trm_statistics_summary *summary)
{
    for (int k = 0; k < TRM_SERIES; k++) {
        trm_free(summary->of[k].edges);
        trm_free(summary->of[k].bin);
    }
    *summary = (trm_statistics_summary){0};
}

/* ---- as triplets come ---- */

static void add_value(tally *t, int k, double x)
{
    const uint64_t order = trm_order_of(x);
    const double square = x * x;
    t->least[k] = order < t->least[k] ? order : t->least[k];
    t->most[k] = order > t->most[k] ? order : t->most[k];
    trm_exact_bins_add_times(&t->sum[k], x, 1);
    trm_exact_bins_add_times(&t->squares[k], square, 1);
    trm_exact_bins_add_times(&t->squares[k], fma(x, x, -square), 1);
}

static void add_triplet(tally *t, const trm_triplet *triplet, int64_t index)
{
    double value[TRM_SERIES];
    if (!trm_series_of(triplet, value))
        return;
    if (!(fabs(triplet->d_ap) <= most_distance && fabs(triplet->d_an) <= most_distance)) {
        t->bad = index < t->bad ? index : t->bad;
        return;
    }
    t->count++;
    for (int k = 0; k < TRM_SERIES; k++)
        add_value(t, k, value[k]);
}

/* Moves a thread's tally to the whole. */
static void take_tally(trm_statistics *s, tally *t)
{
    s->count += t->count;
    for (int k = 0; k < TRM_SERIES; k++) {
        s->least[k] = t->least[k] < s->least[k] ? t->least[k] : s->least[k];
        s->most[k] = t->most[k] > s->most[k] ? t->most[k] : s->most[k];
        trm_exact_bins_fold(&t->sum[k], &s->sum[k]);
        trm_exact_bins_fold(&t->squares[k], &s->squares[k]);
    }
}

trm_status trm_statistics_add(trm_statistics *s, const trm_triplet *triplets, int64_t count, trm_error *err)
{
    int64_t bad = INT64_MAX;
#pragma omp parallel num_threads(s->threads)
    {
        tally *mine = &s->tally[omp_get_thread_num()];
        mine->count = 0;
        mine->bad = INT64_MAX;
        memset(mine->least, 0xff, sizeof mine->least);
        memset(mine->most, 0, sizeof mine->most);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count; i++)
            add_triplet(mine, &triplets[i], i);
#pragma omp critical(trimine_statistics)
        {
            take_tally(s, mine);
            bad = mine->bad < bad ? mine->bad : bad;
        }
    }
    if (bad == INT64_MAX)
        return TRM_OK;
    const trm_triplet *t = &triplets[bad];
    return trm_fail(err, TRM_ERR_DATA,
                    "triplet (%" PRId64 ", %" PRId64 ", %" PRId64
                    "): the distances %g and %g can't be those of float32 rows",
                    t->anchor, t->positive, t->negative, t->d_ap, t->d_an);
}

trm_status trm_statistics_keep(trm_statistics *s, trm_triplet **triplets, int64_t count, trm_error *err)
{
    if (s->piece_count == s->piece_room) {
        const int64_t room = 2 * s->piece_room + 8;
        piece *larger = trm_grown(s->pieces, s->piece_count, room, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "the list of kept triplets", room, sizeof *larger);
        s->pieces = larger;
        s->piece_room = room;
    }
    char *to = (char *)*triplets;
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        const trm_triplet triplet = (*triplets)[i]; /* what is written lies before what is still to be read */
        const double pair[2] = {triplet.d_ap, triplet.d_an};
        if (triplet.positive >= 0)
            memcpy(to + kept++ * TRM_KEPT_BYTES_A_TRIPLET, pair, sizeof pair);
    }
    s->pieces[s->piece_count++] = (piece){trm_shrink(*triplets, kept, TRM_KEPT_BYTES_A_TRIPLET), kept};
    *triplets = NULL;
    return TRM_OK;
}

trm_status trm_statistics_walk(void *source, trm_look_fn look, void *looker, trm_error *err)
{
    const trm_statistics *s = source;
    trm_triplet *shown = trm_alloc_zero(AT_ONCE, sizeof *shown);
    if (shown == NULL)
        return trm_fail_memory(err, "triplets to look at", AT_ONCE, sizeof *shown);
    for (int64_t p = 0; p < s->piece_count; p++)
        for (int64_t done = 0, n; done < s->pieces[p].count; done += n) {
            n = s->pieces[p].count - done < AT_ONCE ? s->pieces[p].count - done : AT_ONCE;
            for (int64_t i = 0; i < n; i++) {
                shown[i].d_ap = s->pieces[p].pair[done + i][0];
                shown[i].d_an = s->pieces[p].pair[done + i][1];
            }
            look(looker, shown, n);
        }
    trm_free(shown);
    return TRM_OK;
}

/* ---- in the end ---- */

/* The float64 values that add up to a sum, largest first; returns how many. */
enum { TERMS_MOST = 64 }; /* each has 53 bits of the sum's 2176 */
static int terms_of(const trm_exact_sum *sum, double *term)
{
    trm_exact_sum left = *sum;
    int count = 0;
    for (double next = trm_exact_sum_value(&left); next != 0.0 && count < TERMS_MOST;
         next = trm_exact_sum_value(&left)) {
        term[count++] = next;
        trm_exact_sum_add(&left, -next);
    }
    return count;
}

static double deviation_of(const trm_exact_sum *sum, const trm_exact_sum *squares, int64_t n)
{
    double term[TERMS_MOST];
    trm_exact_sum spread;
    trm_exact_sum_clear(&spread);
    int count = terms_of(squares, term);
    for (int i = 0; i < count; i++)
        trm_exact_sum_add_times(&spread, term[i], n);
    count = terms_of(sum, term);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < count; k++) {
            const double product = term[i] * term[k];
            trm_exact_sum_add(&spread, -product);
            trm_exact_sum_add(&spread, -fma(term[i], term[k], -product));
        }
    const double value = trm_exact_sum_value(&spread);
    return value > 0.0 ? sqrt(value) / (double)n : 0.0;
}

/* Counts, extremes and sums of all ranks; mean and deviation. Collective. */
static void sum_up(trm_statistics *s, trm_statistics_summary *summary)
{
    const int64_t n = trm_sum_int64(s->comm, s->count);
    MPI_Allreduce(MPI_IN_PLACE, s->least, TRM_SERIES, MPI_UINT64_T, MPI_MIN, s->comm);
    MPI_Allreduce(MPI_IN_PLACE, s->most, TRM_SERIES, MPI_UINT64_T, MPI_MAX, s->comm);
    for (int k = 0; k < TRM_SERIES; k++) {
        trm_statistic *of = &summary->of[k];
        trm_merge_exact_sum(s->comm, &s->sum[k]);
        trm_merge_exact_sum(s->comm, &s->squares[k]);
        *of = (trm_statistic){.count = n};
        if (n == 0)
            continue;
        of->min = trm_value_of(s->least[k]);
        of->max = trm_value_of(s->most[k]);
        of->mean = trm_exact_sum_value(&s->sum[k]) / (double)n;
        of->std = s->least[k] < s->most[k] ? deviation_of(&s->sum[k], &s->squares[k], n) : 0.0;
    }
}

/* Between two values at a quarter of the way, 0 to 3; in the steps that numpy takes. */
static double between(double a, double b, int64_t quarter)
{
    const double way = (double)quarter / 4.0;
    return quarter < 2 ? a + (b - a) * way : b - (b - a) * (1.0 - way);
}

/* The values at (n - 1) q of those sorted, linear between two. Collective. */
static trm_status find_quartiles(trm_statistics *s, trm_walk_fn walk, void *source,
                                 trm_statistics_summary *summary, trm_error *err)
{
    enum { QUARTILES = 3 };
    const int64_t n = summary->of[0].count;
    trm_wanted wanted[TRM_WANTED_MOST];
    int count = 0;
    for (int k = 0; k < TRM_SERIES; k++)
        for (int64_t q = 1; q <= QUARTILES; q++)
            for (int64_t next = 0; next < 2; next++) {
                const int64_t place = (n - 1) / 4 * q + (n - 1) % 4 * q / 4 + next;
                wanted[count++] = (trm_wanted){k, place < n ? place : n - 1, s->least[k], s->most[k], 0};
            }
    trm_status status = trm_quantiles_find(s->comm, s->threads, walk, source, n, count, wanted, err);
    for (int k = 0; k < TRM_SERIES && status == TRM_OK; k++) {
        double value[QUARTILES];
        for (int q = 0; q < QUARTILES; q++) {
            const trm_wanted *pair = &wanted[2 * (k * QUARTILES + q)];
            value[q] =
                between(trm_value_of(pair[0].low), trm_value_of(pair[1].low), (n - 1) % 4 * (q + 1) % 4);
        }
        summary->of[k].q1 = value[0];
        summary->of[k].median = value[1];
        summary->of[k].q3 = value[2];
    }
    return status;
}

/* ---- histograms ---- */

typedef struct histogram {
    const trm_statistics_summary *summary;
    int threads;
    int64_t *bin;             /* threads x TRM_SERIES x bins */
    double scale[TRM_SERIES]; /* bins a unit, about */
} histogram;

/* A trm_look_fn. */
static void look_for_bins(void *looker, const trm_triplet *triplets, int64_t count)
{
    const histogram *h = looker;
    const int64_t bins = h->summary->bins;
#pragma omp parallel num_threads(h->threads)
    {
        int64_t *bin = h->bin + omp_get_thread_num() * TRM_SERIES * bins;
        double value[TRM_SERIES];
#pragma omp for schedule(static)
        for (int64_t t = 0; t < count; t++) {
            const int series = trm_series_of(&triplets[t], value) ? TRM_SERIES : 0;
            for (int k = 0; k < series; k++)
                bin[k * bins + trm_bins_find(h->summary->of[k].edges, bins, h->scale[k], value[k])]++;
        }
    }
}

static trm_status make_edges(trm_statistics_summary *summary, trm_error *err)
{
    const int64_t bins = summary->bins;
    for (int k = 0; k < TRM_SERIES; k++) {
        trm_statistic *of = &summary->of[k];
        of->edges = trm_alloc(bins + 1, sizeof *of->edges);
        of->bin = trm_alloc_zero(bins, sizeof *of->bin);
        if (of->edges == NULL || of->bin == NULL)
            return trm_fail_memory(err, "a histogram", bins, sizeof *of->bin);
        trm_bins_set(of->edges, bins, of->min, of->count == 0 ? 1.0 : of->max);
    }
    return TRM_OK;
}

/* Collective. */
static trm_status count_bins(const trm_statistics *s, trm_walk_fn walk, void *source,
                             trm_statistics_summary *summary, trm_error *err)
{
    const int64_t bins = summary->bins;
    histogram h = {.summary = summary, .threads = s->threads};
    trm_status status = make_edges(summary, err);
    if (summary->of[0].count == 0)
        return trm_agree(s->comm, status, err);
    h.bin = trm_alloc_zero(s->threads * TRM_SERIES * bins, sizeof *h.bin);
    if (h.bin == NULL)
        status = trm_fail_memory(err, "a histogram", s->threads * TRM_SERIES * bins, sizeof *h.bin);
    status = trm_agree(s->comm, status, err);
    for (int k = 0; k < TRM_SERIES && status == TRM_OK; k++)
        h.scale[k] = trm_bins_scale(summary->of[k].edges, bins);
    if (status == TRM_OK)
        status = trm_agree(s->comm, walk(source, look_for_bins, &h, err), err);
    for (int k = 0; k < TRM_SERIES && status == TRM_OK; k++) {
        for (int thread = 0; thread < s->threads; thread++)
            for (int64_t i = 0; i < bins; i++)
                summary->of[k].bin[i] += h.bin[(thread * TRM_SERIES + k) * bins + i];
        MPI_Allreduce(MPI_IN_PLACE, summary->of[k].bin, (int)bins, MPI_INT64_T, MPI_SUM, s->comm);
    }
    trm_free(h.bin);
    return status;
}

trm_status trm_statistics_finish(trm_statistics *s, trm_walk_fn walk, void *source, int64_t bins,
                                 trm_statistics_summary *summary, trm_error *err)
{
    *summary = (trm_statistics_summary){.ordered = walk != NULL, .bins = walk != NULL ? bins : 0};
    sum_up(s, summary);
    trm_status status = TRM_OK;
    if (walk != NULL && summary->of[0].count > 0)
        status = find_quartiles(s, walk, source, summary, err);
    return status == TRM_OK && summary->bins > 0 ? count_bins(s, walk, source, summary, err) : status;
}
