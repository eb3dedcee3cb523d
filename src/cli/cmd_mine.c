/* trimine mine: read, arrange, mine, evaluate the loss, write, report. */
#include "cli/cli.h"

const trm_command trm_command_mine = {
    .name = "mine",
    .arguments = "STORE...",
    .about = "Mines semihard triplets from a whole embedding store, exactly.",
    .essay = TRM_STORE_ESSAY "Run it under mpirun or srun --mpi=pmix.",
    .own = &trm_job_takes,
    .traits = TRM_TAKES_STORES | TRM_HAS_CHECKPOINT | TRM_IS_JOB,
    .run = trm_cli_run_job,
};
