/* trimine loss: a loss and its gradient, of triplets that are given, of a whole store, or of packed triplets. */
#include "cli/cli.h"

const trm_command trm_command_loss = {
    .name = "loss",
    .arguments = "STORE...|PACKED",
    .about =
        "Evaluates a loss and its gradient: on triplets of a file (--triplets), over a whole store (--loss), "
        "or on packed triplets.",
    .essay =
        "PACKED is an HDF5 file with /anchor, /positive and /negative or /negatives. Otherwise as trimine "
        "mine.",
    .own = &trm_job_takes,
    .traits = TRM_TAKES_STORES | TRM_HAS_CHECKPOINT | TRM_IS_JOB,
    .run = trm_cli_run_job,
};
