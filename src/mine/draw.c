/* Drawing batches; see trimine/batches.h.
 *
 * Everything is a minimum over keys, so that it can be found in parts. Each rank draws from the classes that
 * begin in its shard and sends the best to the rank that has the batch, which keeps the best of all; then
 * this rank asks the holders of each class for their best rows. All batches of a round go in one exchange.
 * Classes, rows and the seeds inside batches have streams of random numbers of their own, which are not those
 * of anchors. */
#include "mine/batches.h"

#include "base/alloc.h"
#include "base/order.h"
#include "base/random.h"
#include "base/sized.h"
#include "par/agree.h"
#include "par/arguments.h"
#include "par/exchange.h"
#include "rows/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND_BYTES = 16 << 20 };
static const uint64_t seed_stream = UINT64_C(1) << 62, row_stream = UINT64_C(2) << 62,
                      class_stream = UINT64_C(3) << 62;

static uint64_t draw_key(uint64_t seed, uint64_t stream, int64_t index)
{
    uint32_t bits[4];
    trm_random_bits(seed, stream, (uint64_t)index, bits);
    return (uint64_t)bits[1] << 32 | bits[0];
}

uint64_t trm_batches_class_key(uint64_t seed, int64_t batch, int64_t label)
{
    return draw_key(seed, class_stream | (uint64_t)batch, label);
}

uint64_t trm_batches_row_key(uint64_t seed, int64_t batch, int64_t row)
{
    return draw_key(seed, row_stream | (uint64_t)batch, row);
}

uint64_t trm_batches_seed(uint64_t seed, int64_t batch)
{
    return draw_key(seed, seed_stream, batch);
}

/* ---- lots ---- */

/* A class (its label is id, label is 0) or a row of a class, in the draw for a batch. */
typedef struct lot {
    int64_t batch, label;
    uint64_t key;
    int64_t id;
} lot;

static bool is_before(const lot *x, const lot *y)
{
    return x->key != y->key ? x->key < y->key : x->id < y->id;
}

static int compare_lots(const void *a, const void *b)
{
    const lot *x = a, *y = b;
    if (x->batch != y->batch)
        return x->batch < y->batch ? -1 : 1;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return is_before(x, y) ? -1 : is_before(y, x);
}

/* Adds a lot to the best, a heap of at most so many with the last of them on top. */
static void offer(lot *best, int64_t *count, int64_t most, lot next)
{
    int64_t at = 0;
    if (*count < most) {
        for (at = (*count)++; at > 0 && is_before(&best[(at - 1) / 2], &next); at = (at - 1) / 2)
            best[at] = best[(at - 1) / 2];
    } else if (is_before(&next, &best[0])) {
        for (int64_t child = 1; child < most; child = 2 * at + 1) {
            child += child + 1 < most && is_before(&best[child], &best[child + 1]);
            if (!is_before(&next, &best[child]))
                break;
            best[at] = best[child];
            at = child;
        }
    } else {
        return;
    }
    best[at] = next;
}

/* Sorts by batch, label and key, and keeps the first few of each batch and label; returns how many. */
static int64_t keep_best(lot *lots, int64_t count, int64_t most)
{
    int64_t kept = 0, run = 0;
    qsort(lots, (size_t)count, sizeof *lots, compare_lots);
    for (int64_t i = 0; i < count; i++) {
        const bool same = i > 0 && lots[i].batch == lots[i - 1].batch && lots[i].label == lots[i - 1].label;
        run = same ? run + 1 : 0;
        if (run < most)
            lots[kept++] = lots[i];
    }
    return kept;
}

/* ---- the draw ---- */

typedef struct draw {
    const trm_run *run;
    const trm_rows *rows;
    const trm_draw_options *options;
    int64_t most;   /* rows that a class can give: K, or all of the largest class */
    int64_t *label; /* classes that begin in this shard, shared out over its members */
    int64_t labels;
    int64_t step;    /* batches of a rank in a round */
    int64_t *counts; /* lots to and from each rank: two arrays */
} draw;

/* Lots on their way: those for rank 0, then 1, ..., in new memory that is freed here. Collective. */
static trm_status send_lots(const draw *d, trm_status local, lot **lots, lot **received, int64_t *count,
                            trm_error *err)
{
    void *items = NULL;
    int64_t *const from = d->counts + d->run->ranks;
    trm_status status = trm_agree(d->run->comm, local, err);
    if (status == TRM_OK)
        status = trm_exchange_items(d->run->comm, *lots, d->counts, sizeof **lots, &items, from, err);
    trm_free(*lots);
    *lots = NULL;
    *received = items;
    *count = 0;
    for (int r = 0; r < d->run->ranks && status == TRM_OK; r++)
        *count += from[r];
    return status;
}

/* A rank's batches of a round. */
static void round_of(const draw *d, int rank, int64_t number, int64_t *first, int64_t *last)
{
    int64_t end;
    trm_share(d->options->batches, rank, d->run->ranks, first, &end);
    *first = *first + number * d->step < end ? *first + number * d->step : end;
    *last = *first + d->step < end ? *first + d->step : end;
}

/* The best of this rank's classes for every batch of the round, to those who have the batches. */
static trm_status draw_classes(const draw *d, int64_t number, lot **received, int64_t *count, trm_error *err)
{
    const int64_t most = d->options->classes < d->labels ? d->options->classes : d->labels;
    int64_t first, last, batches = 0;
    for (int r = 0; r < d->run->ranks; r++) {
        round_of(d, r, number, &first, &last);
        d->counts[r] = (last - first) * most;
        batches += last - first;
    }
    lot *lots = trm_alloc(batches * most, sizeof *lots);
    int64_t *batch = trm_alloc(batches, sizeof *batch);
    trm_status status = TRM_OK;
    if (lots == NULL || batch == NULL)
        status = trm_fail_memory(err, "classes being drawn", batches * most, sizeof *lots);
    for (int64_t r = 0, at = 0; r < d->run->ranks && status == TRM_OK; r++) {
        round_of(d, (int)r, number, &first, &last);
        for (int64_t b = first; b < last; b++)
            batch[at++] = b;
    }
    const int64_t work = status == TRM_OK && most > 0 ? batches : 0;
#pragma omp parallel for schedule(static) num_threads(d->run->threads)
    for (int64_t i = 0; i < work; i++) {
        int64_t drawn = 0;
        for (int64_t k = 0; k < d->labels; k++)
            offer(lots + i * most, &drawn, most,
                  (lot){batch[i], 0, trm_batches_class_key(d->options->seed, batch[i], d->label[k]),
                        d->label[k]});
    }
    trm_free(batch);
    return send_lots(d, status, &lots, received, count, err);
}

static bool holds(const trm_shard *shard, int64_t label)
{
    return shard->count > 0 && shard->label_first <= label && label <= shard->label_last;
}

/* Asks a member of each team that has rows of a drawn class for them. */
static trm_status ask_for_rows(const draw *d, int64_t classes, const lot *drawn, lot **asked, int64_t *count,
                               trm_error *err)
{
    const trm_rows *rows = d->rows;
    int64_t total = 0, at = 0;
    memset(d->counts, 0, (size_t)d->run->ranks * sizeof *d->counts);
    for (int64_t i = 0; i < classes; i++)
        for (int t = 0; t < rows->teams; t++)
            total += holds(&rows->shards[t], drawn[i].id);
    lot *lots = trm_alloc(total, sizeof *lots);
    trm_status status = TRM_OK;
    if (lots == NULL)
        status = trm_fail_memory(err, "classes that were drawn", total, sizeof *lots);
    for (int r = 0; r < d->run->ranks && status == TRM_OK; r++)
        for (int64_t i = 0; i < classes; i++)
            if (drawn[i].batch % rows->replicate == r % rows->replicate &&
                holds(&rows->shards[r / rows->replicate], drawn[i].id)) {
                lots[at++] = (lot){.batch = drawn[i].batch, .label = drawn[i].id};
                d->counts[r]++;
            }
    return send_lots(d, status, &lots, asked, count, err);
}

/* The first place of the shard whose label is not below. */
static int64_t place_of(const trm_rows *rows, int64_t label)
{
    int64_t lo = 0, hi = rows->count;
    while (lo < hi) {
        const int64_t middle = lo + (hi - lo) / 2;
        if (rows->label[middle] < label)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

/* The first place in the shard of a class that is there, and the place after its last. */
static int64_t class_in_shard(const trm_rows *rows, int64_t label, int64_t *last)
{
    const int64_t first = place_of(rows, label);
    const bool here = first < rows->count && rows->label[first] == label;
    const int64_t end = here ? rows->class_first[first] + rows->class_size[first] - rows->first : first;
    *last = end < rows->count ? end : rows->count;
    return first;
}

/* The best of the shard's rows for each class that was asked for, back to who asked. */
static trm_status draw_rows(const draw *d, int64_t asked, const lot *question, lot **received, int64_t *count,
                            trm_error *err)
{
    const trm_rows *rows = d->rows;
    const int64_t *const from = d->counts + d->run->ranks; /* the questions of each rank */
    int64_t *start = trm_alloc_zero(asked + 1, sizeof *start);
    lot *lots = NULL;
    trm_status status =
        start == NULL ? trm_fail_memory(err, "rows being drawn", asked, sizeof *start) : TRM_OK;
    for (int64_t i = 0; i < asked && status == TRM_OK; i++) {
        int64_t last, first = class_in_shard(rows, question[i].label, &last);
        start[i + 1] = start[i] + (last - first < d->options->rows ? last - first : d->options->rows);
    }
    if (status == TRM_OK) {
        lots = trm_alloc(start[asked], sizeof *lots);
        if (lots == NULL)
            status = trm_fail_memory(err, "rows being drawn", start[asked], sizeof *lots);
    }
    const int64_t work = status == TRM_OK ? asked : 0;
#pragma omp parallel for schedule(dynamic, 16) num_threads(d->run->threads)
    for (int64_t i = 0; i < work; i++) {
        const int64_t batch = question[i].batch, label = question[i].label, most = start[i + 1] - start[i];
        int64_t drawn = 0, last;
        for (int64_t k = class_in_shard(rows, label, &last); k < last; k++)
            offer(
                lots + start[i], &drawn, most,
                (lot){batch, label, trm_batches_row_key(d->options->seed, batch, rows->id[k]), rows->id[k]});
    }
    for (int64_t r = 0, i = 0; r < d->run->ranks && status == TRM_OK; i += from[r++])
        d->counts[r] = start[i + from[r]] - start[i];
    trm_free(start);
    return send_lots(d, status, &lots, received, count, err);
}

/* Makes room for more rows, half as many again. */
static trm_status make_room(const draw *d, trm_batches *batches, int64_t used, int64_t more, int64_t *room,
                            trm_error *err)
{
    if (used + more <= *room)
        return TRM_OK;
    const int64_t wanted = (used + more) * 3 / 2;
    if (wanted > d->run->mem_per_rank / (int64_t)sizeof *batches->row)
        return trm_run_refuse(d->run, "the list of batches needs at least",
                              wanted * (int64_t)sizeof *batches->row, err);
    int64_t *larger = trm_grown(batches->row, used, wanted, sizeof *larger);
    if (larger == NULL)
        return trm_fail_memory(err, "the list of batches", wanted, sizeof *larger);
    batches->row = larger;
    *room = wanted;
    return TRM_OK;
}

/* Adds the round's batches, first by the number of this rank's first one, to the list. */
static trm_status add_round(const draw *d, int64_t first, int64_t count, const lot *lots,
                            trm_batches *batches, int64_t *room, trm_error *err)
{
    int64_t used = batches->start[batches->count];
    trm_status status = make_room(d, batches, used, count, room, err);
    for (int64_t i = 0; i < count && status == TRM_OK; i++) {
        const int64_t batch = lots[i].batch - first;
        batches->row[used++] = lots[i].id;
        batches->start[batch + 1] = used;
        batches->count = batch + 1;
    }
    return status;
}

static trm_status draw_round(const draw *d, int64_t number, trm_batches *batches, int64_t *room,
                             trm_error *err)
{
    lot *classes = NULL, *asked = NULL, *rows = NULL;
    int64_t count = 0, questions = 0, first, last, from = batches->count;
    trm_share(d->options->batches, d->run->rank, d->run->ranks, &first, &last);
    trm_status status = draw_classes(d, number, &classes, &count, err);
    if (status == TRM_OK) {
        count = keep_best(classes, count, d->options->classes);
        status = ask_for_rows(d, count, classes, &asked, &questions, err);
    }
    trm_free(classes);
    if (status == TRM_OK)
        status = draw_rows(d, questions, asked, &rows, &count, err);
    trm_free(asked);
    if (status == TRM_OK) {
        count = keep_best(rows, count, d->options->rows);
        status = trm_agree(d->run->comm, add_round(d, first, count, rows, batches, room, err), err);
    }
    trm_free(rows);
    for (int64_t b = from; b < batches->count && status == TRM_OK; b++)
        qsort(batches->row + batches->start[b], (size_t)(batches->start[b + 1] - batches->start[b]),
              sizeof *batches->row, trm_compare_whole);
    return status;
}

/* ---- the whole ---- */

static const trm_sized sized = {.name = "trm_draw_options", .size = sizeof(trm_draw_options)};

void trm_draw_options_init_sized(trm_draw_options *options, size_t size)
{
    const trm_draw_options own = {.size = sizeof own, .batches = 1, .classes = 32, .rows = 4};
    trm_sized_give(&sized, &own, options, &size);
}

/* The classes that begin in this shard, each on one of its members; and the largest class. */
static trm_status list_classes(draw *d, trm_error *err)
{
    const trm_rows *rows = d->rows;
    int64_t classes = 0, largest = 0;
    for (int64_t i = 0; i < rows->count; i++) {
        classes += rows->class_first[i] == rows->first + i;
        largest = rows->class_size[i] > largest ? rows->class_size[i] : largest;
    }
    MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_INT64_T, MPI_MAX, d->run->comm);
    d->most = largest < d->options->rows ? largest : d->options->rows;
    d->label = trm_alloc(classes / rows->replicate + 1, sizeof *d->label);
    if (d->label == NULL)
        return trm_fail_memory(err, "classes", classes, sizeof *d->label);
    for (int64_t i = 0, k = 0; i < rows->count; i++)
        if (rows->class_first[i] == rows->first + i && k++ % rows->replicate == rows->member)
            d->label[d->labels++] = rows->label[i];
    return TRM_OK;
}

/* local: what is wrong with the struct itself. Collective. */
static trm_status check(const trm_run *run, const trm_rows *rows, const trm_draw_options *options,
                        trm_status local, trm_error *err)
{
    trm_arguments list = {.count = 0};
    trm_status status = local;
    int64_t all = 0;
    trm_arguments_whole(&list, "batches", options->batches, 1, INT64_MAX >> 2);
    trm_arguments_whole(&list, "classes", options->classes, 1, INT64_MAX);
    trm_arguments_whole(&list, "rows", options->rows, 1, INT64_MAX);
    trm_arguments_whole(&list, "seed", (int64_t)options->seed, INT64_MIN, INT64_MAX);
    if (status == TRM_OK && options->classes > rows->classes)
        status = trm_fail(err, TRM_ERR_USAGE, "%" PRId64 " classes a batch: the store has %" PRId64,
                          options->classes, rows->classes);
    else if (status == TRM_OK && options->batches > 0 && options->rows > 0 &&
             (__builtin_mul_overflow(options->batches, options->classes, &all) ||
              __builtin_mul_overflow(all, options->rows < rows->total ? options->rows : rows->total, &all) ||
              all > INT64_MAX / (int64_t)sizeof(lot)))
        status = trm_fail(err, TRM_ERR_USAGE,
                          "%" PRId64 " batches of %" PRId64 " classes and %" PRId64
                          " rows of each: more rows than can be counted",
                          options->batches, options->classes, options->rows);
    return trm_arguments_agree(run->comm, &list, status, err);
}

/* Batches of a rank in a round: classes from all ranks, then the rows of a batch, or one class of all. */
static int64_t batches_a_round(const draw *d)
{
    const int64_t ranks = d->run->ranks, classes = d->options->classes, all = d->rows->total;
    const int64_t rows = classes > all / d->most ? all : classes * d->most;
    const int64_t bytes = 2 * (int64_t)sizeof(lot) * (classes * ranks + rows + ranks * d->most);
    return ROUND_BYTES / bytes > 1 ? ROUND_BYTES / bytes : 1;
}

static trm_status make_lists(const draw *d, int64_t count, trm_batches *batches, trm_error *err)
{
    batches->start = trm_alloc_zero(count + 1, sizeof *batches->start);
    batches->triplets = trm_alloc_zero(count + 1, sizeof *batches->triplets);
    batches->row = trm_alloc(0, sizeof *batches->row);
    if (d->counts == NULL || batches->start == NULL || batches->triplets == NULL || batches->row == NULL)
        return trm_fail_memory(err, "the list of batches", 2 * (count + 1), sizeof *batches->start);
    return TRM_OK;
}

trm_status trm_batches_draw(trm_run *run, const trm_rows *rows, const trm_draw_options *given,
                            trm_batches *batches, trm_error *err)
{
    trm_draw_options own;
    trm_draw_options_init(&own);
    trm_status status = trm_sized_take(&sized, &own, given, err);
    const trm_draw_options *const options = &own;
    draw d = {.run = run, .rows = rows, .options = options};
    *batches = (trm_batches){0};
    status = check(run, rows, options, status, err);
    if (status != TRM_OK)
        return status;
    int64_t first, last, room = 0;
    trm_share(options->batches, run->rank, run->ranks, &first, &last);
    d.counts = trm_alloc_zero(2 * (int64_t)run->ranks, sizeof *d.counts);
    status = list_classes(&d, err);
    if (status == TRM_OK)
        status = make_lists(&d, last - first, batches, err);
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK) {
        const int64_t most = options->batches / run->ranks + 1; /* of any rank */
        d.step = batches_a_round(&d);
        for (int64_t number = 0; number * d.step < most && status == TRM_OK; number++)
            status = draw_round(&d, number, batches, &room, err);
    }
    trm_free(d.counts);
    trm_free(d.label);
    batches->most = d.most;
    if (status != TRM_OK)
        trm_batches_free(batches);
    return status;
}

void trm_batches_free(trm_batches *batches)
{
    trm_free(batches->start);
    trm_free(batches->row);
    trm_free(batches->triplets);
    *batches = (trm_batches){0};
}
