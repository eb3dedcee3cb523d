/* Mining inside batches; see batches.h.
 *
 * A batch is small, so what costs is all around it: the ranks have no word to each other about a batch but to
 * fetch the rows of many at once, in rounds of some megabytes. Then each rank mines one batch after the other
 * with a run of its own, by trm_mine as it is. A batch's rows keep the row ids of the store, in ascending
 * order, so ties and random choices go by these. */
#include "mine/batches.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash_sum.h"
#include "mine/batch_checkpoint.h"
#include "mine/negatives.h"
#include "mine/positives.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUND_BYTES = 32 << 20 };

/* A row that is asked for, and where it goes. */
typedef struct wish {
    int64_t id, place;
} wish;

typedef struct job {
    const trm_run *run;
    trm_run *alone;
    const trm_rows *rows;
    const trm_given *given;
    trm_batches *batches;
    const trm_mine_options *options;
    trm_mine_summary *summary;
    trm_hash_sum hash;
    int64_t first;        /* number of this rank's first batch */
    int64_t done, reused; /* of this rank's batches, in the present pass; of these, by an earlier run */
    bool labels_only;     /* no rows are fetched */
    trm_batch_checkpoint checkpoint;
    trm_mine_summary earlier; /* what earlier runs counted; rank 0's */
    int64_t counted;          /* elements of theirs while a set was counted */
    trm_triplet_fn emit;
    void *context;
    /* a round: its rows, and the triplets found so far */
    float *x;
    int64_t *label;
    trm_triplet *triplets;
    int64_t count, room, emitted;
    double compute_s, wait_s;
} job;

/* Where a batch's rows begin; a rank without batches may have no lists. */
static int64_t place_of(const trm_batches *batches, int64_t batch)
{
    return batches->count > 0 ? batches->start[batch] : 0;
}

int64_t trm_batches_rows(const trm_batches *batches)
{
    return place_of(batches, batches->count);
}

static int64_t largest_batch(const trm_batches *batches)
{
    int64_t largest = 0;
    for (int64_t b = 0; b < batches->count; b++) {
        const int64_t rows = batches->start[b + 1] - batches->start[b];
        largest = rows > largest ? rows : largest;
    }
    return largest;
}

int64_t trm_batches_most(const trm_batches *batches)
{
    return batches->most > 0 ? batches->most : largest_batch(batches);
}

/* ---- rounds ---- */

/* Is the policy a set whose triplets are listed? */
static bool lists_set(const trm_mine_options *options)
{
    return options->emit_sets && trm_negatives_are_set(options);
}

static int64_t triplets_a_row(const trm_batches *batches, const trm_mine_options *options)
{
    const int64_t most = trm_batches_most(batches), rows = largest_batch(batches);
    const int64_t negatives = lists_set(options) ? rows - 1 : trm_negatives_most(options, rows);
    trm_positives positives;
    trm_positives_choose(&positives, options, INT64_MAX);
    return most > 1 && rows > 1 ? trm_positives_pairs(&positives, most - 1) * negatives : 0;
}

/* The most triplets of so many rows. */
static int64_t triplets_of(const trm_batches *batches, const trm_mine_options *options, int64_t rows)
{
    const double each = (double)triplets_a_row(batches, options);
    const double most = lists_set(options) ? (double)options->max_triplets : (double)INT64_MAX / 1024;
    return (int64_t)(each * (double)rows < most ? each * (double)rows : most);
}

int64_t trm_batches_triplets(const trm_batches *batches, const trm_mine_options *options)
{
    return triplets_of(batches, options, trm_batches_rows(batches));
}

/* Of rows as received, and as sent to others or, later, at their places; and of wishes for them. */
static int64_t bytes_of_fetching(int dim, int64_t rows)
{
    const int64_t row = (int64_t)dim * (int64_t)sizeof(float) + (int64_t)sizeof(int64_t);
    return rows * (2 * row + 3 * (int64_t)sizeof(wish));
}

/* Of rows at their places, and of their triplets in an array that grows. */
static int64_t bytes_of_mining(const trm_batches *batches, const trm_mine_options *options, int dim,
                               int64_t rows)
{
    const int64_t row = (int64_t)dim * (int64_t)sizeof(float) + (int64_t)sizeof(int64_t);
    return rows * row + 3 * triplets_of(batches, options, rows) * (int64_t)sizeof(trm_triplet);
}

/* Rows that a round has room for. */
static int64_t rows_a_round(const trm_batches *batches, const trm_mine_options *options, int dim)
{
    const int64_t fetched = bytes_of_fetching(dim, 1);
    return ROUND_BYTES / (fetched + 3 * triplets_of(batches, options, 1) * (int64_t)sizeof(trm_triplet));
}

/* The end of the round that begins with batch from: as many batches as fit, at least one. */
static int64_t end_of_round(const trm_batches *batches, int64_t most, int64_t from)
{
    int64_t to = from + (from < batches->count);
    while (to < batches->count && batches->start[to + 1] - batches->start[from] <= most)
        to++;
    return to;
}

/* The most rows of a round. */
static int64_t largest_round(const trm_batches *batches, const trm_mine_options *options, int dim)
{
    const int64_t fit = rows_a_round(batches, options, dim), all = trm_batches_rows(batches);
    const int64_t most = fit < all ? fit : all;
    return largest_batch(batches) > most ? largest_batch(batches) : most;
}

/* What this rank has all the time: rows and lists; and what waits for the checkpoint. */
static int64_t bytes_beside(const trm_run *run, const trm_rows *rows, const trm_batches *batches,
                            const trm_mine_options *options)
{
    const bool keeps = run->checkpoint != NULL && run->checkpoint->save != NULL;
    const int64_t most = largest_round(batches, options, rows->dim), all = trm_batches_rows(batches);
    const int64_t kept =
        keeps ? trm_batch_checkpoint_bytes(batches->count, trm_batches_triplets(batches, options),
                                           triplets_of(batches, options, most))
              : 0;
    return all * (int64_t)sizeof *batches->row + 2 * (batches->count + 1) * (int64_t)sizeof *batches->start +
           trm_rows_held_bytes(rows) + kept + options->reserve;
}

/* A run for this rank's batches: one thread where they have a few tiles at most, as more would mostly wait for
 * each other, and no larger tiles than the largest of them, as room for these is made for each batch. */
static trm_status begin_alone(const trm_run *run, const trm_batches *batches, int dim, trm_run **alone,
                              trm_error *err)
{
    enum { FEW_TILES = 2 };
    const int64_t rows = largest_batch(batches);
    const int tile = trm_run_tile(run, dim);
    const int threads = rows <= FEW_TILES * tile ? 1 : run->threads;
    trm_status status = trm_run_alone(run, threads, alone, err);
    if (status == TRM_OK && rows < tile)
        (*alone)->tile = (int)trm_tile_round_up(rows);
    return status;
}

/* What mining in the largest batch takes on this rank, with all that there is beside it, if its classes have as many
 * rows as any. Not collective. */
static trm_status plan_largest(const trm_run *run, const trm_batches *batches,
                               const trm_mine_options *options, int dim, trm_mine_summary *summary,
                               trm_error *err)
{
    const int64_t count = largest_batch(batches), most = trm_batches_most(batches);
    trm_run *alone = NULL;
    trm_rows *rows = NULL;
    int64_t *label = trm_alloc(count, sizeof *label);
    trm_status status = label == NULL ? trm_fail_memory(err, "labels of a batch", count, sizeof *label)
                                      : begin_alone(run, batches, dim, &alone, err);
    for (int64_t i = 0; i < count && status == TRM_OK; i++)
        label[i] = i / most;
    if (status == TRM_OK)
        status = trm_rows_sort(alone, count, dim, label, 0, NULL, false, true, 0, &rows, err);
    if (status == TRM_OK)
        status = trm_rows_lay_out(alone, rows, 1, err);
    if (status == TRM_OK)
        status = trm_mine_plan(alone, rows, options, summary, err);
    trm_rows_destroy(&rows);
    trm_run_destroy(&alone);
    trm_free(label);
    return status;
}

trm_status trm_batches_plan(const trm_run *run, const trm_rows *rows, const trm_batches *batches,
                            const trm_mine_options *options, trm_mine_summary *summary, trm_error *err)
{
    trm_mine_options own = *options;
    trm_status status = TRM_OK;
    const int64_t beside = bytes_beside(run, rows, batches, options),
                  most = largest_round(batches, options, rows->dim),
                  fetching = beside + bytes_of_fetching(rows->dim, most);
    own.reserve = beside + bytes_of_mining(batches, options, rows->dim, most);
    if (batches->count > 0)
        status = plan_largest(run, batches, &own, rows->dim, summary, err);
    if (fetching > summary->memory_bytes)
        summary->memory_bytes = fetching;
    if (status == TRM_OK && fetching > run->mem_per_rank)
        status = trm_run_refuse(run, "the job needs at least", fetching, err);
    status = trm_agree(run->comm, status, err);
    MPI_Allreduce(MPI_IN_PLACE, &summary->memory_bytes, 1, MPI_INT64_T, MPI_MAX, run->comm);
    summary->panels = 1;
    return status;
}

/* ---- lists ---- */

/* Not collective. */
static trm_status check_list(const job *j, trm_error *err)
{
    const trm_batches *batches = j->batches;
    const int64_t total = trm_given_total(j->given);
    for (int64_t b = 0; b < batches->count; b++) {
        const int64_t number = j->first + b, from = batches->start[b], to = batches->start[b + 1];
        if (from >= to)
            return trm_fail(err, TRM_ERR_DATA, "batch %" PRId64 ": has no rows", number);
        for (int64_t i = from; i < to; i++) {
            const int64_t id = batches->row[i];
            if (id < 0 || id >= total)
                return trm_fail(err, TRM_ERR_DATA,
                                "batch %" PRId64 ": %" PRId64 " is not a row id, which go from 0 to %" PRId64,
                                number, id, total - 1);
            if (i > from && id == batches->row[i - 1])
                return trm_fail(err, TRM_ERR_DATA, "batch %" PRId64 ": row %" PRId64 " is in it twice",
                                number, id);
            if (i > from && id < batches->row[i - 1])
                return trm_fail(err, TRM_ERR_DATA,
                                "batch %" PRId64 ": row %" PRId64 " comes after row %" PRId64, number, id,
                                batches->row[i - 1]);
        }
    }
    return TRM_OK;
}

/* ---- rows ---- */

/* Of a row as it travels. */
static int64_t row_bytes(const job *j)
{
    return j->labels_only ? 0 : j->given->dim * (int64_t)sizeof(float);
}

/* What an owner sends: a label and a row, in order as asked. */
static trm_status answer(const job *j, int64_t asked, const int64_t *id, const int64_t *send,
                         int64_t *receive, char **rows, trm_error *err)
{
    const trm_given *given = j->given;
    const int64_t row = row_bytes(j), size = row + (int64_t)sizeof(int64_t);
    const int64_t first = given->first[given->rank];
    char *out = trm_alloc(asked, (size_t)size);
    void *received = NULL;
    trm_status status = out == NULL ? trm_fail_memory(err, "rows of batches", asked, (size_t)size) : TRM_OK;
    for (int64_t i = 0; i < asked && status == TRM_OK; i++) {
        const int64_t at = id[2 * i] - first; /* a wish is two words */
        memcpy(out + i * size, &given->label[at], sizeof *given->label);
        if (row > 0)
            memcpy(out + i * size + sizeof(int64_t), given->x + at * given->dim, (size_t)row);
    }
    status = trm_agree(given->comm, status, err);
    if (status == TRM_OK)
        status = trm_exchange_items(given->comm, out, send, (size_t)size, &received, receive, err);
    trm_free(out);
    *rows = received;
    return status;
}

/* The row ids of the batches [from, to) that no earlier run has finished, one after the other; wishes NULL: only how
 * many they are. */
static int64_t wish_for(const job *j, int64_t from, int64_t to, wish *wishes)
{
    int64_t count = 0;
    for (int64_t b = from; b < to; b++) {
        if (trm_batch_checkpoint_has(&j->checkpoint, b))
            continue;
        for (int64_t i = j->batches->start[b]; i < j->batches->start[b + 1]; i++, count++)
            if (wishes != NULL)
                wishes[count] = (wish){j->batches->row[i], count};
    }
    return count;
}

/* Room for so many rows of a round. */
static trm_status make_places(job *j, int64_t count, trm_error *err)
{
    const int64_t row = row_bytes(j);
    j->x = trm_alloc(count * row / (int64_t)sizeof *j->x, sizeof *j->x);
    j->label = trm_alloc(count, sizeof *j->label);
    return j->x != NULL && j->label != NULL
               ? TRM_OK
               : trm_fail_memory(err, "rows of batches", count, (size_t)row + sizeof *j->label);
}

/* Brings these rows to this rank. Collective. */
static trm_status fetch(job *j, int64_t from, int64_t to, trm_error *err)
{
    const int64_t count = wish_for(j, from, to, NULL);
    const int64_t row = row_bytes(j), size = row + (int64_t)sizeof(int64_t);
    wish *wishes = trm_alloc(count, sizeof *wishes);
    int64_t *counts = trm_alloc(3 * (int64_t)j->run->ranks, sizeof *counts), asked = 0;
    void *questions = NULL;
    char *rows = NULL;
    trm_status status = TRM_OK;
    if (wishes == NULL || counts == NULL)
        status = trm_fail_memory(err, "rows of batches", count, sizeof *wishes);
    status = trm_agree(j->run->comm, status, err);
    if (status == TRM_OK)
        wish_for(j, from, to, wishes);
    int64_t *const send = counts, *const receive = send + j->run->ranks,
                   *const back = receive + j->run->ranks;
    if (status == TRM_OK)
        status = trm_given_route(j->given, wishes, count, sizeof *wishes, send, &questions, receive, err);
    for (int r = 0; r < j->run->ranks && status == TRM_OK; r++)
        asked += receive[r];
    if (status == TRM_OK)
        status = answer(j, asked, questions, receive, back, &rows, err);
    if (status == TRM_OK) /* what was sent is gone */
        status = trm_agree(j->run->comm, make_places(j, count, err), err);
    for (int64_t i = 0; i < count && status == TRM_OK; i++) {
        memcpy(&j->label[wishes[i].place], rows + i * size, sizeof *j->label);
        if (row > 0)
            memcpy(j->x + wishes[i].place * j->given->dim, rows + i * size + sizeof(int64_t), (size_t)row);
    }
    trm_free(rows);
    trm_free(questions);
    trm_free(counts);
    trm_free(wishes);
    return status;
}

/* ---- one batch ---- */

static int compare_triplets(const void *a, const void *b)
{
    const trm_triplet *x = a, *y = b;
    if (x->anchor != y->anchor)
        return x->anchor < y->anchor ? -1 : 1;
    if (x->positive != y->positive)
        return x->positive < y->positive ? -1 : 1;
    return x->negative < y->negative ? -1 : x->negative > y->negative;
}

static trm_status append(job *j, const trm_triplet *triplets, int64_t count, trm_error *err)
{
    return trm_triplets_append(&j->triplets, &j->count, &j->room, triplets, count, err);
}

/* A trm_triplet_fn. */
static trm_status collect(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    return append(context, *triplets, count, err);
}

enum { COUNTS = 21 + TRM_FILTERS, SECONDS = 5 };

/* What is counted, and added up over batches and ranks. */
static void counts_of(trm_mine_summary *s, int64_t *count[COUNTS])
{
    int64_t *const counts[] = {&s->anchors.total,
                               &s->anchors.valid,
                               &s->anchors.no_positive,
                               &s->anchors.no_negative,
                               &s->positive_pairs,
                               &s->triplets.total,
                               &s->triplets.semihard,
                               &s->triplets.fallback,
                               &s->triplets.skipped,
                               &s->set_size,
                               &s->filters.short_anchors,
                               &s->certify.elements,
                               &s->certify.survivors,
                               &s->certify.float64,
                               &s->certify_positives.elements,
                               &s->certify_positives.survivors,
                               &s->certify_positives.float64,
                               &s->stages.after[0],
                               &s->stages.after[1],
                               &s->stages_positives.after[0],
                               &s->stages_positives.after[1]};
    memcpy(count, counts, sizeof counts);
    for (int f = 0; f < TRM_FILTERS; f++)
        count[COUNTS - TRM_FILTERS + f] = &s->filters.removed[f];
}

static void seconds_of(trm_mine_summary *s, double *second[SECONDS])
{
    double *const seconds[] = {&s->arrange_s, &s->positives_s, &s->negatives_s, &s->answers_s, &s->prepare_s};
    memcpy(second, seconds, sizeof seconds);
}

static void add_summary(trm_mine_summary *all, trm_mine_summary *one)
{
    int64_t *count[COUNTS], *more[COUNTS];
    double *second[SECONDS], *longer[SECONDS];
    counts_of(all, count);
    counts_of(one, more);
    seconds_of(all, second);
    seconds_of(one, longer);
    for (int i = 0; i < COUNTS; i++)
        *count[i] += *more[i];
    for (int i = 0; i < SECONDS; i++)
        *second[i] += *longer[i];
    all->memory_bytes = one->memory_bytes > all->memory_bytes ? one->memory_bytes : all->memory_bytes;
}

/* Totals for the checkpoint: what this rank and, on rank 0, earlier runs counted. */
static void give_totals(void *context, int64_t *words)
{
    job *j = context;
    int64_t *count[COUNTS], *earlier[COUNTS];
    counts_of(j->summary, count);
    counts_of(&j->earlier, earlier);
    for (int i = 0; i < COUNTS; i++)
        words[i] = *count[i] + *earlier[i];
}

static void take_totals(void *context, const int64_t *words)
{
    job *j = context;
    int64_t *earlier[COUNTS];
    counts_of(&j->earlier, earlier);
    for (int i = 0; i < COUNTS; i++)
        *earlier[i] += words[i];
}

static trm_status check_labels(const job *j, int64_t batch, const int64_t *label, trm_error *err)
{
    char text[TRM_ROWS_LABEL];
    const int64_t first = j->batches->start[batch], count = j->batches->start[batch + 1] - first;
    for (int64_t i = 0; i < count; i++)
        if (trm_rows_ignore(j->rows, label[i]))
            return trm_fail(err, TRM_ERR_DATA, "row %" PRId64 " has the label %s, which is to be ignored",
                            j->batches->row[first + i], trm_rows_label(j->rows, label[i], text));
    return TRM_OK;
}

static trm_status name_batch(const job *j, int64_t batch, const trm_error *why, trm_error *err)
{
    return trm_fail(err, why->status, "batch %" PRId64 ": %s", j->first + batch, why->text);
}

/* from: the place of its rows in the round. */
static trm_status mine_batch(job *j, int64_t batch, int64_t from, trm_error *err)
{
    const int64_t first = j->batches->start[batch], count = j->batches->start[batch + 1] - first;
    const int64_t before = j->count;
    trm_rows *rows = NULL;
    trm_mine_summary one = {0};
    trm_mine_part part = {0};
    trm_status status = check_labels(j, batch, j->label + from, err);
    if (status == TRM_OK)
        status = trm_rows_create(j->alone, count, j->given->dim, j->x + from * j->given->dim, j->label + from,
                                 0, NULL, &rows, err);
    if (status == TRM_OK) {
        trm_mine_options own = *j->options;
        own.seed = trm_batches_seed(j->options->seed, j->first + batch);
        trm_rows_rename(rows, j->batches->row + first);
        status = trm_mine(j->alone, rows, &own, collect, j, &one, &part, err);
    }
    trm_rows_destroy(&rows);
    if (status != TRM_OK)
        return status;
    const int64_t found = j->count - before;
    trm_triplet *triplets = found > 0 ? j->triplets + before : NULL; /* there may be no array yet */
    if (one.panels > 1 && found > 0)                                 /* each was sorted */
        qsort(triplets, (size_t)found, sizeof *triplets, compare_triplets);
    add_summary(j->summary, &one);
    return trm_batch_checkpoint_add(&j->checkpoint, batch, triplets, found, err);
}

/* What an earlier run found in it. */
static trm_status take_batch(job *j, int64_t batch, trm_error *err)
{
    int64_t count = 0;
    if (j->checkpoint.pass == TRM_BATCHES_COUNT)
        return TRM_OK;
    const trm_triplet *kept = trm_batch_checkpoint_triplets(&j->checkpoint, batch, &count);
    return append(j, kept, count, err);
}

/* ---- the whole ---- */

static void tell_progress(job *j, bool reused)
{
    const double all = (double)j->batches->count;
    j->done++;
    j->reused += reused;
    if (j->run->progress != NULL)
        j->run->progress(j->run->progress_context,
                         j->checkpoint.pass == TRM_BATCHES_COUNT ? "batches, counting" : "batches",
                         (double)j->done / all, (double)j->reused / all);
}

static trm_status mine_round(job *j, int64_t from, int64_t to, trm_error *err)
{
    trm_status status = TRM_OK;
    int64_t place = 0;
    for (int64_t b = from; b < to && status == TRM_OK; b++) {
        trm_error why = TRM_ERROR_INIT;
        const int64_t before = j->count;
        const bool had = trm_batch_checkpoint_has(&j->checkpoint, b);
        status = had ? take_batch(j, b, &why) : mine_batch(j, b, place, &why);
        if (status != TRM_OK)
            return name_batch(j, b, &why, err);
        place += had ? 0 : j->batches->start[b + 1] - j->batches->start[b];
        for (int64_t i = before; i < j->count; i++)
            trm_hash_sum_add_keyed(&j->hash, j->first + b, &j->triplets[i], offsetof(trm_triplet, rank));
        if (j->batches->triplets != NULL)
            j->batches->triplets[b + 1] = j->emitted + j->count;
        tell_progress(j, had);
    }
    return status;
}

/* Fetches, mines and hands on. Collective, also for ranks that have no batches left. */
static trm_status run_round(job *j, int64_t from, int64_t to, trm_error *err)
{
    double start = trm_clock();
    trm_status status = fetch(j, from, to, err);
    if (status == TRM_OK)
        status = trm_batch_checkpoint_load(&j->checkpoint, from, to, err);
    j->wait_s += trm_clock() - start;
    start = trm_clock();
    if (status == TRM_OK)
        status = trm_agree(j->run->comm, mine_round(j, from, to, err), err);
    trm_free(j->x);
    trm_free(j->label);
    j->x = NULL;
    j->label = NULL;
    j->compute_s += trm_clock() - start;
    if (status != TRM_OK)
        return status;
    const int64_t count = j->count;
    trm_triplet *triplets = trm_shrink(j->triplets, count, sizeof *triplets);
    j->emitted += count;
    j->triplets = NULL;
    j->count = j->room = 0;
    status = j->emit != NULL ? j->emit(j->context, &triplets, count, err) : TRM_OK;
    trm_free(triplets);
    status = trm_agree(j->run->comm, status, err);
    return status == TRM_OK ? trm_batch_checkpoint_pause(&j->checkpoint, to, err) : status;
}

/* As many rounds as the rank with most batches has; most: rows that one has room for. Collective. */
static trm_status each_round(job *j, int64_t most, trm_status (*round)(job *, int64_t, int64_t, trm_error *),
                             trm_error *err)
{
    trm_status status = TRM_OK;
    for (int64_t from = 0, to; status == TRM_OK; from = to) {
        int64_t left = j->batches->count - from;
        MPI_Allreduce(MPI_IN_PLACE, &left, 1, MPI_INT64_T, MPI_MAX, j->run->comm);
        if (left == 0)
            break;
        to = end_of_round(j->batches, most, from);
        status = round(j, from, to, err);
    }
    return status;
}

static int compare_labels(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Finds the most rows of one class. */
static trm_status look_at_round(job *j, int64_t from, int64_t to, trm_error *err)
{
    trm_status status = fetch(j, from, to, err);
    trm_status bad = TRM_OK;
    for (int64_t b = from; b < to && status == TRM_OK && bad == TRM_OK; b++) {
        trm_error why = TRM_ERROR_INIT;
        int64_t *const label = j->label + j->batches->start[b] - j->batches->start[from];
        const int64_t count = j->batches->start[b + 1] - j->batches->start[b];
        if (check_labels(j, b, label, &why) != TRM_OK)
            bad = name_batch(j, b, &why, err);
        qsort(label, (size_t)count, sizeof *label, compare_labels);
        for (int64_t i = 0, run = 0; i < count; i++) {
            run = i > 0 && label[i] == label[i - 1] ? run + 1 : 1;
            j->batches->most = run > j->batches->most ? run : j->batches->most;
        }
    }
    trm_free(j->x);
    trm_free(j->label);
    j->x = NULL;
    j->label = NULL;
    return status == TRM_OK ? trm_agree(j->run->comm, bad, err) : status;
}

trm_status trm_batches_look(const trm_run *run, const trm_rows *rows, const trm_given *given,
                            trm_batches *batches, trm_error *err)
{
    const int64_t most = ROUND_BYTES / bytes_of_fetching(0, 1);
    job j = {.run = run,
             .rows = rows,
             .given = given,
             .batches = batches,
             .labels_only = true,
             .first = trm_prefix_int64(run->comm, batches->count)};
    batches->most = 0;
    trm_status status = trm_agree(run->comm, check_list(&j, err), err);
    if (status == TRM_OK)
        status = each_round(&j, most, look_at_round, err);
    MPI_Allreduce(MPI_IN_PLACE, &batches->most, 1, MPI_INT64_T, MPI_MAX, run->comm);
    return status;
}

static int64_t elements_of(const trm_mine_summary *s)
{
    return s->certify.elements + s->certify_positives.elements;
}

/* Sums over the ranks. */
static void total(job *j, trm_mine_part *part)
{
    trm_mine_summary *s = j->summary;
    MPI_Comm comm = j->run->comm;
    int64_t *count[COUNTS], sums[COUNTS];
    double *second[SECONDS], most[SECONDS];
    if (part != NULL)
        *part = (trm_mine_part){s->anchors.total, j->emitted, j->compute_s, j->wait_s};
    s->reused = trm_sum_int64(comm, j->counted + elements_of(&j->earlier));
    add_summary(s, &j->earlier);
    counts_of(s, count);
    seconds_of(s, second);
    for (int i = 0; i < COUNTS; i++)
        sums[i] = *count[i];
    for (int i = 0; i < SECONDS; i++)
        most[i] = *second[i];
    MPI_Allreduce(MPI_IN_PLACE, sums, COUNTS, MPI_INT64_T, MPI_SUM, comm);
    MPI_Allreduce(MPI_IN_PLACE, most, SECONDS, MPI_DOUBLE, MPI_MAX, comm);
    for (int i = 0; i < COUNTS; i++)
        *count[i] = sums[i];
    for (int i = 0; i < SECONDS; i++)
        *second[i] = most[i];
    MPI_Allreduce(MPI_IN_PLACE, &s->memory_bytes, 1, MPI_INT64_T, MPI_MAX, comm);
    s->anchors.ignored = j->rows->store_rows - j->rows->total;
    s->classes = j->rows->classes;
    s->panels = 1;
    s->chains[0].elements = s->certify.elements; /* a batch is too small for a choice */
    snprintf(s->chains[0].name, sizeof s->chains[0].name, "%s", j->run->kernel->name);
    trm_merge_hash_sum(comm, &j->hash);
    trm_hash_sum_text(&j->hash, s->result_hash);
}

/* Where a set is to be listed: counts it in all batches first, and refuses too many; then nothing of it stays.
 * Collective. */
static trm_status count_sets(job *j, int64_t most, trm_error *err)
{
    trm_mine_options counting = *j->options;
    const trm_mine_options *listing = j->options;
    const trm_triplet_fn emit = j->emit;
    int64_t *const triplets = j->batches->triplets;
    counting.emit_sets = false;
    j->options = &counting;
    j->emit = NULL;
    j->batches->triplets = NULL;
    trm_status status = each_round(j, most, run_round, err);
    j->options = listing;
    j->emit = emit;
    j->batches->triplets = triplets;
    if (status == TRM_OK)
        status = trm_negatives_check_listed(
            listing, trm_sum_int64(j->run->comm, j->summary->set_size + j->earlier.set_size), err);
    j->counted = elements_of(&j->earlier);
    *j->summary = j->earlier = (trm_mine_summary){0};
    j->hash = (trm_hash_sum)TRM_HASH_SUM_INIT;
    j->done = j->reused = j->emitted = 0;
    trm_batch_checkpoint_next(&j->checkpoint, TRM_BATCHES_MINE);
    return status;
}

trm_status trm_batches_mine(const trm_run *run, const trm_rows *rows, const trm_given *given,
                            trm_batches *batches, const trm_mine_options *options, trm_triplet_fn emit,
                            void *context, trm_mine_summary *summary, trm_mine_part *part, trm_error *err)
{
    trm_mine_options own = *options;
    own.reserve = bytes_beside(run, rows, batches, options) +
                  bytes_of_mining(batches, options, rows->dim, largest_round(batches, options, rows->dim));
    job j = {.run = run,
             .rows = rows,
             .given = given,
             .batches = batches,
             .options = &own,
             .summary = summary,
             .emit = emit,
             .context = context,
             .first = trm_prefix_int64(run->comm, batches->count)};
    const bool singly = run->checkpoint != NULL && run->checkpoint->unit_tiles > 0;
    const int64_t most = singly ? 0 : rows_a_round(batches, &own, given->dim);
    const trm_totals totals = {COUNTS, give_totals, take_totals, &j};
    *summary = (trm_mine_summary){0};
    trm_status status = check_list(&j, err);
    if (status == TRM_OK)
        status = begin_alone(run, batches, given->dim, &j.alone, err);
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK)
        status = trm_batch_checkpoint_init(
            &j.checkpoint, run, batches, lists_set(&own) ? TRM_BATCHES_COUNT : TRM_BATCHES_MINE, totals, err);
    if (status == TRM_OK && j.checkpoint.pass == TRM_BATCHES_COUNT)
        status = count_sets(&j, most, err);
    if (status == TRM_OK)
        status = each_round(&j, most, run_round, err);
    if (status == TRM_OK)
        status = trm_batch_checkpoint_end(&j.checkpoint, err);
    if (status == TRM_OK)
        total(&j, part);
    trm_free(j.triplets);
    trm_batch_checkpoint_free(&j.checkpoint);
    trm_run_destroy(&j.alone);
    return status;
}
