/* Numbers by key; see keyed.h. */
#include "par/keyed.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const trm_keyed *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

static void add(trm_keyed *into, const trm_keyed *more)
{
    into->sum[0] += more->sum[0];
    into->sum[1] += more->sum[1];
    into->largest = more->largest > into->largest ? more->largest : into->largest;
}

int64_t trm_keyed_join(trm_keyed *list, int64_t count)
{
    int64_t kept = 0;
    if (count > 1)
        qsort(list, (size_t)count, sizeof *list, compare);
    for (int64_t i = 0; i < count; i++) {
        if (kept > 0 && list[kept - 1].key == list[i].key)
            add(&list[kept - 1], &list[i]);
        else
            list[kept++] = list[i];
    }
    return kept;
}

/* How many go to each rank, and where they begin in that order. */
static void count_homes(int ranks, const trm_keyed *list, int64_t count, int64_t *sent, int64_t *place)
{
    memset(sent, 0, (size_t)ranks * sizeof *sent);
    for (int64_t i = 0; i < count; i++)
        sent[trm_home_of(ranks, list[i].key)]++;
    place[0] = 0;
    for (int r = 1; r < ranks; r++)
        place[r] = place[r - 1] + sent[r - 1];
}

static int64_t sum_of(const int64_t *count, int ranks)
{
    int64_t sum = 0;
    for (int r = 0; r < ranks; r++)
        sum += count[r];
    return sum;
}

static void answer(const trm_keyed *known, int64_t count, trm_keyed *question, int64_t questions)
{
    for (int64_t i = 0; i < questions; i++) {
        const trm_keyed none = {.key = question[i].key};
        const trm_keyed *found =
            count > 0 ? bsearch(&none, known, (size_t)count, sizeof none, compare) : NULL;
        question[i] = found != NULL ? *found : none;
    }
}

trm_status trm_keyed_ask(MPI_Comm comm, trm_keyed *own, int64_t own_count, trm_keyed *asked, int64_t count,
                         trm_error *err)
{
    int ranks;
    void *known = NULL, *questions = NULL, *answers = NULL;
    MPI_Comm_size(comm, &ranks);
    int64_t *counts = trm_alloc(3 * (int64_t)ranks, sizeof *counts);
    trm_status status = counts == NULL ? trm_fail_memory(err, "keys", ranks, 3 * sizeof *counts) : TRM_OK;
    status = trm_agree(comm, status, err);
    if (status != TRM_OK) {
        trm_free(counts);
        return status;
    }
    int64_t *sent = counts, *came = counts + ranks, *place = counts + 2 * ranks, knows = 0;
    own_count = trm_keyed_join(own, own_count);
    status = trm_exchange_by_key(comm, own, own_count, sizeof *own, sent, came, &known, err);
    if (status == TRM_OK) {
        knows = trm_keyed_join(known, sum_of(came, ranks));
        status = trm_exchange_by_key(comm, asked, count, sizeof *asked, sent, came, &questions, err);
    }
    if (status == TRM_OK) {
        answer(known, knows, questions, sum_of(came, ranks));
        status = trm_exchange_items(comm, questions, came, sizeof *asked, &answers, sent, err);
    }
    if (status == TRM_OK) {
        count_homes(ranks, asked, count, sent, place);
        for (int64_t i = 0; i < count; i++)
            asked[i] = ((const trm_keyed *)answers)[place[trm_home_of(ranks, asked[i].key)]++];
    }
    trm_free(counts);
    trm_free(known);
    trm_free(questions);
    trm_free(answers);
    return status;
}

int64_t trm_keyed_ask_bytes(int64_t own_count, int64_t count)
{
    return 2 * (own_count + 2 * count) * (int64_t)sizeof(trm_keyed);
}
