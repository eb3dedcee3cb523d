/* trimine knn: the K nearest rows of every row, exactly. */
#include "cli/cli.h"

#include <inttypes.h>

static void print(const json_t *facts)
{
    enum { WORST = 3 };
    const json_t *found = json_object_get(facts, "neighbors"),
                 *occurrence = json_object_get(facts, "k_occurrence"),
                 *hubs = json_object_get(occurrence, "hubs");
    fprintf(stderr, "neighbours %" PRId64 ", %" PRId64 " rows short of %" PRId64,
            trm_fact_whole(found, "total"), trm_fact_whole(found, "short_rows"),
            trm_fact_whole(json_object_get(facts, "options"), "k"));
    if (trm_fact_has(found, "same_label_share"))
        fprintf(stderr, "; %.4g %% have the label of their row",
                100.0 * trm_fact_real(found, "same_label_share"));
    fprintf(stderr,
            "\noccurrence mean %.6g, std %.6g, skewness %.6g; %" PRId64 " rows are nobody's neighbour",
            trm_fact_real(occurrence, "mean"), trm_fact_real(occurrence, "std"),
            trm_fact_real(occurrence, "skewness"), trm_fact_whole(occurrence, "never"));
    for (size_t i = 0; i < json_array_size(hubs) && i < WORST; i++)
        fprintf(stderr, "%s %" PRId64 " (of %" PRId64 ")", i == 0 ? "; most: row" : ",",
                trm_fact_whole(json_array_get(hubs, i), "row"),
                trm_fact_whole(json_array_get(hubs, i), "count"));
    fprintf(stderr, "\n");
}

const trm_command trm_command_knn = {
    .name = "knn",
    .arguments = "STORE...",
    .about = "Finds the K nearest rows of every row of a store, or of queries, exactly.",
    .essay = TRM_STORE_ESSAY
    "With -o FILE the lists are /neighbors and /distances in the order of row ids, -1 and inf where "
    "a list comes short; without it they are counted only. Run it under mpirun or srun --mpi=pmix.",
    .own = &trm_job_takes,
    .traits = TRM_TAKES_STORES | TRM_HAS_CHECKPOINT | TRM_IS_JOB,
    .run = trm_cli_run_job,
    .print = print,
};
