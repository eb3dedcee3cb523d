/* The launchers that leave a task count in the environment; see launch.h. */
#include "par/launch.h"

#include <mpi.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A number in the environment; -1 where there is none. */
static long number_in(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    const long number = text == NULL ? -1 : strtol(text, &end, 10);
    return text == NULL || end == text || *end != '\0' ? -1 : number;
}

/* A step that srun made of tasks; not the batch script itself, nor the shell of salloc, which Slurm counts as
 * steps with the numbers from 0xfffffff0 on (slurm.h). */
static bool is_step_of_tasks(void)
{
    const long first_special = 0xfffffff0L;
    return number_in("SLURM_STEP_NUM_TASKS") > 0 && number_in("SLURM_STEP_ID") < first_special;
}

/* PMI as the mpiexec of MPICH and its relatives offers it: with a way to talk, not a left-over number. */
static bool has_pmi(void)
{
    return number_in("PMI_SIZE") > 0 && number_in("PMI_RANK") >= 0 &&
           (getenv("PMI_FD") != NULL || getenv("PMI_PORT") != NULL);
}

/* PMIx of a launcher other than srun, whose own count is not known here. */
static bool has_foreign_pmix(void)
{
    const char *space = getenv("PMIX_NAMESPACE");
    return getenv("PMIX_RANK") != NULL && (space == NULL || strncmp(space, "slurm", 5) != 0);
}

/* The innermost launcher comes first: mpirun in a Slurm job starts its daemons by srun, and what they start
 * inherits the variables of that step. */
trm_launch trm_launch_look(void)
{
    if (number_in("OMPI_COMM_WORLD_SIZE") > 0)
        return (trm_launch){"OMPI_COMM_WORLD_SIZE", number_in("OMPI_COMM_WORLD_SIZE"),
                            number_in("OMPI_COMM_WORLD_RANK")};
    if (has_pmi())
        return (trm_launch){"PMI_SIZE", number_in("PMI_SIZE"), number_in("PMI_RANK")};
    if (is_step_of_tasks() && !has_foreign_pmix())
        return (trm_launch){"SLURM_STEP_NUM_TASKS", number_in("SLURM_STEP_NUM_TASKS"),
                            number_in("SLURM_PROCID")};
    return (trm_launch){NULL, 1, 0};
}

static bool is_by_slurm(const trm_launch *launch)
{
    return launch->by != NULL && strcmp(launch->by, "SLURM_STEP_NUM_TASKS") == 0;
}

static trm_status refuse(const trm_launch *launch, trm_error *err)
{
    if (is_by_slurm(launch))
        return trm_fail(err, TRM_ERR_ENVIRONMENT,
                        "launched as %ld tasks that MPI does not connect: use srun --mpi=pmix, or mpirun (a "
                        "task that is meant to work alone: env -u SLURM_STEP_NUM_TASKS trimine ...)",
                        launch->tasks);
    char library[MPI_MAX_LIBRARY_VERSION_STRING] = {0};
    int length = 0;
    MPI_Get_library_version(library, &length);
    for (char *tab = strchr(library, '\t'); tab != NULL; tab = strchr(tab, '\t')) /* MPICH has one */
        *tab = ' ';
    return trm_fail(err, TRM_ERR_ENVIRONMENT,
                    "launched as %ld tasks that MPI does not connect (%s): use the mpirun of the MPI that "
                    "trimine was built with, %.*s",
                    launch->tasks, launch->by, (int)strcspn(library, ",\n"), library);
}

trm_status trm_launch_prepare(const trm_launch *launch, trm_error *err)
{
    if (getenv("PMIX_RANK") != NULL || getenv("PMI_FD") != NULL || getenv("PMI_PORT") != NULL)
        return TRM_OK;
    if (is_by_slurm(launch) && launch->tasks > 1)
        return refuse(launch, err);
    /* By these Open MPI takes a process for a task of srun. */
    unsetenv("SLURM_STEP_ID");
    unsetenv("SLURM_NODELIST");
    return TRM_OK;
}

trm_status trm_launch_check(const trm_launch *launch, int ranks, trm_error *err)
{
    return ranks == 1 && launch->tasks > 1 ? refuse(launch, err) : TRM_OK;
}
