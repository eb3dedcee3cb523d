/* Stopping a job and saving it: signals, the clock, and the checkpoint file behind the library's wishes
 * (par/checkpoint.h).
 *
 * Finished pieces of a long job (the triplets of a panel of anchors) are files of their own beside the
 * checkpoint, PATH.piece-K, in the same form. They go when the checkpoint goes.
 *
 * SIGTERM, SIGINT, SIGHUP and SIGUSR1 ask for a checkpoint and the end, SIGUSR2 for a checkpoint. Launchers
 * may deliver a signal to a rank twice, directly and through mpirun; so only a second one that comes a second
 * later or more means impatience, and ends the rank at once. SIGINT and SIGHUP that were ignored when the
 * program was started (nohup, a shell's background job) stay ignored. */
#ifndef TRM_CLI_CHECKPOINT_H
#define TRM_CLI_CHECKPOINT_H

#include "cli/cli.h"
#include "par/checkpoint.h"
#include "store/checkpoint_file.h"
#include "store/result.h"

typedef struct trm_job_checkpoint {
    const trm_cli *cli;
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
} trm_job_checkpoint;

/* Installs the signal handlers: before anything else, so that no signal is lost; and takes them back, for
 * work that is not kept. Not collective. */
void trm_signals_listen(void);
void trm_signals_ignore(void);

/* STOPPED on all ranks if any was asked to stop. Collective. */
trm_status trm_signals_stopped(MPI_Comm comm, trm_error *err) TRM_MUST_CHECK;

/* Claims a path that must be none of the job's inputs. Collective. Errors: as trm_claim_take. */
trm_status trm_claim_output(const trm_cli *cli, MPI_Comm comm, const char *kind, const char *path,
                            bool overwrite, trm_claim **claim, trm_error *err) TRM_MUST_CHECK;
/* Says where another job's output was replaced; claim may be NULL. Rank 0's; not collective. */
void trm_claim_tell_replaced(const trm_claim *claim);
/* Claims --checkpoint, and checks what is there already. Collective. Errors: as trm_claim_take; CREATE (a
 * checkpoint, or a piece of one, that must not be written over). */
trm_status trm_job_checkpoint_begin(const trm_cli *cli, MPI_Comm comm, trm_job_checkpoint *checkpoint,
                                    trm_error *err) TRM_MUST_CHECK;
/* The store is read: opens what there is to go on from, or says that there is nothing. job: but for command,
 * version and options, which this fills in. Collective. Errors: as trm_checkpoint_file_open; no file is none,
 * unless there was one at the beginning (NO_INPUT). */
trm_status trm_job_checkpoint_resume(trm_job_checkpoint *checkpoint, trm_checkpoint_job job,
                                     trm_error *err) TRM_MUST_CHECK;
/* Between phases: STOPPED on all ranks if any was asked to. Collective. */
trm_status trm_job_checkpoint_pause(const trm_job_checkpoint *checkpoint, trm_error *err) TRM_MUST_CHECK;
/* Makes the error of a stopped job say what to do next. */
trm_status trm_job_checkpoint_explain(const trm_job_checkpoint *checkpoint, trm_status status,
                                      trm_error *err) TRM_MUST_CHECK;
/* The result is safe: removes the checkpoint and its pieces. Collective. */
void trm_job_checkpoint_done(const trm_job_checkpoint *checkpoint);
/* With --checkpoint: what was kept and reused, for the report (new reference). */
json_t *trm_job_checkpoint_report(const trm_job_checkpoint *checkpoint, int64_t reused);
void trm_job_checkpoint_end(trm_job_checkpoint *checkpoint);

#endif
