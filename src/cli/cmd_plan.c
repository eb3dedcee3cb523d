/* trimine plan: what a job of mine will need, before it is run; and the report of mine --dry-run. */
#include "cli/cli.h"

#include "base/error.h"

#include <inttypes.h>
#include <unistd.h>

/* Large numbers are written out: people read hours off the seconds. */
static void print_number(int width, double number)
{
    fprintf(stderr, number < 999.5 ? " %*.3g" : " %*.0f", width, number);
}

static void print_entry(const json_t *line)
{
    fprintf(stderr, "%7" PRId64 " %9" PRId64 " %7" PRId64 " %11.1f", trm_fact_whole(line, "ranks"),
            trm_fact_whole(line, "replicate"), trm_fact_whole(line, "panels"),
            trm_fact_real(line, "memory_bytes") / 1e6);
    if (!json_is_true(json_object_get(line, "fits")))
        fprintf(stderr, "  does not fit: give more ranks, or --mem-per-rank\n");
    else {
        fprintf(stderr, " %11.1f %11.1f", trm_fact_real(line, "likely_bytes") / 1e6,
                trm_fact_real(line, "moved_bytes") / 1e6);
        print_number(10, trm_fact_real(line, "operations") / 1e9);
        if (trm_fact_has(line, "sweep_s")) /* of a question */
            print_number(19, trm_fact_real(line, "sweep_s"));
        else {
            print_number(9, trm_fact_real(line, "positives_s"));
            print_number(9, trm_fact_real(line, "negatives_s"));
        }
        print_number(9, trm_fact_real(line, "total_s"));
        fprintf(stderr, "\n");
    }
}

static void print_pilot(const json_t *pilot)
{
    if (!trm_fact_has(pilot, "took_s")) {
        fprintf(stderr, "pilot      --sample %" PRId64 " would take about %.3g s\n",
                trm_fact_whole(pilot, "sample"), trm_fact_real(pilot, "planned_s"));
        return;
    }
    fprintf(stderr,
            "pilot      %" PRId64 " pairs in %.3g s; d(a,n) - d(a,p) of the negative that each would "
            "get: %.4g at 10 %%, %.4g half, %.4g at 90 %%; %" PRId64 " have none\n",
            trm_fact_whole(pilot, "pairs"), trm_fact_real(pilot, "took_s"), trm_fact_real(pilot, "at_10"),
            trm_fact_real(pilot, "at_50"), trm_fact_real(pilot, "at_90"), trm_fact_whole(pilot, "without"));
    if (trm_fact_has(pilot, "margin"))
        fprintf(stderr, "margin     %.6g: %.3g %% of the pilot's pairs are active\n",
                trm_fact_real(pilot, "margin"), 100.0 * trm_fact_real(pilot, "active"));
    else
        fprintf(stderr, "margin     none reaches %.3g %% of the pairs\n",
                100.0 * trm_fact_real(pilot, "active_wanted"));
}

void trm_plan_print(const json_t *facts)
{
    const json_t *store = json_object_get(facts, "store"), *probe = json_object_get(facts, "probe"),
                 *pilot = json_object_get(facts, "pilot");
    size_t i;
    json_t *one;
    fprintf(stderr, "store      %" PRId64 " rows x %" PRId64 "\n", trm_fact_whole(store, "rows"),
            trm_fact_whole(store, "dim"));
    const bool asks = trm_fact_has(json_array_get(json_object_get(facts, "plan"), 0), "sweep_s");
    fprintf(stderr, "  ranks replicate  panels   MB a rank      likely    MB moved     GFLOP %s   total s\n",
            asks ? "              sweep" : "positives negatives");
    json_array_foreach(json_object_get(facts, "plan"), i, one) print_entry(one);
    if (trm_fact_has(probe, "batches"))
        fprintf(stderr, "probe      %" PRId64 " of %" PRId64 " batches, %.3g s\n",
                trm_fact_whole(probe, "batches"), trm_fact_whole(probe, "of_batches"),
                trm_fact_real(probe, "seconds"));
    else if (trm_fact_has(probe, "queries"))
        fprintf(stderr, "probe      for %" PRId64 " of %" PRId64 " queries, %.3g s\n",
                trm_fact_whole(probe, "queries"), trm_fact_whole(probe, "of_queries"),
                trm_fact_real(probe, "seconds"));
    else if (json_is_object(probe))
        fprintf(stderr, "probe      %" PRId64 " of %" PRId64 " rows, %.3g s\n", trm_fact_whole(probe, "rows"),
                trm_fact_whole(probe, "of"), trm_fact_real(probe, "seconds"));
    if (json_is_object(pilot) && (json_is_object(probe) || trm_fact_has(pilot, "took_s")))
        print_pilot(pilot);
    json_array_foreach(json_object_get(facts, "assumed"), i, one)
        trm_say(stderr, "assumed    %s", json_string_value(one));
}

/* The name of a command in place of a STORE. */
static trm_status check(const trm_cli *cli, trm_error *err)
{
    for (int i = 0; i < cli->inputs; i++) {
        const char *const name = cli->input[i];
        const trm_command *command = access(name, F_OK) != 0 ? trm_command_find(name) : NULL;
        if (command == &trm_command_mine)
            return trm_fail(err, TRM_ERR_USAGE, "plan 'mine': leave that word out: plan is in its place");
        if (command == &trm_command_knn || command == &trm_command_eval || command == &trm_command_radius)
            return trm_fail(err, TRM_ERR_USAGE,
                            "plan '%s': plans jobs of mine; trimine %s plans its own, with --dry-run", name,
                            name);
    }
    return TRM_OK;
}

const trm_command trm_command_plan = {
    .name = "plan",
    .arguments = "[STORE...]",
    .about = "Plans a job of mine before it is run: memory, bytes moved, operations and seconds, for any "
             "number of "
             "ranks.",
    .essay =
        "Options are those of mine. Run it without mpirun: one process reads the labels, plans for all "
        "ranks, and "
        "mines samples of the rows to find out how fast this machine is. Without a STORE, --rows, --dim and "
        "--classes say what it will be.",
    .own = &trm_job_takes,
    .traits = TRM_HAS_CHECKPOINT | TRM_IS_JOB,
    .check = check,
    .run = trm_cli_run_job,
};
