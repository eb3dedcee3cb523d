/* A job: from stores on the disk to a result on the disk, as the program runs it.
 *
 * A job is told what to do by options, by name and as text, as on the program's command line (without the
 * dashes); `trimine options` lists them. Then, all collective, each after the one before has returned OK:
 *
 *   trm_job_open    claims what is to be written, starts a run, opens the inputs and reads labels
 *   trm_job_plan    plans the memory, once
 *   trm_job_run     reads the rows, mines, evaluates
 *   trm_job_write   the result and the gradient to the output
 *   trm_job_tell    all that is known, as JSON
 *   trm_job_done    the result is safe, and was told: a checkpoint is of no more use and is removed
 *
 * A failure ends the job: what is left to do then is trm_job_destroy. A step out of its turn is refused (USAGE), and
 * changes nothing. One process may have several jobs, one after another or side by side. The library prints nothing and handles no
 * signal: that is what the hooks are for. A job that is stopped by them fails with STOPPED, and goes on from its
 * checkpoint when it is run again with "resume". Needs status.h, run.h and mpi.h. */
#ifndef TRIMINE_JOB_H
#define TRIMINE_JOB_H

#include "trimine/abi.h"
#include "trimine/run.h"
#include "trimine/status.h"

#include <mpi.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct trm_job trm_job;

/* What a line is that a job says meanwhile. */
typedef enum trm_line {
    TRM_LINE_WARNING, /* something that the user should look at; also in the JSON */
    TRM_LINE_STEP,    /* the plan; whether it goes on from a checkpoint */
    TRM_LINE_NOTE,    /* what explains how it runs */
    TRM_LINE_DETAIL   /* each checkpoint */
} trm_line;

/* All may be NULL, and are called by the main thread. */
typedef struct trm_job_hooks {
    size_t size; /* set by trm_job_hooks_init */
    void *context;
    /* A line without an end; what names hold that a terminal must not get is replaced. Rank 0's only. */
    void (*say)(void *context, trm_line line, const char *text);
    /* What this rank wishes for (TRM_WISH_SAVE, TRM_WISH_STOP; 0: nothing), asked about once a second. A wish to save holds until saved was called. */
    int (*wish)(void *context);
    void (*saved)(void *context);
    /* From here on nothing can be saved: a signal may end the process at once. */
    void (*not_saved)(void *context);
    trm_progress_fn progress; /* gets progress_context */
    void *progress_context;
} trm_job_hooks;

/* Nothing is called. Not collective. */
TRM_API void trm_job_hooks_init_sized(trm_job_hooks *hooks, size_t size);
static inline void trm_job_hooks_init(trm_job_hooks *hooks)
{
    trm_job_hooks_init_sized(hooks, sizeof *hooks);
}

/* A job that does what a command of the program does: "mine" or "loss". The caller owns *job. Not collective.
 * Errors: USAGE (no such kind), MEMORY. */
TRM_API trm_status trm_job_create(const char *kind, trm_job **job, trm_error *err) TRM_MUST_CHECK;
/* Sets an option; value: NULL for one that takes none. Texts are copied. Of one that is set again the last value
 * counts, but ignore-label means all of its labels, and compat is refused. What a value means is checked by
 * trm_job_check. Not collective. Errors: USAGE (no such option of this kind, a value missing or too much; the job was
 * checked or opened), MEMORY. */
TRM_API trm_status trm_job_set(trm_job *job, const char *option, const char *value,
                               trm_error *err) TRM_MUST_CHECK;
/* Adds a store, or a file of packed triplets. Copied. Not collective. Errors: USAGE (the job was checked or opened),
 * MEMORY. */
TRM_API trm_status trm_job_add_input(trm_job *job, const char *path, trm_error *err) TRM_MUST_CHECK;
/* Takes the options together: values, a preset, and what does not go together. From here on the job is told nothing
 * more. trm_job_open does it where it was not done. Not collective. Errors: USAGE, MEMORY. */
TRM_API trm_status trm_job_check(trm_job *job, trm_error *err) TRM_MUST_CHECK;

/* Opens on all ranks of comm, which is dup'ed; inputs and options equal on all of them, but for threads, mem-per-rank
 * and kernel. hooks: NULL for none; copied, and their contexts borrowed until trm_job_destroy. Errors: those of
 * trm_job_check; USAGE (comm is MPI_COMM_NULL, or ranks were told different things), ENVIRONMENT (MPI's threads),
 * MEMORY; CREATE, PERMISSION, IO (outputs); NO_INPUT, DATA (inputs); STOPPED. */
TRM_API trm_status trm_job_open(trm_job *job, MPI_Comm comm, const trm_job_hooks *hooks,
                                trm_error *err) TRM_MUST_CHECK;
/* Errors: MEMORY (with the smallest limit that would do), USAGE (more classes or rows to draw than there are), DATA (a
 * list of batches that does not fit), STOPPED. */
TRM_API trm_status trm_job_plan(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* Errors: as trm_store_read, trm_evaluate and trm_packed_loss; STOPPED; those of an output. */
TRM_API trm_status trm_job_run(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* Nothing where there is no output. Errors: IO (disk full), PERMISSION, CREATE, MEMORY. */
TRM_API trm_status trm_job_write(trm_job *job, trm_error *err) TRM_MUST_CHECK;
/* *json: one object, UTF-8, NUL-terminated, on rank 0, else NULL; owned by the job until it is destroyed. It is
 * what the program's --json prints. May be called again. Errors: INTERNAL, MEMORY. */
TRM_API trm_status trm_job_tell(trm_job *job, const char **json, trm_error *err) TRM_MUST_CHECK;

/* Removes the checkpoint; before trm_job_tell nothing. Collective. */
TRM_API void trm_job_done(trm_job *job);

/* Frees and sets *job to NULL; NULL is fine. Of a job that was not done a checkpoint stays, and so does an output that
 * was written. Collective, once it was opened. */
TRM_API void trm_job_destroy(trm_job **job);

#ifdef __cplusplus
}
#endif
#endif
