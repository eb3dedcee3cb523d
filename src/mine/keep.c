/* Keeping a job's state; see keep.h. */
#include "mine/keep.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The part "job": where the job was. */
enum { JOB_LAYOUT, JOB_PHASE, JOB_PLACE, JOB_PIECES, JOB_ROWS, JOB_WORDS };
enum { LAYOUT = 4, COUNTS = 6, RECTANGLE_WORDS = 4, PLACES_WORDS = 2, TRIPLET_WORDS = 7, OWN_PARTS = 2 };
enum { PARTS_MAX = 5 + 2 * TRM_FIELDS + OWN_PARTS };

/* ---- arrays over anchors ---- */

/* A field; whole: of all this team's shard, else of this member's share of it. Collective. */
static trm_keep_part part_of(const trm_keeper *keeper, const trm_state *state, int f, bool whole)
{
    const trm_rows *rows = keeper->anchors->rows;
    const trm_field *field = &state->type->field[f];
    const int64_t words = (int64_t)field->bytes / 8, *offset = state->offset[field->shape];
    MPI_Comm comm = keeper->anchors->run->comm;
    int64_t from, to;
    trm_share(rows->count, rows->member, rows->replicate, &from, &to);
    const int64_t share = offset[to] - offset[from];
    const int64_t total = trm_sum_int64(comm, share), first = trm_prefix_int64(comm, share);
    trm_keep_part part = {
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
static int parts_of(const trm_keeper *keeper, const trm_state *state, trm_field_kind kind, bool whole,
                    trm_keep_part *part)
{
    int parts = 0;
    for (int f = 0; f < state->type->fields; f++)
        if (state->type->field[f].kind == kind)
            part[parts++] = part_of(keeper, state, f, whole);
    return parts;
}

/* ---- which anchors ---- */

/* The places of this shard's rows in panels [from, to), as a list of this team's in new memory, or NULL.
 * Member 0 of each team has them. */
static trm_places *places_of(const trm_keeper *keeper, int64_t from, int64_t to, int64_t *count)
{
    const trm_rows *rows = keeper->anchors->rows;
    const int64_t *panel_of = keeper->anchors->panel_of;
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

static trm_keep_part places_part(const trm_keeper *keeper, const char *name, trm_places *places,
                                 int64_t count)
{
    MPI_Comm comm = keeper->anchors->run->comm;
    return (trm_keep_part){name, PLACES_WORDS * trm_sum_int64(comm, count),
                           PLACES_WORDS * trm_prefix_int64(comm, count), PLACES_WORDS * count, places};
}

/* ---- saving ---- */

static void give_totals(const trm_keeper *keeper, int64_t *words)
{
    const trm_sweep_counts *positives = &keeper->anchors->counts, *negatives = keeper->counts;
    const int64_t counts[COUNTS] = {positives->elements, positives->survivors, positives->float64,
                                    negatives->elements, negatives->survivors, negatives->float64};
    memcpy(words, counts, sizeof counts);
    if (keeper->totals.words > 0)
        keeper->totals.give(keeper->totals.context, words + COUNTS);
}

static void take_totals(trm_keeper *keeper, const int64_t *words)
{
    trm_sweep_counts *positives = &keeper->anchors->counts, *negatives = keeper->counts;
    keeper->reused += words[0] + words[3];
    positives->elements += words[0];
    positives->survivors += words[1];
    positives->float64 += words[2];
    negatives->elements += words[3];
    negatives->survivors += words[4];
    negatives->float64 += words[5];
    if (keeper->totals.words > 0)
        keeper->totals.take(keeper->totals.context, words + COUNTS);
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

static trm_status make_lists(const trm_keeper *keeper, trm_lists *lists, trm_error *err)
{
    const int words = COUNTS + keeper->totals.words;
    trm_status status = TRM_OK;
    lists->totals = trm_alloc(words, sizeof *lists->totals);
    lists->finished = places_of(keeper, INT64_MIN, keeper->index, &lists->finished_count);
    lists->begun = places_of(keeper, keeper->index, keeper->index + 1, &lists->begun_count);
    if (lists->totals == NULL || lists->finished == NULL || lists->begun == NULL)
        status = trm_fail_memory(err, "the checkpoint's lists", words, sizeof *lists->totals);
    status = trm_agree(keeper->anchors->run->comm, status, err);
    if (status == TRM_OK)
        give_totals(keeper, lists->totals);
    else
        free_lists(lists);
    return status;
}

/* own: of the caller's. */
static trm_status save_with(trm_keeper *keeper, const trm_done *done, int owns, const trm_keep_part *own,
                            bool stop, trm_error *err)
{
    const trm_run *run = keeper->anchors->run;
    const int words = COUNTS + keeper->totals.words;
    int64_t job[JOB_WORDS] = {[JOB_LAYOUT] = LAYOUT,
                              [JOB_PHASE] = keeper->phase,
                              [JOB_PLACE] = keeper->place,
                              [JOB_PIECES] = keeper->pieces,
                              [JOB_ROWS] = keeper->anchors->rows->total};
    trm_lists lists;
    trm_status status = make_lists(keeper, &lists, err);
    if (status != TRM_OK)
        return status;
    trm_keep_part part[PARTS_MAX];
    int parts = 0;
    part[parts++] = (trm_keep_part){"job", JOB_WORDS, 0, run->rank == 0 ? JOB_WORDS : 0, job};
    part[parts++] = (trm_keep_part){"totals", (int64_t)words * run->ranks, (int64_t)words * run->rank, words,
                                    lists.totals};
    part[parts++] = places_part(keeper, "finished", lists.finished, lists.finished_count);
    part[parts++] = places_part(keeper, "begun", lists.begun, lists.begun_count);
    part[parts++] = (trm_keep_part){"done", RECTANGLE_WORDS * trm_sum_int64(run->comm, done->count),
                                    RECTANGLE_WORDS * trm_prefix_int64(run->comm, done->count),
                                    RECTANGLE_WORDS * done->count, done->rectangle};
    if (keeper->panel->positives != NULL) /* from which what is given can be made again */
        parts += parts_of(keeper, keeper->panel->positives, TRM_FIELD_FOUND, false, part + parts);
    else
        parts += parts_of(keeper, keeper->panel->negatives, TRM_FIELD_GIVEN, false, part + parts);
    if (keeper->phase != TRM_KEEPER_POSITIVES)
        parts += parts_of(keeper, keeper->panel->negatives, TRM_FIELD_FOUND, false, part + parts);
    for (int i = 0; i < owns; i++)
        part[parts++] = own[i];
    status = run->keeping->save(run->keeping->context, parts, part, stop, err);
    free_lists(&lists);
    return status;
}

static trm_status save(void *context, const trm_done *done, bool stop, trm_error *err)
{
    return save_with(context, done, 0, NULL, stop, err);
}

trm_status trm_keeper_pause(trm_keeper *keeper, int64_t place, int parts, const trm_keep_part *part,
                            trm_error *err)
{
    const trm_run *run = keeper->anchors->run;
    const trm_done none = {0};
    if (run->keeping == NULL)
        return TRM_OK;
    int wishes = run->keeping->wish(run->keeping->context);
    MPI_Allreduce(MPI_IN_PLACE, &wishes, 1, MPI_INT, MPI_BOR, run->comm);
    const bool stop = (wishes & TRM_WISH_STOP) != 0;
    trm_status status = TRM_OK;
    keeper->phase = TRM_KEEPER_AFTER;
    keeper->place = place;
    if (wishes != 0 && run->keeping->save != NULL)
        status = save_with(keeper, &none, parts, part, stop, err);
    return status == TRM_OK && stop ? trm_fail(err, TRM_ERR_STOPPED, "stopped on request") : status;
}

trm_status trm_keeper_answered(trm_keeper *keeper, trm_triplet *triplets, int64_t count, trm_error *err)
{
    const trm_run *run = keeper->anchors->run;
    if (run->keeping == NULL || run->keeping->save == NULL || keeper->index == keeper->anchors->panels - 1)
        return TRM_OK;
    int64_t places_count = 0;
    trm_places *places = places_of(keeper, keeper->index, keeper->index + 1, &places_count);
    trm_status status = places == NULL ? trm_fail_memory(err, "a panel's places", 1, 1) : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK) {
        int64_t size[2];
        const trm_keep_part part[] = {{"size", 2, 0, run->rank == 0 ? 2 : 0, size},
                                      places_part(keeper, "places", places, places_count),
                                      {"triplets", TRIPLET_WORDS * trm_sum_int64(run->comm, count),
                                       TRIPLET_WORDS * trm_prefix_int64(run->comm, count),
                                       TRIPLET_WORDS * count, triplets}};
        size[0] = part[1].total;
        size[1] = part[2].total;
        status = run->keeping->set_aside(run->keeping->context, keeper->pieces, 3, part, err);
        keeper->pieces++;
    }
    trm_free(places);
    return status;
}

/* ---- going on ---- */

static trm_status load(const trm_keeper *keeper, int64_t volume, int parts, const trm_keep_part *part,
                       trm_error *err)
{
    const trm_keeping *keeping = keeper->anchors->run->keeping;
    return keeping->load(keeping->context, volume, parts, part, err);
}

/* The whole of an array of total words, in new memory of all ranks. */
static trm_status load_whole(const trm_keeper *keeper, int64_t volume, const char *name, int64_t total,
                             int64_t **words, trm_error *err)
{
    const trm_run *run = keeper->anchors->run;
    trm_status status = TRM_OK;
    *words = trm_alloc(total, sizeof **words);
    if (*words == NULL)
        status = trm_fail_memory(err, "the checkpoint's lists", total, sizeof **words);
    status = trm_agree(run->comm, status, err);
    const trm_keep_part part = {name, total, 0, total, *words};
    return status == TRM_OK ? load(keeper, volume, 1, &part, err) : status;
}

/* The same, of the state, and of a length that only the kept state knows: a multiple of so many words. */
static trm_status load_list(const trm_keeper *keeper, const char *name, int64_t multiple, int64_t **words,
                            int64_t *count, trm_error *err)
{
    const trm_keeping *keeping = keeper->anchors->run->keeping;
    *words = NULL;
    *count = keeping->size(keeping->context, name);
    if (*count < 0 || *count % multiple != 0)
        return trm_fail(err, TRM_ERR_DATA, "checkpoint: array '%s' is missing or has a wrong length", name);
    return load_whole(keeper, TRM_KEPT_STATE, name, *count, words, err);
}

/* Which anchors were finished, and which begun; the rest is planned anew. */
static trm_status take_anchors(trm_keeper *keeper, trm_error *err)
{
    int64_t *finished = NULL, *begun = NULL, finished_words = 0, begun_words = 0;
    trm_status status = load_list(keeper, "finished", PLACES_WORDS, &finished, &finished_words, err);
    if (status == TRM_OK)
        status = load_list(keeper, "begun", PLACES_WORDS, &begun, &begun_words, err);
    if (status == TRM_OK)
        status =
            trm_anchors_resume(keeper->anchors, finished_words / PLACES_WORDS, (const trm_places *)finished,
                               begun_words / PLACES_WORDS, (const trm_places *)begun, err);
    trm_free(finished);
    trm_free(begun);
    return status;
}

static trm_status take_place(trm_keeper *keeper, trm_error *err)
{
    int64_t job[JOB_WORDS], *totals = NULL, count = 0;
    const trm_keep_part part = {"job", JOB_WORDS, 0, JOB_WORDS, job};
    const int words = COUNTS + keeper->totals.words;
    trm_status status = load(keeper, TRM_KEPT_STATE, 1, &part, err);
    if (status != TRM_OK)
        return status;
    if (job[JOB_LAYOUT] != LAYOUT || job[JOB_ROWS] != keeper->anchors->rows->total)
        return trm_fail(err, TRM_ERR_DATA, "checkpoint: is of another job or another version");
    keeper->resume_phase = (trm_keeper_phase)job[JOB_PHASE];
    keeper->place = job[JOB_PLACE];
    keeper->pieces = job[JOB_PIECES];
    status = take_anchors(keeper, err);
    if (status == TRM_OK)
        status = load_list(keeper, "totals", words, &totals, &count, err);
    for (int64_t i = 0; i < count && status == TRM_OK && keeper->anchors->run->rank == 0; i += words)
        take_totals(keeper, totals + i);
    trm_free(totals);
    return status;
}

void trm_keeper_init_without(trm_keeper *keeper, trm_anchors *anchors, trm_sweep *sweep,
                             trm_sweep_counts *counts)
{
    *keeper = (trm_keeper){.anchors = anchors, .sweep = sweep, .counts = counts};
}

trm_status trm_keeper_init(trm_keeper *keeper, trm_anchors *anchors, trm_sweep *sweep,
                           trm_sweep_counts *counts, trm_totals totals, trm_error *err)
{
    trm_keeper_init_without(keeper, anchors, sweep, counts);
    keeper->totals = totals;
    const trm_keeping *keeping = anchors->run->keeping;
    if (keeping == NULL || keeping->save == NULL)
        return TRM_OK;
    trm_sweep_on_save(sweep, save, keeper);
    keeper->resumes = keeping->resumes;
    return keeper->resumes ? take_place(keeper, err) : TRM_OK;
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
static trm_status replay_triplets(const trm_keeper *keeper, int64_t piece, int64_t total,
                                  trm_keeper_take_fn take, void *context, trm_error *err)
{
    enum { AT_LEAST = 1 << 12 };
    const trm_run *run = keeper->anchors->run;
    const int64_t room = keeper->anchors->panel_bytes / (2 * (int64_t)sizeof(trm_triplet));
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
        const trm_keep_part part = {"triplets", TRIPLET_WORDS * total, TRIPLET_WORDS * (start + from),
                                    TRIPLET_WORDS * (to - from), triplets};
        status = load(keeper, piece, 1, &part, err);
        if (status != TRM_OK)
            break;
        qsort(triplets, (size_t)(to - from), sizeof *triplets, compare_anchors);
        status = take(context, &triplets, to - from, err);
    }
    trm_free(triplets);
    return status;
}

static trm_status replay_piece(const trm_keeper *keeper, int64_t piece, char *replayed,
                               trm_keeper_take_fn take, void *context, trm_error *err)
{
    const trm_run *run = keeper->anchors->run;
    int64_t *places = NULL, size[2];
    const trm_keep_part part = {"size", 2, 0, 2, size};
    trm_status status = load(keeper, piece, 1, &part, err);
    if (status == TRM_OK)
        status = load_whole(keeper, piece, "places", size[0], &places, err);
    if (status == TRM_OK &&
        !mark_replayed(keeper->anchors, size[0] / PLACES_WORDS, (const trm_places *)places, replayed))
        status =
            trm_fail(err, TRM_ERR_DATA, "checkpoint: piece %" PRId64 " is of another run of the job", piece);
    trm_free(places);
    status = trm_agree(run->comm, status, err);
    return status == TRM_OK ? replay_triplets(keeper, piece, size[1] / TRIPLET_WORDS, take, context, err)
                            : status;
}

trm_status trm_keeper_replay(trm_keeper *keeper, trm_keeper_take_fn take, void *context, trm_error *err)
{
    const trm_anchors *anchors = keeper->anchors;
    if (keeper->pieces == 0)
        return TRM_OK;
    char *replayed = trm_alloc_zero(anchors->rows->count, 1);
    trm_status status = TRM_OK;
    if (replayed == NULL)
        status = trm_fail_memory(err, "finished anchors", anchors->rows->count, 1);
    status = trm_agree(anchors->run->comm, status, err);
    for (int64_t piece = 0; piece < keeper->pieces && status == TRM_OK; piece++)
        status = replay_piece(keeper, piece, replayed, take, context, err);
    bool all = true;
    for (int64_t row = 0; row < anchors->rows->count && status == TRM_OK; row++)
        all = all && (replayed[row] || anchors->panel_of[row] != TRM_PANEL_FINISHED);
    if (!all)
        status = trm_fail(err, TRM_ERR_DATA, "checkpoint: a piece of the finished work is missing");
    trm_free(replayed);
    return trm_agree(anchors->run->comm, status, err);
}

/* What of the stopped sweep is done. */
static trm_status take_done(trm_keeper *keeper, trm_error *err)
{
    int64_t *words = NULL, count = 0;
    trm_status status = load_list(keeper, "done", RECTANGLE_WORDS, &words, &count, err);
    if (status == TRM_OK) {
        const trm_done done = {.rectangle = (trm_rectangle *)words, .count = count / RECTANGLE_WORDS};
        status = trm_agree(keeper->anchors->run->comm, trm_sweep_skip(keeper->sweep, &done, err), err);
    }
    trm_free(words);
    return status;
}

static trm_status load_fields(const trm_keeper *keeper, const trm_state *state, trm_field_kind kind,
                              trm_error *err)
{
    trm_keep_part part[TRM_FIELDS];
    const int parts = parts_of(keeper, state, kind, true, part);
    return load(keeper, TRM_KEPT_STATE, parts, part, err);
}

static trm_status take_thresholds(trm_keeper *keeper, trm_panel *panel, trm_error *err)
{
    trm_status status = TRM_OK;
    if (keeper->anchors->keep)
        status = load_fields(keeper, panel->positives, TRM_FIELD_FOUND, err);
    else
        trm_state_destroy(&panel->positives);
    if (status == TRM_OK)
        status = trm_panel_settle(keeper->anchors, panel, true, err);
    if (status == TRM_OK && !keeper->anchors->keep)
        status = load_fields(keeper, panel->negatives, TRM_FIELD_GIVEN, err);
    return status;
}

static trm_status find_thresholds(trm_keeper *keeper, bool here, trm_panel *panel, trm_error *err)
{
    trm_anchors *anchors = keeper->anchors;
    const trm_asked asked = {&anchors->positives.query, panel->positives}, nothing = {NULL, NULL};
    trm_status status = TRM_OK;
    if (here) {
        keeper->resumes = false;
        status = load_fields(keeper, panel->positives, TRM_FIELD_FOUND, err);
        if (status == TRM_OK)
            status = take_done(keeper, err);
    }
    if (status == TRM_OK)
        status = trm_sweep_run(keeper->sweep, "positives", asked, nothing, &anchors->counts, err);
    return status == TRM_OK ? trm_panel_settle(anchors, panel, false, err) : status;
}

trm_status trm_keeper_open(trm_keeper *keeper, int64_t index, trm_panel *panel, trm_error *err)
{
    const double start = trm_clock();
    const bool here = keeper->resumes && index == 0;
    keeper->index = index;
    keeper->phase = TRM_KEEPER_POSITIVES;
    keeper->panel = panel;
    trm_sweep_is_for(keeper->sweep, index, keeper->anchors->panels);
    trm_status status = trm_panel_begin(keeper->anchors, index, panel, err);
    if (status == TRM_OK)
        status = here && keeper->resume_phase != TRM_KEEPER_POSITIVES
                     ? take_thresholds(keeper, panel, err)
                     : find_thresholds(keeper, here, panel, err);
    keeper->anchors->seconds += trm_clock() - start;
    return status;
}

/* What was found in the sweep that was stopped. What is counted is taken once in a team. */
static trm_status take_found(const trm_keeper *keeper, const trm_state *state, bool after, trm_error *err)
{
    trm_keep_part part[TRM_FIELDS];
    const int parts = parts_of(keeper, state, TRM_FIELD_FOUND, true, part);
    for (int f = 0, i = 0; f < state->type->fields && !after && keeper->anchors->rows->member > 0; f++) {
        const trm_field *field = &state->type->field[f];
        if (field->kind == TRM_FIELD_FOUND && !field->merge->idempotent)
            part[i].count = 0;
        i += field->kind == TRM_FIELD_FOUND;
    }
    return load(keeper, TRM_KEPT_STATE, parts, part, err);
}

trm_status trm_keeper_sweep(trm_keeper *keeper, trm_error *err)
{
    const trm_query *query = keeper->anchors->negatives;
    const trm_asked asked = {query, keeper->panel->negatives}, nothing = {NULL, NULL};
    trm_status status = TRM_OK;
    keeper->phase = TRM_KEEPER_NEGATIVES;
    if (keeper->resumes && keeper->index == 0) {
        const bool after = keeper->resume_phase == TRM_KEEPER_AFTER;
        keeper->resumes = after;
        status = take_found(keeper, asked.state, after, err);
        if (status == TRM_OK && after)
            trm_sweep_prepare(keeper->sweep, query, asked.state);
        if (status != TRM_OK || after)
            return status;
        status = take_done(keeper, err);
    }
    if (status == TRM_OK)
        status = trm_sweep_run(keeper->sweep, "negatives", asked, nothing, keeper->counts, err);
    if (status == TRM_OK)
        trm_sweep_settle(keeper->sweep, query, asked.state);
    return status;
}

bool trm_keeper_was_after(const trm_keeper *keeper)
{
    return keeper->resumes && keeper->index == 0 && keeper->resume_phase == TRM_KEEPER_AFTER;
}

trm_status trm_keeper_take(trm_keeper *keeper, int parts, const trm_keep_part *part, trm_error *err)
{
    keeper->resumes = false;
    return load(keeper, TRM_KEPT_STATE, parts, part, err);
}
