/* The inside of a run: a dup'ed communicator and the settings every collective step works with. */
#ifndef TRM_ROWS_RUN_H
#define TRM_ROWS_RUN_H

#include "kernel/kernel.h"
#include "par/checkpoint.h"
#include "rows/counter.h"
#include "rows/host.h"
#include "rows/threads.h"
#include "trimine/run.h"

struct trm_run {
    MPI_Comm comm;
    int rank, ranks;
    bool for_all; /* one process plans for all ranks: ranks is a number then, and comm this process alone */
    int threads, host_cores;
    char threads_note[TRM_THREADS_NOTE];
    int replicate; /* 0: auto */
    int tile;      /* 0: auto */
    int64_t mem_per_rank;
    int64_t free_memory;      /* what mem_per_rank would be if it was not given */
    trm_host_memory memory;   /* where that is from: of the host that has the least */
    const trm_kernel *kernel; /* if it chooses: where trials do not pay */
    bool chooses;             /* sweeps try what there is, and take the fastest */
    bool may_use_blas;        /* on all ranks, by all threads at once: kernels with a basis need it */
    unsigned promising;       /* kernels on all ranks' CPUs: a bit for each row of the kernel table */
    unsigned leading;         /* of these, those that sweeps begin with, if they choose */
    double trial_share;       /* of a sweep's time that all trials may take, roughly */
    /* of a plan: the kernel that sweeps are expected to take, and its width; NULL: any that they may, as wide as they may be */
    const trm_kernel *expected;
    int expected_width;
    bool expected_first; /* it is what rows are packed for first: no sweep comes before the trials */
    bool in_turn;        /* for tests: at each trial the next kernel, not the fastest */
    trm_progress_fn progress;
    void *progress_context;
    const trm_checkpoint *checkpoint; /* NULL: never stopped, never saved */
    trm_counter *counter;             /* NULL: nobody counts; borrowed */
    double counted;                   /* by it, in sweeps for negatives */
};

/* A run of this rank alone, with another's settings but for threads, progress and checkpoint: for many small
 * jobs on each rank, for which there is nothing to choose any more. Not collective. The caller owns *alone
 * (trm_run_destroy); NULL after a failure. Errors: MEMORY. */
trm_status trm_run_alone(const trm_run *run, int threads, trm_run **alone, trm_error *err) TRM_MUST_CHECK;

/* May a run that chooses try this kernel? The same on all ranks. */
bool trm_run_may_choose(const trm_run *run, const trm_kernel *kernel);
/* Does a sweep that chooses begin with it, for rows of so many dimensions? The same on all ranks. */
bool trm_run_may_begin_with(const trm_run *run, const trm_kernel *kernel, int dim);

/* The run as sweeps take it. every_pair: they take every distance in float64, so no filter helps them: there is nothing to choose,
 * and no room needed for what could be chosen. What the run has it borrows. */
trm_run trm_run_for_sweeps(const trm_run *run, bool every_pair);

/* A run of this process alone that stands for so many ranks, of which it can lay out rows and plan the memory, and nothing
 * else. Not collective. The caller owns *planned (trm_run_destroy); NULL after a failure. Errors: MEMORY. */
trm_status trm_run_for_all(const trm_run *run, int ranks, int64_t mem_per_rank, trm_run **planned,
                           trm_error *err) TRM_MUST_CHECK;

/* The option that the limit of memory comes from, such as "--mem-per-rank" or "sbatch's --mem"; borrowed for ever. */
const char *trm_run_limit_name(const trm_run *run);

/* Fails with MEMORY: what ("the job needs at least") so many bytes a rank, the limit, and what would do: an option of trimine
 * or, where the limit is Slurm's or a control group's, of that. */
trm_status trm_run_refuse(const trm_run *run, const char *what, int64_t bytes, trm_error *err) TRM_MUST_CHECK;

#endif
