/* The state of a job on its way to its checkpoint (par/checkpoint.h), and back.
 *
 * Anchors are in the order of arranged places, (label, row id), which does not depend on the ranks; so each
 * array is one long row of slots of which a shard is a stretch. What can be found again from the rows and the
 * options (how many slots an anchor has) is not kept. */
#ifndef TRM_MINE_CHECKPOINT_H
#define TRM_MINE_CHECKPOINT_H

#include "mine/anchors.h"

/* A job's own running totals: words of a rank that are added up in the end. */
typedef struct trm_totals {
    int words;
    void (*give)(void *context, int64_t *words);       /* this rank's, now */
    void (*take)(void *context, const int64_t *words); /* adds some of an earlier run to this rank's */
    void *context;
} trm_totals;

/* Words of this rank as a part, the ranks' one after the other. Collective. */
trm_checkpoint_part trm_checkpoint_words(const trm_run *run, const char *name, int64_t count, void *words);
/* The whole of an array of a volume, in new memory of all ranks; the caller owns *words, also after a failure.
 * Collective. Errors: DATA, IO, MEMORY. */
trm_status trm_checkpoint_load_whole(const trm_run *run, int64_t volume, const char *name, int64_t total,
                                     int64_t **words, trm_error *err) TRM_MUST_CHECK;
/* The same, of the state, and of a length that only the kept state knows: a multiple of so many words. */
trm_status trm_checkpoint_load_list(const trm_run *run, const char *name, int64_t multiple, int64_t **words,
                                    int64_t *count, trm_error *err) TRM_MUST_CHECK;

typedef enum trm_mine_phase {
    TRM_PHASE_POSITIVES,
    TRM_PHASE_NEGATIVES, /* the thresholds are known, the second sweep is on */
    TRM_PHASE_AFTER      /* both are done; the caller goes on with what they found, for the only panel */
} trm_mine_phase;

typedef struct trm_mine_checkpoint {
    trm_anchors *anchors;
    trm_sweep *sweep;
    trm_sweep_counts *counts; /* of the negatives sweeps */
    trm_totals totals;
    const char *name; /* of the second sweep, for progress */
    /* where the job is */
    int64_t index; /* panel */
    trm_mine_phase phase;
    int64_t place; /* in TRM_PHASE_AFTER: how far the caller is */
    const trm_panel *panel;
    /* where it goes on from, until it got there */
    bool resumes;
    trm_mine_phase resume_phase;
    int64_t pieces; /* panels whose triplets were set aside */
    int64_t reused; /* elements of that run's tiles; on rank 0 */
    bool keeps;     /* the job is kept, where there is a place */
    /* parts of the caller's own that each state has, too; borrowed */
    int extras;
    const trm_checkpoint_part *extra;
} trm_mine_checkpoint;

/* Sets up, takes the place and the totals of an earlier run where there is one, after which anchors are
 * planned anew, and makes the sweep save by this checkpoint. anchors, sweep and counts are borrowed. Collective.
 * Errors: DATA, IO, MEMORY. */
trm_status trm_mine_checkpoint_init(trm_mine_checkpoint *checkpoint, trm_anchors *anchors, trm_sweep *sweep,
                                    trm_sweep_counts *counts, trm_totals totals,
                                    trm_error *err) TRM_MUST_CHECK;

/* The same for a job that was something else before: it goes on from nothing, even where there is an earlier run. Not
 * collective. */
void trm_mine_checkpoint_init_anew(trm_mine_checkpoint *checkpoint, trm_anchors *anchors, trm_sweep *sweep,
                                   trm_sweep_counts *counts, trm_totals totals);
/* Saves the state of the open panel, before anything of it is set aside, where there is a place that keeps. Collective. Errors: those
 * of that place. */
trm_status trm_mine_checkpoint_save(trm_mine_checkpoint *checkpoint, trm_error *err) TRM_MUST_CHECK;

/* The same for a job that is not kept: a stop ends it. Not collective. */
void trm_mine_checkpoint_init_without(trm_mine_checkpoint *checkpoint, trm_anchors *anchors, trm_sweep *sweep,
                                      trm_sweep_counts *counts);

/* Opens panel index: as trm_panel_open, or from what was kept. Collective. */
trm_status trm_mine_checkpoint_open(trm_mine_checkpoint *checkpoint, int64_t index, trm_panel *panel,
                                    trm_error *err) TRM_MUST_CHECK;

/* Runs the negatives sweep of the open panel, saves what it found where the end is kept and this is the last one, and
 * settles it; or, where an earlier run was past it,
 * takes what the caller had made of that. Collective. */
trm_status trm_mine_checkpoint_sweep(trm_mine_checkpoint *checkpoint, trm_error *err) TRM_MUST_CHECK;

/* After the sweep: whether an earlier run was past it, at checkpoint->place; part: what it passed to
 * trm_mine_checkpoint_pause, in this run's cut, taken then. Collective. Errors: DATA, IO. */
bool trm_mine_checkpoint_was_after(const trm_mine_checkpoint *checkpoint);
trm_status trm_mine_checkpoint_take(trm_mine_checkpoint *checkpoint, int parts,
                                    const trm_checkpoint_part *part, trm_error *err) TRM_MUST_CHECK;
/* Between two units of the caller's own work on what the sweeps found, at most two parts of which are its
 * own: saves, or stops, where any rank wishes so. Collective. Errors: STOPPED, those of the place that keeps.
 */
trm_status trm_mine_checkpoint_pause(trm_mine_checkpoint *checkpoint, int64_t place, int parts,
                                     const trm_checkpoint_part *part, trm_error *err) TRM_MUST_CHECK;

/* Takes a panel's triplets, this rank's, ascending by anchor; may keep the array, as a trm_triplet_fn. */
typedef trm_status (*trm_mine_checkpoint_fn)(void *context, trm_triplet **triplets, int64_t count,
                                             trm_error *err);

/* At the end of that work: saves it where the end is kept, as trm_mine_checkpoint_pause does. Collective. Errors: those of the
 * place that keeps. */
trm_status trm_mine_checkpoint_end(trm_mine_checkpoint *checkpoint, int64_t place, int parts,
                                   const trm_checkpoint_part *part, trm_error *err) TRM_MUST_CHECK;

/* Hands out again what an earlier run found for the anchors that it finished, some on each rank. Collective.
 * Errors: DATA, IO, MEMORY; what take returns. */
trm_status trm_mine_checkpoint_replay(trm_mine_checkpoint *checkpoint, trm_mine_checkpoint_fn take,
                                      void *context, trm_error *err) TRM_MUST_CHECK;

/* The open panel is answered: sets its triplets aside if more panels follow. Collective. Errors: those of the
 * place that keeps. */
trm_status trm_mine_checkpoint_answered(trm_mine_checkpoint *checkpoint, trm_triplet *triplets, int64_t count,
                                        trm_error *err) TRM_MUST_CHECK;

/* The same two for a job that is no mining: what is set aside of a panel is what was found for it, once it is settled, and
 * with it what was given. */
trm_status trm_mine_checkpoint_finished(trm_mine_checkpoint *checkpoint, trm_error *err) TRM_MUST_CHECK;
/* Takes a panel that an earlier run finished, or a part of one that is small enough: its negatives but for the fields that are
 * made. Collective. */
typedef trm_status (*trm_mine_checkpoint_panel_fn)(void *context, const trm_panel *panel, trm_error *err);
trm_status trm_mine_checkpoint_replay_panels(trm_mine_checkpoint *checkpoint,
                                             trm_mine_checkpoint_panel_fn take, void *context,
                                             trm_error *err) TRM_MUST_CHECK;

#endif
