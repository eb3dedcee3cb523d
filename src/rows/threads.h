/* How many threads a rank works with, and why so many. */
#ifndef TRM_ROWS_THREADS_H
#define TRM_ROWS_THREADS_H

#include "base/error.h"
#include "rows/host.h"
#include "trimine/run.h"

enum { TRM_THREADS_NOTE = 200 };

typedef struct trm_threads {
    int count;
    char note[TRM_THREADS_NOTE]; /* where the host's ranks run fewer or more threads than there are cores:
                                    why; or "" */
} trm_threads;

/* Chooses the number: asked, where it is not 0; else what OMP_NUM_THREADS says; else this rank's share of the
 * host's cores and of the CPU quota, and no more than Slurm's --cpus-per-task. Never more than
 * OMP_THREAD_LIMIT. Not collective. Errors: USAGE (more than TRM_THREADS_MOST). */
trm_status trm_threads_choose(int asked, const trm_host *host, trm_threads *threads,
                              trm_error *err) TRM_MUST_CHECK;

/* Starts the threads, takes as many as the OpenMP library gives, and sees to it that together the threads of
 * the host's ranks may run on as many cores as they are: where OMP_PROC_BIND stacked several ranks on the
 * same cores, their threads are let go to all cores of the rank. Then completes the note. Collective on
 * host->comm. */
void trm_threads_start(const trm_host *host, trm_threads *threads);

#endif
