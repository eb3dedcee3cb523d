/* Anchors, pairs, thresholds, panels; see anchors.h. */
#include "mine/anchors.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <omp.h>

bool trm_anchors_valid(const trm_rows *rows, int64_t row)
{
    return rows->class_size[row] > 1 && rows->class_size[row] < rows->total;
}

/* An anchor that makes a triplet without a positive. */
static bool is_lone(const trm_anchors *anchors, int64_t row)
{
    return anchors->options->lone && anchors->rows->class_size[row] == 1 && anchors->rows->total > 1;
}

int64_t trm_anchors_pairs(const trm_anchors *anchors, int64_t row)
{
    if (is_lone(anchors, row))
        return 1;
    return trm_anchors_valid(anchors->rows, row)
               ? trm_positives_pairs(anchors->options, anchors->rows->class_size[row])
               : 0;
}

static int64_t slots_of(const trm_anchors *anchors, int64_t row)
{
    if (is_lone(anchors, row))
        return 1;
    return trm_anchors_valid(anchors->rows, row)
               ? trm_positives_slots(&anchors->policy, anchors->rows->class_size[row])
               : 0;
}

/* Of any anchor: a list of all positives has a place for the anchor itself, which stays empty. */
static int64_t most_slots(const trm_anchors *anchors)
{
    return anchors->longest + 1;
}

/* ---- memory plan ---- */

/* In panel_of while it is not decided. */
static const int64_t unassigned = INT64_MAX;

/* Deals the rows that are in no panel before base to panels [base, panels), about as many to each. */
static void deal(trm_anchors *anchors, int64_t base, int64_t panels)
{
    int64_t rows = 0, k = 0;
    for (int64_t row = 0; row < anchors->rows->count; row++)
        rows += anchors->panel_of[row] >= base;
    for (int64_t row = 0; row < anchors->rows->count; row++)
        if (anchors->panel_of[row] >= base)
            anchors->panel_of[row] = base + k++ * (panels - base) / rows;
    anchors->panels = panels;
}

/* Bytes of a panel's state on this rank: the positives sweep with its visiting copies; then positives that
 * stay, negatives and their visiting copies; or the triplets being put together. */
static int64_t state_bytes(const trm_anchors *anchors, int64_t slots, int64_t pairs)
{
    const trm_rows *rows = anchors->rows;
    const int64_t candidate = (int64_t)sizeof(trm_candidate);
    const int64_t kept = anchors->keep ? slots * candidate : 0;
    const int64_t positives = trm_sweep_state_bytes(rows, slots, 1, false);
    const int64_t thresholds =
        slots * candidate + pairs * 12 + most_slots(anchors) * anchors->run->threads * candidate;
    const int64_t negatives = kept + trm_sweep_state_bytes(rows, pairs, anchors->sets, true) +
                              trm_sweep_block_bytes(anchors->run, rows, pairs);
    const int64_t triplets = anchors->keep ? kept + pairs * (anchors->sets * candidate + 12) +
                                                 pairs * (int64_t)sizeof(trm_triplet) / rows->replicate +
                                                 2 * most_slots(anchors) * anchors->run->threads * candidate
                                           : 0;
    const int64_t phases[] = {positives, thresholds, negatives, triplets};
    int64_t largest = 0;
    for (size_t k = 0; k < sizeof phases / sizeof *phases; k++)
        largest = phases[k] > largest ? phases[k] : largest;
    return largest;
}

/* Of the largest of the panels [from, to), whose numbers ascend with the rows. Collective. */
static int64_t largest_panel(const trm_anchors *anchors, int64_t from, int64_t to)
{
    int64_t largest = 0, slots = 0, pairs = 0, panel = from;
    for (int64_t row = 0; row < anchors->rows->count; row++) {
        if (anchors->panel_of[row] < from || anchors->panel_of[row] >= to)
            continue;
        if (anchors->panel_of[row] != panel)
            slots = pairs = 0;
        panel = anchors->panel_of[row];
        slots += slots_of(anchors, row);
        pairs += trm_anchors_pairs(anchors, row);
        const int64_t bytes = state_bytes(anchors, slots, pairs);
        largest = bytes > largest ? bytes : largest;
    }
    MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_INT64_T, MPI_MAX, anchors->run->comm);
    return largest;
}

/* What a rank needs beside a panel's state while it sweeps; the most of any, as threads and reserve may
 * differ. Collective. */
static int64_t fixed_bytes(const trm_anchors *anchors)
{
    const trm_rows *rows = anchors->rows;
    int64_t shard = 0;
    for (int t = 0; t < rows->teams; t++)
        shard = rows->shards[t].count > shard ? rows->shards[t].count : shard;
    int64_t bytes =
        trm_sweep_bytes(anchors->run, rows, shard) + 5 * 8 * (shard + 1) + anchors->options->reserve;
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, anchors->run->comm);
    return bytes;
}

/* The most rows a rank has that are in no panel before base. Collective. */
static int64_t most_undecided(const trm_anchors *anchors, int64_t base)
{
    int64_t rows = 0;
    for (int64_t row = 0; row < anchors->rows->count; row++)
        rows += anchors->panel_of[row] >= base;
    MPI_Allreduce(MPI_IN_PLACE, &rows, 1, MPI_INT64_T, MPI_MAX, anchors->run->comm);
    return rows;
}

/* The fewest panels whose state fits, after base panels that are given. Collective. */
static trm_status plan(trm_anchors *anchors, int64_t base, trm_error *err)
{
    const trm_rows *rows = anchors->rows;
    const int64_t arranging = rows->arrange_bytes;
    const int64_t fixed = fixed_bytes(anchors), limit = anchors->run->mem_per_rank;
    const int64_t most = most_undecided(anchors, base), given = largest_panel(anchors, 0, base);
    int64_t state, panels = most > 0 || base == 0;
    if (fixed + given > limit && most > 1)
        panels = most; /* it can't fit: how little would do? */
    for (;; panels = panels * 5 / 4 + 1) {
        panels = panels > most && panels > 1 ? most : panels;
        deal(anchors, base, base + panels);
        const int64_t dealt = largest_panel(anchors, base, base + panels);
        state = dealt > given ? dealt : given;
        if (fixed + state <= limit || panels >= most)
            break;
    }
    anchors->panel_bytes = state;
    anchors->memory_bytes = fixed + state > arranging ? fixed + state : arranging;
    const int64_t need = rows->sorted != NULL ? anchors->memory_bytes : fixed + state; /* yet to come */
    if (need > limit)
        return trm_run_refuse(anchors->run,
                              given == state && base > 0 ? "to go on from the checkpoint needs at least"
                                                         : "the job needs at least",
                              need, err);
    return TRM_OK;
}

int64_t trm_anchors_bytes(trm_anchors *anchors, int64_t panels)
{
    deal(anchors, 0, panels);
    const int64_t sweeping = fixed_bytes(anchors) + largest_panel(anchors, 0, panels);
    return sweeping > anchors->rows->arrange_bytes ? sweeping : anchors->rows->arrange_bytes;
}

trm_status trm_anchors_init(trm_anchors *anchors, const trm_run *run, const trm_rows *rows,
                            const trm_mine_options *options, int sets, bool keep, trm_error *err)
{
    *anchors = (trm_anchors){.run = run, .rows = rows, .options = options, .sets = sets, .keep = keep};
    trm_status status = TRM_OK;
    for (int64_t row = 0; row < rows->count; row++)
        if (trm_anchors_valid(rows, row) && rows->class_size[row] - 1 > anchors->longest)
            anchors->longest = rows->class_size[row] - 1;
    anchors->longest = options->lone && anchors->longest < 1 ? 1 : anchors->longest;
    MPI_Allreduce(MPI_IN_PLACE, &anchors->longest, 1, MPI_INT64_T, MPI_MAX, run->comm);
    anchors->policy = trm_positives_policy_of(options, anchors->longest);
    anchors->panel_of = trm_alloc_zero(rows->count, sizeof *anchors->panel_of);
    if (anchors->panel_of == NULL)
        status = trm_fail_memory(err, "panels", rows->count, sizeof *anchors->panel_of);
    status = trm_agree(run->comm, status, err);
    return status == TRM_OK ? trm_agree(run->comm, plan(anchors, 0, err), err) : status;
}

void trm_anchors_destroy(trm_anchors *anchors)
{
    trm_free(anchors->panel_of);
    anchors->panel_of = NULL;
}

/* ---- going on ---- */

/* Puts the rows of this shard that are in places into a panel. */
static void put_in_panel(trm_anchors *anchors, int64_t count, const trm_places *places, int64_t panel)
{
    const trm_rows *rows = anchors->rows;
    for (int64_t k = 0; k < count; k++) {
        const int64_t from = places[k].from > rows->first ? places[k].from - rows->first : 0;
        const int64_t to =
            places[k].to - rows->first < rows->count ? places[k].to - rows->first : rows->count;
        for (int64_t row = from; row < to; row++)
            anchors->panel_of[row] = panel;
    }
}

trm_status trm_anchors_resume(trm_anchors *anchors, int64_t finished, const trm_places *finished_places,
                              int64_t begun, const trm_places *begun_places, trm_error *err)
{
    for (int64_t row = 0; row < anchors->rows->count; row++)
        anchors->panel_of[row] = unassigned;
    put_in_panel(anchors, finished, finished_places, TRM_PANEL_FINISHED);
    put_in_panel(anchors, begun, begun_places, 0);
    return trm_agree(anchors->run->comm, plan(anchors, 1, err), err);
}

/* ---- one panel ---- */

static trm_status create_state(const trm_anchors *anchors, const trm_panel *panel,
                               int64_t (*slots)(const trm_anchors *, int64_t), int sets, bool bounds,
                               trm_state **state, trm_error *err)
{
    const trm_rows *rows = anchors->rows;
    int64_t *offset = trm_alloc(rows->count + 1, sizeof *offset);
    trm_status status =
        offset == NULL ? trm_fail_memory(err, "panel", rows->count + 1, sizeof *offset) : TRM_OK;
    if (status == TRM_OK) {
        offset[0] = 0;
        int64_t k = 0;
        for (int64_t row = 0; row < rows->count; row++) {
            const bool here = k < panel->count && panel->row[k] == row;
            offset[row + 1] = offset[row] + (here ? slots(anchors, row) : 0);
            k += here;
        }
        status = trm_state_create(rows->count, offset, sets, bounds, state, err);
    }
    trm_free(offset);
    return trm_agree(anchors->run->comm, status, err);
}

/* Sorts each anchor's positives by (d, id), which are its thresholds. */
static void set_thresholds(const trm_anchors *anchors, const trm_panel *panel, trm_candidate *scratch)
{
#pragma omp parallel for schedule(dynamic, 16) num_threads(anchors->run->threads)
    for (int64_t k = 0; k < panel->count; k++) {
        const int64_t row = panel->row[k];
        trm_candidate *best = panel->positives->best + panel->positives->offset[row];
        const int64_t slots = panel->positives->offset[row + 1] - panel->positives->offset[row];
        for (int64_t i = 0; i < slots && trm_candidate_exists(best[i]); i++)
            best[i].key = anchors->policy.sign < 0.0 ? 0.0 - best[i].key : best[i].key;
        if (slots > 0 && is_lone(anchors, row))
            best[0] = (trm_candidate){0.0, -1};
        else if (anchors->policy.sink.dense)
            trm_candidates_sort(best, slots, scratch + omp_get_thread_num() * most_slots(anchors));
        double *bound = panel->negatives->bound + panel->negatives->offset[row];
        for (int64_t i = 0; i < trm_anchors_pairs(anchors, row); i++)
            bound[i] = best[i].key;
    }
}

trm_status trm_panel_begin(const trm_anchors *anchors, int64_t index, trm_panel *panel, trm_error *err)
{
    trm_status status = TRM_OK;
    *panel = (trm_panel){.row = trm_alloc(anchors->rows->count, sizeof *panel->row)};
    if (panel->row == NULL)
        status = trm_fail_memory(err, "panel", anchors->rows->count, sizeof *panel->row);
    for (int64_t row = 0; row < anchors->rows->count && status == TRM_OK; row++)
        if (anchors->panel_of[row] == index)
            panel->row[panel->count++] = row;
    status = trm_agree(anchors->run->comm, status, err);
    if (status != TRM_OK)
        return status;
    return create_state(anchors, panel, slots_of, 1, false, &panel->positives, err);
}

trm_status trm_panel_settle(const trm_anchors *anchors, trm_panel *panel, trm_error *err)
{
    trm_status status = create_state(anchors, panel, trm_anchors_pairs, 0, true, &panel->negatives, err);
    if (status != TRM_OK)
        return status;
    if (panel->positives != NULL) {
        const int64_t each = most_slots(anchors) * anchors->run->threads;
        trm_candidate *scratch = trm_alloc(each, sizeof *scratch);
        if (scratch == NULL)
            status = trm_fail_memory(err, "thresholds being sorted", each, sizeof *scratch);
        status = trm_agree(anchors->run->comm, status, err);
        if (status == TRM_OK)
            set_thresholds(anchors, panel, scratch);
        trm_free(scratch);
        if (status != TRM_OK)
            return status;
    }
    if (!anchors->keep)
        trm_state_destroy(&panel->positives);
    return trm_agree(anchors->run->comm, trm_state_ask(panel->negatives, anchors->sets, err), err);
}

void trm_panel_close(trm_panel *panel)
{
    trm_state_destroy(&panel->positives);
    trm_state_destroy(&panel->negatives);
    trm_free(panel->row);
    *panel = (trm_panel){0};
}

void trm_panel_share(const trm_anchors *anchors, const trm_panel *panel, int64_t *first, int64_t *last)
{
    trm_share(panel->count, anchors->rows->member, anchors->rows->replicate, first, last);
}
