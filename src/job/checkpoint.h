/* A job's checkpoint: the hooks' wishes, the clock, and the files behind the interface (par/checkpoint.h).
 *
 * Finished pieces of a long job (the triplets of a panel of anchors) are files of their own beside the
 * checkpoint, PATH.piece-K, in the same form. They go when the checkpoint goes. */
#ifndef TRM_JOB_CHECKPOINT_H
#define TRM_JOB_CHECKPOINT_H

#include "job/settings.h"
#include "job/voice.h"
#include "par/checkpoint.h"
#include "store/checkpoint_file.h"
#include "store/result.h"

typedef struct trm_job_checkpoint {
    const trm_settings *settings;
    const trm_job_hooks *hooks;
    trm_voice *voice;
    MPI_Comm comm;
    int rank;
    trm_checkpoint checkpoint;
    trm_checkpoint_job job;     /* options: owned */
    trm_claim *claim;           /* the checkpoint's, or NULL */
    bool found;                 /* rank 0: there was a checkpoint when the job began */
    int64_t first_piece;        /* rank 0: and this piece; -1: none */
    trm_checkpoint_file *from;  /* while there is something to go on from */
    trm_checkpoint_file *piece; /* the finished piece that was read last, piece_index */
    int64_t piece_index;
    bool piece_lost; /* one could not be set aside: no later state is worth saving */
    double last;     /* when the state was last kept */
    int written;
    int64_t bytes; /* of the last checkpoint */
    double write_s;
    bool resumed;
    bool begun; /* the long work has begun: it was asked for wishes */
} trm_job_checkpoint;

/* Checks what is there already, under claim, which becomes its own; NULL where there is no checkpoint, and the job
 * may only be stopped, as one may that only plans. settings, hooks and voice are borrowed. Collective. Errors: CREATE (a checkpoint, or a piece
 * of one, that must not be written over). */
trm_status trm_job_checkpoint_begin(trm_job_checkpoint *checkpoint, MPI_Comm comm,
                                    const trm_settings *settings, const trm_job_hooks *hooks,
                                    trm_voice *voice, trm_claim *claim, trm_error *err) TRM_MUST_CHECK;
/* Refuses names of the checkpoint and the output that are the same. Rank 0's; not collective. Errors: USAGE. */
trm_status trm_job_checkpoint_check(const trm_settings *settings, trm_error *err) TRM_MUST_CHECK;
/* The store is read: opens what there is to go on from, or says that there is nothing. job: but for command,
 * version and options, which this fills in. Collective. Errors: as trm_checkpoint_file_open; no file is none,
 * unless there was one at the beginning (NO_INPUT). */
trm_status trm_job_checkpoint_resume(trm_job_checkpoint *checkpoint, trm_checkpoint_job job,
                                     trm_error *err) TRM_MUST_CHECK;
/* Makes the error of a stopped job say what to do next. */
trm_status trm_job_checkpoint_explain(const trm_job_checkpoint *checkpoint, trm_status status,
                                      trm_error *err) TRM_MUST_CHECK;
/* Makes the error of a result that can't be written say what was kept of the work, where that was begun. */
void trm_job_checkpoint_explain_unwritten(const trm_job_checkpoint *checkpoint, trm_error *err);
/* The result is safe: removes the checkpoint and its pieces. Collective. */
void trm_job_checkpoint_done(const trm_job_checkpoint *checkpoint);
/* With --checkpoint: what was kept and reused, for the report (new reference). */
json_t *trm_job_checkpoint_report(const trm_job_checkpoint *checkpoint, int64_t reused);
void trm_job_checkpoint_end(trm_job_checkpoint *checkpoint);

#endif
