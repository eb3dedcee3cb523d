/* trimine knn: the K nearest rows of every row, exactly. */
#include "cli/cli.h"

const trm_command trm_command_knn = {
    .name = "knn",
    .arguments = "STORE...",
    .about = "Finds the K nearest rows of every row of a store, or of queries, exactly.",
    .essay =
        "STORE is an HDF5 file, or a folder of them; several are one store in the order given. With -o FILE "
        "the "
        "lists are /neighbors and /distances in the order of row ids, -1 and inf where a list comes short; "
        "without it they are counted only. Run it under mpirun or srun --mpi=pmix.",
    .own = &trm_job_takes,
    .traits = TRM_TAKES_STORES | TRM_HAS_CHECKPOINT | TRM_IS_JOB,
    .run = trm_cli_run_job,
};
