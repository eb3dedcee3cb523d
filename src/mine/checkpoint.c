/* A job's state, saved and taken up again; see checkpoint.h. */
#include "mine/checkpoint.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The part "job": where the job was. */
enum { JOB_LAYOUT, JOB_PHASE, JOB_PLACE, JOB_PIECES, JOB_ROWS, JOB_WORDS };
enum {
    LAYOUT = 6,
    SWEEP_COUNTS = 3 + TRM_STAGES,
    COUNTS = 2 * SWEEP_COUNTS,
    RECTANGLE_WORDS = 4,
    PLACES_WORDS = 2,
    TRIPLET_WORDS = 7,
    OWN_PARTS = 2,
    EXTRAS = 3
};
enum { PARTS_MAX = 5 + 2 * TRM_FIELDS + OWN_PARTS + EXTRAS };

/* ---- arrays over anchors ---- */

/* A field; whole: of all this team's shard, else of this member's share of it. Collective. */
static trm_checkpoint_part part_of(const trm_mine_checkpoint *checkpoint, const trm_state *state, int f,
                                   bool whole)
{
    const trm_rows *rows = checkpoint->anchors->rows;
    const trm_field *field = &state->type->field[f];
    const int64_t words = (int64_t)field->bytes / 8, *offset = state->offset[field->shape];
    MPI_Comm comm = checkpoint->anchors->run->comm;
    int64_t from, to;
    trm_share(rows->count, rows->member, rows->replicate, &from, &to);
    const int64_t share = offset[to] - offset[from];
    const int64_t total = trm_sum_int64(comm, share), first = trm_prefix_int64(comm, share);
    trm_checkpoint_part part = {
        .name = field->name, .total = total * words, .first = first * words, .count = share * words};
    part.words = (char *)state->field[f] + offset[from] * words * 8;
    if (whole) {
        part.first -= offset[from] * words;
        part.count = offset[state->rows] * words;
        part.words = state->field[f];
    }
    return part;
}

/* All fields of a kind; returns how many. */
static int parts_of(const trm_mine_checkpoint *checkpoint, const trm_state *state, trm_field_kind kind,
                    bool whole, trm_checkpoint_part *part)
{
    int parts = 0;
    for (int f = 0; f < state->type->fields; f++)
        if (state->type->field[f].kind == kind)
            part[parts++] = part_of(checkpoint, state, f, whole);
    return parts;
}

/* ---- which anchors ---- */

/* The places of this shard's rows in panels [from, to), as a list of this team's in new memory, or NULL.
 * Member 0 of each team has them. */
static trm_places *places_of(const trm_mine_checkpoint *checkpoint, int64_t from, int64_t to, int64_t *count)
{
    const trm_rows *rows = checkpoint->anchors->rows;
    const int64_t *panel_of = checkpoint->anchors->panel_of;
    trm_places *places = NULL;
    for (int pass = 0; pass < 2; pass++) {
        bool inside = false;
        *count = 0;
        for (int64_t row = 0; row < rows->count && rows->member == 0; row++) {
            const bool was = inside;
            inside = panel_of[row] >= from && panel_of[row] < to;
            *count += inside && !was;
            if (pass == 1 && inside && !was)
                places[*count - 1].from = rows->first + row;
            if (pass == 1 && inside)
                places[*count - 1].to = rows->first + row + 1;
        }
        if (pass == 0)
            places = trm_alloc(*count, sizeof *places);
        if (places == NULL)
            break;
    }
    return places;
}

trm_checkpoint_part trm_checkpoint_words(const trm_run *run, const char *name, int64_t count, void *words)
{
    return (trm_checkpoint_part){name, trm_sum_int64(run->comm, count), trm_prefix_int64(run->comm, count),
                                 count, words};
}

static trm_checkpoint_part places_part(const trm_mine_checkpoint *checkpoint, const char *name,
                                       trm_places *places, int64_t count)
{
    return trm_checkpoint_words(checkpoint->anchors->run, name, PLACES_WORDS * count, places);
}

/* ---- saving ---- */

static void words_of(trm_sweep_counts *counts, int64_t *word[SWEEP_COUNTS])
{
    int64_t *const words[] = {&counts->elements, &counts->survivors, &counts->float64};
    memcpy(word, words, sizeof words);
    for (int i = 0; i < TRM_STAGES; i++)
        word[3 + i] = &counts->stage_survivors[i];
}

static void give_totals(const trm_mine_checkpoint *checkpoint, int64_t *words)
{
    int64_t *positives[SWEEP_COUNTS], *negatives[SWEEP_COUNTS];
    words_of(&checkpoint->anchors->counts, positives);
    words_of(checkpoint->counts, negatives);
    for (int i = 0; i < SWEEP_COUNTS; i++) {
        words[i] = *positives[i];
        words[SWEEP_COUNTS + i] = *negatives[i];
    }
    if (checkpoint->totals.words > 0)
        checkpoint->totals.give(checkpoint->totals.context, words + COUNTS);
}

static void take_totals(trm_mine_checkpoint *checkpoint, const int64_t *words)
{
    int64_t *positives[SWEEP_COUNTS], *negatives[SWEEP_COUNTS];
    words_of(&checkpoint->anchors->counts, positives);
    words_of(checkpoint->counts, negatives);
    checkpoint->reused += words[0] + words[SWEEP_COUNTS];
    for (int i = 0; i < SWEEP_COUNTS; i++) {
        *positives[i] += words[i];
        *negatives[i] += words[SWEEP_COUNTS + i];
    }
    if (checkpoint->totals.words > 0)
        checkpoint->totals.take(checkpoint->totals.context, words + COUNTS);
}

/* What a checkpoint has that is not the state itself. */
typedef struct trm_lists {
    int64_t *totals;
    trm_places *finished, *begun;
    int64_t finished_count, begun_count;
} trm_lists;

static void free_lists(trm_lists *lists)
{
    trm_free(lists->totals);
    trm_free(lists->finished);
    trm_free(lists->begun);
}

static trm_status make_lists(const trm_mine_checkpoint *checkpoint, trm_lists *lists, trm_error *err)
{
    const int words = COUNTS + checkpoint->totals.words;
    trm_status status = TRM_OK;
    lists->totals = trm_alloc(words, sizeof *lists->totals);
    lists->finished = places_of(checkpoint, INT64_MIN, checkpoint->index, &lists->finished_count);
    lists->begun = places_of(checkpoint, checkpoint->index, checkpoint->index + 1, &lists->begun_count);
    if (lists->totals == NULL || lists->finished == NULL || lists->begun == NULL)
        status = trm_fail_memory(err, "the checkpoint's lists", words, sizeof *lists->totals);
    status = trm_agree(checkpoint->anchors->run->comm, status, err);
    if (status == TRM_OK)
        give_totals(checkpoint, lists->totals);
    else
        free_lists(lists);
    return status;
}

/* own: of the caller's. */
static trm_status save_with(trm_mine_checkpoint *checkpoint, const trm_done *done, int owns,
                            const trm_checkpoint_part *own, bool stop, trm_error *err)
{
    const trm_run *run = checkpoint->anchors->run;
    const int words = COUNTS + checkpoint->totals.words;
    int64_t job[JOB_WORDS] = {[JOB_LAYOUT] = LAYOUT,
                              [JOB_PHASE] = checkpoint->phase,
                              [JOB_PLACE] = checkpoint->place,
                              [JOB_PIECES] = checkpoint->pieces,
                              [JOB_ROWS] = checkpoint->anchors->rows->total};
    trm_lists lists;
    trm_status status = make_lists(checkpoint, &lists, err);
    if (status != TRM_OK)
        return status;
    trm_checkpoint_part part[PARTS_MAX];
    int parts = 0;
    part[parts++] = (trm_checkpoint_part){"job", JOB_WORDS, 0, run->rank == 0 ? JOB_WORDS : 0, job};
    part[parts++] = trm_checkpoint_words(run, "totals", words, lists.totals);
    part[parts++] = places_part(checkpoint, "finished", lists.finished, lists.finished_count);
    part[parts++] = places_part(checkpoint, "begun", lists.begun, lists.begun_count);
    part[parts++] = trm_checkpoint_words(run, "done", RECTANGLE_WORDS * done->count, done->rectangle);
    if (checkpoint->panel->positives != NULL) /* from which what is given can be made again */
        parts += parts_of(checkpoint, checkpoint->panel->positives, TRM_FIELD_FOUND, false, part + parts);
    else
        parts += parts_of(checkpoint, checkpoint->panel->negatives, TRM_FIELD_GIVEN, false, part + parts);
    if (checkpoint->phase != TRM_PHASE_POSITIVES)
        parts += parts_of(checkpoint, checkpoint->panel->negatives, TRM_FIELD_FOUND, false, part + parts);
    for (int i = 0; i < owns; i++)
        part[parts++] = own[i];
    for (int i = 0; i < checkpoint->extras && i < EXTRAS; i++)
        part[parts++] = checkpoint->extra[i];
    status = run->checkpoint->save(run->checkpoint->context, parts, part, stop, err);
    free_lists(&lists);
    return status;
}

static trm_status save(void *context, const trm_done *done, bool stop, trm_error *err)
{
    return save_with(context, done, 0, NULL, stop, err);
}

/* Is there a place that keeps where the work ends? */
static bool keeps_end(const trm_mine_checkpoint *checkpoint)
{
    const trm_checkpoint *place = checkpoint->anchors->run->checkpoint;
    return checkpoint->keeps && place != NULL && place->save != NULL && place->keeps_end;
}

/* The sweep of the last panel is done: saves that, unless an earlier run had done all of it. elements: of its tiles on this rank. */
static trm_status save_swept(trm_mine_checkpoint *checkpoint, int64_t elements, trm_error *err)
{
    const trm_anchors *anchors = checkpoint->anchors;
    const int64_t rows = anchors->rows->total, store = anchors->pool->store->total,
                  all = rows > store ? rows : store;
    trm_rectangle everything = {0, all, 0, all};
    const trm_done done = {.rectangle = &everything, .count = anchors->run->rank == 0};
    if (!keeps_end(checkpoint) || checkpoint->index < anchors->panels - 1 ||
        trm_sum_int64(anchors->run->comm, elements) == 0)
        return TRM_OK;
    return save_with(checkpoint, &done, 0, NULL, false, err);
}

trm_status trm_mine_checkpoint_end(trm_mine_checkpoint *checkpoint, int64_t place, int parts,
                                   const trm_checkpoint_part *part, trm_error *err)
{
    const trm_done none = {0};
    checkpoint->phase = TRM_PHASE_AFTER;
    checkpoint->place = place;
    return keeps_end(checkpoint) ? save_with(checkpoint, &none, parts, part, false, err) : TRM_OK;
}

trm_status trm_mine_checkpoint_pause(trm_mine_checkpoint *checkpoint, int64_t place, int parts,
                                     const trm_checkpoint_part *part, trm_error *err)
{
    const trm_run *run = checkpoint->anchors->run;
    const trm_done none = {0};
    if (run->checkpoint == NULL)
        return TRM_OK;
    int wishes = run->checkpoint->wish(run->checkpoint->context);
    MPI_Allreduce(MPI_IN_PLACE, &wishes, 1, MPI_INT, MPI_BOR, run->comm);
    const bool stop = (wishes & TRM_WISH_STOP) != 0;
    trm_status status = TRM_OK;
    checkpoint->phase = TRM_PHASE_AFTER;
    checkpoint->place = place;
    if (wishes != 0 && run->checkpoint->save != NULL)
        status = save_with(checkpoint, &none, parts, part, stop, err);
    return status == TRM_OK && stop ? trm_fail(err, TRM_ERR_STOPPED, "stopped on request") : status;
}

/* Is there a place to set the open panel aside, and another panel to come? */
static bool sets_aside(const trm_mine_checkpoint *checkpoint)
{
    const trm_run *run = checkpoint->anchors->run;
    return run->checkpoint != NULL && run->checkpoint->save != NULL &&
           checkpoint->index < checkpoint->anchors->panels - 1;
}

/* Sets parts aside as the open panel's piece, behind which anchors it is of. */
static trm_status set_aside(trm_mine_checkpoint *checkpoint, int parts, const trm_checkpoint_part *part,
                            trm_error *err)
{
    const trm_run *run = checkpoint->anchors->run;
    int64_t places_count = 0;
    trm_places *places = places_of(checkpoint, checkpoint->index, checkpoint->index + 1, &places_count);
    trm_status status = places == NULL ? trm_fail_memory(err, "a panel's places", 1, 1) : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK) {
        trm_checkpoint_part all[PARTS_MAX];
        int64_t size[2] = {0, parts > 0 ? part[0].total : 0};
        all[0] = (trm_checkpoint_part){"size", 2, 0, run->rank == 0 ? 2 : 0, size};
        all[1] = places_part(checkpoint, "places", places, places_count);
        size[0] = all[1].total;
        for (int i = 0; i < parts; i++)
            all[2 + i] = part[i];
        status =
            run->checkpoint->set_aside(run->checkpoint->context, checkpoint->pieces, 2 + parts, all, err);
        checkpoint->pieces++;
    }
    trm_free(places);
    return status;
}

trm_status trm_mine_checkpoint_answered(trm_mine_checkpoint *checkpoint, trm_triplet *triplets, int64_t count,
                                        trm_error *err)
{
    if (!sets_aside(checkpoint))
        return TRM_OK;
    const trm_checkpoint_part part =
        trm_checkpoint_words(checkpoint->anchors->run, "triplets", TRIPLET_WORDS * count, triplets);
    return set_aside(checkpoint, 1, &part, err);
}

trm_status trm_mine_checkpoint_finished(trm_mine_checkpoint *checkpoint, trm_error *err)
{
    const trm_state *state = checkpoint->panel->negatives;
    trm_checkpoint_part part[2 * TRM_FIELDS];
    if (!sets_aside(checkpoint))
        return TRM_OK;
    int parts = parts_of(checkpoint, state, TRM_FIELD_FOUND, false, part);
    parts += parts_of(checkpoint, state, TRM_FIELD_GIVEN, false, part + parts);
    return set_aside(checkpoint, parts, part, err);
}

/* ---- going on ---- */

static trm_status load(const trm_mine_checkpoint *checkpoint, int64_t volume, int parts,
                       const trm_checkpoint_part *part, trm_error *err)
{
    const trm_checkpoint *place = checkpoint->anchors->run->checkpoint;
    return place->load(place->context, volume, parts, part, err);
}

trm_status trm_checkpoint_load_whole(const trm_run *run, int64_t volume, const char *name, int64_t total,
                                     int64_t **words, trm_error *err)
{
    trm_status status = TRM_OK;
    *words = trm_alloc(total, sizeof **words);
    if (*words == NULL)
        status = trm_fail_memory(err, "the checkpoint's lists", total, sizeof **words);
    status = trm_agree(run->comm, status, err);
    const trm_checkpoint_part part = {name, total, 0, total, *words};
    return status == TRM_OK ? run->checkpoint->load(run->checkpoint->context, volume, 1, &part, err) : status;
}

trm_status trm_checkpoint_load_list(const trm_run *run, const char *name, int64_t multiple, int64_t **words,
                                    int64_t *count, trm_error *err)
{
    const trm_checkpoint *place = run->checkpoint;
    *words = NULL;
    *count = place->size(place->context, name);
    if (*count < 0 || *count % multiple != 0)
        return trm_fail(err, TRM_ERR_DATA, "checkpoint: array '%s' is missing or has a wrong length", name);
    return trm_checkpoint_load_whole(run, TRM_CHECKPOINT_STATE, name, *count, words, err);
}

/* Which anchors were finished, and which begun; the rest is planned anew. */
static trm_status take_anchors(trm_mine_checkpoint *checkpoint, trm_error *err)
{
    int64_t *finished = NULL, *begun = NULL, finished_words = 0, begun_words = 0;
    trm_status status = trm_checkpoint_load_list(checkpoint->anchors->run, "finished", PLACES_WORDS,
                                                 &finished, &finished_words, err);
    if (status == TRM_OK)
        status = trm_checkpoint_load_list(checkpoint->anchors->run, "begun", PLACES_WORDS, &begun,
                                          &begun_words, err);
    if (status == TRM_OK)
        status = trm_anchors_resume(checkpoint->anchors, finished_words / PLACES_WORDS,
                                    (const trm_places *)finished, begun_words / PLACES_WORDS,
                                    (const trm_places *)begun, err);
    trm_free(finished);
    trm_free(begun);
    return status;
}

static trm_status take_place(trm_mine_checkpoint *checkpoint, trm_error *err)
{
    int64_t job[JOB_WORDS], *totals = NULL, count = 0;
    const trm_checkpoint_part part = {"job", JOB_WORDS, 0, JOB_WORDS, job};
    const int words = COUNTS + checkpoint->totals.words;
    trm_status status = load(checkpoint, TRM_CHECKPOINT_STATE, 1, &part, err);
    if (status != TRM_OK)
        return status;
    if (job[JOB_LAYOUT] != LAYOUT || job[JOB_ROWS] != checkpoint->anchors->rows->total)
        return trm_fail(err, TRM_ERR_DATA, "checkpoint: is of another job or another version");
    checkpoint->resume_phase = (trm_mine_phase)job[JOB_PHASE];
    checkpoint->place = job[JOB_PLACE];
    checkpoint->pieces = job[JOB_PIECES];
    status = take_anchors(checkpoint, err);
    if (status == TRM_OK)
        status = trm_checkpoint_load_list(checkpoint->anchors->run, "totals", words, &totals, &count, err);
    for (int64_t i = 0; i < count && status == TRM_OK && checkpoint->anchors->run->rank == 0; i += words)
        take_totals(checkpoint, totals + i);
    trm_free(totals);
    return status;
}

void trm_mine_checkpoint_init_without(trm_mine_checkpoint *checkpoint, trm_anchors *anchors, trm_sweep *sweep,
                                      trm_sweep_counts *counts)
{
    *checkpoint =
        (trm_mine_checkpoint){.anchors = anchors, .sweep = sweep, .counts = counts, .name = "negatives"};
}

static bool has_place(const trm_mine_checkpoint *checkpoint)
{
    const trm_checkpoint *place = checkpoint->anchors->run->checkpoint;
    return place != NULL && place->save != NULL;
}

void trm_mine_checkpoint_init_anew(trm_mine_checkpoint *checkpoint, trm_anchors *anchors, trm_sweep *sweep,
                                   trm_sweep_counts *counts, trm_totals totals)
{
    trm_mine_checkpoint_init_without(checkpoint, anchors, sweep, counts);
    checkpoint->totals = totals;
    checkpoint->keeps = true;
    if (has_place(checkpoint))
        trm_sweep_on_save(sweep, save, checkpoint);
}

trm_status trm_mine_checkpoint_save(trm_mine_checkpoint *checkpoint, trm_error *err)
{
    const trm_done none = {0};
    checkpoint->phase = TRM_PHASE_NEGATIVES;
    return has_place(checkpoint) ? save_with(checkpoint, &none, 0, NULL, false, err) : TRM_OK;
}

trm_status trm_mine_checkpoint_init(trm_mine_checkpoint *checkpoint, trm_anchors *anchors, trm_sweep *sweep,
                                    trm_sweep_counts *counts, trm_totals totals, trm_error *err)
{
    trm_mine_checkpoint_init_anew(checkpoint, anchors, sweep, counts, totals);
    checkpoint->resumes = has_place(checkpoint) && anchors->run->checkpoint->resumes;
    return checkpoint->resumes ? take_place(checkpoint, err) : TRM_OK;
}

static int compare_anchors(const void *a, const void *b)
{
    const trm_triplet *x = a, *y = b;
    return x->anchor != y->anchor ? (x->anchor > y->anchor) - (x->anchor < y->anchor)
                                  : (x->positive > y->positive) - (x->positive < y->positive);
}

/* Whether the piece is of anchors that were finished and that no earlier piece had; marks them. */
static bool mark_replayed(const trm_anchors *anchors, int64_t count, const trm_places *places, char *replayed)
{
    const trm_rows *rows = anchors->rows;
    for (int64_t k = 0; k < count; k++)
        for (int64_t place = places[k].from; place < places[k].to; place++) {
            const int64_t row = place - rows->first;
            if (row < 0 || row >= rows->count)
                continue;
            if (anchors->panel_of[row] != TRM_PANEL_FINISHED || replayed[row])
                return false;
            replayed[row] = 1;
        }
    return true;
}

/* Reads one piece's triplets, as many at a time as the largest panel's state would take, and hands them on.
 */
static trm_status replay_triplets(const trm_mine_checkpoint *checkpoint, int64_t piece, int64_t total,
                                  trm_mine_checkpoint_fn take, void *context, trm_error *err)
{
    enum { AT_LEAST = 1 << 12 };
    const trm_run *run = checkpoint->anchors->run;
    const int64_t room = checkpoint->anchors->panel_bytes / (2 * (int64_t)sizeof(trm_triplet));
    const int64_t most = room > AT_LEAST ? room : AT_LEAST, round = most * run->ranks;
    trm_triplet *triplets = NULL;
    trm_status status = TRM_OK;
    for (int64_t start = 0; start < total && status == TRM_OK; start += round) {
        int64_t from, to;
        trm_share(total - start < round ? total - start : round, run->rank, run->ranks, &from, &to);
        if (triplets == NULL) /* the first round, or the one before was taken */
            triplets = trm_alloc(to - from, sizeof *triplets);
        if (triplets == NULL)
            status = trm_fail_memory(err, "kept triplets", to - from, sizeof *triplets);
        status = trm_agree(run->comm, status, err);
        if (status != TRM_OK)
            break;
        const trm_checkpoint_part part = {"triplets", TRIPLET_WORDS * total, TRIPLET_WORDS * (start + from),
                                          TRIPLET_WORDS * (to - from), triplets};
        status = load(checkpoint, piece, 1, &part, err);
        if (status != TRM_OK)
            break;
        qsort(triplets, (size_t)(to - from), sizeof *triplets, compare_anchors);
        status = take(context, &triplets, to - from, err);
    }
    trm_free(triplets);
    return status;
}

/* Where a piece's slots are: of each shape, in the whole piece, and those of this team. */
typedef struct piece_slots {
    int64_t total[TRM_SHAPES], first[TRM_SHAPES];
} piece_slots;

/* Collective. */
static piece_slots slots_of_piece(const trm_anchors *anchors, const trm_panel *panel)
{
    piece_slots slots = {{0}, {0}};
    for (int s = 0; s < anchors->negatives->type->shapes; s++) {
        int64_t mine = 0;
        for (int64_t k = 0; k < panel->count; k++)
            mine += trm_anchors_slots(anchors, panel->row[k], s);
        const int64_t once = anchors->rows->member == 0 ? mine : 0; /* each team's once */
        slots.total[s] = trm_sum_int64(anchors->run->comm, once);
        slots.first[s] = trm_prefix_int64(anchors->run->comm, once) - (mine - once);
    }
    return slots;
}

/* Reads what was set aside of a state's rows, of which `before` slots of this team come first. */
static trm_status load_part(const trm_mine_checkpoint *checkpoint, int64_t piece, const piece_slots *slots,
                            const int64_t *before, const trm_state *state, trm_error *err)
{
    trm_checkpoint_part part[TRM_FIELDS];
    int parts = 0;
    for (int f = 0; f < state->type->fields; f++) {
        const trm_field *field = &state->type->field[f];
        const int64_t words = (int64_t)field->bytes / 8;
        if (field->kind == TRM_FIELD_MADE)
            continue;
        part[parts++] = (trm_checkpoint_part){field->name, slots->total[field->shape] * words,
                                              (slots->first[field->shape] + before[field->shape]) * words,
                                              trm_state_slots(state, f) * words, state->field[f]};
    }
    return load(checkpoint, piece, parts, part, err);
}

/* How many of the rows from k on have a state that fits, at least one; adds what they have. */
static int64_t rows_that_fit(const trm_anchors *anchors, const trm_panel *all, int64_t k, int64_t *slots)
{
    const trm_query_type *type = anchors->negatives->type;
    const int64_t spare = anchors->run->mem_per_rank - anchors->memory_bytes;
    const int64_t room = anchors->panel_bytes + (spare > 0 ? spare : 0);
    int64_t own[TRM_SHAPES] = {0}, count = 0;
    for (; k + count < all->count; count++) {
        for (int s = 0; s < type->shapes; s++)
            own[s] += trm_anchors_slots(anchors, all->row[k + count], s);
        const int64_t bytes = trm_fields_bytes(type, TRM_FIELD_FOUND, own) +
                              trm_fields_bytes(type, TRM_FIELD_GIVEN, own) +
                              trm_fields_bytes(type, TRM_FIELD_MADE, own);
        if (count > 0 && bytes > room)
            break;
        for (int s = 0; s < type->shapes; s++)
            slots[s] += trm_anchors_slots(anchors, all->row[k + count], s);
    }
    return count;
}

/* Who takes what was set aside: the triplets of a panel, or its state. */
typedef struct taker {
    trm_mine_checkpoint_fn triplets;
    trm_mine_checkpoint_panel_fn panel;
    void *context;
} taker;

/* all: the anchors of the piece that are of this shard. */
static trm_status replay_panel(const trm_mine_checkpoint *checkpoint, int64_t piece, const trm_panel *all,
                               const taker *take, trm_error *err)
{
    const trm_anchors *anchors = checkpoint->anchors;
    const piece_slots slots = slots_of_piece(anchors, all);
    int64_t before[TRM_SHAPES] = {0}, k = 0;
    trm_status status = TRM_OK;
    while (status == TRM_OK && trm_sum_int64(anchors->run->comm, all->count - k) > 0) {
        int64_t after[TRM_SHAPES];
        memcpy(after, before, sizeof after);
        trm_panel panel = {.row = all->row + k, .count = rows_that_fit(anchors, all, k, after)};
        status = trm_panel_settle(anchors, &panel, true, err);
        if (status == TRM_OK)
            status = load_part(checkpoint, piece, &slots, before, panel.negatives, err);
        if (status == TRM_OK)
            status = take->panel(take->context, &panel, err);
        trm_state_destroy(&panel.negatives);
        memcpy(before, after, sizeof before);
        k += panel.count;
    }
    return status;
}

/* The anchors of this shard that are in places, as a panel; the caller frees its rows. Collective. */
static trm_status list_piece(const trm_anchors *anchors, int64_t count, const trm_places *places,
                             trm_panel *panel, trm_error *err)
{
    const trm_rows *rows = anchors->rows;
    *panel = (trm_panel){.row = trm_alloc(rows->count, sizeof *panel->row)};
    trm_status status =
        panel->row == NULL ? trm_fail_memory(err, "panel", rows->count, sizeof *panel->row) : TRM_OK;
    for (int64_t k = 0; k < count && status == TRM_OK; k++)
        for (int64_t place = places[k].from; place < places[k].to; place++)
            if (place >= rows->first && place - rows->first < rows->count)
                panel->row[panel->count++] = place - rows->first;
    return trm_agree(anchors->run->comm, status, err);
}

static trm_status replay_piece(const trm_mine_checkpoint *checkpoint, int64_t piece, char *replayed,
                               const taker *take, trm_error *err)
{
    const trm_run *run = checkpoint->anchors->run;
    int64_t *places = NULL, size[2];
    trm_panel panel = {0};
    const trm_checkpoint_part part = {"size", 2, 0, 2, size};
    trm_status status = load(checkpoint, piece, 1, &part, err);
    if (status == TRM_OK)
        status = trm_checkpoint_load_whole(run, piece, "places", size[0], &places, err);
    if (status == TRM_OK &&
        !mark_replayed(checkpoint->anchors, size[0] / PLACES_WORDS, (const trm_places *)places, replayed))
        status =
            trm_fail(err, TRM_ERR_DATA, "checkpoint: piece %" PRId64 " is of another run of the job", piece);
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK && take->panel != NULL)
        status =
            list_piece(checkpoint->anchors, size[0] / PLACES_WORDS, (const trm_places *)places, &panel, err);
    trm_free(places);
    if (status == TRM_OK)
        status = take->panel != NULL ? replay_panel(checkpoint, piece, &panel, take, err)
                                     : replay_triplets(checkpoint, piece, size[1] / TRIPLET_WORDS,
                                                       take->triplets, take->context, err);
    trm_free(panel.row);
    return status;
}

static trm_status replay(const trm_mine_checkpoint *checkpoint, const taker *take, trm_error *err)
{
    const trm_anchors *anchors = checkpoint->anchors;
    if (checkpoint->pieces == 0)
        return TRM_OK;
    char *replayed = trm_alloc_zero(anchors->rows->count, 1);
    trm_status status = TRM_OK;
    if (replayed == NULL)
        status = trm_fail_memory(err, "finished anchors", anchors->rows->count, 1);
    status = trm_agree(anchors->run->comm, status, err);
    for (int64_t piece = 0; piece < checkpoint->pieces && status == TRM_OK; piece++)
        status = replay_piece(checkpoint, piece, replayed, take, err);
    bool all = true;
    for (int64_t row = 0; row < anchors->rows->count && status == TRM_OK; row++)
        all = all && (replayed[row] || anchors->panel_of[row] != TRM_PANEL_FINISHED);
    if (!all)
        status = trm_fail(err, TRM_ERR_DATA, "checkpoint: a piece of the finished work is missing");
    trm_free(replayed);
    return trm_agree(anchors->run->comm, status, err);
}

trm_status trm_mine_checkpoint_replay(trm_mine_checkpoint *checkpoint, trm_mine_checkpoint_fn take,
                                      void *context, trm_error *err)
{
    return replay(checkpoint, &(taker){.triplets = take, .context = context}, err);
}

trm_status trm_mine_checkpoint_replay_panels(trm_mine_checkpoint *checkpoint,
                                             trm_mine_checkpoint_panel_fn take, void *context, trm_error *err)
{
    return replay(checkpoint, &(taker){.panel = take, .context = context}, err);
}

/* What of the stopped sweep is done. */
static trm_status take_done(trm_mine_checkpoint *checkpoint, trm_error *err)
{
    int64_t *words = NULL, count = 0;
    trm_status status =
        trm_checkpoint_load_list(checkpoint->anchors->run, "done", RECTANGLE_WORDS, &words, &count, err);
    if (status == TRM_OK) {
        const trm_done done = {.rectangle = (trm_rectangle *)words, .count = count / RECTANGLE_WORDS};
        status =
            trm_agree(checkpoint->anchors->run->comm, trm_sweep_skip(checkpoint->sweep, &done, err), err);
    }
    trm_free(words);
    return status;
}

static trm_status load_fields(const trm_mine_checkpoint *checkpoint, const trm_state *state,
                              trm_field_kind kind, trm_error *err)
{
    trm_checkpoint_part part[TRM_FIELDS];
    const int parts = parts_of(checkpoint, state, kind, true, part);
    return load(checkpoint, TRM_CHECKPOINT_STATE, parts, part, err);
}

static trm_status take_thresholds(trm_mine_checkpoint *checkpoint, trm_panel *panel, trm_error *err)
{
    trm_status status = TRM_OK;
    if (checkpoint->anchors->keep)
        status = load_fields(checkpoint, panel->positives, TRM_FIELD_FOUND, err);
    else
        trm_state_destroy(&panel->positives);
    if (status == TRM_OK)
        status = trm_panel_settle(checkpoint->anchors, panel, true, err);
    if (status == TRM_OK && !checkpoint->anchors->keep)
        status = load_fields(checkpoint, panel->negatives, TRM_FIELD_GIVEN, err);
    return status;
}

static trm_status find_thresholds(trm_mine_checkpoint *checkpoint, bool here, trm_panel *panel,
                                  trm_error *err)
{
    trm_anchors *anchors = checkpoint->anchors;
    const trm_asked asked = {&anchors->positives.query, panel->positives};
    trm_status status = TRM_OK;
    if (!trm_anchors_find_positives(anchors))
        return trm_panel_settle(anchors, panel, false, err);
    if (trm_pool_is_listed(anchors->pool)) {
        status = trm_pool_measure(anchors->pool, anchors->options->metric, asked.query, asked.state, err);
        return status == TRM_OK ? trm_panel_settle(anchors, panel, false, err) : status;
    }
    if (here) {
        checkpoint->resumes = false;
        status = load_fields(checkpoint, panel->positives, TRM_FIELD_FOUND, err);
        if (status == TRM_OK)
            status = take_done(checkpoint, err);
    }
    if (status == TRM_OK)
        status = trm_anchors_sweep(anchors, checkpoint->sweep, "positives", asked, &anchors->counts, err);
    return status == TRM_OK ? trm_panel_settle(anchors, panel, false, err) : status;
}

trm_status trm_mine_checkpoint_open(trm_mine_checkpoint *checkpoint, int64_t index, trm_panel *panel,
                                    trm_error *err)
{
    const double start = trm_clock();
    const bool here = checkpoint->resumes && index == 0;
    checkpoint->index = index;
    checkpoint->phase = TRM_PHASE_POSITIVES;
    checkpoint->panel = panel;
    trm_sweep_is_for(checkpoint->sweep, index, checkpoint->anchors->panels);
    trm_status status = trm_panel_begin(checkpoint->anchors, index, panel, err);
    if (status == TRM_OK)
        status = here && checkpoint->resume_phase != TRM_PHASE_POSITIVES
                     ? take_thresholds(checkpoint, panel, err)
                     : find_thresholds(checkpoint, here, panel, err);
    checkpoint->anchors->seconds += trm_clock() - start;
    return status;
}

/* What was found in the sweep that was stopped. What is counted is taken once in a team. */
static trm_status take_found(const trm_mine_checkpoint *checkpoint, const trm_state *state, bool after,
                             trm_error *err)
{
    trm_checkpoint_part part[TRM_FIELDS];
    const int parts = parts_of(checkpoint, state, TRM_FIELD_FOUND, true, part);
    for (int f = 0, i = 0; f < state->type->fields && !after && checkpoint->anchors->rows->member > 0; f++) {
        const trm_field *field = &state->type->field[f];
        if (field->kind == TRM_FIELD_FOUND && !field->merge->idempotent)
            part[i].count = 0;
        i += field->kind == TRM_FIELD_FOUND;
    }
    return load(checkpoint, TRM_CHECKPOINT_STATE, parts, part, err);
}

trm_status trm_mine_checkpoint_sweep(trm_mine_checkpoint *checkpoint, trm_error *err)
{
    const trm_query *query = checkpoint->anchors->negatives;
    const trm_asked asked = {query, checkpoint->panel->negatives};
    trm_status status = TRM_OK;
    checkpoint->phase = TRM_PHASE_NEGATIVES;
    if (checkpoint->resumes && checkpoint->index == 0) {
        const bool after = checkpoint->resume_phase == TRM_PHASE_AFTER;
        checkpoint->resumes = after;
        status = take_found(checkpoint, asked.state, after, err);
        if (status == TRM_OK && after)
            trm_sweep_prepare(checkpoint->sweep, query, asked.state);
        if (status != TRM_OK || after)
            return status;
        status = take_done(checkpoint, err);
    }
    const int64_t before = checkpoint->counts->elements;
    if (status == TRM_OK)
        status = trm_anchors_sweep(checkpoint->anchors, checkpoint->sweep, checkpoint->name, asked,
                                   checkpoint->counts, err);
    if (status == TRM_OK)
        status = save_swept(checkpoint, checkpoint->counts->elements - before, err);
    if (status == TRM_OK)
        trm_sweep_settle(checkpoint->sweep, query, asked.state);
    return status;
}

bool trm_mine_checkpoint_was_after(const trm_mine_checkpoint *checkpoint)
{
    return checkpoint->resumes && checkpoint->index == 0 && checkpoint->resume_phase == TRM_PHASE_AFTER;
}

trm_status trm_mine_checkpoint_take(trm_mine_checkpoint *checkpoint, int parts,
                                    const trm_checkpoint_part *part, trm_error *err)
{
    checkpoint->resumes = false;
    return load(checkpoint, TRM_CHECKPOINT_STATE, parts, part, err);
}
