/* Lists by row id; see lookup.h. What goes to ranks is put in their order first, as trm_exchange_items takes it. */
#include "par/lookup.h"

#include "base/alloc.h"
#include "base/order.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <stdlib.h>
#include <string.h>

/* A list at its rank. */
typedef struct place {
    int64_t id, count, first; /* first: of its values; known when all have arrived */
} place;

struct trm_lookup {
    MPI_Comm comm;
    int ranks;
    place *place; /* ascending ids */
    int64_t count;
    int64_t *value, values;
};

static int home_of(const trm_lookup *lookup, int64_t id)
{
    return (int)(id % lookup->ranks);
}

static int64_t sum_of(const int64_t *count, int64_t counts)
{
    int64_t sum = 0;
    for (int64_t k = 0; k < counts; k++)
        sum += count[k];
    return sum;
}

/* counts becomes where each rank's items begin, of so many. */
static void to_starts(int64_t *counts, int ranks)
{
    for (int64_t r = 0, at = 0; r < ranks; r++) {
        const int64_t count = counts[r];
        counts[r] = at;
        at += count;
    }
}

/* ---- making it ---- */

/* Lists on their way to the ranks where they live; a count and a place for each rank. */
typedef struct parcel {
    place *head;
    int64_t *value;
    int64_t *heads, *values;     /* for each rank */
    int64_t *got, *head_at, *at; /* scratch, one a rank */
} parcel;

static void free_parcel(parcel *send)
{
    trm_free(send->head);
    trm_free(send->value);
    trm_free(send->heads);
}

static trm_status make_parcel(const trm_lookup *lookup, int64_t count, const int64_t *id,
                              const int64_t *offset, const int64_t *value, parcel *send, trm_error *err)
{
    const int ranks = lookup->ranks;
    const int64_t values = count > 0 ? offset[count] - offset[0] : 0;
    *send = (parcel){.head = trm_alloc(count, sizeof *send->head),
                     .value = trm_alloc(values, sizeof *send->value),
                     .heads = trm_alloc_zero(5 * (int64_t)ranks, sizeof *send->heads)};
    if (send->head == NULL || send->value == NULL || send->heads == NULL)
        return trm_fail_memory(err, "lists by row id", count + values, sizeof *send->head);
    send->values = send->heads + ranks;
    send->got = send->values + ranks;
    send->head_at = send->got + ranks;
    send->at = send->head_at + ranks;
    for (int64_t k = 0; k < count; k++) {
        const int home = home_of(lookup, id[k]);
        send->heads[home] += offset[k + 1] > offset[k];
        send->values[home] += offset[k + 1] - offset[k];
    }
    memcpy(send->head_at, send->heads, (size_t)ranks * sizeof *send->heads);
    memcpy(send->at, send->values, (size_t)ranks * sizeof *send->values);
    to_starts(send->head_at, ranks);
    to_starts(send->at, ranks);
    for (int64_t k = 0; k < count; k++) {
        const int home = home_of(lookup, id[k]);
        const int64_t length = offset[k + 1] - offset[k];
        if (length == 0)
            continue;
        send->head[send->head_at[home]++] = (place){id[k], length, 0};
        memcpy(send->value + send->at[home], value + offset[k], (size_t)length * sizeof *value);
        send->at[home] += length;
    }
    return TRM_OK;
}

/* What arrived: heads and values in the same order. */
static void arrange(trm_lookup *lookup)
{
    for (int64_t k = 0, at = 0; k < lookup->count; at += lookup->place[k].count, k++)
        lookup->place[k].first = at;
    if (lookup->count > 1)
        qsort(lookup->place, (size_t)lookup->count, sizeof *lookup->place, trm_compare_whole); /* by id */
}

trm_status trm_lookup_create(MPI_Comm comm, int64_t count, const int64_t *id, const int64_t *offset,
                             const int64_t *value, trm_lookup **result, trm_error *err)
{
    trm_lookup *lookup = *result = trm_alloc_zero(1, sizeof *lookup);
    parcel send = {0};
    void *received = NULL;
    trm_status status = lookup == NULL ? trm_fail_memory(err, "lists by row id", 1, sizeof *lookup) : TRM_OK;
    if (status == TRM_OK) {
        lookup->comm = comm;
        MPI_Comm_size(comm, &lookup->ranks);
        status = make_parcel(lookup, count, id, offset, value, &send, err);
    }
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = trm_exchange_items(comm, send.head, send.heads, sizeof *send.head, &received, send.got, err);
    if (status == TRM_OK) {
        lookup->place = received;
        lookup->count = sum_of(send.got, lookup->ranks);
        received = NULL;
        status =
            trm_exchange_items(comm, send.value, send.values, sizeof *send.value, &received, send.got, err);
    }
    if (status == TRM_OK) {
        lookup->value = received;
        lookup->values = sum_of(send.got, lookup->ranks);
        arrange(lookup);
    }
    free_parcel(&send);
    if (status != TRM_OK)
        trm_lookup_destroy(result);
    return status;
}

void trm_lookup_destroy(trm_lookup **result)
{
    trm_lookup *lookup = *result;
    if (lookup == NULL)
        return;
    trm_free(lookup->place);
    trm_free(lookup->value);
    trm_free(lookup);
    *result = NULL;
}

/* ---- asking ---- */

/* A question of this rank's: its ids in the order of their ranks, and the answers to others. A count a rank of each. */
typedef struct question {
    int64_t *id, *order;                       /* order: where each id is in them */
    int64_t *count;                            /* of the lists asked for, in that order */
    int64_t *asked, *heard, *values, *scratch; /* for each rank: ids to and from it, values to it */
    int64_t *wish;                             /* ids that others ask for */
    int64_t *length, *value;                   /* of the lists for them, and these */
} question;

static void free_question(question *q)
{
    trm_free(q->id);
    trm_free(q->order);
    trm_free(q->count);
    trm_free(q->asked);
    trm_free(q->wish);
    trm_free(q->length);
    trm_free(q->value);
}

static trm_status make_question(const trm_lookup *lookup, int64_t count, const int64_t *id, question *q,
                                trm_error *err)
{
    const int ranks = lookup->ranks;
    *q = (question){.id = trm_alloc(count, sizeof *q->id),
                    .order = trm_alloc(count, sizeof *q->order),
                    .asked = trm_alloc_zero(4 * (int64_t)ranks, sizeof *q->asked)};
    if (q->id == NULL || q->order == NULL || q->asked == NULL)
        return trm_fail_memory(err, "row ids to ask for", count, 2 * sizeof *q->id);
    q->heard = q->asked + ranks;
    q->values = q->heard + ranks;
    q->scratch = q->values + ranks;
    for (int64_t k = 0; k < count; k++)
        q->asked[home_of(lookup, id[k])]++;
    memcpy(q->scratch, q->asked, (size_t)ranks * sizeof *q->asked);
    to_starts(q->scratch, ranks);
    for (int64_t k = 0; k < count; k++) {
        q->order[k] = q->scratch[home_of(lookup, id[k])]++;
        q->id[q->order[k]] = id[k];
    }
    return TRM_OK;
}

/* The list of an id, or NULL. */
static const place *find(const trm_lookup *lookup, int64_t id)
{
    return lookup->count > 0
               ? bsearch(&id, lookup->place, (size_t)lookup->count, sizeof *lookup->place, trm_compare_whole)
               : NULL;
}

/* How long the lists are that others asked for. */
static trm_status measure(const trm_lookup *lookup, question *q, trm_error *err)
{
    const int64_t wishes = sum_of(q->heard, lookup->ranks);
    q->length = trm_alloc(wishes, sizeof *q->length);
    for (int64_t k = 0; k < wishes && q->length != NULL; k++) {
        const place *found = find(lookup, q->wish[k]);
        q->length[k] = found != NULL ? found->count : 0;
    }
    return q->length == NULL ? trm_fail_memory(err, "lists that are asked for", wishes, sizeof *q->length)
                             : TRM_OK;
}

/* And these lists. */
static trm_status answer(const trm_lookup *lookup, question *q, trm_error *err)
{
    const int64_t wishes = sum_of(q->heard, lookup->ranks), values = sum_of(q->length, wishes);
    int64_t at = 0;
    q->value = trm_alloc(values, sizeof *q->value);
    if (q->value == NULL)
        return trm_fail_memory(err, "lists that are asked for", values, sizeof *q->value);
    for (int64_t k = 0, r = 0, left = q->heard[0]; k < wishes; k++, left--) {
        while (left == 0)
            left = q->heard[++r];
        const place *found = find(lookup, q->wish[k]);
        if (found == NULL)
            continue;
        memcpy(q->value + at, lookup->value + found->first, (size_t)found->count * sizeof *q->value);
        at += found->count;
        q->values[r] += found->count;
    }
    return TRM_OK;
}

/* Puts the lists that came, in the order of ranks, to the ids as they were asked for. */
static trm_status take(int64_t count, const question *q, trm_found *found, trm_error *err)
{
    int64_t *start = trm_alloc(count, sizeof *start);
    found->list = trm_alloc(count, sizeof *found->list);
    if (start == NULL || found->list == NULL) {
        trm_free(start);
        return trm_fail_memory(err, "lists", count, sizeof *found->list);
    }
    for (int64_t k = 0, at = 0; k < count; at += q->count[k], k++)
        start[k] = at;
    for (int64_t k = 0; k < count; k++) {
        const int64_t *first = found->value + start[q->order[k]];
        found->list[k] = (trm_list){first, first + q->count[q->order[k]]};
    }
    trm_free(start);
    return TRM_OK;
}

/* Asks for the lengths, which come as q->count. Collective. */
static trm_status ask_lengths(const trm_lookup *lookup, int64_t count, const int64_t *id, question *q,
                              trm_error *err)
{
    void *received = NULL;
    MPI_Comm comm = lookup->comm;
    trm_status status = trm_agree(comm, make_question(lookup, count, id, q, err), err);
    if (status == TRM_OK)
        status = trm_exchange_items(comm, q->id, q->asked, sizeof *q->id, &received, q->heard, err);
    if (status == TRM_OK) {
        q->wish = received;
        received = NULL;
        status = trm_agree(comm, measure(lookup, q, err), err);
    }
    if (status == TRM_OK)
        status = trm_exchange_items(comm, q->length, q->heard, sizeof *q->length, &received, q->scratch, err);
    if (status == TRM_OK)
        q->count = received;
    return status;
}

trm_status trm_lookup_lengths(const trm_lookup *lookup, int64_t count, const int64_t *id, int64_t *length,
                              trm_lookup_load *load, trm_error *err)
{
    question q = {0};
    const trm_status status = ask_lengths(lookup, count, id, &q, err);
    if (status == TRM_OK) {
        load->ids = sum_of(q.heard, lookup->ranks);
        load->values = sum_of(q.length, load->ids);
        for (int64_t k = 0; k < count; k++)
            length[k] = q.count[q.order[k]];
    }
    free_question(&q);
    return status;
}

trm_status trm_lookup_ask(const trm_lookup *lookup, int64_t count, const int64_t *id, trm_found *found,
                          trm_error *err)
{
    question q = {0};
    void *received = NULL;
    MPI_Comm comm = lookup->comm;
    *found = (trm_found){NULL, NULL};
    trm_status status = ask_lengths(lookup, count, id, &q, err);
    if (status == TRM_OK)
        status = trm_agree(comm, answer(lookup, &q, err), err);
    if (status == TRM_OK)
        status = trm_exchange_items(comm, q.value, q.values, sizeof *q.value, &received, q.scratch, err);
    if (status == TRM_OK) {
        found->value = received;
        status = trm_agree(comm, take(count, &q, found, err), err);
    }
    free_question(&q);
    return status;
}

void trm_found_free(trm_found *found)
{
    trm_free(found->list);
    trm_free(found->value);
    *found = (trm_found){NULL, NULL};
}

int64_t trm_lookup_bytes(const trm_lookup *lookup)
{
    return lookup->count * (int64_t)sizeof *lookup->place + lookup->values * (int64_t)sizeof *lookup->value;
}

trm_lookup_load trm_lookup_all(const trm_lookup *lookup, int64_t ids, int64_t times)
{
    return (trm_lookup_load){times * ids, times * lookup->values};
}

int64_t trm_lookup_ask_bytes(int64_t ids, int64_t values, trm_lookup_load load)
{
    return (8 * ids + values + 2 * load.ids + load.values) * (int64_t)sizeof(int64_t);
}
