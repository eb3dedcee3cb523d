/* How this process was started, as far as the environment tells before MPI is up.
 *
 * The danger is N copies of one job that know nothing of each other: srun without --mpi=pmix, or the mpirun
 * of one MPI starting a program built with another. Each finds itself alone, does the whole work, and all
 * write the same output. So a process that was started as one of several tasks and is alone is refused. What
 * says only that a job has several tasks (SLURM_NTASKS, which the batch script and every shell of an
 * allocation have, too) says nothing about this process. */
#ifndef TRM_PAR_LAUNCH_H
#define TRM_PAR_LAUNCH_H

#include "base/error.h"

typedef struct trm_launch {
    const char *by; /* the variable that says how many tasks there are; NULL: nobody started this as a task */
    long tasks;     /* as which this was started; 1: alone, or unknown */
    long task;      /* which of them this is */
} trm_launch;

/* Reads the environment: before MPI_Init, which puts variables of its own there; after it less may be known. */
trm_launch trm_launch_look(void);

/* Before MPI_Init, which ends a task of srun without PMIx with a page of text where it was built for Slurm.
 * One of several is refused here (ENVIRONMENT). One that is alone, as in an interactive step, is made to look
 * like a process of no step, for MPI. */
trm_status trm_launch_prepare(const trm_launch *launch, trm_error *err) TRM_MUST_CHECK;

/* After MPI_Init: refuses (ENVIRONMENT) one of several tasks that is alone among ranks ranks. */
trm_status trm_launch_check(const trm_launch *launch, int ranks, trm_error *err) TRM_MUST_CHECK;

#endif
