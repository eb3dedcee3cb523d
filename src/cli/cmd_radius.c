/* trimine radius: all pairs of rows within a distance, exactly. */
#include "cli/cli.h"

#include "base/number.h"

#include <inttypes.h>

static void print_groups(const json_t *groups)
{
    enum { LARGEST = 3 };
    const json_t *largest = json_object_get(groups, "largest");
    if (groups == NULL)
        return;
    fprintf(stderr, "groups     %" PRId64 " of %" PRId64 " rows, %" PRId64 " rows alone",
            trm_fact_whole(groups, "count"), trm_fact_whole(groups, "rows"), trm_fact_whole(groups, "alone"));
    for (size_t i = 0; i < json_array_size(largest) && i < LARGEST; i++)
        fprintf(stderr, "%s row %" PRId64 "'s (%" PRId64 ")", i == 0 ? "; largest:" : ",",
                trm_fact_whole(json_array_get(largest, i), "group"),
                trm_fact_whole(json_array_get(largest, i), "rows"));
    fprintf(stderr, "\n");
}

static void print(const json_t *facts)
{
    const json_t *pairs = json_object_get(facts, "pairs"), *degree = json_object_get(facts, "degree");
    const json_t *histogram = json_object_get(facts, "histogram"),
                 *edges = json_object_get(histogram, "edges"), *counts = json_object_get(histogram, "counts");
    const bool listed = json_is_true(json_object_get(pairs, "listed"));
    char radius[TRM_NUMBER_TEXT];
    fprintf(stderr, "pairs      %" PRId64 " within %s", trm_fact_whole(pairs, "total"),
            trm_number_text(trm_fact_real(json_object_get(facts, "options"), "radius"), radius));
    if (!listed)
        fprintf(stderr, "; a list of them (-o) takes %.3g MB", trm_fact_real(pairs, "list_bytes") / 1e6);
    fprintf(stderr, "\nrows       %" PRId64 " are in no pair", trm_fact_whole(degree, "isolated"));
    if (trm_fact_has(degree, "max_row"))
        fprintf(stderr, "; in most is row %" PRId64 " (%" PRId64 ")", trm_fact_whole(degree, "max_row"),
                trm_fact_whole(degree, "max"));
    fprintf(stderr, "\nhistogram  from %.6g to %.6g:", json_number_value(json_array_get(edges, 0)),
            json_number_value(json_array_get(edges, json_array_size(counts))));
    for (size_t i = 0; i < json_array_size(counts); i++)
        fprintf(stderr, " %" PRId64, (int64_t)json_integer_value(json_array_get(counts, i)));
    fprintf(stderr, "\n");
    print_groups(json_object_get(facts, "groups"));
}

const trm_command trm_command_radius = {
    .name = "radius",
    .arguments = "STORE...",
    .about = "Finds all pairs of rows of a store, or of queries and its rows, within a distance, exactly.",
    .essay = TRM_STORE_ESSAY
    "Pairs are counted first. With -o FILE they are listed: /pairs/a, /pairs/b and /pairs/distance, "
    "sorted by (a, b); /degree (pairs of each row), /isolated (rows in no pair), and with --groups "
    "/group. Of one set each pair is there once, the lower row id first. Run it under mpirun or srun "
    "--mpi=pmix.",
    .own = &trm_job_takes,
    .traits = TRM_TAKES_STORES | TRM_HAS_CHECKPOINT | TRM_IS_JOB,
    .run = trm_cli_run_job,
    .print = print,
};
