/* The state of a job in batches, saved and taken up again; see batch_checkpoint.h. */
#include "mine/batch_checkpoint.h"

#include "base/alloc.h"
#include "base/hash_sum.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <inttypes.h>
#include <string.h>

/* The part "job": which batches these are, and where the job was. */
enum { JOB_LAYOUT, JOB_PASS, JOB_PIECES, JOB_BATCHES, JOB_HASH, JOB_WORDS = JOB_HASH + 4 };
enum { LAYOUT = 2, RANGE_WORDS = 2, MINED_WORDS = 2, TRIPLET_WORDS = 7 };
enum { PIECE_TRIPLETS = 1 << 19 }; /* that a rank lets wait: 29 MB */
enum { WISH_FULL = 1 << 8, WISH_ANY = 1 << 9 };

int64_t trm_batch_checkpoint_bytes(int64_t batches, int64_t triplets, int64_t round)
{
    const int64_t many = PIECE_TRIPLETS + round, waiting = triplets < many ? triplets : many;
    return batches * (int64_t)(sizeof(trm_batch_kept) + 2 * MINED_WORDS * sizeof(int64_t)) +
           (waiting * 5 / 2 + round) * (int64_t)sizeof(trm_triplet); /* the array grows by half */
}

/* Which rows are in which batch, as four words. Collective. */
static void hash_batches(const trm_batch_checkpoint *checkpoint, int64_t words[4])
{
    const trm_batches *batches = checkpoint->batches;
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    char text[33];
    for (int64_t b = 0; b < batches->count; b++)
        trm_hash_sum_add_keyed(&hash, checkpoint->first + b, batches->row + batches->start[b],
                               (size_t)(batches->start[b + 1] - batches->start[b]) * sizeof *batches->row);
    trm_merge_hash_sum(checkpoint->run->comm, &hash);
    trm_hash_sum_text(&hash, text);
    memcpy(words, text, 4 * sizeof *words);
}

bool trm_batch_checkpoint_has(const trm_batch_checkpoint *checkpoint, int64_t batch)
{
    return checkpoint->kept != NULL && checkpoint->kept[batch].finished;
}

/* ---- saving ---- */

trm_status trm_triplets_append(trm_triplet **list, int64_t *used, int64_t *room, const trm_triplet *triplets,
                               int64_t count, trm_error *err)
{
    if (*used + count > *room) {
        const int64_t wanted = (*used + count) * 3 / 2;
        trm_triplet *larger = trm_grown(*list, *used, wanted, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "triplets of batches", wanted, sizeof *larger);
        *list = larger;
        *room = wanted;
    }
    if (count > 0)
        memcpy(*list + *used, triplets, (size_t)count * sizeof *triplets);
    *used += count;
    return TRM_OK;
}

trm_status trm_batch_checkpoint_add(trm_batch_checkpoint *checkpoint, int64_t batch,
                                    const trm_triplet *triplets, int64_t count, trm_error *err)
{
    if (!checkpoint->keeps || checkpoint->pass == TRM_BATCHES_COUNT)
        return TRM_OK;
    if (checkpoint->mined_words + MINED_WORDS > checkpoint->mined_room) {
        const int64_t room = 2 * (checkpoint->mined_words + MINED_WORDS);
        int64_t *larger = trm_grown(checkpoint->mined, checkpoint->mined_words, room, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "the list of batches", room, sizeof *larger);
        checkpoint->mined = larger;
        checkpoint->mined_room = room;
    }
    trm_status status = trm_triplets_append(&checkpoint->triplets, &checkpoint->count, &checkpoint->room,
                                            triplets, count, err);
    if (status != TRM_OK)
        return status;
    checkpoint->mined[checkpoint->mined_words++] = checkpoint->first + batch;
    checkpoint->mined[checkpoint->mined_words++] = count;
    return TRM_OK;
}

/* What was mined since the last piece becomes one. Collective. */
static trm_status set_aside(trm_batch_checkpoint *checkpoint, trm_error *err)
{
    const trm_checkpoint *place = checkpoint->run->checkpoint;
    int64_t size[2];
    const trm_checkpoint_part part[] = {
        {"size", 2, 0, checkpoint->run->rank == 0 ? 2 : 0, size},
        trm_checkpoint_words(checkpoint->run, "batches", checkpoint->mined_words, checkpoint->mined),
        trm_checkpoint_words(checkpoint->run, "triplets", TRIPLET_WORDS * checkpoint->count,
                             checkpoint->triplets)};
    size[0] = part[1].total;
    size[1] = part[2].total;
    trm_status status = place->set_aside(place->context, checkpoint->pieces, 3, part, err);
    checkpoint->pieces++;
    checkpoint->mined_words = checkpoint->count = 0;
    return status;
}

/* The ranges of batches that are done: by this rank; and on rank 0 those of earlier runs. Returns how many words; ranges
 * NULL: only that. */
static int64_t list_done(const trm_batch_checkpoint *checkpoint, int64_t reached, int64_t *ranges)
{
    const int64_t earlier = checkpoint->run->rank == 0 ? checkpoint->earlier_words : 0;
    int64_t words = 0;
    for (int64_t b = 0, to; b < reached; b = to) {
        const bool had = trm_batch_checkpoint_has(checkpoint, b);
        for (to = b + 1; to < reached && trm_batch_checkpoint_has(checkpoint, to) == had;)
            to++;
        if (!had && ranges != NULL)
            memcpy(ranges + words, (int64_t[]){checkpoint->first + b, checkpoint->first + to},
                   RANGE_WORDS * sizeof *ranges);
        words += had ? 0 : RANGE_WORDS;
    }
    if (ranges != NULL && earlier > 0)
        memcpy(ranges + words, checkpoint->earlier, (size_t)earlier * sizeof *ranges);
    return words + earlier;
}

/* Collective. */
static trm_status save(const trm_batch_checkpoint *checkpoint, int64_t reached, bool stop, trm_error *err)
{
    const trm_checkpoint *place = checkpoint->run->checkpoint;
    const int64_t words = list_done(checkpoint, reached, NULL);
    int64_t job[JOB_WORDS] = {[JOB_LAYOUT] = LAYOUT,
                              [JOB_PASS] = checkpoint->pass,
                              [JOB_PIECES] = checkpoint->pieces,
                              [JOB_BATCHES] = checkpoint->total};
    int64_t *ranges = trm_alloc(words, sizeof *ranges);
    int64_t *totals = trm_alloc(checkpoint->totals.words, sizeof *totals);
    trm_status status = TRM_OK;
    if (ranges == NULL || totals == NULL)
        status = trm_fail_memory(err, "the checkpoint's lists", words, sizeof *ranges);
    status = trm_agree(checkpoint->run->comm, status, err);
    if (status == TRM_OK) {
        hash_batches(checkpoint, job + JOB_HASH);
        list_done(checkpoint, reached, ranges);
        checkpoint->totals.give(checkpoint->totals.context, totals);
        const trm_checkpoint_part part[] = {
            trm_checkpoint_words(checkpoint->run, "batch job", checkpoint->run->rank == 0 ? JOB_WORDS : 0,
                                 job),
            trm_checkpoint_words(checkpoint->run, "totals", checkpoint->totals.words, totals),
            trm_checkpoint_words(checkpoint->run, "finished", words, ranges)};
        status = place->save(place->context, 3, part, stop, err);
    }
    trm_free(ranges);
    trm_free(totals);
    return status;
}

/* wishes: this rank's. */
static trm_status act_on(trm_batch_checkpoint *checkpoint, int wishes, int64_t reached, trm_error *err)
{
    const trm_run *run = checkpoint->run;
    wishes |=
        (checkpoint->count >= PIECE_TRIPLETS ? WISH_FULL : 0) | (checkpoint->mined_words > 0 ? WISH_ANY : 0);
    MPI_Allreduce(MPI_IN_PLACE, &wishes, 1, MPI_INT, MPI_BOR, run->comm);
    const bool saves = checkpoint->keeps && (wishes & (TRM_WISH_SAVE | TRM_WISH_STOP)) != 0;
    const bool stop = (wishes & TRM_WISH_STOP) != 0;
    trm_status status = TRM_OK;
    if ((wishes & WISH_ANY) != 0 && (saves || (wishes & WISH_FULL) != 0))
        status = set_aside(checkpoint, err);
    if (status == TRM_OK && saves)
        status = save(checkpoint, reached, stop, err);
    return status == TRM_OK && stop ? trm_fail(err, TRM_ERR_STOPPED, "stopped on request") : status;
}

trm_status trm_batch_checkpoint_pause(trm_batch_checkpoint *checkpoint, int64_t reached, trm_error *err)
{
    const trm_checkpoint *place = checkpoint->run->checkpoint;
    return place != NULL ? act_on(checkpoint, place->wish(place->context), reached, err) : TRM_OK;
}

trm_status trm_batch_checkpoint_end(trm_batch_checkpoint *checkpoint, trm_error *err)
{
    return checkpoint->keeps && checkpoint->run->checkpoint->keeps_end
               ? act_on(checkpoint, TRM_WISH_SAVE, checkpoint->batches->count, err)
               : TRM_OK;
}

/* ---- going on ---- */

/* Notes which of this rank's batches are finished. */
static bool mark_finished(trm_batch_checkpoint *checkpoint)
{
    const int64_t first = checkpoint->first, end = first + checkpoint->batches->count;
    for (int64_t i = 0; i < checkpoint->earlier_words; i += RANGE_WORDS) {
        const int64_t from = checkpoint->earlier[i], to = checkpoint->earlier[i + 1];
        if (from < 0 || to < from || to > checkpoint->total)
            return false;
        for (int64_t b = from > first ? from : first; b < to && b < end; b++) {
            if (checkpoint->kept[b - first].finished)
                return false;
            checkpoint->kept[b - first] = (trm_batch_kept){.finished = true, .piece = -1};
        }
    }
    return true;
}

/* Notes where the triplets of this rank's batches are in a piece, whose list this is. */
static bool mark_kept(trm_batch_checkpoint *checkpoint, int64_t piece, int64_t words, const int64_t *list)
{
    const int64_t first = checkpoint->first, end = first + checkpoint->batches->count;
    for (int64_t i = 0, at = 0; i < words; at += list[i + 1], i += MINED_WORDS) {
        if (list[i] < first || list[i] >= end)
            continue;
        trm_batch_kept *kept = &checkpoint->kept[list[i] - first];
        if (!kept->finished || kept->piece >= 0)
            return false;
        kept->piece = piece;
        kept->first = at;
        kept->count = list[i + 1];
    }
    return true;
}

static trm_status look_into_piece(trm_batch_checkpoint *checkpoint, int64_t piece, trm_error *err)
{
    const trm_checkpoint *place = checkpoint->run->checkpoint;
    int64_t *list = NULL, size[2];
    const trm_checkpoint_part part = {"size", 2, 0, 2, size};
    trm_status status = place->load(place->context, piece, 1, &part, err);
    if (status == TRM_OK)
        status = trm_checkpoint_load_whole(checkpoint->run, piece, "batches", size[0], &list, err);
    if (status == TRM_OK && !mark_kept(checkpoint, piece, size[0], list))
        status =
            trm_fail(err, TRM_ERR_DATA, "checkpoint: piece %" PRId64 " is of another run of the job", piece);
    trm_free(list);
    return trm_agree(checkpoint->run->comm, status, err);
}

/* What is finished, and where it is. Collective. */
static trm_status take_finished(trm_batch_checkpoint *checkpoint, trm_error *err)
{
    const int64_t count = checkpoint->batches->count;
    trm_status status = trm_checkpoint_load_list(checkpoint->run, "finished", RANGE_WORDS,
                                                 &checkpoint->earlier, &checkpoint->earlier_words, err);
    if (status != TRM_OK)
        return status;
    checkpoint->kept = trm_alloc_zero(count, sizeof *checkpoint->kept);
    if (checkpoint->kept == NULL)
        status = trm_fail_memory(err, "finished batches", count, sizeof *checkpoint->kept);
    else if (!mark_finished(checkpoint))
        status = trm_fail(err, TRM_ERR_DATA, "checkpoint: array 'finished' names a batch twice or none");
    status = trm_agree(checkpoint->run->comm, status, err);
    for (int64_t piece = 0; piece < checkpoint->pieces && status == TRM_OK; piece++)
        status = look_into_piece(checkpoint, piece, err);
    if (status != TRM_OK || checkpoint->pass == TRM_BATCHES_COUNT)
        return status;
    bool all = true;
    for (int64_t b = 0; b < count; b++)
        all = all && (!checkpoint->kept[b].finished || checkpoint->kept[b].piece >= 0);
    if (!all)
        status = trm_fail(err, TRM_ERR_DATA, "checkpoint: a piece of the finished work is missing");
    return trm_agree(checkpoint->run->comm, status, err);
}

static trm_status take_up(trm_batch_checkpoint *checkpoint, trm_error *err)
{
    const trm_run *run = checkpoint->run;
    const trm_checkpoint *place = run->checkpoint;
    int64_t job[JOB_WORDS], hash[4], *totals = NULL, count = 0;
    const int64_t words = checkpoint->totals.words;
    const trm_checkpoint_part part = {"batch job", JOB_WORDS, 0, JOB_WORDS, job};
    trm_status status = place->load(place->context, TRM_CHECKPOINT_STATE, 1, &part, err);
    if (status != TRM_OK)
        return status;
    hash_batches(checkpoint, hash);
    if (job[JOB_LAYOUT] != LAYOUT)
        return trm_fail(err, TRM_ERR_DATA, "checkpoint: is of another job or another version");
    if (job[JOB_BATCHES] != checkpoint->total || memcmp(job + JOB_HASH, hash, sizeof hash) != 0)
        return trm_fail(err, TRM_ERR_DATA, "checkpoint: is of other batches");
    checkpoint->pass = (trm_batch_pass)job[JOB_PASS];
    checkpoint->pieces = job[JOB_PIECES];
    status = take_finished(checkpoint, err);
    if (status == TRM_OK)
        status = trm_checkpoint_load_list(checkpoint->run, "totals", words, &totals, &count, err);
    for (int64_t i = 0; i < count && status == TRM_OK && run->rank == 0; i += words)
        checkpoint->totals.take(checkpoint->totals.context, totals + i);
    trm_free(totals);
    return status;
}

trm_status trm_batch_checkpoint_init(trm_batch_checkpoint *checkpoint, const trm_run *run,
                                     const trm_batches *batches, trm_batch_pass pass, trm_totals totals,
                                     trm_error *err)
{
    const trm_checkpoint *place = run->checkpoint;
    *checkpoint = (trm_batch_checkpoint){.run = run,
                                         .batches = batches,
                                         .first = trm_prefix_int64(run->comm, batches->count),
                                         .total = trm_sum_int64(run->comm, batches->count),
                                         .totals = totals,
                                         .pass = pass,
                                         .keeps = place != NULL && place->save != NULL};
    return checkpoint->keeps && place->resumes ? take_up(checkpoint, err) : TRM_OK;
}

void trm_batch_checkpoint_next(trm_batch_checkpoint *checkpoint, trm_batch_pass pass)
{
    trm_free(checkpoint->kept);
    trm_free(checkpoint->earlier);
    checkpoint->kept = NULL;
    checkpoint->earlier = NULL;
    checkpoint->earlier_words = checkpoint->pieces = 0;
    checkpoint->pass = pass;
}

/* The first batch of [from, to) whose triplets are in that piece or a later one; the smallest such piece. */
static int64_t next_piece(const trm_batch_checkpoint *checkpoint, int64_t from, int64_t to, int64_t piece)
{
    int64_t next = INT64_MAX;
    for (int64_t b = from; b < to; b++)
        if (trm_batch_checkpoint_has(checkpoint, b) && checkpoint->kept[b].piece >= piece &&
            checkpoint->kept[b].piece < next)
            next = checkpoint->kept[b].piece;
    MPI_Allreduce(MPI_IN_PLACE, &next, 1, MPI_INT64_T, MPI_MIN, checkpoint->run->comm);
    return next;
}

/* Those of one piece, one stretch of it, to place at of what is loaded; *count: how many. Collective. */
static trm_status load_stretch(trm_batch_checkpoint *checkpoint, int64_t from, int64_t to, int64_t piece,
                               int64_t at, int64_t *count, trm_error *err)
{
    const trm_checkpoint *place = checkpoint->run->checkpoint;
    int64_t size[2], first = 0;
    const trm_checkpoint_part about = {"size", 2, 0, 2, size};
    *count = 0;
    for (int64_t b = from; b < to; b++) {
        trm_batch_kept *kept = &checkpoint->kept[b];
        if (!kept->finished || kept->piece != piece)
            continue;
        first = *count == 0 ? kept->first : first;
        kept->at = at + *count;
        *count += kept->count;
    }
    trm_status status = place->load(place->context, piece, 1, &about, err);
    if (status != TRM_OK)
        return status;
    const trm_checkpoint_part part = {"triplets", size[1], TRIPLET_WORDS * first, TRIPLET_WORDS * *count,
                                      checkpoint->loaded + at};
    return place->load(place->context, piece, 1, &part, err);
}

trm_status trm_batch_checkpoint_load(trm_batch_checkpoint *checkpoint, int64_t from, int64_t to,
                                     trm_error *err)
{
    int64_t all = 0;
    trm_status status = TRM_OK;
    if (checkpoint->kept == NULL || checkpoint->pass == TRM_BATCHES_COUNT) /* so on all ranks */
        return TRM_OK;
    for (int64_t b = from; b < to; b++)
        all += trm_batch_checkpoint_has(checkpoint, b) ? checkpoint->kept[b].count : 0;
    trm_free(checkpoint->loaded);
    checkpoint->loaded = trm_alloc(all, sizeof *checkpoint->loaded);
    if (checkpoint->loaded == NULL)
        status = trm_fail_memory(err, "kept triplets", all, sizeof *checkpoint->loaded);
    status = trm_agree(checkpoint->run->comm, status, err);
    int64_t at = 0, count = 0;
    for (int64_t piece = 0; status == TRM_OK; piece++, at += count) {
        piece = next_piece(checkpoint, from, to, piece);
        if (piece == INT64_MAX)
            break;
        status = load_stretch(checkpoint, from, to, piece, at, &count, err);
    }
    return status;
}

const trm_triplet *trm_batch_checkpoint_triplets(const trm_batch_checkpoint *checkpoint, int64_t batch,
                                                 int64_t *count)
{
    const trm_batch_kept *kept = &checkpoint->kept[batch];
    *count = kept->count;
    return kept->count > 0 ? checkpoint->loaded + kept->at : NULL;
}

void trm_batch_checkpoint_free(trm_batch_checkpoint *checkpoint)
{
    trm_free(checkpoint->kept);
    trm_free(checkpoint->earlier);
    trm_free(checkpoint->loaded);
    trm_free(checkpoint->mined);
    trm_free(checkpoint->triplets);
    *checkpoint = (trm_batch_checkpoint){.run = NULL};
}
