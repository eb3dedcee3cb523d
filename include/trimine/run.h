/* A run: the ranks, threads and limits a job works with. Results never depend on any of them.
 *
 * Needs status.h and mpi.h: a run is made on a communicator. */
#ifndef TRIMINE_RUN_H
#define TRIMINE_RUN_H

#include "trimine/abi.h"
#include "trimine/status.h"

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Told of progress by the main thread, between tiles: the part of the present sweep that is done, and how
 * much of that an earlier run had done, which took no time now. phase names the sweep ("negatives", "panel 3
 * of 12, positives") and is borrowed for the call. */
typedef void (*trm_progress_fn)(void *context, const char *phase, double fraction, double reused);

/* What may stop a job and save its state; made by jobs (job.h), not for callers of the library. */
typedef struct trm_checkpoint trm_checkpoint;
/* What a rank may wish for: to save the state, to save it and stop. Bits. */
enum { TRM_WISH_SAVE = 1, TRM_WISH_STOP = 2 };

enum { TRM_THREADS_MOST = 4096 };

/* replicate and tile are equal on all ranks; the others may differ. */
typedef struct trm_run_options {
    size_t size; /* set by trm_run_options_init */
    /* OpenMP threads a rank, at most TRM_THREADS_MOST; 0: as OMP_NUM_THREADS says, else the cores that this
     * rank may use and its part of those and of a CPU quota that it shares with its host's ranks, and no more
     * than Slurm's --cpus-per-task. Never more than OMP_THREAD_LIMIT */
    int threads;
    int replicate;        /* ranks a team (must divide the number of ranks); 0: auto */
    int tile;             /* rows and columns a tile, a multiple of 16, rounded up to one of 48; 0: auto */
    int64_t mem_per_rank; /* bytes, the least of any rank counts; 0: four fifths of what the host, its
                               * control group and the address space limit leave, shared among the host's ranks */
    const char *kernel;   /* "auto", "bf16", "blas", "float64", "fp32", "int8", "prefix", "prefix8" */
    trm_progress_fn progress; /* NULL: none */
    void *progress_context;
    const trm_checkpoint *checkpoint; /* NULL: nobody; borrowed for the run's life */
} trm_run_options;

typedef struct trm_run trm_run;

/* Fills in the defaults. Not collective. */
TRM_API void trm_run_options_init_sized(trm_run_options *options, size_t size);
static inline void trm_run_options_init(trm_run_options *options)
{
    trm_run_options_init_sized(options, sizeof *options);
}

/* Collective on comm, which is dup'ed. The caller owns *run; NULL after a failure. Fixes BLAS to one thread,
 * turns OpenMP's dynamic adjustment off, starts the threads, and where several ranks of a host were bound to
 * the same cores by OMP_PROC_BIND while others are idle, lets them go to all cores that they may use. Errors:
 * USAGE (values out of range, unknown kernel, replicate or tile that differ), ENVIRONMENT (too few threads of MPI; a process
 * that a launcher started as one of several, and that is alone in MPI_COMM_WORLD), MEMORY. */
TRM_API trm_status trm_run_create(MPI_Comm comm, const trm_run_options *options, trm_run **run,
                                  trm_error *err) TRM_MUST_CHECK;

/* What was chosen where the options left it open. Not collective. */
TRM_API int trm_run_threads(const trm_run *run);
/* Where this host's ranks run fewer or more threads than it has cores: how many, and why, as a clause; or "".
 * Borrowed for the run's life. */
TRM_API const char *trm_run_threads_note(const trm_run *run);
TRM_API int trm_run_host_cores(const trm_run *run);
TRM_API int64_t trm_run_mem_per_rank(const trm_run *run);
TRM_API const char *trm_run_kernel(const trm_run *run);
TRM_API const char *trm_run_isa(const trm_run *run);
TRM_API int trm_run_tile(const trm_run *run, int dim);

/* All ranks learn whether any of them failed: for what a program does itself between two collective calls. Collective on
 * comm. local: this rank's status; err: its error object, or NULL. Returns TRM_OK iff every rank passed TRM_OK;
 * otherwise the status of the lowest failing rank on all ranks, and err holds that rank's text, rank number and
 * host. */
TRM_API trm_status trm_agree(MPI_Comm comm, trm_status local, trm_error *err) TRM_MUST_CHECK;

/* Frees and sets *run to NULL; NULL is fine. Collective. */
TRM_API void trm_run_destroy(trm_run **run);

#ifdef __cplusplus
}
#endif
#endif
