/* trimine eval: exact retrieval metrics, without a limit on k. */
#include "cli/cli.h"

#include <inttypes.h>

/* One metric: its value, and what it could be with ties broken otherwise. */
static void print_value(const json_t *metrics, const char *name, const char *k)
{
    const json_t *const of[] = {metrics, json_object_get(metrics, "low"), json_object_get(metrics, "high"),
                                json_object_get(metrics, "macro")};
    double value[4];
    for (int i = 0; i < 4; i++) {
        const json_t *at = k != NULL ? json_object_get(of[i], name) : of[i];
        value[i] = trm_fact_has(at, k != NULL ? k : name) ? trm_fact_real(at, k != NULL ? k : name) : -1.0;
    }
    if (value[0] < 0.0)
        return;
    fprintf(stderr, "%s%s%s %.6g", name, k != NULL ? " " : "", k != NULL ? k : "", value[0]);
    if (value[3] >= 0.0)
        fprintf(stderr, " (macro %.6g)", value[3]);
    if (value[1] < value[2])
        fprintf(stderr, ", from %.6g to %.6g as ties are broken", value[1], value[2]);
    fprintf(stderr, "\n");
}

static void print(const json_t *facts)
{
    static const char *const names[] = {"precision_at_1", "r_precision", "map_at_r",     "mrr",
                                        "hit_rate_at",    "recall_at",   "precision_at", "ndcg_at"};
    const json_t *counts = json_object_get(facts, "evaluated"), *metrics = json_object_get(facts, "metrics");
    fprintf(stderr,
            "evaluated  %" PRId64 " queries, %" PRId64 " without a relevant row; %" PRId64
            " with ties that matter\n",
            trm_fact_whole(counts, "queries"), trm_fact_whole(counts, "no_relevant"),
            trm_fact_whole(counts, "ties_matter"));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *of = json_object_get(metrics, names[i]), *value;
        const char *k;
        if (json_is_object(of)) {
            json_object_foreach(of, k, value) print_value(metrics, names[i], k);
        } else {
            print_value(metrics, names[i], NULL);
        }
    }
}

const trm_command trm_command_eval = {
    .name = "eval",
    .arguments = "STORE...",
    .about = "Measures how well the nearest rows are those with the same label, or those listed: exact "
             "retrieval metrics.",
    .essay = TRM_STORE_ESSAY
    "Each row asks about all others, or each row of --queries about the store. There is no limit on "
    "k. With --per-query FILE the ranks of all relevant rows are written. Run it under mpirun or "
    "srun --mpi=pmix.",
    .own = &trm_job_takes,
    .traits = TRM_TAKES_STORES | TRM_HAS_CHECKPOINT | TRM_IS_JOB,
    .run = trm_cli_run_job,
    .print = print,
};
