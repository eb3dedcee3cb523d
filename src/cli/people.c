/* A job's facts for people, on stderr; see trimine/job.h for where they come from. */
#include "cli/cli.h"

#include "base/number.h"

#include <inttypes.h>
#include <string.h>

/* ---- reading ---- */

double trm_fact_real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

int64_t trm_fact_whole(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

const char *trm_fact_text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "";
}

bool trm_fact_has(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value != NULL && !json_is_null(value);
}

static bool is_mined(const json_t *facts)
{
    return strcmp(trm_fact_text(json_object_get(facts, "options"), "source"), "mined") == 0;
}

/* ---- what it is of ---- */

static void print_packed(const json_t *packed)
{
    fprintf(stderr,
            "packed     %" PRId64 " anchors, %" PRId64 " negatives each, %" PRId64
            " dimensions, fingerprint %s\n",
            trm_fact_whole(packed, "anchors"), trm_fact_whole(packed, "negatives"),
            trm_fact_whole(packed, "dim"), trm_fact_text(packed, "fingerprint"));
}

static void print_batches(const json_t *facts)
{
    const json_t *batches = json_object_get(facts, "batches");
    if (batches == NULL)
        return;
    if (trm_fact_has(batches, "classes_per_batch"))
        fprintf(stderr,
                "batches    %" PRId64 " of %" PRId64 " classes x %" PRId64 " rows, by seed %" PRId64
                ": %" PRId64 " rows\n",
                trm_fact_whole(batches, "count"), trm_fact_whole(batches, "classes_per_batch"),
                trm_fact_whole(batches, "rows_per_class"),
                trm_fact_whole(json_object_get(facts, "options"), "seed"), trm_fact_whole(batches, "rows"));
    else
        trm_say(stderr, "batches    %" PRId64 " from '%s': %" PRId64 " rows",
                trm_fact_whole(batches, "count"), trm_fact_text(batches, "list"),
                trm_fact_whole(batches, "rows"));
}

static void print_queries(const json_t *facts)
{
    const json_t *queries = json_object_get(facts, "queries"), *pairs = json_object_get(facts, "pairs");
    if (queries == NULL)
        return;
    fprintf(stderr, "queries    %" PRId64 " rows, fingerprint %s\n", trm_fact_whole(queries, "rows"),
            trm_fact_text(queries, "fingerprint"));
    if (trm_fact_has(pairs, "file")) /* of radius they are what was found */
        trm_say(stderr, "pairs      %" PRId64 " of '%s', %" PRId64 " of them repeated",
                trm_fact_whole(pairs, "count"), trm_fact_text(pairs, "file"),
                trm_fact_whole(pairs, "repeated"));
}

static void print_store(const json_t *facts)
{
    const json_t *store = json_object_get(facts, "store");
    fprintf(stderr, "store      %" PRId64 " rows x %" PRId64 ", ", trm_fact_whole(store, "rows"),
            trm_fact_whole(store, "dim"));
    if (!trm_fact_has(facts, "pairs") && trm_fact_has(store, "classes")) /* else no labels are needed */
        fprintf(stderr, "%" PRId64 " classes, ", trm_fact_whole(store, "classes"));
    fprintf(stderr, "fingerprint %s\n", trm_fact_text(store, "fingerprint"));
    print_queries(facts);
    print_batches(facts);
}

static void print_anchors(const json_t *anchors)
{
    fprintf(stderr,
            "anchors    %" PRId64 " valid of %" PRId64 " (%" PRId64 " without a positive, %" PRId64
            " without a negative, %" PRId64 " rows ignored)\n",
            trm_fact_whole(anchors, "valid"), trm_fact_whole(anchors, "total"),
            trm_fact_whole(anchors, "no_positive"), trm_fact_whole(anchors, "no_negative"),
            trm_fact_whole(anchors, "ignored"));
}

/* ---- what was found ---- */

/* An option's name, of its key. */
static const char *option_name(const char *key, char name[64])
{
    snprintf(name, 64, "%s", key);
    for (char *at = name; *at != '\0'; at++)
        *at = *at == '_' ? '-' : *at;
    return name;
}

static void print_filters(const json_t *filters)
{
    const char *key, *between = "";
    char name[64];
    json_t *filter;
    if (filters == NULL)
        return;
    fprintf(stderr, "filters    ");
    json_object_foreach((json_t *)(uintptr_t)filters, key, filter)
    {
        if (!json_is_object(filter))
            continue;
        fprintf(stderr, "%s%s removed %" PRId64, between, option_name(key, name),
                trm_fact_whole(filter, "removed"));
        between = ", ";
    }
    fprintf(stderr, "%s%" PRId64 " anchors came up short\n", between[0] != '\0' ? "; " : "",
            trm_fact_whole(filters, "short_anchors"));
}

static void print_set(const json_t *set, int64_t pairs)
{
    fprintf(stderr, "set        %s: %" PRId64 " triplets from %" PRId64 " positive pairs%s\n",
            trm_fact_text(set, "name"), trm_fact_whole(set, "count"), pairs,
            json_is_true(json_object_get(set, "listed"))
                ? ""
                : ", counted, not listed: --emit -o FILE lists them");
}

static void print_triplets(const json_t *facts)
{
    const json_t *triplets = json_object_get(facts, "triplets");
    const int64_t total = trm_fact_whole(triplets, "total"), picked = trm_fact_whole(triplets, "picked"),
                  fallback = trm_fact_whole(triplets, "fallback"),
                  skipped = trm_fact_whole(triplets, "skipped");
    if (trm_fact_has(facts, "set"))
        print_set(json_object_get(facts, "set"), trm_fact_whole(facts, "positive_pairs"));
    else if (is_mined(facts)) {
        fprintf(stderr,
                "triplets   %" PRId64 " (%" PRId64 " picked, %" PRId64 " fallback) from %" PRId64
                " positive pairs, %" PRId64 " skipped\n",
                total, picked, fallback, trm_fact_whole(facts, "positive_pairs"), skipped);
        print_filters(json_object_get(facts, "filters"));
    } else if (trm_fact_has(facts, "packed") && trm_fact_whole(triplets, "semihard") + fallback == total)
        fprintf(stderr,
                "triplets   %" PRId64 " (%" PRId64 " picked, %" PRId64 " fallback), %" PRId64 " skipped\n",
                total, picked, fallback, skipped);
    else if (trm_fact_has(facts, "packed"))
        fprintf(stderr, "triplets   %" PRId64 ", %" PRId64 " anchors skipped\n", total, skipped);
    else
        fprintf(stderr, "triplets   %" PRId64 "\n", total);
}

static void print_preset(const json_t *compat)
{
    size_t i;
    json_t *name;
    if (compat == NULL)
        return;
    fprintf(stderr, "preset     %s", trm_fact_text(compat, "name"));
    json_array_foreach(json_object_get(compat, "overridden"), i, name)
        fprintf(stderr, "%s--%s", i == 0 ? ", but for " : " ", json_string_value(name));
    fprintf(stderr, "\n");
}

static void print_loss(const json_t *facts)
{
    const json_t *loss = json_object_get(facts, "loss"), *options = json_object_get(facts, "options"),
                 *gradient = json_object_get(facts, "gradient");
    const char *reduction = trm_fact_text(loss, "reduction");
    const double margin =
        trm_fact_real(options, trm_fact_has(options, "loss_margin") ? "loss_margin" : "margin");
    print_preset(json_object_get(options, "compat"));
    char typed[TRM_NUMBER_TEXT];
    fprintf(stderr, "loss       %s, %s, margin %s: %s %.9g; %" PRId64 " of %" PRId64 " triplets active",
            trm_fact_text(loss, "name"), trm_fact_text(options, "metric"), trm_number_text(margin, typed),
            reduction, trm_fact_real(loss, "value"), trm_fact_whole(loss, "active"),
            trm_fact_whole(loss, "count"));
    if (strcmp(reduction, "mean_nonzero") != 0)
        fprintf(stderr, ", mean over those %.9g", trm_fact_real(loss, "mean_nonzero"));
    if (strcmp(reduction, "sum") != 0)
        fprintf(stderr, "; sum %.17g", trm_fact_real(loss, "sum"));
    fprintf(stderr, "\n");
    if (gradient != NULL)
        fprintf(stderr, "gradient   norm %.9g, largest %.9g\n", trm_fact_real(gradient, "norm"),
                trm_fact_real(gradient, "max_abs"));
}

/* ---- statistics ---- */

static void print_statistic(const char *name, const json_t *of)
{
    if (trm_fact_whole(of, "count") == 0)
        return;
    fprintf(stderr, "%-10s mean %.6g, std %.6g; min %.6g", name, trm_fact_real(of, "mean"),
            trm_fact_real(of, "std"), trm_fact_real(of, "min"));
    if (trm_fact_has(of, "median"))
        fprintf(stderr, ", quartiles %.6g, %.6g, %.6g", trm_fact_real(of, "q1"), trm_fact_real(of, "median"),
                trm_fact_real(of, "q3"));
    fprintf(stderr, ", max %.6g\n", trm_fact_real(of, "max"));
}

/* A line while it fits a terminal; more bins are for programs. */
static void print_histogram(const char *name, const json_t *of)
{
    enum { FIT = 20 };
    const json_t *edges = json_object_get(of, "edges"), *counts = json_object_get(of, "counts");
    const size_t bins = json_array_size(counts);
    if (bins > FIT)
        return;
    fprintf(stderr, "histogram  %s from %.6g to %.6g:", name, json_number_value(json_array_get(edges, 0)),
            json_number_value(json_array_get(edges, bins)));
    for (size_t i = 0; i < bins; i++)
        fprintf(stderr, " %" PRId64, (int64_t)json_integer_value(json_array_get(counts, i)));
    fprintf(stderr, "\n");
}

static void print_margin(const json_t *m)
{
    char margin[TRM_NUMBER_TEXT];
    fprintf(stderr,
            "margin     %s: %" PRId64 " semihard, %" PRId64
            " active (%.4g %%), loss mean_all %.9g, mean over the active %.9g\n",
            trm_number_text(trm_fact_real(m, "margin"), margin), trm_fact_whole(m, "semihard"),
            trm_fact_whole(m, "active"), 100.0 * trm_fact_real(m, "active_share"),
            trm_fact_real(m, "mean_all"), trm_fact_real(m, "mean_nonzero"));
}

static void print_survey(const json_t *facts)
{
    const char *name;
    json_t *of;
    size_t i;
    json_object_foreach(json_object_get(facts, "statistics"), name, of) print_statistic(name, of);
    json_object_foreach(json_object_get(facts, "histogram"), name, of) print_histogram(name, of);
    json_array_foreach(json_object_get(facts, "margins"), i, of) print_margin(of);
}

/* ---- how it ran ---- */

/* The kernels that most pairs went through. */
static void print_chains(const json_t *certify)
{
    const json_t *chain;
    size_t i;
    const char *between = "";
    double all = 0.0; /* not what an earlier run compared */
    json_array_foreach(json_object_get(certify, "chains"), i, chain) all += trm_fact_real(chain, "elements");
    json_array_foreach(json_object_get(certify, "chains"), i, chain)
    {
        const double share = trm_fact_real(chain, "elements") / (all > 0.0 ? all : 1.0);
        if (share < 0.005)
            continue;
        if (share > 0.995)
            fprintf(stderr, "%s%s", between, trm_fact_text(chain, "name"));
        else
            fprintf(stderr, "%s%s (%.0f %%)", between, trm_fact_text(chain, "name"), 100.0 * share);
        between = ", ";
    }
    if (between[0] == '\0')
        fprintf(stderr, "an earlier run");
}

/* Why: what each took when it was tried. */
static void print_trials(const json_t *certify)
{
    const json_t *chain;
    size_t i;
    const char *between = "tried      ns a pair: ";
    json_array_foreach(json_object_get(certify, "chains"), i, chain)
    {
        if (!(trm_fact_real(chain, "ns_a_pair") > 0.0))
            continue;
        fprintf(stderr, "%s%s %.2f", between, trm_fact_text(chain, "name"),
                trm_fact_real(chain, "ns_a_pair"));
        between = ", ";
    }
    if (between[0] == ',')
        fprintf(stderr, "\n");
}

void trm_people_certify(const json_t *facts, bool detail)
{
    const json_t *certify = json_object_get(facts, "certify");
    const json_t *anchors_of = json_object_get(facts, trm_fact_has(facts, "anchors") ? "anchors" : "rows");
    const double anchors = trm_fact_real(anchors_of, "total"), elements = trm_fact_real(certify, "elements");
    if (!(elements > 0.0))
        return;
    fprintf(stderr, "certify    %.3g pairs of rows compared by ", elements);
    print_chains(certify);
    fprintf(stderr, ", all but %.3g %% ruled out\n", 100.0 * trm_fact_real(certify, "survivors") / elements);
    if (detail)
        print_trials(certify);
    if (detail)
        fprintf(stderr, "float64    %" PRId64 " pairs left, %" PRId64 " distances decided: %.1f an anchor\n",
                trm_fact_whole(certify, "survivors"), trm_fact_whole(certify, "float64"),
                anchors > 0.0 ? trm_fact_real(certify, "float64") / anchors : 0.0);
}

static void print_run(const json_t *facts)
{
    const json_t *run = json_object_get(facts, "run");
    fprintf(stderr,
            "time       %.2f s: read %.2f, arrange %.2f, prepare %.2f, positives %.2f, negatives %.2f, "
            "answers %.2f, loss "
            "%.2f, gradient %.2f, write %.2f\n",
            trm_fact_real(run, "total_s"), trm_fact_real(run, "read_s"), trm_fact_real(run, "arrange_s"),
            trm_fact_real(run, "prepare_s"), trm_fact_real(run, "positives_s"),
            trm_fact_real(run, "negatives_s"), trm_fact_real(run, "answers_s"), trm_fact_real(run, "loss_s"),
            trm_fact_real(run, "gradient_s"), trm_fact_real(run, "write_s"));
    if (trm_fact_real(run, "negatives_s") > 0.0)
        fprintf(stderr, "speed      %.1f GFLOP/s effective on %" PRId64 " ranks x %" PRId64 " threads\n",
                trm_fact_real(run, "gflops_effective"), trm_fact_whole(run, "ranks"),
                trm_fact_whole(run, "threads"));
}

static void print_memory(const json_t *run)
{
    const double peak = trm_fact_real(run, "peak_rss_bytes"), base = trm_fact_real(run, "baseline_rss_bytes");
    fprintf(stderr,
            "memory     %.0f MB a rank at most: %.0f for the work, of %.0f planned, and %.0f the program "
            "itself\n",
            peak / 1e6, (peak - base) / 1e6, trm_fact_real(run, "plan_bytes") / 1e6, base / 1e6);
}

static void print_checkpoint(const json_t *checkpoint)
{
    if (trm_fact_whole(checkpoint, "written") > 0 || json_is_true(json_object_get(checkpoint, "resumed")))
        fprintf(stderr,
                "checkpoint %" PRId64
                " written, %.1f MB each, in %.2f s; %.3g pairs of an earlier run reused\n",
                trm_fact_whole(checkpoint, "written"), trm_fact_real(checkpoint, "bytes") / 1e6,
                trm_fact_real(checkpoint, "write_s"), trm_fact_real(checkpoint, "reused_pairs"));
}

static void print_ranks(const json_t *ranks, bool triplets)
{
    size_t i;
    json_t *row;
    json_array_foreach(ranks, i, row)
    {
        fprintf(stderr, "rank %-5zu %s: %" PRId64 " rows, ", i, trm_fact_text(row, "host"),
                trm_fact_whole(row, "rows"));
        if (triplets)
            fprintf(stderr, "%" PRId64 " triplets, loss %.9g, ", trm_fact_whole(row, "triplets"),
                    trm_fact_real(row, "loss_sum"));
        fprintf(stderr, "compute %.2f s, wait %.2f s\n", trm_fact_real(row, "compute_s"),
                trm_fact_real(row, "wait_s"));
    }
}

/* What was mined, or what a loss is of. */
static void print_triplets_and_loss(const json_t *facts, int verbose)
{
    const json_t *set = json_object_get(facts, "set"), *packed = json_object_get(facts, "packed");
    if (packed != NULL)
        print_packed(packed);
    else
        print_store(facts);
    if (packed == NULL)
        print_anchors(json_object_get(facts, "anchors"));
    print_triplets(facts);
    if (set == NULL || json_is_true(json_object_get(set, "listed"))) /* else a loss of nothing */
        print_loss(facts);
    print_survey(facts);
    trm_people_certify(facts, verbose > 0);
    if (packed == NULL) {
        print_run(facts);
        print_memory(json_object_get(facts, "run"));
    }
    print_checkpoint(json_object_get(facts, "checkpoint"));
    if (packed == NULL && is_mined(facts))
        fprintf(stderr, "hash       %s\n", trm_fact_text(facts, "result_hash"));
}

/* What a question found: print is the command's. */
static void print_question(const json_t *facts, void (*print)(const json_t *facts), int verbose)
{
    const json_t *rows = json_object_get(facts, "rows"), *run = json_object_get(facts, "run");
    print_store(facts);
    if (trm_fact_whole(rows, "ignored") > 0)
        fprintf(stderr, "rows       %" PRId64 " asked, %" PRId64 " ignored\n", trm_fact_whole(rows, "total"),
                trm_fact_whole(rows, "ignored"));
    print(facts);
    trm_people_certify(facts, verbose > 0);
    fprintf(stderr, "time       %.2f s: read %.2f, arrange %.2f, sweep %.2f, answers %.2f, write %.2f\n",
            trm_fact_real(run, "total_s"), trm_fact_real(run, "read_s"), trm_fact_real(run, "arrange_s"),
            trm_fact_real(run, "sweep_s"), trm_fact_real(run, "answers_s"), trm_fact_real(run, "write_s"));
    if (trm_fact_real(run, "sweep_s") > 0.0)
        fprintf(stderr, "speed      %.3g pairs a second on %" PRId64 " ranks x %" PRId64 " threads\n",
                trm_fact_real(run, "pairs_per_s"), trm_fact_whole(run, "ranks"),
                trm_fact_whole(run, "threads"));
    print_memory(run);
    print_checkpoint(json_object_get(facts, "checkpoint"));
    if (trm_fact_has(facts, "result_hash"))
        fprintf(stderr, "hash       %s\n", trm_fact_text(facts, "result_hash"));
}

void trm_people_print(const trm_command *command, const json_t *facts, int verbose)
{
    if (command->print != NULL)
        print_question(facts, command->print, verbose);
    else
        print_triplets_and_loss(facts, verbose);
    if (trm_fact_has(facts, "output"))
        trm_say(stderr, "written    %s", trm_fact_text(facts, "output"));
    if (verbose > 0)
        print_ranks(json_object_get(facts, "ranks"), command->print == NULL);
}
