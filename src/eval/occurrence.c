/* K-occurrence; see occurrence.h. */
#include "eval/occurrence.h"

#include "base/alloc.h"
#include "base/candidate.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <math.h>

struct trm_occurrence {
    MPI_Comm comm;
    int rank, ranks;
    int64_t total;  /* rows of the store that take part */
    int64_t places; /* row ids whose home is here: rank, rank + ranks, ... */
    int64_t *count; /* -1: takes no part */
    int64_t *label;
    int64_t *exchanging; /* 2 a rank */
    int64_t same_label;  /* so far, counted here */
};

static int64_t places_of(int64_t store_rows, int rank, int ranks)
{
    return (store_rows - rank + ranks - 1) / ranks;
}

int64_t trm_occurrence_bytes(const trm_run *run, const trm_rows *rows)
{
    const int64_t word = (int64_t)sizeof(int64_t), here = rows->store_rows / run->ranks + 1;
    return 2 * word * here + 2 * word * run->ranks;
}

int64_t trm_occurrence_add_bytes(const trm_run *run, int64_t count)
{
    /* sorted by home, and what comes, from all in the worst case */
    return (1 + (int64_t)run->ranks) * count * (int64_t)sizeof(trm_occurring);
}

/* Sends items home; the caller frees *came. Collective. */
static trm_status send_home(trm_occurrence *occurrence, int64_t count, const trm_occurring *item,
                            trm_occurring **came, int64_t *came_count, trm_error *err)
{
    int64_t *sent = occurrence->exchanging, *from = sent + occurrence->ranks;
    void *received = NULL;
    trm_status status =
        trm_exchange_by_key(occurrence->comm, item, count, sizeof *item, sent, from, &received, err);
    *came = received;
    *came_count = 0;
    for (int r = 0; r < occurrence->ranks && status == TRM_OK; r++)
        *came_count += from[r];
    return status;
}

/* Each row that takes part, with its label, from one member of the team that has it. Some rows at a time. */
static trm_status take_labels(trm_occurrence *occurrence, const trm_rows *rows, trm_error *err)
{
    enum { AT_ONCE = 1 << 16 };
    int64_t first, last;
    trm_share(rows->count, rows->member, rows->replicate, &first, &last);
    trm_occurring *item = trm_alloc(last - first < AT_ONCE ? last - first : AT_ONCE, sizeof *item);
    trm_status status = item == NULL ? trm_fail_memory(err, "labels", AT_ONCE, sizeof *item) : TRM_OK;
    status = trm_agree(occurrence->comm, status, err);
    int64_t rounds = (last - first + AT_ONCE - 1) / AT_ONCE;
    MPI_Allreduce(MPI_IN_PLACE, &rounds, 1, MPI_INT64_T, MPI_MAX, occurrence->comm);
    for (int64_t r = 0; r < rounds && status == TRM_OK; r++) {
        trm_occurring *came = NULL;
        int64_t count = 0, came_count;
        for (; first < last && count < AT_ONCE; first++)
            item[count++] = (trm_occurring){rows->id[first], rows->label[first]};
        status = send_home(occurrence, count, item, &came, &came_count, err);
        for (int64_t i = 0; i < came_count && status == TRM_OK; i++) {
            occurrence->count[came[i].id / occurrence->ranks] = 0;
            occurrence->label[came[i].id / occurrence->ranks] = came[i].label;
        }
        trm_free(came);
    }
    trm_free(item);
    return status;
}

trm_status trm_occurrence_create(const trm_run *run, const trm_rows *rows, trm_occurrence **result,
                                 trm_error *err)
{
    const int64_t places = places_of(rows->store_rows, run->rank, run->ranks);
    trm_occurrence *occurrence = *result = trm_alloc_zero(1, sizeof *occurrence);
    trm_status status = occurrence == NULL ? trm_fail_memory(err, "counts", 1, sizeof *occurrence) : TRM_OK;
    if (status == TRM_OK) {
        *occurrence = (trm_occurrence){.comm = run->comm,
                                       .rank = run->rank,
                                       .ranks = run->ranks,
                                       .total = rows->total,
                                       .places = places,
                                       .count = trm_alloc(places, sizeof *occurrence->count),
                                       .label = trm_alloc(places, sizeof *occurrence->label),
                                       .exchanging = trm_alloc(2 * run->ranks, sizeof *occurrence->label)};
        if (occurrence->count == NULL || occurrence->label == NULL || occurrence->exchanging == NULL)
            status = trm_fail_memory(err, "counts", places, 2 * sizeof *occurrence->count);
    }
    for (int64_t i = 0; i < places && status == TRM_OK; i++)
        occurrence->count[i] = -1;
    status = trm_agree(run->comm, status, err);
    return status == TRM_OK ? take_labels(occurrence, rows, err) : status;
}

void trm_occurrence_destroy(trm_occurrence **result)
{
    trm_occurrence *occurrence = *result;
    if (occurrence == NULL)
        return;
    trm_free(occurrence->count);
    trm_free(occurrence->label);
    trm_free(occurrence->exchanging);
    trm_free(occurrence);
    *result = NULL;
}

trm_status trm_occurrence_add(trm_occurrence *occurrence, int64_t count, const trm_occurring *neighbour,
                              trm_error *err)
{
    trm_occurring *came = NULL;
    int64_t came_count = 0;
    trm_status status = send_home(occurrence, count, neighbour, &came, &came_count, err);
    for (int64_t i = 0; i < came_count && status == TRM_OK; i++) {
        const int64_t place = came[i].id / occurrence->ranks;
        occurrence->count[place]++;
        occurrence->same_label += occurrence->label[place] == came[i].label;
    }
    trm_free(came);
    return status;
}

/* ---- what comes of it ---- */

/* The mean over all rows of (count - about) to a power, an exact sum rounded once. Collective. */
static double moment(const trm_occurrence *occurrence, double about, int power)
{
    trm_exact_sum sum;
    trm_exact_sum_clear(&sum);
    for (int64_t i = 0; i < occurrence->places; i++) {
        const double x = (double)occurrence->count[i] - about;
        if (occurrence->count[i] >= 0)
            trm_exact_sum_add(&sum, power == 1 ? x : power == 2 ? x * x : x * x * x);
    }
    trm_merge_exact_sum(occurrence->comm, &sum);
    return occurrence->total > 0 ? trm_exact_sum_value(&sum) / (double)occurrence->total : 0.0;
}

/* Collective. */
static void find_hubs(const trm_occurrence *occurrence, trm_knn_summary *summary)
{
    const int64_t offset[2] = {0, TRM_KNN_HUBS};
    trm_candidate list[TRM_KNN_HUBS];
    trm_merge_list.clear(list, TRM_KNN_HUBS);
    for (int64_t i = 0; i < occurrence->places; i++)
        if (occurrence->count[i] > 0)
            trm_candidate_insert(
                list, TRM_KNN_HUBS,
                (trm_candidate){-(double)occurrence->count[i], i * occurrence->ranks + occurrence->rank});
    trm_merge_slots(occurrence->comm, &trm_merge_list, list, 1, offset);
    summary->occurrence.hubs = (int)trm_candidates_count(list, TRM_KNN_HUBS);
    for (int i = 0; i < summary->occurrence.hubs; i++)
        summary->occurrence.hub[i] = (trm_knn_hub){list[i].id, (int64_t)-list[i].key};
    summary->occurrence.most = summary->occurrence.hubs > 0 ? summary->occurrence.hub[0].count : 0;
}

void trm_occurrence_finish(const trm_occurrence *occurrence, trm_knn_summary *summary)
{
    int64_t never = 0;
    for (int64_t i = 0; i < occurrence->places; i++)
        never += occurrence->count[i] == 0;
    summary->occurrence.never = trm_sum_int64(occurrence->comm, never);
    summary->same_label = trm_sum_int64(occurrence->comm, occurrence->same_label);
    const double mean = moment(occurrence, 0.0, 1), variance = moment(occurrence, mean, 2),
                 third = moment(occurrence, mean, 3), std = sqrt(variance);
    summary->occurrence.mean = mean;
    summary->occurrence.std = std;
    summary->occurrence.skewness = std > 0.0 ? third / (std * variance) : 0.0;
    find_hubs(occurrence, summary);
}
