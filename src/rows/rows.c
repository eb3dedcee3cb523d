/* Arranging: a distributed sort by (label, row id) with exact splitters.
 *
 * Each rank sorts its own keys. The key at each rank's first arranged place is found by bisection, for all
 * ranks at once: 64 rounds on the label, 64 on the row id, each an allreduce of one count a rank. Exact, and
 * no rank ever holds more than O(ranks) of it, however many labels there are. This takes the labels alone, so
 * that a job can be planned before the rows are read; these then go straight to their places. */
#include "rows/rows.h"

#include "base/alloc.h"
#include "base/candidate.h"
#include "base/clock.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/arguments.h"
#include "par/exchange.h"
#include "rows/run.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct key {
    int64_t label, id;
    int64_t place; /* where the row is in its buffer */
} key;

static int compare_keys(const void *a, const void *b)
{
    const key *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool is_in_order(const key *keys, int64_t count)
{
    int64_t i = 1;
    while (i < count && compare_keys(&keys[i - 1], &keys[i]) < 0)
        i++;
    return i >= count;
}

/* Puts at each place the key that order says, and makes order say that they are there. */
static void permute(key *keys, int64_t count, trm_candidate *order)
{
    for (int64_t start = 0; start < count; start++) {
        const key first = keys[start];
        int64_t at = start;
        while (order[at].id != start) {
            const int64_t from = order[at].id;
            keys[at] = keys[from];
            order[at].id = at;
            at = from;
        }
        keys[at] = first;
        order[at].id = at;
    }
}

/* Sorts keys of which those of one label are in order, so by label alone, in a time in proportion to their number.
 * false: a label is too large for a double, or there is no memory. */
static bool sort_by_label(key *keys, int64_t count)
{
    const int64_t exact = INT64_C(1) << 53;
    trm_candidate *order = trm_alloc(2 * count, sizeof *order);
    bool good = order != NULL;
    for (int64_t i = 0; i < count && good; i++) {
        good = keys[i].label >= -exact && keys[i].label <= exact;
        order[i] = (trm_candidate){(double)keys[i].label, i};
    }
    if (good) {
        trm_candidates_sort(order, count, order + count);
        permute(keys, count, order);
    }
    trm_free(order);
    return good;
}

/* Sorts keys of which those of one label are in order: they come by ascending row id, or rank by rank. */
static void sort_keys(key *keys, int64_t count)
{
    if (!is_in_order(keys, count) && !sort_by_label(keys, count))
        qsort(keys, (size_t)count, sizeof *keys, compare_keys);
}

/* How many of the sorted keys are below (label, id). */
static int64_t count_below(const key *keys, int64_t count, int64_t label, int64_t id)
{
    int64_t lo = 0, hi = count;
    const key sought = {label, id, 0};
    while (lo < hi) {
        int64_t middle = lo + (hi - lo) / 2;
        if (compare_keys(&keys[middle], &sought) < 0)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

/* The middle of an int64 range without overflow, rounded down. */
static int64_t middle_of(int64_t lo, int64_t hi)
{
    return lo + (int64_t)(((uint64_t)hi - (uint64_t)lo) / 2);
}

/* For each of count targets finds the label (given == NULL) or, at the given labels, the row id, of the
 * arranged key that has exactly target keys below it. Collective. */
static void bisect(MPI_Comm comm, const key *keys, int64_t n, int count, const int64_t *target,
                   const int64_t *given, int64_t *lo, int64_t *hi, int64_t *below)
{
    for (int round = 0; round < 64; round++) {
        for (int k = 0; k < count; k++) {
            int64_t middle = middle_of(lo[k], hi[k]);
            /* keys up to and with the middle: is the target among them? */
            below[k] = given == NULL ? count_below(keys, n, middle, INT64_MAX)
                                     : count_below(keys, n, given[k], middle + 1);
        }
        MPI_Allreduce(MPI_IN_PLACE, below, count, MPI_INT64_T, MPI_SUM, comm);
        for (int k = 0; k < count; k++) {
            int64_t middle = middle_of(lo[k], hi[k]);
            if (lo[k] == hi[k])
                continue;
            if (below[k] > target[k])
                hi[k] = middle;
            else
                lo[k] = middle + 1;
        }
    }
}

/* send_counts[r]: how many of this rank's sorted keys belong to rank r's arranged part. Collective. */
static trm_status find_parts(const trm_run *run, const key *keys, int64_t n, int64_t total,
                             int64_t *send_counts, trm_error *err)
{
    const int ranks = run->ranks;
    int64_t *work = trm_alloc_zero(5 * (int64_t)ranks, sizeof *work);
    trm_status status = work == NULL ? trm_fail_memory(err, "splitters", 5 * ranks, sizeof *work) : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    int64_t *target = work, *label = work + ranks, *id = work + 2 * ranks, *hi = work + 3 * ranks;
    int64_t *below = work + 4 * ranks;
    for (int r = 0; r < ranks; r++) {
        int64_t last;
        trm_share(total, r, ranks, &target[r], &last);
        label[r] = INT64_MIN;
        hi[r] = INT64_MAX;
    }
    bisect(run->comm, keys, n, ranks, target, NULL, label, hi, below);
    for (int r = 0; r < ranks; r++) {
        id[r] = 0;
        hi[r] = INT64_MAX - 1;
    }
    bisect(run->comm, keys, n, ranks, target, label, id, hi, below);
    int64_t start = 0;
    for (int r = 0; r < ranks; r++) {
        int64_t end = n;
        if (r + 1 < ranks && target[r + 1] < total)
            end = count_below(keys, n, label[r + 1], id[r + 1]);
        send_counts[r] = end - start;
        start = end;
    }
done:
    trm_free(work);
    return status;
}

/* Every member gets the other members' parts, in pieces that fit MPI's int. Collective on the team. */
static void share_part(const trm_rows *rows, void *data, size_t size, const int64_t *starts)
{
    const int64_t piece = INT64_C(1) << 28;
    for (int m = 0; m < rows->replicate; m++) {
        int64_t begin = starts[m] * (int64_t)size, end = starts[m + 1] * (int64_t)size;
        for (int64_t at = begin; at < end; at += piece)
            MPI_Bcast((char *)data + at, (int)(end - at < piece ? end - at : piece), MPI_BYTE, m,
                      rows->team_comm);
    }
}

typedef struct ends {
    int64_t count, runs, label_first, first_run, label_last, last_run;
} ends;

static int64_t run_end(const trm_rows *rows, int64_t start)
{
    int64_t end = start;
    while (end < rows->count && rows->label[end] == rows->label[start])
        end++;
    return end;
}

/* How much of a class a shard holds at its ends (a class that goes beyond a shard reaches one of its ends).
 */
static int64_t rows_at_ends(const ends *shard, int64_t label)
{
    if (shard->count == 0)
        return 0;
    if (shard->label_first == label)
        return shard->first_run;
    return shard->label_last == label ? shard->last_run : 0;
}

/* Adds what other shards hold of the class in places [start, end) of this one. */
static void extend_class(trm_rows *rows, const ends *all, int64_t start, int64_t end)
{
    int64_t before = 0, elsewhere = 0;
    for (int t = 0; t < rows->teams; t++) {
        int64_t there = t == rows->team ? 0 : rows_at_ends(&all[t * rows->replicate], rows->label[start]);
        elsewhere += there;
        before += t < rows->team ? there : 0;
    }
    for (int64_t i = start; i < end; i++) {
        rows->class_size[i] += elsewhere;
        rows->class_first[i] -= before;
    }
}

/* Class places and sizes, of which only the first and last class of a shard can go beyond it. Collective. */
static trm_status find_classes(const trm_run *run, trm_rows *rows, trm_error *err)
{
    ends mine = {.count = rows->count};
    for (int64_t start = 0, end; start < rows->count; start = end) {
        end = run_end(rows, start);
        mine.runs++;
        if (start == 0) {
            mine.label_first = rows->label[0];
            mine.first_run = end;
        }
        mine.label_last = rows->label[start];
        mine.last_run = end - start;
        for (int64_t i = start; i < end; i++) {
            rows->class_first[i] = rows->first + start;
            rows->class_size[i] = end - start;
        }
    }
    ends *all = trm_alloc(run->ranks, sizeof *all);
    rows->shards = trm_alloc_zero(rows->teams, sizeof *rows->shards);
    trm_status status = all == NULL || rows->shards == NULL
                            ? trm_fail_memory(err, "shard table", run->ranks, sizeof *all)
                            : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all, sizeof mine, MPI_BYTE, run->comm);
    int64_t place = 0;
    const ends *previous = NULL;
    for (int t = 0; t < rows->teams; t++) {
        const ends *shard = &all[t * rows->replicate];
        rows->shards[t] = (trm_shard){place, shard->count, shard->label_first, shard->label_last};
        place += shard->count;
        if (shard->count == 0)
            continue;
        rows->classes += shard->runs;
        if (previous != NULL && previous->label_last == shard->label_first)
            rows->classes--;
        previous = shard;
    }
    if (mine.count > 0) {
        extend_class(rows, all, 0, mine.first_run);
        if (mine.runs > 1)
            extend_class(rows, all, rows->count - mine.last_run, rows->count);
    }
done:
    trm_free(all);
    return status;
}

/* ---- memory ---- */

int64_t trm_rows_bytes_per_row(int dim)
{
    return 4 * (int64_t)dim + 5 * 8;
}

/* Of a row while labels are sorted: the label, its key and what that is sorted by, its place; then what a row has in
 * a shard but x and norm2. */
enum {
    LABELS_A_ROW = 2 * sizeof(int64_t),
    SORT_A_ROW = LABELS_A_ROW + sizeof(key) + 2 * sizeof(trm_candidate),
    LAID_OUT_A_ROW = 4 * 8
};

static int64_t arrange_bytes(const trm_run *run, const trm_rows *rows, int replicate)
{
    const int64_t own = (rows->store_rows + run->ranks - 1) / run->ranks, x = own * 4 * rows->dim;
    /* the caller's labels and norms, where rows go and come from, the shard's labels */
    const int64_t labels = own * (LABELS_A_ROW + 8 + (int64_t)sizeof(key)) + replicate * own * LAID_OUT_A_ROW;
    /* the rows as read; a copy to send; that and what is received; that and the shard */
    const int64_t reading = rows->read_bytes + x, sending = 2 * x,
                  placing = x + replicate * (x + own * 4 * 8);
    const int64_t moving = (sending > placing ? sending : placing) + (rows->kept ? x : 0);
    return labels + (reading > moving ? reading : moving);
}

int64_t trm_rows_labels_bytes(int64_t rows)
{
    const int64_t a_row = SORT_A_ROW + LAID_OUT_A_ROW;
    return rows > INT64_MAX / a_row ? INT64_MAX : rows * a_row;
}

trm_status trm_rows_check_labels(const trm_run *run, int64_t rows, int dim, trm_error *err)
{
    const int64_t own = rows / run->ranks + 1;
    const int64_t most = run->mem_per_rank > run->free_memory ? run->mem_per_rank : run->free_memory;
    if (trm_rows_labels_bytes(own) <= most)
        return TRM_OK;
    const int64_t a_row = SORT_A_ROW + LAID_OUT_A_ROW + 2 * 4 * (int64_t)dim;
    return trm_run_refuse(run, "the rows need at least", own > INT64_MAX / a_row ? INT64_MAX : own * a_row,
                          err);
}

int trm_rows_replicate(const trm_rows *rows)
{
    return rows->replicate;
}

/* The smallest team that gives each member a shard of a thousand rows: from there on a step of the ring takes some
 * milliseconds, many times what a message waits for, and less memory is better. So is a smaller team: members begin with
 * open windows, each for itself, and have twice as many pairs to decide. Eight ranks on one machine are faster without
 * replicas even with shards of 250 rows. */
int trm_rows_best_replicate(const trm_run *run, const trm_rows *rows)
{
    const int64_t enough = 1024, a_rank = rows->total / run->ranks;
    if (run->replicate > 0)
        return run->replicate;
    for (int c = 1; c < run->ranks; c++)
        if (run->ranks % c == 0 && a_rank * c >= enough)
            return c;
    return a_rank >= enough ? 1 : run->ranks;
}

/* ---- the steps ---- */

struct trm_sorted {
    int64_t kept, *order; /* this rank's rows that take part, in the order in which they are sent */
    int64_t own;          /* rows of the arrangement that come here */
    key *keys;            /* own, arranged; place: among those received */
    int64_t *send, *receive;
};

static void free_sorted(trm_rows *rows)
{
    if (rows->sorted == NULL)
        return;
    trm_free(rows->sorted->order);
    trm_free(rows->sorted->keys);
    trm_free(rows->sorted->send);
    trm_free(rows->sorted);
    rows->sorted = NULL;
}

/* Are the labels to ignore those of rank 0? Collective. Errors: USAGE, MEMORY. */
static trm_status agree_on_ignored(const trm_run *run, int64_t count, const int64_t *label, trm_error *err)
{
    int64_t *first = trm_alloc(count, sizeof *first);
    trm_status status =
        first == NULL ? trm_fail_memory(err, "labels to ignore", count, sizeof *first) : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK && count > 0) {
        memcpy(first, label, (size_t)count * sizeof *first);
        MPI_Bcast(first, (int)count, MPI_INT64_T, 0, run->comm);
        for (int64_t i = 0; i < count && status == TRM_OK; i++)
            if (label[i] != first[i])
                status = trm_fail(err, TRM_ERR_USAGE,
                                  "ignore_label[%" PRId64 "]: %" PRId64 " on rank %d, %" PRId64
                                  " on rank 0: must be equal on all ranks",
                                  i, label[i], run->rank, first[i]);
        status = trm_agree(run->comm, status, err);
    }
    trm_free(first);
    return status;
}

/* Collective. Errors: USAGE, MEMORY. */
static trm_status check_given(const trm_run *run, int64_t count, int dim, const float *embeddings, bool by_id,
                              const int64_t *labels, int64_t ignore_count, const int64_t *ignore_label,
                              trm_error *err)
{
    trm_arguments list = {.count = 0};
    trm_status status = TRM_OK;
    trm_arguments_whole(&list, "dim", dim, 1, INT_MAX);
    trm_arguments_whole(&list, "ignore_count", ignore_count, 0, INT_MAX);
    if (count < 0)
        status = trm_fail(err, TRM_ERR_USAGE, "count %" PRId64 ": must be at least 0", count);
    else if (count > 0 && (embeddings == NULL || (labels == NULL && !by_id)))
        status = trm_fail(err, TRM_ERR_USAGE, "%s NULL: rank %d has %" PRId64 " rows",
                          embeddings == NULL ? "embeddings" : "labels", run->rank, count);
    else if (ignore_count > 0 && ignore_label == NULL)
        status = trm_fail(err, TRM_ERR_USAGE, "ignore_label NULL: ignore_count is %" PRId64, ignore_count);
    status = trm_arguments_agree(run->comm, &list, status, err);
    return status != TRM_OK ? status : agree_on_ignored(run, ignore_count, ignore_label, err);
}

/* Says what is wrong with a row of this rank's. embeddings: NULL where they are gone. */
static trm_status refuse_row(int64_t id, const float *x, int dim, trm_error *err)
{
    for (int k = 0; k < dim && x != NULL; k++)
        if (!isfinite(x[k]))
            return trm_fail(err, TRM_ERR_DATA, "row %" PRId64 " has a non-finite value (%g) at column %d", id,
                            (double)x[k], k);
    return trm_fail(err, TRM_ERR_DATA, "row %" PRId64 " has a non-finite value", id);
}

/* The squared norms of this member's part of the shard tell which rows are not finite: no sum of squares of
 * float32 overflows. The rank that gave the first such row names it. Also finds zero_row. Collective. */
static trm_status look_at_norms(const trm_run *run, trm_rows *rows, int64_t from, int64_t to,
                                int64_t first_id, const float *embeddings, trm_error *err)
{
    int64_t lowest[2] = {INT64_MAX, INT64_MAX};
    for (int64_t i = from; i < to; i++) {
        const bool finite = isfinite(rows->norm2[i]);
        if (finite && rows->norm2[i] > 0.0)
            continue;
        if (rows->id[i] < lowest[finite])
            lowest[finite] = rows->id[i];
    }
    MPI_Allreduce(MPI_IN_PLACE, lowest, 2, MPI_INT64_T, MPI_MIN, run->comm);
    rows->zero_row = lowest[1];
    trm_status status = TRM_OK;
    const int64_t place = lowest[0] - first_id;
    if (place >= 0 && place < rows->given)
        status =
            refuse_row(lowest[0], embeddings != NULL ? embeddings + place * rows->dim : NULL, rows->dim, err);
    return trm_agree(run->comm, status, err);
}

trm_status trm_rows_check_metric(const trm_rows *rows, trm_metric metric, trm_error *err)
{
    if (metric != TRM_METRIC_COSINE || rows->zero_row == INT64_MAX)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA, "row %" PRId64 " has norm zero, which cosine does not allow",
                    rows->zero_row);
}

static int compare_labels(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

bool trm_rows_ignore(const trm_rows *rows, int64_t label)
{
    return rows->ignored > 0 &&
           bsearch(&label, rows->ignored_label, (size_t)rows->ignored, sizeof label, compare_labels) != NULL;
}

const char *trm_rows_label(const trm_rows *rows, int64_t label, char text[TRM_ROWS_LABEL])
{
    if (rows->label_text != NULL)
        return rows->label_text(rows->label_context, label, text);
    snprintf(text, TRM_ROWS_LABEL, "%" PRId64, label);
    return text;
}

static trm_status keep_ignored(trm_rows *rows, int64_t count, const int64_t *label, trm_error *err)
{
    rows->ignored_label = trm_alloc(count, sizeof *label);
    if (rows->ignored_label == NULL)
        return trm_fail_memory(err, "labels to ignore", count, sizeof *label);
    if (count > 0)
        memcpy(rows->ignored_label, label, (size_t)count * sizeof *label);
    rows->ignored = count;
    qsort(rows->ignored_label, (size_t)count, sizeof *label, compare_labels);
    return TRM_OK;
}

/* This rank's rows that take part, sorted. */
static trm_status sort_own(const trm_rows *rows, int64_t first_id, int64_t count, const int64_t *labels,
                           key **keys, trm_error *err)
{
    trm_sorted *sorted = rows->sorted;
    *keys = trm_alloc(count, sizeof **keys);
    sorted->order = trm_alloc(count, sizeof *sorted->order);
    if (*keys == NULL || sorted->order == NULL)
        return trm_fail_memory(err, "labels to send", count, sizeof **keys);
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++)
        if (rows->by_id || !trm_rows_ignore(rows, labels[i]))
            (*keys)[n++] = (key){rows->by_id ? 0 : labels[i], first_id + i, i};
    sort_keys(*keys, n);
    for (int64_t i = 0; i < n; i++)
        sorted->order[i] = (*keys)[i].place;
    sorted->kept = n;
    return TRM_OK;
}

/* Sends keys where they belong, and sorts those that come. Collective. */
static trm_status exchange_keys(const trm_run *run, const trm_rows *rows, key **keys, trm_error *err)
{
    trm_sorted *sorted = rows->sorted;
    void *received = NULL;
    trm_status status = find_parts(run, *keys, sorted->kept, rows->total, sorted->send, err);
    if (status == TRM_OK)
        status =
            trm_exchange_items(run->comm, *keys, sorted->send, sizeof(key), &received, sorted->receive, err);
    trm_free(*keys);
    *keys = NULL;
    if (status != TRM_OK)
        return status;
    sorted->keys = received;
    for (int r = 0; r < run->ranks; r++)
        sorted->own += sorted->receive[r];
    if (sorted->own > INT_MAX)
        status = trm_fail(err, TRM_ERR_DATA, "%" PRId64 " rows on one rank: use more ranks", sorted->own);
    for (int64_t i = 0; i < sorted->own && status == TRM_OK; i++)
        sorted->keys[i].place = i;
    if (status == TRM_OK)
        sort_keys(sorted->keys, sorted->own);
    return trm_agree(run->comm, status, err);
}

trm_status trm_rows_sort(trm_run *run, int64_t count, int dim, const int64_t *labels, int64_t ignore_count,
                         const int64_t *ignore_label, bool by_id, bool kept, int64_t read_bytes,
                         trm_rows **result, trm_error *err)
{
    const double start = trm_clock();
    key *keys = NULL;
    trm_rows *rows = trm_alloc_zero(1, sizeof *rows);
    trm_sorted *sorted = trm_alloc_zero(1, sizeof *sorted);
    trm_status status = TRM_OK;
    if (rows == NULL || sorted == NULL) {
        trm_free(sorted);
        trm_free(rows);
        rows = NULL;
        status = trm_fail_memory(err, "row table", 1, sizeof *rows);
    } else {
        *rows = (trm_rows){.dim = dim,
                           .given = count,
                           .zero_row = INT64_MAX,
                           .kept = kept,
                           .by_id = by_id,
                           .marks = by_id ? labels : NULL,
                           .read_bytes = read_bytes,
                           .team_comm = MPI_COMM_NULL,
                           .sorted = sorted};
        sorted->send = trm_alloc_zero(2 * (int64_t)run->ranks, sizeof *sorted->send);
        if (sorted->send == NULL) {
            status = trm_fail_memory(err, "row table", 2 * run->ranks, sizeof *sorted->send);
        } else {
            sorted->receive = sorted->send + run->ranks;
            status = keep_ignored(rows, ignore_count, ignore_label, err);
        }
    }
    const int64_t first_id = trm_prefix_int64(run->comm, count);
    if (status == TRM_OK)
        status = sort_own(rows, first_id, count, labels, &keys, err);
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK) {
        rows->store_rows = trm_sum_int64(run->comm, count);
        rows->total = trm_sum_int64(run->comm, sorted->kept);
        MPI_Allreduce(MPI_IN_PLACE, &rows->read_bytes, 1, MPI_INT64_T, MPI_MAX, run->comm);
        status = exchange_keys(run, rows, &keys, err);
    }
    trm_free(keys);
    if (status != TRM_OK)
        trm_rows_destroy(&rows);
    else
        rows->arrange_s = trm_clock() - start;
    *result = rows;
    return status;
}

static void free_layout(trm_rows *rows)
{
    if (rows->team_comm != MPI_COMM_NULL)
        MPI_Comm_free(&rows->team_comm);
    trm_free(rows->shards);
    if (rows->message == NULL) { /* else they are in it */
        trm_free(rows->label);
        trm_free(rows->id);
        trm_free(rows->class_first);
    }
    trm_free(rows->message);
    trm_free(rows->class_size);
    rows->shards = NULL;
    rows->message = NULL;
    rows->x = NULL;
    rows->norm2 = NULL;
    rows->label = rows->id = rows->class_first = rows->class_size = NULL;
    rows->classes = 0;
}

/* Where the members' parts are in the shard: replicate + 1 places in starts. */
static void find_starts(const trm_run *run, const trm_rows *rows, int64_t *starts)
{
    int64_t end;
    for (int m = 0; m <= rows->replicate; m++) {
        const int64_t at = (int64_t)rows->team * rows->replicate + m;
        if (at < run->ranks)
            trm_share(rows->total, (int)at, run->ranks, &starts[m], &end);
        else
            starts[m] = rows->total;
        starts[m] -= rows->first;
    }
}

/* Of rows by id that have labels: brings these where the rows go. Collective. */
static trm_status place_labels(const trm_run *run, const trm_rows *rows, const int64_t *starts,
                               trm_error *err)
{
    const trm_sorted *sorted = rows->sorted;
    int64_t *labels = trm_alloc(sorted->kept, sizeof *labels);
    void *received = NULL;
    trm_status status =
        labels == NULL ? trm_fail_memory(err, "labels to send", sorted->kept, sizeof *labels) : TRM_OK;
    for (int64_t i = 0; i < sorted->kept && status == TRM_OK; i++)
        labels[i] = rows->marks[sorted->order[i]];
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK)
        status = trm_exchange_items(run->comm, labels, sorted->send, sizeof *labels, &received,
                                    sorted->receive, err);
    trm_free(labels);
    if (status != TRM_OK)
        return status;
    const int64_t *label = received;
    for (int64_t i = 0; i < sorted->own; i++)
        rows->label[starts[rows->member] + i] = label[sorted->keys[i].place];
    trm_free(received);
    share_part(rows, rows->label, sizeof *rows->label, starts);
    return TRM_OK;
}

/* All shards, one after another: what one rank has, cut for more. */
static trm_status lay_out_all(const trm_run *run, trm_rows *rows, int replicate, trm_error *err)
{
    trm_run alone = *run;
    alone.ranks = alone.replicate = 1;
    alone.for_all = false;
    trm_status status = trm_rows_lay_out(&alone, rows, 1, err);
    const int teams = run->ranks / replicate;
    trm_shard *shards = trm_alloc_zero(teams, sizeof *shards);
    if (status == TRM_OK && shards == NULL)
        status = trm_fail_memory(err, "shard table", teams, sizeof *shards);
    if (status != TRM_OK) {
        trm_free(shards);
        return status;
    }
    rows->replicate = replicate;
    rows->teams = teams;
    rows->all_here = true;
    rows->arrange_bytes = arrange_bytes(run, rows, replicate);
    for (int t = 0; t < teams; t++) {
        int64_t first, last, end;
        trm_share(rows->total, t * replicate, run->ranks, &first, &end);
        trm_share(rows->total, t * replicate + replicate - 1, run->ranks, &last, &end);
        shards[t] = (trm_shard){.first = first, .count = end - first};
        if (end > first) {
            shards[t].label_first = rows->label[first];
            shards[t].label_last = rows->label[end - 1];
        }
    }
    trm_free(rows->shards);
    rows->shards = shards;
    return TRM_OK;
}

trm_status trm_rows_lay_out(const trm_run *run, trm_rows *rows, int replicate, trm_error *err)
{
    if (run->for_all)
        return lay_out_all(run, rows, replicate, err);
    const double start = trm_clock();
    const trm_sorted *sorted = rows->sorted;
    int64_t end;
    free_layout(rows);
    rows->all_here = false;
    rows->replicate = replicate;
    rows->teams = run->ranks / replicate;
    rows->team = run->rank / replicate;
    rows->member = run->rank % replicate;
    rows->arrange_bytes = arrange_bytes(run, rows, replicate);
    MPI_Comm_split(run->comm, rows->team, rows->member, &rows->team_comm);
    trm_share(rows->total, rows->team * replicate, run->ranks, &rows->first, &end);
    int64_t *starts = trm_alloc((int64_t)replicate + 1, sizeof *starts);
    trm_status status = TRM_OK;
    if (starts == NULL)
        status = trm_fail_memory(err, "row table", replicate, sizeof *starts);
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    find_starts(run, rows, starts);
    rows->count = starts[replicate];
    rows->label = trm_alloc(rows->count, sizeof *rows->label);
    rows->id = trm_alloc(rows->count, sizeof *rows->id);
    rows->class_first = trm_alloc(rows->count, sizeof *rows->class_first);
    rows->class_size = trm_alloc(rows->count, sizeof *rows->class_size);
    if (!rows->label || !rows->id || !rows->class_first || !rows->class_size)
        status = trm_fail_memory(err, "labels", rows->count, LAID_OUT_A_ROW);
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    for (int64_t i = 0; i < sorted->own; i++) {
        rows->label[starts[rows->member] + i] = sorted->keys[i].label;
        rows->id[starts[rows->member] + i] = sorted->keys[i].id;
    }
    share_part(rows, rows->label, sizeof *rows->label, starts);
    share_part(rows, rows->id, sizeof *rows->id, starts);
    status = find_classes(run, rows, err);
    int has_labels = rows->marks != NULL; /* a rank without rows may have none */
    MPI_Allreduce(MPI_IN_PLACE, &has_labels, 1, MPI_INT, MPI_MAX, run->comm);
    rows->labelled = !rows->by_id || has_labels != 0;
    if (status == TRM_OK && has_labels != 0)
        status = place_labels(run, rows, starts, err);
    rows->arrange_s += trm_clock() - start;
done:
    trm_free(starts);
    return status;
}

/* What the caller is not to keep goes as soon as it is copied. */
static void let_go(const trm_rows *rows, float **embeddings)
{
    if (rows->kept)
        return;
    trm_free(*embeddings);
    *embeddings = NULL;
}

/* Sends the rows where their keys went; *received is new memory. Collective. */
static trm_status exchange_rows(const trm_run *run, const trm_rows *rows, int64_t count, float **embeddings,
                                void **received, trm_error *err)
{
    const trm_sorted *sorted = rows->sorted;
    const int64_t dim = rows->dim;
    const size_t size = (size_t)dim * sizeof(float);
    float *x = trm_alloc(sorted->kept * dim, sizeof *x);
    trm_status status = x == NULL ? trm_fail_memory(err, "rows to send", count, size) : TRM_OK;
    if (status == TRM_OK) {
#pragma omp parallel for num_threads(run->threads)
        for (int64_t i = 0; i < sorted->kept; i++)
            memcpy(x + i * dim, *embeddings + sorted->order[i] * dim, size);
    }
    let_go(rows, embeddings);
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK)
        status = trm_exchange_items(run->comm, x, sorted->send, size, received, sorted->receive, err);
    trm_free(x);
    return status;
}

int64_t trm_rows_message_bytes(int dim, int64_t count)
{
    return count * (dim * (int64_t)sizeof(float) + 4 * 8) + 8; /* an odd number of floats is filled up */
}

trm_rows_part trm_rows_view(int dim, int64_t first, int64_t count, void *message)
{
    trm_rows_part part = {.first = first, .count = count, .x = message};
    const int64_t floats = count * dim;
    part.norm2 = (double *)(void *)(part.x + floats + floats % 2);
    part.label = (int64_t *)(part.norm2 + count);
    part.id = part.label + count;
    part.class_first = part.id + count;
    return part;
}

/* Moves what the shard has into one piece, with room for the embeddings; false: out of memory. */
static bool make_message(trm_rows *rows)
{
    const size_t bytes = (size_t)rows->count * sizeof(int64_t);
    rows->message = trm_alloc(trm_rows_message_bytes(rows->dim, rows->count), 1);
    if (rows->message == NULL)
        return false;
    const trm_rows_part part = trm_rows_view(rows->dim, rows->first, rows->count, rows->message);
    if (rows->count > 0) {
        memcpy(part.label, rows->label, bytes);
        memcpy(part.id, rows->id, bytes);
        memcpy(part.class_first, rows->class_first, bytes);
    }
    trm_free(rows->label);
    trm_free(rows->id);
    trm_free(rows->class_first);
    rows->x = part.x;
    rows->norm2 = part.norm2;
    rows->label = part.label;
    rows->id = part.id;
    rows->class_first = part.class_first;
    return true;
}

int trm_rows_shards_here(const trm_rows *rows)
{
    return rows->all_here ? rows->teams : 1;
}

void trm_rows_shard_here(const trm_rows *rows, int shard, int64_t *from, int64_t *to)
{
    *from = rows->all_here ? rows->shards[shard].first : 0;
    *to = rows->all_here ? *from + rows->shards[shard].count : rows->count;
}

int64_t trm_rows_shard_count(const trm_rows *rows)
{
    return rows->all_here ? trm_rows_largest_shard(rows) : rows->count;
}

int64_t trm_rows_largest_shard(const trm_rows *rows)
{
    int64_t largest = 0;
    for (int t = 0; t < rows->teams; t++)
        largest = rows->shards[t].count > largest ? rows->shards[t].count : largest;
    return largest;
}

/* Copies what came to the places of this member's part, with norms; alone: from where the caller has it. */
static void place_rows(const trm_run *run, trm_rows *rows, int64_t first, const float *from, bool alone)
{
    const trm_sorted *sorted = rows->sorted;
    const int64_t dim = rows->dim;
    float *x = rows->x + first * dim;
#pragma omp parallel for num_threads(run->threads)
    for (int64_t i = 0; i < sorted->own; i++) {
        const int64_t place = sorted->keys[i].place;
        memcpy(x + i * dim, from + (alone ? sorted->order[place] : place) * dim, (size_t)dim * sizeof *x);
        rows->norm2[first + i] = trm_dot(x + i * dim, x + i * dim, rows->dim);
    }
}

trm_status trm_rows_fill(const trm_run *run, trm_rows *rows, int64_t count, float **embeddings,
                         trm_error *err)
{
    const double start = trm_clock();
    const int64_t dim = rows->dim, own = rows->sorted->own;
    const bool alone = run->ranks == 1;
    void *received = NULL;
    const int64_t first_id = trm_prefix_int64(run->comm, count);
    int64_t *starts = trm_alloc((int64_t)rows->replicate + 1, sizeof *starts);
    trm_status status = alone ? TRM_OK : exchange_rows(run, rows, count, embeddings, &received, err);
    if (status == TRM_OK) {
        if (starts == NULL || !make_message(rows))
            status = trm_fail_memory(err, "rows", rows->count, (size_t)trm_rows_bytes_per_row(rows->dim));
        status = trm_agree(run->comm, status, err);
    }
    if (status != TRM_OK)
        goto done;
    find_starts(run, rows, starts);
    const int64_t from = starts[rows->member];
    place_rows(run, rows, from, alone ? *embeddings : received, alone);
    let_go(rows, embeddings);
    status = look_at_norms(run, rows, from, from + own, first_id, *embeddings, err);
    if (status != TRM_OK)
        goto done;
    share_part(rows, rows->x, (size_t)dim * sizeof *rows->x, starts);
    share_part(rows, rows->norm2, sizeof *rows->norm2, starts);
    free_sorted(rows);
    rows->marks = NULL;
    rows->arrange_s += trm_clock() - start;
done:
    let_go(rows, embeddings);
    trm_free(starts);
    trm_free(received);
    return status;
}

/* The largest team, up to the best, with which arranging fits; 1 where none does. */
static int choose_replicate(const trm_run *run, const trm_rows *rows)
{
    int c = trm_rows_best_replicate(run, rows);
    while (run->replicate == 0 && c > 1 &&
           (run->ranks % c != 0 || arrange_bytes(run, rows, c) > run->mem_per_rank))
        c--;
    return c;
}

/* Of rows in memory. replicate 0: as many ranks a team as pay. Collective. */
static trm_status create(trm_run *run, int64_t count, int dim, const float *embeddings, bool by_id,
                         const int64_t *labels, int64_t ignore_count, const int64_t *ignore_label,
                         int replicate, trm_rows **result, trm_error *err)
{
    float *borrowed = (float *)(uintptr_t)embeddings; /* kept: not written and not freed */
    *result = NULL;
    trm_status status =
        check_given(run, count, dim, embeddings, by_id, labels, ignore_count, ignore_label, err);
    if (status == TRM_OK)
        status =
            trm_rows_sort(run, count, dim, labels, ignore_count, ignore_label, by_id, true, 0, result, err);
    if (status == TRM_OK)
        status =
            trm_rows_lay_out(run, *result, replicate > 0 ? replicate : choose_replicate(run, *result), err);
    if (status == TRM_OK)
        status = trm_rows_fill(run, *result, count, &borrowed, err);
    if (status != TRM_OK)
        trm_rows_destroy(result);
    return status;
}

trm_status trm_rows_create(trm_run *run, int64_t count, int dim, const float *embeddings,
                           const int64_t *labels, int64_t ignore_count, const int64_t *ignore_label,
                           trm_rows **result, trm_error *err)
{
    return create(run, count, dim, embeddings, false, labels, ignore_count, ignore_label, 0, result, err);
}

trm_status trm_rows_create_by_id(trm_run *run, int64_t count, int dim, const float *embeddings,
                                 const int64_t *labels, trm_rows **result, trm_error *err)
{
    return create(run, count, dim, embeddings, true, labels, 0, NULL, 0, result, err);
}

trm_status trm_rows_create_queries(trm_run *run, const trm_rows *store, int64_t count,
                                   const float *embeddings, const int64_t *labels, trm_rows **result,
                                   trm_error *err)
{
    return create(run, count, store->dim, embeddings, store->by_id, labels, store->ignored,
                  store->ignored_label, store->replicate, result, err);
}

int64_t trm_rows_held_bytes(const trm_rows *rows)
{
    const int64_t places =
        rows->count * (rows->x != NULL ? trm_rows_bytes_per_row(rows->dim) : LAID_OUT_A_ROW);
    return places + (rows->sorted != NULL ? rows->sorted->own * (int64_t)sizeof(key) : 0);
}

void trm_rows_rename(trm_rows *rows, const int64_t *id)
{
    for (int64_t i = 0; i < rows->count; i++)
        rows->id[i] = id[rows->id[i]];
    if (rows->zero_row != INT64_MAX)
        rows->zero_row = id[rows->zero_row];
}

void trm_rows_destroy(trm_rows **rows)
{
    trm_rows *old = *rows;
    if (old == NULL)
        return;
    free_layout(old);
    free_sorted(old);
    trm_free(old->ignored_label);
    trm_free(old);
    *rows = NULL;
}
