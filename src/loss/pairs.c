/* Pair distances on demand; see pairs.h. */
#include "loss/pairs.h"

#include "base/alloc.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <stdlib.h>

static const int64_t pairs_a_round = INT64_C(1) << 21;

/* A pair on its way: begins with the row id that decides where it goes. place: in the asker's array. */
typedef struct question {
    int64_t i, j, place, label_i, label_j;
    double d;
} question;

static int compare_questions(const void *a, const void *b)
{
    const question *const *x = a, *const *y = b;
    if ((*x)->j != (*y)->j)
        return (*x)->j < (*y)->j ? -1 : 1;
    return (*x)->i < (*y)->i ? -1 : (*x)->i > (*y)->i;
}

/* What a walk answers: questions by ascending j, of which done are behind it. */
typedef struct answering {
    const trm_given *of; /* whose rows i are; those that walk are rows j */
    trm_metric metric;
    question **order;
    int64_t count, done;
} answering;

static void answer(void *context, const trm_piece *piece)
{
    answering *a = context;
    const trm_given *of = a->of;
    int64_t end = a->done;
    while (end < a->count && a->order[end]->j < piece->first + piece->count)
        end++;
#pragma omp parallel for schedule(static) num_threads(of->threads)
    for (int64_t k = a->done; k < end; k++) {
        question *q = a->order[k];
        const int64_t i = q->i - of->first[of->rank], j = q->j - piece->first;
        q->d = trm_distance(a->metric, of->x + i * of->dim, of->norm2[i], piece->x + j * of->dim,
                            piece->norm2[j], of->dim, NULL);
        q->label_i = of->label[i];
        q->label_j = piece->label[j];
    }
    a->done = end;
}

static trm_status answer_all(const trm_given *of, const trm_given *by, trm_metric metric, question *questions,
                             int64_t count, trm_error *err)
{
    answering a = {of, metric, trm_alloc(count, sizeof *a.order), count, 0};
    trm_status status =
        a.order == NULL ? trm_fail_memory(err, "pairs to measure", count, sizeof *a.order) : TRM_OK;
    status = trm_agree(of->comm, status, err);
    if (status == TRM_OK) {
        for (int64_t k = 0; k < count; k++)
            a.order[k] = &questions[k];
        qsort(a.order, (size_t)count, sizeof *a.order, compare_questions);
        status = trm_given_walk(by, answer, &a, err);
    }
    trm_free(a.order);
    return status;
}

static trm_status run_round(const trm_given *of, const trm_given *by, trm_metric metric, int64_t count,
                            trm_pair *pairs, trm_error *err)
{
    question *asked = trm_alloc(count, sizeof *asked);
    int64_t *counts = trm_alloc(3 * (int64_t)of->ranks, sizeof *counts);
    void *received = NULL, *answered = NULL;
    trm_status status = TRM_OK;
    if (asked == NULL || counts == NULL)
        status = trm_fail_memory(err, "pairs to measure", count, sizeof *asked);
    status = trm_agree(of->comm, status, err);
    if (status != TRM_OK)
        goto done;
    int64_t *sent = counts, *came = counts + of->ranks, *back = counts + 2 * of->ranks, total = 0;
    for (int64_t k = 0; k < count; k++)
        asked[k] = (question){.i = pairs[k].i, .j = pairs[k].j, .place = k};
    status = trm_given_route(of, asked, count, sizeof *asked, sent, &received, came, err);
    if (status != TRM_OK)
        goto done;
    for (int r = 0; r < of->ranks; r++)
        total += came[r];
    status = answer_all(of, by, metric, received, total, err);
    if (status == TRM_OK)
        status = trm_exchange_items(of->comm, received, came, sizeof *asked, &answered, back, err);
    if (status != TRM_OK)
        goto done;
    const question *a = answered;
    for (int64_t k = 0; k < count; k++) {
        trm_pair *pair = &pairs[a[k].place];
        pair->d = a[k].d;
        pair->label_i = a[k].label_i;
        pair->label_j = a[k].label_j;
    }
done:
    trm_free(asked);
    trm_free(counts);
    trm_free(received);
    trm_free(answered);
    return status;
}

trm_status trm_pairs_measure(const trm_given *of, const trm_given *by, trm_metric metric, int64_t count,
                             trm_pair *pairs, trm_error *err)
{
    int64_t most = 0;
    trm_status status = TRM_OK;
    MPI_Allreduce(&count, &most, 1, MPI_INT64_T, MPI_MAX, of->comm);
    for (int64_t done = 0; done < most && status == TRM_OK; done += pairs_a_round) {
        const int64_t first = done < count ? done : count, left = count - first;
        status = run_round(of, by, metric, left < pairs_a_round ? left : pairs_a_round, pairs + first, err);
    }
    return status;
}
