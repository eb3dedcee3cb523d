/* Keeping a job's state; see keep.h. */
#include "mine/keep.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "mine/semihard.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <inttypes.h>
#include <string.h>

/* The part "job": where the job was. */
enum { JOB_LAYOUT, JOB_NEGATIVES, JOB_INDEX, JOB_PANELS, JOB_ROWS, JOB_WORDS };
enum { LAYOUT = 1, COUNTS = 6, RECTANGLE_WORDS = 4, PARTS_MAX = 8 };

/* ---- arrays over anchors ---- */

/* words a slot; whole: of all this team's shard, else of this member's share of it. Collective. */
static trm_keep_part part_of(const trm_keeper *keeper, const char *name, const trm_state *state, void *data,
                             int words, bool whole)
{
    const trm_rows *rows = keeper->anchors->rows;
    MPI_Comm comm = keeper->anchors->run->comm;
    int64_t from, to;
    trm_share(rows->count, rows->member, rows->replicate, &from, &to);
    const int64_t share = state->offset[to] - state->offset[from];
    const int64_t total = trm_sum_int64(comm, share), first = trm_prefix_int64(comm, share);
    trm_keep_part part = {
        .name = name, .total = total * words, .first = first * words, .count = share * words};
    part.words = (char *)data + state->offset[from] * words * 8;
    if (whole) {
        part.first -= state->offset[from] * words;
        part.count = state->slots * words;
        part.words = data;
    }
    return part;
}

static trm_keep_part positives_part(const trm_keeper *keeper, bool whole)
{
    trm_state *state = keeper->panel->positives;
    return part_of(keeper, "positives", state, state->best, 2, whole);
}

static trm_keep_part thresholds_part(const trm_keeper *keeper, bool whole)
{
    trm_state *state = keeper->panel->negatives;
    return part_of(keeper, "thresholds", state, state->bound, 1, whole);
}

static int negatives_parts(const trm_keeper *keeper, bool whole, trm_keep_part *part)
{
    static const char *const names[] = {"negatives", "negatives_2"};
    trm_state *state = keeper->panel->negatives;
    for (int set = 0; set < state->sets; set++)
        part[set] = part_of(keeper, names[set], state, state->best + set * state->slots, 2, whole);
    return state->sets;
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

static trm_status save(void *context, const trm_done *done, bool stop, trm_error *err)
{
    trm_keeper *keeper = context;
    const trm_run *run = keeper->anchors->run;
    const int words = COUNTS + keeper->totals.words;
    int64_t job[JOB_WORDS] = {[JOB_LAYOUT] = LAYOUT,
                              [JOB_NEGATIVES] = keeper->negatives,
                              [JOB_INDEX] = keeper->index,
                              [JOB_PANELS] = keeper->anchors->panels,
                              [JOB_ROWS] = keeper->anchors->rows->total};
    int64_t *totals = trm_alloc(words, sizeof *totals);
    trm_status status = totals == NULL ? trm_fail_memory(err, "totals", words, sizeof *totals) : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK)
        return status;
    give_totals(keeper, totals);
    trm_keep_part part[PARTS_MAX];
    int parts = 0;
    part[parts++] = (trm_keep_part){"job", JOB_WORDS, 0, run->rank == 0 ? JOB_WORDS : 0, job};
    part[parts++] =
        (trm_keep_part){"totals", (int64_t)words * run->ranks, (int64_t)words * run->rank, words, totals};
    part[parts++] = (trm_keep_part){"done", RECTANGLE_WORDS * trm_sum_int64(run->comm, done->count),
                                    RECTANGLE_WORDS * trm_prefix_int64(run->comm, done->count),
                                    RECTANGLE_WORDS * done->count, done->rectangle};
    if (keeper->panel->positives != NULL)
        part[parts++] = positives_part(keeper, false);
    else
        part[parts++] = thresholds_part(keeper, false);
    if (keeper->negatives)
        parts += negatives_parts(keeper, false, part + parts);
    status = run->keeping->save(run->keeping->context, parts, part, stop, err);
    trm_free(totals);
    return status;
}

/* ---- going on ---- */

static trm_status load(const trm_keeper *keeper, int parts, const trm_keep_part *part, trm_error *err)
{
    const trm_keeping *keeping = keeper->anchors->run->keeping;
    return keeping->load(keeping->context, parts, part, err);
}

/* An array whose length only the kept state knows, in new memory of all ranks. */
static trm_status load_whole(const trm_keeper *keeper, const char *name, int64_t multiple, int64_t **words,
                             int64_t *count, trm_error *err)
{
    const trm_run *run = keeper->anchors->run;
    *words = NULL;
    *count = run->keeping->size(run->keeping->context, name);
    trm_status status = TRM_OK;
    if (*count < 0 || *count % multiple != 0)
        return trm_fail(err, TRM_ERR_DATA, "checkpoint: array '%s' is missing or has a wrong length", name);
    *words = trm_alloc(*count, sizeof **words);
    if (*words == NULL)
        status = trm_fail_memory(err, "the checkpoint's lists", *count, sizeof **words);
    status = trm_agree(run->comm, status, err);
    const trm_keep_part part = {name, *count, 0, *count, *words};
    return status == TRM_OK ? load(keeper, 1, &part, err) : status;
}

static trm_status take_place(trm_keeper *keeper, trm_error *err)
{
    int64_t job[JOB_WORDS], *totals = NULL, count = 0;
    const trm_keep_part part = {"job", JOB_WORDS, 0, JOB_WORDS, job};
    const int words = COUNTS + keeper->totals.words;
    trm_status status = load(keeper, 1, &part, err);
    if (status != TRM_OK)
        return status;
    if (job[JOB_LAYOUT] != LAYOUT || job[JOB_ROWS] != keeper->anchors->rows->total)
        return trm_fail(err, TRM_ERR_DATA, "checkpoint: is of another job or another version");
    keeper->resume_negatives = job[JOB_NEGATIVES] != 0;
    keeper->resume_index = job[JOB_INDEX];
    status = load_whole(keeper, "totals", words, &totals, &count, err);
    for (int64_t i = 0; i < count && status == TRM_OK && keeper->anchors->run->rank == 0; i += words)
        take_totals(keeper, totals + i);
    trm_free(totals);
    return status;
}

trm_status trm_keeper_init(trm_keeper *keeper, trm_anchors *anchors, trm_sweep *sweep,
                           trm_sweep_counts *counts, trm_totals totals, trm_error *err)
{
    *keeper = (trm_keeper){.anchors = anchors, .sweep = sweep, .counts = counts, .totals = totals};
    const trm_keeping *keeping = anchors->run->keeping;
    if (keeping == NULL || keeping->save == NULL)
        return TRM_OK;
    if (anchors->panels > 1)
        return trm_fail(
            err, TRM_ERR_MEMORY,
            "a checkpoint needs the state of all anchors at once, which a limit of %.1f MB a rank does "
            "not hold: use more ranks, or no --checkpoint",
            (double)anchors->run->mem_per_rank / 1e6);
    trm_sweep_on_save(sweep, save, keeper);
    keeper->resumes = keeping->resumes;
    return keeper->resumes ? take_place(keeper, err) : TRM_OK;
}

/* What of the stopped sweep is done. */
static trm_status take_done(trm_keeper *keeper, trm_error *err)
{
    int64_t *words = NULL, count = 0;
    trm_status status = load_whole(keeper, "done", RECTANGLE_WORDS, &words, &count, err);
    if (status == TRM_OK) {
        const trm_done done = {.rectangle = (trm_rectangle *)words, .count = count / RECTANGLE_WORDS};
        status = trm_agree(keeper->anchors->run->comm, trm_sweep_skip(keeper->sweep, &done, err), err);
    }
    trm_free(words);
    return status;
}

/* Positives as the sweep leaves them, from those whose sign was already put right. */
static void turn_back(const trm_keeper *keeper)
{
    const trm_state *state = keeper->panel->positives;
    for (int64_t i = 0; i < state->slots && keeper->anchors->policy.sign < 0.0; i++)
        if (trm_candidate_exists(state->best[i]))
            state->best[i].key = 0.0 - state->best[i].key;
}

static trm_status take_thresholds(trm_keeper *keeper, trm_panel *panel, trm_error *err)
{
    trm_status status = TRM_OK;
    trm_keep_part part;
    if (keeper->anchors->keep) {
        part = positives_part(keeper, true);
        status = load(keeper, 1, &part, err);
        if (status == TRM_OK)
            turn_back(keeper);
    } else {
        trm_state_destroy(&panel->positives);
    }
    if (status == TRM_OK)
        status = trm_panel_settle(keeper->anchors, panel, err);
    if (status == TRM_OK && !keeper->anchors->keep) {
        part = thresholds_part(keeper, true);
        status = load(keeper, 1, &part, err);
    }
    return status;
}

static trm_status find_thresholds(trm_keeper *keeper, bool here, trm_panel *panel, trm_error *err)
{
    trm_anchors *anchors = keeper->anchors;
    trm_status status = TRM_OK;
    if (here) {
        const trm_keep_part part = positives_part(keeper, true);
        keeper->resumes = false;
        status = load(keeper, 1, &part, err);
        if (status == TRM_OK)
            status = take_done(keeper, err);
    }
    if (status == TRM_OK)
        status = trm_sweep_run(keeper->sweep, &anchors->policy.sink, panel->positives, &anchors->counts, err);
    return status == TRM_OK ? trm_panel_settle(anchors, panel, err) : status;
}

trm_status trm_keeper_open(trm_keeper *keeper, int64_t index, trm_panel *panel, trm_error *err)
{
    const double start = trm_clock();
    const bool here = keeper->resumes && keeper->resume_index == index;
    keeper->index = index;
    keeper->negatives = false;
    keeper->panel = panel;
    trm_status status = trm_panel_begin(keeper->anchors, index, panel, err);
    if (status == TRM_OK)
        status = here && keeper->resume_negatives ? take_thresholds(keeper, panel, err)
                                                  : find_thresholds(keeper, here, panel, err);
    keeper->anchors->seconds += trm_clock() - start;
    return status;
}

trm_status trm_keeper_sweep(trm_keeper *keeper, const trm_sink *sink, trm_error *err)
{
    trm_state *state = keeper->panel->negatives;
    const bool sums = sink->list == TRM_MERGE_SUM;
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < state->slots * state->sets && sums; i++)
        state->best[i] = (trm_candidate){0.0, 0};
    keeper->negatives = true;
    if (keeper->resumes && keeper->resume_index == keeper->index) {
        trm_keep_part part[TRM_SEMIHARD_SETS];
        const int parts = negatives_parts(keeper, true, part);
        keeper->resumes = false;
        for (int i = 0; i < parts && sums && keeper->anchors->rows->member > 0; i++)
            part[i].count = 0; /* the team's sum is taken once */
        status = load(keeper, parts, part, err);
        if (status == TRM_OK)
            status = take_done(keeper, err);
    }
    return status == TRM_OK ? trm_sweep_run(keeper->sweep, sink, state, keeper->counts, err) : status;
}
