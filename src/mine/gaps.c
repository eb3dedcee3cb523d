/* The sample: pairs are numbered anchor by anchor in arranged order, which does not depend on the ranks, and random
 * numbers say which are looked at. A pair is an anchor and the place of its positive among the anchor's positives by
 * distance; the distance at that place is found byte by byte, the first ones first, with counts over the ranks for each, so
 * that nothing but counts travels however large the class is. */
#include "mine/gaps.h"

#include "base/alloc.h"
#include "base/order.h"
#include "base/random.h"
#include "metric/metric.h"
#include "mine/anchors.h"
#include "mine/negatives.h"
#include "mine/positives.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "sweep/side.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One pair, as it travels. */
typedef struct sampled_pair {
    int64_t id, label, place; /* of the anchor; place: so many of its positives are nearer, ties by chance */
    double norm2;
} sampled_pair;

typedef struct gaps_job {
    const trm_run *run;
    const trm_rows *rows;
    const trm_mine_options *options;
    int64_t first, last;      /* this member's part of its shard */
    int64_t before, own, all; /* pairs: of the ranks before this one, of this one, of all */
    trm_positives positives;
    bool farther;     /* negatives are sought that are farther than the positive */
    float *anchor;    /* one row */
    double *distance; /* of the anchor to each row of the part */
} gaps_job;

static int64_t pairs_of(const gaps_job *job, int64_t row)
{
    const trm_rows *rows = job->rows;
    return rows->class_size[row] < rows->total
               ? trm_positives_pairs(&job->positives, rows->class_size[row] - 1)
               : 0;
}

/* Ranks are in the order of the arrangement: a team's members one after another, teams likewise. */
static void number_pairs(gaps_job *job)
{
    trm_share(job->rows->count, job->rows->member, job->rows->replicate, &job->first, &job->last);
    for (int64_t row = job->first; row < job->last; row++)
        job->own += pairs_of(job, row);
    MPI_Exscan(&job->own, &job->before, 1, MPI_INT64_T, MPI_SUM, job->run->comm);
    if (job->run->rank == 0)
        job->before = 0; /* MPI leaves it undefined there */
    MPI_Allreduce(&job->own, &job->all, 1, MPI_INT64_T, MPI_SUM, job->run->comm);
}

/* One of so many, by a stream of random numbers. */
static int64_t sample(uint64_t stream, int index, int64_t of)
{
    static const uint64_t seed = 0x67617073U; /* "gaps" */
    uint32_t bits[4];
    trm_random_bits(seed, stream, (uint64_t)index, bits);
    return (int64_t)((((uint64_t)bits[0] << 32) | bits[1]) % (uint64_t)of);
}

/* Makes the sample's pair known to all ranks. Collective. */
static sampled_pair share_pair(gaps_job *job, int index)
{
    const trm_rows *rows = job->rows;
    sampled_pair pair = {0, 0, 0, 0.0};
    int64_t left = sample(0, index, job->all) - job->before, row = job->first;
    int owner = left >= 0 && left < job->own ? job->run->rank : -1;
    if (owner >= 0) {
        for (; left >= pairs_of(job, row); row++)
            left -= pairs_of(job, row);
        const int64_t positives = rows->class_size[row] - 1;
        if (job->positives.policy->from_far)
            left = positives - 1;
        if (job->positives.policy->draws) /* any of them is as likely */
            left = sample(1, index, positives);
        pair = (sampled_pair){rows->id[row], rows->label[row], left, rows->norm2[row]};
        memcpy(job->anchor, rows->x + row * rows->dim, (size_t)rows->dim * sizeof *job->anchor);
    }
    MPI_Allreduce(MPI_IN_PLACE, &owner, 1, MPI_INT, MPI_MAX, job->run->comm);
    MPI_Bcast(&pair, (int)sizeof pair, MPI_BYTE, owner, job->run->comm);
    MPI_Bcast(job->anchor, rows->dim, MPI_FLOAT, owner, job->run->comm);
    return pair;
}

static void measure(gaps_job *job, const sampled_pair *pair)
{
    const trm_rows *rows = job->rows;
#pragma omp parallel for schedule(static) num_threads(job->run->threads)
    for (int64_t row = job->first; row < job->last; row++)
        job->distance[row - job->first] =
            trm_distance(job->options->metric, job->anchor, pair->norm2, rows->x + row * rows->dim,
                         rows->norm2[row], rows->dim, NULL);
}

/* The distance of the pair's positive. Collective. */
static double threshold_of(const gaps_job *job, const sampled_pair *pair)
{
    enum { BITS = 8, VALUES = 1 << BITS };
    const trm_rows *rows = job->rows;
    uint64_t found = 0; /* the bytes that are known */
    int64_t place = pair->place, from, to;
    trm_same_label_range(rows->label, job->first, job->last, pair->label, &from, &to);
    for (int left = 64 - BITS; left >= 0; left -= BITS) {
        int64_t count[VALUES] = {0};
        for (int64_t row = from; row < to; row++) {
            const uint64_t bytes = trm_order_of(job->distance[row - job->first]) >> left;
            count[bytes % VALUES] += rows->id[row] != pair->id && bytes / VALUES == found;
        }
        MPI_Allreduce(MPI_IN_PLACE, count, VALUES, MPI_INT64_T, MPI_SUM, job->run->comm);
        uint64_t value = 0;
        for (; value < VALUES - 1 && place >= count[value]; value++)
            place -= count[value];
        found = found * VALUES + value;
    }
    return trm_value_of(found);
}

/* INFINITY where there is no such negative. Collective. */
static double gap_of(const gaps_job *job, const sampled_pair *pair)
{
    const double threshold = threshold_of(job, pair), least = job->farther ? threshold : -INFINITY;
    double nearest = INFINITY;
    for (int64_t row = job->first; row < job->last; row++) {
        const double d = job->distance[row - job->first];
        if (job->rows->label[row] != pair->label && d > least && d < nearest)
            nearest = d;
    }
    MPI_Allreduce(MPI_IN_PLACE, &nearest, 1, MPI_DOUBLE, MPI_MIN, job->run->comm);
    return nearest - threshold;
}

static void summarize(const double *gap, int64_t sampled, trm_gaps *gaps)
{
    int64_t found = 0;
    while (found < sampled && isfinite(gap[found]))
        found++;
    *gaps = (trm_gaps){.sampled = sampled, .without = sampled - found};
    if (found == 0)
        return;
    gaps->at_10 = gap[(found - 1) * 10 / 100];
    gaps->at_50 = gap[(found - 1) * 50 / 100];
    gaps->at_90 = gap[(found - 1) * 90 / 100];
}

trm_status trm_mine_sample_gaps(const trm_run *run, const trm_rows *rows, const trm_mine_options *options,
                                int pairs, double *gap, int64_t *sampled, trm_error *err)
{
    gaps_job job = {.run = run,
                    .rows = rows,
                    .options = options,
                    .farther = trm_negatives_take(options, TRM_TAKES_WINDOW)};
    *sampled = 0;
    trm_positives_choose(&job.positives, options, INT64_MAX);
    number_pairs(&job);
    if (job.all == 0)
        return TRM_OK;
    job.anchor = trm_alloc(rows->dim, sizeof *job.anchor);
    job.distance = trm_alloc(job.last - job.first, sizeof *job.distance);
    trm_status status = TRM_OK;
    if (job.anchor == NULL || job.distance == NULL)
        status = trm_fail_memory(err, "distances", job.last - job.first, sizeof *job.distance);
    status = trm_agree(run->comm, status, err);
    for (int i = 0; i < pairs && status == TRM_OK; i++) {
        const sampled_pair pair = share_pair(&job, i);
        measure(&job, &pair);
        gap[i] = gap_of(&job, &pair);
    }
    if (status == TRM_OK) {
        qsort(gap, (size_t)pairs, sizeof *gap, trm_compare_real);
        *sampled = pairs;
    }
    trm_free(job.anchor);
    trm_free(job.distance);
    return status;
}

trm_status trm_mine_gaps(const trm_run *run, const trm_rows *rows, const trm_mine_options *options,
                         trm_gaps *gaps, trm_error *err)
{
    double gap[TRM_GAPS_SAMPLE];
    int64_t sampled;
    *gaps = (trm_gaps){.sampled = 0};
    trm_status status = trm_mine_sample_gaps(run, rows, options, TRM_GAPS_SAMPLE, gap, &sampled, err);
    if (status == TRM_OK)
        summarize(gap, sampled, gaps);
    return status;
}
