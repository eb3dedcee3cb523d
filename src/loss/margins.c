/* The loss at several margins; see margins.h. */
#include "loss/margins.h"

#include "base/alloc.h"
#include "base/exact_sum.h"
#include "base/number.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The triplets that become active at one margin; the last place has those that never do. */
typedef struct place {
    int64_t count, semihard;
    trm_exact_sum sum; /* of d(a,p) and -d(a,n) */
} place;

struct trm_margins {
    MPI_Comm comm; /* borrowed */
    int threads, count;
    double given[TRM_MARGINS_MOST], ascending[TRM_MARGINS_MOST];
    place *place; /* count + 1 */
    place *tally; /* threads x (count + 1), zero between calls */
};

static void sort(double *value, int count)
{
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && value[k] < value[k - 1]; k--) {
            const double larger = value[k - 1];
            value[k - 1] = value[k];
            value[k] = larger;
        }
}

int64_t trm_margins_bytes(int threads, int count)
{
    return ((int64_t)threads + 1) * (count + 1) * (int64_t)sizeof(place);
}

trm_status trm_margins_create(MPI_Comm comm, int threads, int count, const double *margin,
                              trm_margins **margins, trm_error *err)
{
    trm_status status = TRM_OK;
    const int64_t places = count + 1;
    trm_margins *made = trm_alloc_zero(1, sizeof *made);
    place *own = trm_alloc_zero(places, sizeof *own),
          *tally = trm_alloc_zero(threads * places, sizeof *tally);
    if (made == NULL || own == NULL || tally == NULL)
        status = trm_fail_memory(err, "margins", threads * places, sizeof *tally);
    status = trm_agree(comm, status, err);
    if (status != TRM_OK) {
        trm_free(made);
        trm_free(own);
        trm_free(tally);
        made = NULL;
    } else {
        *made = (trm_margins){.comm = comm, .threads = threads, .count = count, .place = own, .tally = tally};
        memcpy(made->given, margin, (size_t)count * sizeof *margin);
        memcpy(made->ascending, margin, (size_t)count * sizeof *margin);
        sort(made->ascending, count);
    }
    *margins = made;
    return status;
}

void trm_margins_destroy(trm_margins **margins)
{
    trm_margins *old = *margins;
    if (old == NULL)
        return;
    trm_free(old->place);
    trm_free(old->tally);
    trm_free(old);
    *margins = NULL;
}

/* How many margins a gap is not inside of. */
static int place_of(const trm_margins *m, double gap)
{
    int low = 0, high = m->count;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (gap < m->ascending[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void add_triplet(const trm_margins *m, place *tally, const trm_triplet *triplet)
{
    const double gap = triplet->d_an - triplet->d_ap;
    place *to = &tally[place_of(m, gap)];
    to->count++;
    to->semihard += triplet->kind == TRM_KIND_SEMIHARD && gap > 0.0;
    trm_exact_sum_add(&to->sum, triplet->d_ap);
    trm_exact_sum_add(&to->sum, -triplet->d_an);
}

void trm_margins_add(trm_margins *m, const trm_triplet *triplets, int64_t count)
{
    const int64_t places = m->count + 1;
#pragma omp parallel for schedule(static) num_threads(m->threads)
    for (int thread = 0; thread < m->threads; thread++) {
        int64_t first, last;
        trm_share(count, thread, m->threads, &first, &last);
        for (int64_t i = first; i < last; i++)
            add_triplet(m, m->tally + thread * places, &triplets[i]);
    }
    for (int64_t i = 0; i < m->threads * places; i++) {
        place *to = &m->place[i % places], *from = &m->tally[i];
        if (from->count == 0)
            continue;
        to->count += from->count;
        to->semihard += from->semihard;
        trm_exact_sum_merge(&to->sum, &from->sum);
        *from = (place){0};
    }
}

static trm_margin finish(double margin, int64_t count, int64_t semihard, int64_t active, trm_exact_sum sum)
{
    trm_exact_sum_add_times(&sum, margin, active);
    trm_margin total = {.margin = margin,
                        .count = count,
                        .semihard = semihard,
                        .active = active,
                        .sum = trm_exact_sum_value(&sum)};
    if (count > 0) {
        total.active_share = (double)active / (double)count;
        total.mean_all = total.sum / (double)count;
    }
    if (active > 0)
        total.mean_nonzero = total.sum / (double)active;
    return total;
}

trm_status trm_margins_total(trm_margins *m, trm_margin *total, trm_error *err)
{
    char text[TRM_NUMBER_TEXT];
    trm_exact_sum sum;
    int64_t count = 0, semihard = 0, active = 0;
    trm_exact_sum_clear(&sum);
    for (int i = 0; i <= m->count; i++) {
        int64_t counts[2] = {m->place[i].count, m->place[i].semihard};
        MPI_Allreduce(MPI_IN_PLACE, counts, 2, MPI_INT64_T, MPI_SUM, m->comm);
        trm_merge_exact_sum(m->comm, &m->place[i].sum);
        m->place[i].count = counts[0];
        m->place[i].semihard = counts[1];
        count += counts[0];
    }
    for (int i = 0; i < m->count; i++) {
        active += m->place[i].count;
        semihard += m->place[i].semihard;
        trm_exact_sum_merge(&sum, &m->place[i].sum);
        const trm_margin found = finish(m->ascending[i], count, semihard, active, sum);
        if (!isfinite(found.sum))
            return trm_fail(err, TRM_ERR_DATA,
                            "the sum of the loss over %" PRId64
                            " triplets does not fit float64 at the margin %s",
                            count, trm_number_text(found.margin, text));
        for (int k = 0; k < m->count; k++)
            if (m->given[k] == found.margin)
                total[k] = found;
    }
    return TRM_OK;
}
