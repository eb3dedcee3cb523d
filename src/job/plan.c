/* The kind of job that plans another: its memory, what travels, and how long it takes, for any number of ranks.
 *
 * One process opens the store and reads its labels, as the job would. The memory of so many ranks is planned by the job's own
 * plan, on a run that stands for all of them. The seconds come from a probe (probe.h) or from rates that were given, and what is
 * assumed is told with them. A dry run of a job plans it on its ranks first, so that what it says of memory is what the job itself
 * would say; then rank 0 does what a plan for that number of ranks would do. */
#include "job/inner.h"
#include "job/probe.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/number.h"
#include "base/order.h"
#include "mine/gaps.h"
#include "mine/negatives.h"
#include "mine/pool.h"
#include "mine/positives.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "sweep/choose.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ, ARRANGE, PREPARE, POSITIVES, NEGATIVES, ANSWERS, LOSS, GRADIENT, NETWORK, WRITE, PHASES };
static const char *const phase_names[PHASES] = {"read_s",      "arrange_s", "prepare_s", "positives_s",
                                                "negatives_s", "answers_s", "loss_s",    "gradient_s",
                                                "network_s",   "write_s"};
enum { USUAL_PILOT = 256 };
enum { FOR_POSITIVES, FOR_NEGATIVES, SWEEPS };
static const double usual_write = 4e8; /* bytes a second, of all ranks, into the memory of the file system */

/* One line of the table. */
typedef struct entry {
    int ranks, replicate, panels;
    bool fits;
    int64_t bytes;                  /* a rank holds; of one that does not fit, what it would need */
    int64_t likely;                 /* of these, what it holds with the kernel that it is expected to take */
    double moved, messages;         /* bytes that the busiest rank receives */
    double arranged;                /* of these, what comes before the sweeps */
    double visiting[SWEEPS];        /* rows that visit it */
    double travels[SWEEPS];         /* bytes that come with them */
    double busiest;                 /* its work over the mean's */
    double flops;                   /* of the filters, of the busiest rank */
    bool chooses;                   /* it may leave the kernel that it begins with */
    bool is_short;                  /* so it makes a basis only where that promises something */
    const trm_probe_kernel *kernel; /* what it is expected to take; NULL: rates were given */
    double sweeps_s[TRM_PROBE_KERNELS]; /* with each that it could take */
    double seconds[PHASES], total_s;
} entry;

typedef struct pilot {
    int64_t pairs, without; /* 0: it was not run */
    double planned_s, took_s, margin, at_10, at_50, at_90, active;
    bool reaches; /* there is a margin that reaches the share */
} pilot;

struct trm_foresight {
    int count;
    entry *entry;
    bool probed;
    trm_probe probe;
    double pairs; /* of an anchor and a positive, of all; of a question, rows that ask */
    pilot pilot;
    double listed;     /* pairs or triplets that are expected to be listed; 0: none, or not known */
    int64_t tried, of; /* batches or queries that a dry run has mined, of all */
    json_t *dry;       /* of a dry run of another job: what the plan for its ranks told; owned */
};

/* ---- what the command line alone tells ---- */

trm_status trm_job_check_plan(const trm_settings *settings, trm_error *err)
{
    const trm_plan_settings *plan = &settings->plan;
    static const char *const of_rows[] = {"dim", "classes", "spread"};
    if (settings->inputs == 0 && plan->rows == 0)
        return trm_fail(err, TRM_ERR_USAGE, "plan: give a STORE, or --rows N --dim D --classes C");
    if (settings->inputs > 0 && plan->rows > 0)
        return trm_fail(err, TRM_ERR_USAGE, "'%s': a store or --rows, not both", settings->input[0]);
    for (size_t i = 0; i < sizeof of_rows / sizeof *of_rows && plan->rows == 0; i++)
        if (trm_settings_given(settings, of_rows[i]))
            return trm_fail(err, TRM_ERR_USAGE, "--%s goes with --rows, of data that are not there yet",
                            of_rows[i]);
    if (plan->rows > 0 && trm_settings_in_two_sets(settings))
        return trm_fail(err, TRM_ERR_USAGE, "--queries goes with a STORE, not with --rows");
    if (settings->pairs != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "plan: goes by labels: a job of --pairs is planned by its own --dry-run");
    if (plan->sample > 0 && trm_settings_in_two_sets(settings))
        return trm_fail(err, TRM_ERR_USAGE, "--sample: a pilot is of one set: it does not go with --queries");
    if (plan->rows > 0 && plan->sample > 0)
        return trm_fail(err, TRM_ERR_USAGE, "--sample goes with a STORE: a pilot is run on its rows");
    if (plan->sample == 0 && trm_settings_given(settings, "active"))
        return trm_fail(err, TRM_ERR_USAGE, "--active goes with --sample, the pilot");
    for (int i = 0; i < plan->ranks_given; i++) {
        const double ranks = plan->ranks[i];
        char text[TRM_NUMBER_TEXT];
        if (ranks != floor(ranks))
            return trm_fail(err, TRM_ERR_USAGE, "--ranks-list: %s is no number of ranks",
                            trm_number_text(ranks, text));
        if (settings->run.replicate > 0 && (int)ranks % settings->run.replicate != 0)
            return trm_fail(err, TRM_ERR_USAGE, "--replicate %d: must divide the number of ranks, %d",
                            settings->run.replicate, (int)ranks);
    }
    return TRM_OK;
}

/* ---- memory ---- */

/* Rows that are multiplied with others: pairs of one set, each once, or of one set and another. */
static double pairs_of(const trm_job *job)
{
    const double rows = (double)job->base.rows->total;
    return job->queries.rows != NULL ? rows * (double)job->queries.rows->total : rows * (rows - 1.0) / 2.0;
}

/* Bytes that the busiest rank receives: rows as they are arranged, and the visitors of each panel's sweep with their state. Of two
 * sets the smaller one travels. */
static void count_travel(const trm_job *job, const trm_run *run, entry *line)
{
    const trm_rows *rows = job->base.rows, *queries = job->queries.rows, *stay = rows,
                   *travel = queries != NULL ? queries : rows;
    const trm_job_question *question = job->settings.kind->question;
    if (travel->total > stay->total) {
        stay = queries;
        travel = rows;
    }
    const int tile = trm_run_tile(run, rows->dim), teams = rows->teams, members = rows->replicate;
    const int64_t shard = trm_rows_largest_shard(travel), other = trm_rows_largest_shard(stay);
    const trm_ring_share share =
        trm_ring_share_of(queries != NULL ? &trm_full_ring : &trm_half_ring, teams, members,
                          (other + tile - 1) / tile, (shard + tile - 1) / tile);
    const double n = (double)rows->total + (queries != NULL ? (double)queries->total : 0.0),
                 row = (double)trm_rows_bytes_per_row(rows->dim);
    int64_t visit, home;
    int sweeps = 1;
    if (question != NULL)
        sweeps = question->travel(job, &visit, &home);
    else
        trm_evaluation_travel(job->evaluation, &visit, &home);
    const int near = trm_label_visits_of(stay->shards, travel->shards, teams),
              seeks = job->settings.pairs == NULL && (question == NULL || question->seeks_positives),
              visits[SWEEPS] = {seeks * (near < share.visits ? near : share.visits), sweeps * share.visits};
    for (int k = 0; k < SWEEPS; k++) {
        line->visiting[k] = (double)visits[k] * (double)shard * line->panels;
        line->travels[k] = line->visiting[k] * row;
    }
    line->travels[FOR_NEGATIVES] +=
        (double)visits[FOR_NEGATIVES] * ((double)visit + (double)home) * line->panels;
    line->arranged = run->ranks > 1 ? (n / run->ranks) * row * (1.0 + (double)(members - 1)) : 0.0;
    const double merged = members > 1 ? 2.0 * (1.0 + TRM_SHARINGS) * (double)home * line->panels : 0.0;
    line->moved = line->arranged + line->travels[FOR_POSITIVES] + line->travels[FOR_NEGATIVES] + merged;
    line->messages = (double)(visits[FOR_POSITIVES] + 3 * visits[FOR_NEGATIVES]) * line->panels;
    line->busiest = share.most > 0.0 ? share.most : 1.0;
    line->flops = 2.0 * rows->dim * pairs_of(job) / run->ranks * share.most * sweeps;
    const trm_run by = trm_run_for_sweeps(run, trm_negatives_take_every_pair(&job->options.mine));
    line->chooses = trm_chooser_pays(&by, stay, travel);
    line->is_short = trm_chooser_is_short(&by, stay, travel);
}

static void drop_plan(trm_job *job)
{
    trm_evaluation_destroy(&job->evaluation);
    if (job->settings.kind->question != NULL)
        job->settings.kind->question->end(job);
}

/* So many ranks, in teams of so many, or 0 for a choice. */
static trm_status plan_one(trm_job *job, int ranks, int replicate, entry *line, trm_error *err)
{
    trm_run *run = NULL;
    trm_error why = TRM_ERROR_INIT;
    trm_status status = trm_run_for_all(job->run, ranks, trm_run_mem_per_rank(job->run), &run, err);
    if (status != TRM_OK)
        return status;
    status = trm_job_plan_for_all(job, run, replicate, &why);
    *line = (entry){.ranks = ranks,
                    .fits = status == TRM_OK,
                    .replicate = job->base.rows->replicate,
                    .panels = job->mined.panels,
                    .bytes = job->mined.memory_bytes,
                    .likely = job->mined.memory_bytes};
    if (status == TRM_OK)
        count_travel(job, run, line);
    drop_plan(job);
    trm_run_destroy(&run);
    if (status != TRM_OK && status != TRM_ERR_MEMORY) {
        *err = why;
        return status;
    }
    return TRM_OK;
}

/* Of many rows each number of ranks takes seconds. */
static void show_progress(const trm_job *job, int ranks, double share)
{
    char phase[32];
    snprintf(phase, sizeof phase, "plan, %d ranks", ranks);
    if (job->settings.run.progress != NULL)
        job->settings.run.progress(job->settings.run.progress_context, phase, share, 0.0);
}

/* All positive pairs of queries and rows of the store that are selected. */
static trm_status count_pairs_of_queries(const trm_job *job, double *pairs, trm_error *err)
{
    const trm_rows *rows = job->base.rows, *queries = job->queries.rows;
    trm_positives positives;
    int64_t count = 0;
    trm_positives_choose(&positives, &job->options.mine, INT64_MAX);
    trm_keyed *label = trm_pool_labels_of(rows, 0, rows->count, &count);
    if (label == NULL)
        return trm_fail_memory(err, "labels", rows->count, sizeof *label);
    for (int64_t i = 0; i < queries->count; i++) {
        const trm_keyed sought = {.key = queries->label[i]};
        const trm_keyed *found = bsearch(&sought, label, (size_t)count, sizeof sought, trm_compare_whole);
        if (found != NULL && found->sum[0] < rows->total)
            *pairs += (double)trm_positives_pairs(&positives, found->sum[0]);
    }
    trm_free(label);
    return TRM_OK;
}

static int list_ranks(const trm_settings *settings, int ranks[TRM_PLAN_RANKS])
{
    enum { USUAL = 7 };
    const int each = settings->run.replicate > 0 ? settings->run.replicate : 1;
    const int given = settings->plan.ranks_given;
    for (int i = 0; i < given; i++)
        ranks[i] = (int)settings->plan.ranks[i];
    for (int i = 0; i < USUAL && given == 0; i++)
        ranks[i] = each << i;
    return given > 0 ? given : USUAL;
}

trm_status trm_job_plan_ranks(trm_job *job, trm_error *err)
{
    int ranks[TRM_PLAN_RANKS];
    const int count = list_ranks(&job->settings, ranks), given = job->settings.run.replicate;
    trm_foresight *f = job->foresight = trm_alloc_zero(1, sizeof *f);
    if (f == NULL)
        return trm_fail_memory(err, "a plan", 1, sizeof *f);
    f->entry = trm_alloc_zero(2 * count, sizeof *f->entry);
    if (f->entry == NULL)
        return trm_fail_memory(err, "a plan", 2 * count, sizeof *f->entry);
    trm_status status = TRM_OK;
    for (int i = 0; i < count && status == TRM_OK; i++) {
        show_progress(job, ranks[i], (double)i / count);
        status = plan_one(job, ranks[i], given, &f->entry[f->count++], err);
        if (status == TRM_OK && given == 0 && f->entry[f->count - 1].replicate > 1)
            status = plan_one(job, ranks[i], 1, &f->entry[f->count++], err);
        if (status == TRM_OK)
            status = trm_job_pause(job, err);
    }
    if (job->settings.kind->question != NULL) /* answers go by the rows that ask */
        f->pairs = (double)trm_job_askers(job)->rows->total;
    else if (status == TRM_OK && job->queries.rows != NULL)
        return count_pairs_of_queries(job, &f->pairs, err);
    else if (status == TRM_OK)
        f->pairs = trm_job_own_pairs(job);
    return status;
}

/* ---- seconds ---- */

/* What a run of that line could end up with. */
static int candidates(const trm_probe *probe, const entry *line)
{
    return !line->chooses || probe->choice.count > 0 ? 1 : probe->kernels;
}

static const trm_probe_kernel *candidate(const trm_probe *probe, const entry *line, int k)
{
    return line->chooses && probe->choice.count > 0 ? &probe->choice : &probe->kernel[k];
}

/* Does such a run make a basis, while it chooses? */
static bool makes_basis(const trm_probe *probe, const entry *line)
{
    return line->chooses && (probe->basis_promises || !line->is_short);
}

static bool may_end_with(const trm_probe *probe, const entry *line, const trm_probe_kernel *kernel)
{
    return kernel == &probe->kernel[0] || kernel == &probe->choice || kernel->taken == NULL ||
           !kernel->taken->needs_basis || makes_basis(probe, line);
}

/* What is done once for rows, with one kernel: so much, and so much a row, most of which is packing it. */
typedef struct preparing {
    double fixed, a_row;
} preparing;

static preparing preparing_with(const trm_probe *probe, const trm_probe_kernel *kernel)
{
    /* a run that chooses has made one; of so few rows as these only where that promises something */
    const double basis = kernel == &probe->choice && probe->basis_promises ? probe->basis_s : 0.0;
    double one[TRM_PROBE_SIZES], n[TRM_PROBE_SIZES], seconds[TRM_PROBE_SIZES];
    preparing fit;
    for (int i = 0; i < kernel->count; i++) {
        one[i] = 1.0;
        n[i] = kernel->negatives[i].rows;
        seconds[i] = kernel->prepare_s[i] - basis;
    }
    trm_rates_fit(kernel->count, seconds, n, one, &fit.a_row, &fit.fixed);
    return fit;
}

/* A run that chooses makes a basis, and packs the rows for the kernel that it begins with. */
static double prepare_of(const trm_probe *probe, const entry *line, double rows)
{
    const trm_probe_kernel *first = candidate(probe, line, 0);
    const preparing begins = preparing_with(probe, first);
    const bool makes = makes_basis(probe, line) && (first == &probe->choice || !first->taken->needs_basis);
    return begins.fixed + begins.a_row * rows / line->ranks + (makes ? probe->basis_s : 0.0);
}

/* While negatives are sought rows are packed anew, once for the kernel that is taken, and when they visit. */
static double pack_anew(const trm_probe *probe, const entry *line, const trm_probe_kernel *kernel,
                        double rows)
{
    const bool anew = kernel != candidate(probe, line, 0);
    return preparing_with(probe, kernel).a_row *
           ((anew ? rows / line->ranks : 0.0) + line->visiting[FOR_NEGATIVES]);
}

/* What follows the sweeps: so much a pair of an anchor and a positive, and so much a row. */
static void foresee_rest(const trm_foresight *f, double rows, entry *line)
{
    const trm_probe *probe = &f->probe;
    const int count = probe->kernel[0].count;
    double of_rows[TRM_PROBE_SIZES], pairs[TRM_PROBE_SIZES], seconds[3][TRM_PROBE_SIZES];
    static const int phases[] = {ANSWERS, LOSS, GRADIENT};
    for (int i = 0; i < count; i++) {
        const trm_probe_rest *rest = &probe->rest[i];
        of_rows[i] = rest->rows;
        pairs[i] = rest->pairs;
        seconds[0][i] = rest->answers_s;
        seconds[1][i] = rest->loss_s;
        seconds[2][i] = rest->gradient_s;
    }
    for (int k = 0; k < 3; k++) {
        double a_pair, a_row;
        trm_rates_fit(count, seconds[k], pairs, of_rows, &a_pair, &a_row);
        line->seconds[phases[k]] = (a_pair * f->pairs + a_row * rows) / line->ranks;
    }
    if (probe->looks_at_gaps)
        line->seconds[ANSWERS] += probe->pilot_a_distance_s * TRM_GAPS_SAMPLE * rows / line->ranks;
}

/* Anchors in several panels: a pair is multiplied where either of its rows asks; a query and a row of the store, once. */
static double rounds_of(const trm_job *job, int panels)
{
    return job->queries.rows != NULL ? 1.0 : 2.0 - 1.0 / (panels > 0 ? panels : 1);
}

/* The sweeps, by the fastest kernel that the job may take. */
static void foresee_sweeps(const trm_job *job, const trm_foresight *f, entry *line)
{
    const double rows = (double)job->base.rows->total;
    const preparing begins = preparing_with(&f->probe, candidate(&f->probe, line, 0));
    double best = INFINITY;
    for (int k = 0; k < candidates(&f->probe, line); k++) {
        const trm_probe_kernel *kernel = candidate(&f->probe, line, k);
        const trm_sweep_fit positives = trm_sweep_fit_of(kernel->count, kernel->positives),
                            negatives = trm_sweep_fit_of(kernel->count, kernel->negatives);
        const double share = rounds_of(job, line->panels) / line->ranks;
        const double first = trm_sweep_seconds(&positives, rows, line->replicate) * share,
                     second = trm_sweep_seconds(&negatives, rows, line->replicate) * share * line->busiest;
        const double whole = first + second + pack_anew(&f->probe, line, kernel, rows);
        line->sweeps_s[k] = may_end_with(&f->probe, line, kernel) ? whole : INFINITY;
        if (line->sweeps_s[k] >= best)
            continue;
        best = whole;
        line->kernel = kernel;
        line->seconds[POSITIVES] = first + begins.a_row * line->visiting[FOR_POSITIVES];
        line->seconds[NEGATIVES] =
            whole - first +
            second * (line->chooses && kernel != &f->probe.choice ? job->run->trial_share : 0.0);
    }
}

/* What travels while a sweep computes is hidden behind it. */
static double exposed(double bytes, double network, double computes)
{
    return bytes / network > computes ? bytes / network - computes : 0.0;
}

/* Of a result with so many triplets, and a gradient of so many rows where there is one. */
static double written_bytes(const trm_job *job, double triplets, double rows)
{
    return triplets * TRM_JOB_BYTES_A_TRIPLET +
           (job->settings.gradient ? rows * job->base.batch.dim * (double)sizeof(float) : 0.0);
}

static void foresee(const trm_job *job, const trm_foresight *f, entry *line)
{
    const trm_plan_settings *given = &job->settings.plan;
    const double rows = (double)job->base.rows->total, dim = job->base.batch.dim,
                 all = rows + (double)(job->queries.rows != NULL ? job->queries.rows->total : 0);
    const double disk = isnan(given->disk) ? f->probe.read_bytes_s : given->disk;
    double *s = line->seconds;
    if (!isnan(given->gflops)) {
        s[NEGATIVES] = line->flops * rounds_of(job, line->panels) / (given->gflops * 1e9);
    } else {
        foresee_sweeps(job, f, line);
        s[PREPARE] = prepare_of(&f->probe, line, rows);
        s[ARRANGE] = f->probe.arrange_a_row_s * all / line->ranks;
        foresee_rest(f, all, line);
    }
    const int64_t each = trm_mine_negatives(&job->options.mine);
    if (disk > 0.0)
        s[READ] = all * dim * sizeof(float) / disk / line->ranks;
    const trm_job_question *question = job->settings.kind->question;
    double written = 0.0;
    if (trm_job_writes_triplets(job))
        written = written_bytes(job, f->pairs * (double)each, all);
    else if (question != NULL && question->written != NULL && job->settings.output != NULL)
        written = question->written(job);
    if (disk > 0.0)
        s[WRITE] = written / (isnan(given->disk) ? usual_write : disk * line->ranks);
    s[NETWORK] = line->arranged / given->network +
                 exposed(line->travels[FOR_POSITIVES], given->network, s[POSITIVES]) +
                 exposed(line->travels[FOR_NEGATIVES], given->network, s[NEGATIVES]);
    if (question != NULL) { /* whose sweeps count as one */
        s[NEGATIVES] += s[POSITIVES];
        s[POSITIVES] = 0.0;
    }
    line->total_s = 0.0;
    for (int k = 0; k < PHASES; k++)
        line->total_s += s[k];
}

/* A job that chooses among kernels has room for the largest of them: what it needs with one of them is planned again. */
static trm_status plan_with(trm_job *job, const trm_probe_kernel *kernel, entry *line, trm_error *err)
{
    trm_run *run = NULL;
    trm_error unheard = TRM_ERROR_INIT;
    trm_status status = trm_run_for_all(job->run, line->ranks, trm_run_mem_per_rank(job->run), &run, err);
    if (status != TRM_OK)
        return status;
    run->expected = kernel->taken;
    run->expected_width = kernel->taken_width;
    const bool same = trm_job_plan_for_all(job, run, line->replicate, &unheard) == TRM_OK &&
                      job->mined.panels == line->panels;
    if (!same)
        line->likely = line->bytes;
    else if (job->mined.memory_bytes > line->likely)
        line->likely = job->mined.memory_bytes;
    drop_plan(job);
    trm_run_destroy(&run);
    return TRM_OK;
}

/* The most of the kernels that are expected to take about as long as the fastest. */
static trm_status plan_likely(trm_job *job, entry *line, trm_error *err)
{
    const trm_probe *probe = &job->foresight->probe;
    double least = INFINITY;
    trm_status status = TRM_OK;
    if (line->kernel == NULL || line->kernel->taken == NULL)
        return TRM_OK;
    for (int k = 0; k < candidates(probe, line); k++)
        least = line->sweeps_s[k] < least ? line->sweeps_s[k] : least;
    line->likely = 0;
    for (int k = 0; k < candidates(probe, line) && status == TRM_OK; k++)
        if (line->sweeps_s[k] <= TRM_PROBE_ABOUT * least)
            status = plan_with(job, candidate(probe, line, k), line, err);
    return status;
}

/* ---- the pilot ---- */

/* The gap that a share of the pairs is below: the smallest that so many of them do not exceed. */
static double quantile(const double *gap, int64_t count, double share)
{
    int64_t at = (int64_t)ceil(share * (double)count) - 1;
    at = at < 0 ? 0 : at >= count ? count - 1 : at;
    return gap[at];
}

static trm_status run_pilot(trm_job *job, trm_error *err)
{
    trm_foresight *f = job->foresight;
    pilot *p = &f->pilot;
    const int64_t pairs = job->settings.plan.sample;
    trm_rows *rows = job->base.rows;
    const double start = trm_clock();
    trm_status status = trm_rows_lay_out(job->run, rows, 1, err);
    if (status == TRM_OK && rows->arrange_bytes > trm_run_mem_per_rank(job->run))
        status = trm_run_refuse(job->run, "the pilot, which has all rows in one process, needs",
                                rows->arrange_bytes, err);
    if (status == TRM_OK)
        status = trm_job_read_rows(job, err);
    double *gap = status == TRM_OK ? trm_alloc(pairs, sizeof *gap) : NULL;
    if (status == TRM_OK && gap == NULL)
        status = trm_fail_memory(err, "a pilot", pairs, sizeof *gap);
    if (status == TRM_OK)
        status = trm_mine_sample_gaps(job->run, rows, &job->options.mine, (int)pairs, gap, &p->pairs, err);
    p->took_s = trm_clock() - start;
    int64_t found = 0;
    while (status == TRM_OK && found < p->pairs && isfinite(gap[found]))
        found++;
    if (status == TRM_OK && found > 0) {
        const double wanted = quantile(gap, p->pairs, job->settings.plan.active);
        p->at_10 = quantile(gap, found, 0.1);
        p->at_50 = quantile(gap, found, 0.5);
        p->at_90 = quantile(gap, found, 0.9);
        p->reaches = isfinite(wanted);
        p->margin = p->reaches && wanted > 0.0 ? nextafter(wanted, INFINITY) : 0.0; /* below it, strictly */
        int64_t active = 0;
        while (active < found && gap[active] < p->margin)
            active++;
        p->active = (double)active / (double)p->pairs;
    }
    p->without = p->pairs - found;
    trm_free(gap);
    return status;
}

/* ---- a dry run ---- */

/* What rank 0 tells a job of the same kind that does nothing but plan, alone and for all ranks: all that was told. */
static trm_status tell_plan(const trm_job *job, trm_job *plan, trm_error *err)
{
    char threads[32], limit[32];
    trm_status status = TRM_OK;
    for (int i = 0; i < job->settings.inputs && status == TRM_OK; i++)
        status = trm_job_add_input(plan, job->settings.input[i], err);
    for (int i = 0; i < job->given_count && status == TRM_OK; i++)
        status = trm_job_set(plan, job->given[i].option, job->given[i].value, err);
    plan->settings.plans = true;
    plan->settings.plan.ranks[0] = job->ranks;
    plan->settings.plan.ranks_given = 1;
    snprintf(threads, sizeof threads, "%d", trm_run_threads(job->run));
    snprintf(limit, sizeof limit, "%" PRId64 "B", trm_run_mem_per_rank(job->run));
    if (status == TRM_OK) /* ranks share their host's cores, and its memory */
        status = trm_job_set(plan, "threads", threads, err);
    if (status == TRM_OK)
        status = trm_job_set(plan, "mem-per-rank", limit, err);
    return status;
}

/* Of what a plan job says, this one says the same, but for the probe. */
static void say_of_probe(void *context, trm_line line, const char *text)
{
    const trm_job *job = context;
    if (line == TRM_LINE_STEP)
        trm_voice_say(&job->voice, line, "%s", text);
}

/* Who asks this job to stop asks that one. */
static int wish_of_job(void *context)
{
    const trm_job *job = context;
    return job->hooks.wish != NULL ? job->hooks.wish(job->hooks.context) : 0;
}

static trm_status plan_alone(trm_job *job, trm_error *err)
{
    trm_job *plan = NULL;
    trm_job_hooks hooks;
    trm_job_hooks_init(&hooks);
    hooks.context = job;
    hooks.say = say_of_probe;
    hooks.wish = wish_of_job;
    hooks.progress = job->hooks.progress;
    hooks.progress_context = job->hooks.progress_context;
    const char *told = NULL;
    trm_status status = trm_job_create(job->settings.kind->name, &plan, err);
    if (status == TRM_OK)
        status = tell_plan(job, plan, err);
    if (status == TRM_OK)
        status = trm_job_open(plan, MPI_COMM_SELF, &hooks, err);
    if (status == TRM_OK)
        status = trm_job_plan(plan, err);
    if (status == TRM_OK)
        status = trm_job_run(plan, err);
    if (status == TRM_OK)
        status = trm_job_write(plan, err); /* nothing: it is the next step */
    if (status == TRM_OK)
        status = trm_job_tell(plan, &told, err);
    if (status == TRM_OK) {
        job->foresight->dry = json_loads(told, 0, NULL);
        if (job->foresight->dry == NULL)
            status = trm_fail_memory(err, "a plan", 1, strlen(told));
    }
    if (status == TRM_OK)
        job->foresight->listed = plan->foresight->listed;
    trm_job_destroy(&plan);
    return status;
}

/* A list that is too long is refused when it was counted, which may be after hours. Rank 0. */
static void warn_of_list(trm_job *job)
{
    const trm_settings *settings = &job->settings;
    const bool asks = settings->kind->question != NULL;
    const int64_t most = asks ? settings->radius.max_pairs : settings->mine.max_triplets;
    const char *const what = asks ? "pairs" : "triplets";
    if (job->foresight->listed > (double)most)
        trm_warn(&job->voice,
                 "would stop: about %.3g %s are expected, more than the %" PRId64
                 " that may be listed (--max-%s)",
                 job->foresight->listed, what, most, what);
}

/* What mining some of the batches took, by phases; network: all the rest, which is mostly rows that are fetched. */
static void seconds_of_try(const trm_job *job, double whole, double s[PHASES])
{
    const trm_mine_summary *mined = &job->mined;
    memset(s, 0, PHASES * sizeof *s);
    s[ARRANGE] = mined->arrange_s;
    s[PREPARE] = mined->prepare_s;
    s[POSITIVES] = mined->positives_s;
    s[NEGATIVES] = mined->negatives_s;
    s[ANSWERS] = mined->answers_s;
    s[LOSS] = job->loss.loss_s;
    s[GRADIENT] = job->loss.gradient_s;
    for (int k = 0; k < PHASES; k++)
        whole -= k == NETWORK ? 0.0 : s[k];
    s[NETWORK] = whole > 0.0 ? whole : 0.0;
}

/* The most batches of a rank, or queries of a team. Collective. */
static int64_t most_tries(const trm_job *job)
{
    int64_t most = job->batches.count;
    if (!trm_settings_in_batches(&job->settings))
        return trm_rows_largest_shard(job->queries.rows);
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, job->comm);
    return most;
}

/* The ranks mine some of their batches, or for some of their queries, or ask for these, and then twice as many until that takes long enough; from the
 * last few tries it follows what each takes, and what all take together. *last: how many the last try had. Collective. */
static trm_status try_some(trm_job *job, double foreseen[PHASES], int64_t *last, trm_error *err)
{
    enum { TRIES = 3 };
    static const double enough_s = 0.3;
    double tried[PHASES][TRIES] = {{0.0}}, took[TRIES] = {0.0}, some[TRIES] = {0.0},
           one[TRIES] = {1.0, 1.0, 1.0};
    const int64_t most = most_tries(job);
    int64_t each = trm_settings_in_batches(&job->settings)
                       ? 1
                       : trm_run_tile(job->run, job->base.batch.dim); /* a whole one */
    for (int count = 1;; count++, each *= 2) {
        double seconds, s[PHASES];
        each = each < most ? each : most;
        const trm_status status = trm_job_try(job, each, &seconds, err);
        if (status != TRM_OK)
            return status;
        seconds_of_try(job, seconds, s);
        memmove(some, some + 1, sizeof some - sizeof *some);
        memmove(took, took + 1, sizeof took - sizeof *took);
        some[TRIES - 1] = (double)each;
        took[TRIES - 1] = seconds;
        for (int k = 0; k < PHASES; k++) {
            memmove(tried[k], tried[k] + 1, sizeof tried[k] - sizeof *tried[k]);
            tried[k][TRIES - 1] = s[k];
        }
        /* what is done once, such as trials of kernels, tells nothing of the rest */
        if (each >= most || (count >= TRIES && took[TRIES - 1] - took[0] >= enough_s))
            break;
    }
    *last = each;
    job->foresight->tried = trm_job_tries(job, each);
    job->foresight->of = trm_job_tries(job, most);
    for (int k = 0; k < PHASES; k++) {
        double a_try, once;
        trm_rates_fit(TRIES, tried[k], some, one, &a_try, &once);
        foreseen[k] = each < most ? a_try * (double)most + once : tried[k][TRIES - 1];
    }
    return TRM_OK;
}

/* What is moved and multiplied: of batches by those that were mined, of queries by all of them. */
static void count_tried(const trm_job *job, double times, entry *line)
{
    const double ranks = job->ranks, dim = job->base.batch.dim;
    if (!trm_settings_in_batches(&job->settings)) {
        count_travel(job, job->run, line);
        return;
    }
    line->messages = ranks - 1.0;
    line->moved = (double)job->batch_rows * dim * sizeof(float) / ranks * (1.0 - 1.0 / ranks);
    line->flops = 2.0 * dim * (double)job->mined.certify.elements * times / ranks;
}

/* Seconds of all batches, or queries with their pairs, from those of some, which these ranks mine. */
static trm_status foresee_tries(trm_job *job, trm_error *err)
{
    trm_foresight *f = job->foresight;
    const double start = trm_clock(), before = start - job->start - job->read_s;
    int64_t last = 0;
    entry *line = f->entry;
    trm_probe_kernel *kernel = &f->probe.kernel[0];
    *line = (entry){.ranks = job->ranks,
                    .replicate = trm_rows_replicate(job->base.rows),
                    .panels = job->mined.panels,
                    .fits = true,
                    .bytes = job->mined.memory_bytes,
                    .kernel = kernel};
    trm_status status = try_some(job, line->seconds, &last, err);
    if (status == TRM_OK) {
        trm_probe_kernel largest = {.count = 0};
        trm_probe_note_taken(job->mined.chains, kernel);
        trm_probe_note_largest(job->mined.chains, job->base.batch.dim, &largest);
        status = trm_job_expect(job, last, largest.taken, largest.taken_width, &line->likely, err);
    }
    if (status != TRM_OK)
        return status;
    kernel->name = kernel->taken != NULL ? kernel->taken->name : job->run->kernel->name;
    const double times = f->tried > 0 ? (double)f->of / (double)f->tried : 0.0;
    f->listed = job->settings.mine.emit_sets ? (double)job->mined.set_size * times : 0.0;
    count_tried(job, times, line);
    line->seconds[ARRANGE] += before; /* lists are sorted, and batches drawn */
    line->seconds[READ] = job->read_s;
    if (trm_job_writes_triplets(job))
        line->seconds[WRITE] =
            written_bytes(job, (double)job->mined.triplets.total * times, (double)job->base.total) /
            usual_write;
    for (int k = 0; k < PHASES; k++)
        line->total_s += line->seconds[k];
    f->probe.seconds = trm_clock() - start;
    f->count = 1;
    return TRM_OK;
}

/* Batches, and queries with their pairs, are tried by all ranks; what else is planned by a probe is done by one process, which draws
 * samples by labels. */
static trm_status run_dry(trm_job *job, trm_error *err)
{
    trm_foresight *f = job->foresight = trm_alloc_zero(1, sizeof *job->foresight);
    if (f != NULL)
        f->entry = trm_alloc_zero(1, sizeof *f->entry);
    trm_status status = f == NULL || f->entry == NULL ? trm_fail_memory(err, "a plan", 1, sizeof *f) : TRM_OK;
    status = trm_agree(job->comm, status, err);
    if (status == TRM_OK && (trm_settings_in_batches(&job->settings) || job->settings.pairs != NULL))
        status = foresee_tries(job, err);
    else if (status == TRM_OK && job->rank == 0)
        status = plan_alone(job, err);
    status = trm_agree(job->comm, status, err);
    if (status == TRM_OK && job->rank == 0)
        warn_of_list(job);
    return status;
}

static bool any_fits(const trm_foresight *f)
{
    for (int i = 0; i < f->count; i++)
        if (f->entry[i].fits)
            return true;
    return false;
}

trm_status trm_job_run_plan(trm_job *job, trm_error *err)
{
    trm_status status = job->settings.plans ? TRM_OK : trm_job_look_at_checkpoint(job, err);
    trm_job_let_go(job); /* what the job would write has been looked at */
    if (!job->settings.plans)
        return status == TRM_OK ? run_dry(job, err) : status;
    trm_foresight *f = job->foresight;
    const trm_plan_settings *given = &job->settings.plan;
    f->probed = isnan(given->gflops) && any_fits(f); /* else there are no seconds to tell */
    if (f->probed)
        status = trm_job_probe(job, &f->probe, err);
    job->pairs_known = f->probe.counts_pairs;
    job->pairs_within = trm_probe_pairs_within(&f->probe);
    if (job->pairs_known && job->settings.output != NULL)
        f->listed = (double)job->pairs_within;
    else if (job->settings.mine.emit_sets)
        f->listed = (double)trm_probe_set_size(&f->probe);
    if (status == TRM_OK)
        warn_of_list(job);
    for (int i = 0; i < f->count && status == TRM_OK; i++) {
        if (!f->entry[i].fits)
            continue;
        show_progress(job, f->entry[i].ranks, (double)i / f->count);
        foresee(job, f, &f->entry[i]);
        status = plan_likely(job, &f->entry[i], err);
    }
    const double rows = (double)job->base.rows->total,
                 disk = isnan(given->disk) ? f->probe.read_bytes_s : given->disk;
    f->pilot.planned_s =
        (double)(given->sample > 0 ? given->sample : USUAL_PILOT) * rows * f->probe.pilot_a_distance_s +
        (disk > 0.0 ? rows * job->base.batch.dim * sizeof(float) / disk : 0.0) +
        f->probe.arrange_a_row_s * rows;
    return status == TRM_OK && given->sample > 0 ? run_pilot(job, err) : status;
}

void trm_job_free_plan(trm_job *job)
{
    if (job->foresight != NULL) {
        trm_free(job->foresight->entry);
        json_decref(job->foresight->dry);
    }
    trm_free(job->foresight);
    trm_free(job->clusters.scratch);
    job->foresight = NULL;
    job->clusters.scratch = NULL;
}

/* ---- what is told ---- */

/* Or NULL: the job has none. All sweeps of a question are one phase. */
static const char *name_of_phase(const trm_job *job, int phase)
{
    const bool mines = phase == POSITIVES || phase == LOSS || phase == GRADIENT;
    if (job->settings.kind->question == NULL)
        return phase_names[phase];
    return phase == NEGATIVES ? "sweep_s" : mines ? NULL : phase_names[phase];
}

static json_t *entry_json(const trm_job *job, const entry *line)
{
    json_t *object =
        json_pack("{s:i, s:i, s:i, s:b, s:I}", "ranks", line->ranks, "replicate", line->replicate, "panels",
                  line->panels, "fits", line->fits, "memory_bytes", (json_int_t)line->bytes);
    if (!line->fits)
        return object;
    trm_json_put_all(&object,
                     json_pack("{s:I, s:f, s:f, s:f, s:o}", "likely_bytes", (json_int_t)line->likely,
                               "moved_bytes", line->moved, "messages", line->messages, "operations",
                               line->flops * rounds_of(job, line->panels), "kernel",
                               line->kernel != NULL ? json_string(line->kernel->name) : json_null()));
    for (int k = 0; k < PHASES; k++)
        if (name_of_phase(job, k) != NULL)
            trm_json_put(&object, name_of_phase(job, k), json_real(line->seconds[k]));
    trm_json_put(&object, "total_s", json_real(line->total_s));
    return object;
}

static json_t *fit_json(const trm_sweep_fit *fit)
{
    return json_pack("{s:f, s:f, s:f, s:f}", "pairs_power", fit->pairs.power, "float64_power",
                     fit->decided.power, "pair_s", fit->pair_s, "float64_s", fit->decided_s);
}

static json_t *probe_json(const trm_foresight *f)
{
    const trm_probe *probe = &f->probe;
    json_t *kernels = json_array();
    if (!f->probed)
        return json_null();
    for (int k = 0; k < probe->kernels; k++) {
        const trm_probe_kernel *kernel = &probe->kernel[k];
        const trm_sweep_fit positives = trm_sweep_fit_of(kernel->count, kernel->positives),
                            negatives = trm_sweep_fit_of(kernel->count, kernel->negatives);
        json_t *samples = json_array();
        for (int i = 0; i < kernel->count; i++)
            trm_json_append(&samples,
                            json_pack("{s:f, s:f, s:f, s:f}", "rows", kernel->negatives[i].rows,
                                      "positives_s", kernel->positives[i].seconds, "negatives_s",
                                      kernel->negatives[i].seconds, "float64", kernel->negatives[i].decided));
        trm_json_append(&kernels,
                        json_pack("{s:s, s:o, s:o, s:o}", "kernel", kernel->name, "samples", samples,
                                  "positives", fit_json(&positives), "negatives", fit_json(&negatives)));
    }
    return json_pack("{s:f, s:i, s:I, s:I, s:f, s:o}", "seconds", probe->seconds, "threads", probe->threads,
                     "rows", (json_int_t)probe->rows, "of", (json_int_t)probe->of, "read_bytes_per_s",
                     probe->read_bytes_s, "kernels", kernels);
}

static json_t *pilot_json(const trm_job *job)
{
    const pilot *p = &job->foresight->pilot;
    const int64_t sample = job->settings.plan.sample;
    if (job->queries.rows != NULL || job->settings.kind->question != NULL)
        return json_null();
    json_t *object = json_pack("{s:I, s:o}", "sample", (json_int_t)(sample > 0 ? sample : USUAL_PILOT),
                               "planned_s", job->foresight->probed ? json_real(p->planned_s) : json_null());
    if (sample > 0)
        trm_json_put_all(&object,
                         json_pack("{s:f, s:I, s:I, s:f, s:f, s:f, s:f, s:o, s:f}", "took_s", p->took_s,
                                   "pairs", (json_int_t)p->pairs, "without", (json_int_t)p->without, "at_10",
                                   p->at_10, "at_50", p->at_50, "at_90", p->at_90, "active_wanted",
                                   job->settings.plan.active, "margin",
                                   p->reaches ? json_real(p->margin) : json_null(), "active", p->active));
    return object;
}

static void assume(json_t **list, const char *text)
{
    trm_json_append(list, json_string(text));
}

static json_t *assumed_json(const trm_job *job)
{
    const trm_foresight *f = job->foresight;
    const trm_plan_settings *given = &job->settings.plan;
    char text[300];
    json_t *list = json_array();
    snprintf(text, sizeof text,
             "each rank has %d threads, each on a core of its own like those of this machine, and %s %.6g MB",
             trm_run_threads(job->run),
             job->settings.run.mem_per_rank > 0 ? "at most" : "this machine's free memory, at most",
             (double)trm_run_mem_per_rank(job->run) / 1e6);
    assume(&list, text);
    if (f->probed && f->probe.threads < trm_run_threads(job->run)) {
        snprintf(text, sizeof text,
                 "the probe ran on %d threads, as there are no more cores here: a rank's %d are so many "
                 "times as fast",
                 f->probe.threads, trm_run_threads(job->run));
        assume(&list, text);
    }
    snprintf(text, sizeof text,
             "a rank receives %.3g GB a second; what travels during a sweep is hidden behind it",
             given->network / 1e9);
    assume(&list, text);
    if (!isnan(given->gflops)) {
        snprintf(text, sizeof text,
                 "the filters do %.6g GFLOP/s a rank; what they leave for float64 is not counted, nor what "
                 "is done beside the negatives sweep",
                 given->gflops);
        assume(&list, text);
    } else if (f->probe.rows < f->probe.of) {
        snprintf(text, sizeof text,
                 "pairs, and what is left for float64, grow from samples of up to %" PRId64
                 " rows to %" PRId64 " as a power of the rows",
                 f->probe.rows, f->probe.of);
        assume(&list, text);
    }
    if (given->rows > 0)
        assume(&list,
               "the rows are like those of trimine synth: real ones may leave more, or less, for float64");
    snprintf(text, sizeof text,
             "each rank reads as fast as this process has just read, which may be from memory, and all "
             "together write %.3g GB a second: --disk",
             usual_write / 1e9);
    if (isnan(given->disk) && any_fits(f))
        assume(&list, f->probe.read_bytes_s > 0.0 ? text : "reading and writing take no time: --disk");
    return list;
}

/* Memory is what the ranks have planned. */
static json_t *dry_facts(const trm_job *job)
{
    json_t *object = json_incref(job->foresight->dry);
    if (object == NULL)
        object = json_pack("{s:s, s:s, s:{s:I, s:i}, s:o}", "program", "trimine", "version", trm_version(),
                           "store", "rows", (json_int_t)job->base.total, "dim", job->base.batch.dim,
                           "options", trm_settings_json(&job->settings));
    json_t *line = json_pack("{s:i, s:i, s:i, s:b, s:I}", "ranks", job->ranks, "replicate",
                             trm_rows_replicate(job->base.rows), "panels", job->mined.panels, "fits", 1,
                             "memory_bytes", (json_int_t)job->mined.memory_bytes);
    const trm_foresight *f = job->foresight;
    const bool batches = trm_settings_in_batches(&job->settings);
    json_t *table = json_object_get(object, "plan"), *foreseen = NULL;
    for (size_t i = 0; i < json_array_size(table); i++) /* of the teams that the ranks have chosen */
        if (json_integer_value(json_object_get(json_array_get(table, i), "replicate")) ==
            trm_rows_replicate(job->base.rows))
            foreseen = json_incref(json_array_get(table, i));
    if (f->count > 0) {
        foreseen = entry_json(job, f->entry);
        trm_json_put(&object, "probe",
                     json_pack("{s:f, s:I, s:I}", "seconds", f->probe.seconds,
                               batches ? "batches" : "queries", (json_int_t)f->tried,
                               batches ? "of_batches" : "of_queries", (json_int_t)f->of));
    }
    if (foreseen != NULL && line != NULL)
        json_object_update_missing(line, foreseen);
    json_decref(foreseen);
    json_t *list = json_array();
    trm_json_append(&list, line);
    trm_json_put(&object, "plan", list);
    trm_json_put(&object, "command", json_string(job->settings.kind->name));
    trm_json_put(&object, "dry_run", json_true());
    trm_json_put(&object, "warnings", trm_voice_warnings(&job->voice));
    return object;
}

json_t *trm_job_plan_facts(trm_job *job)
{
    const trm_foresight *f = job->foresight;
    if (!job->settings.plans)
        return dry_facts(job);
    json_t *table = json_array();
    for (int i = 0; i < f->count; i++)
        trm_json_append(&table, entry_json(job, &f->entry[i]));
    return json_pack("{s:s, s:s, s:s, s:{s:I, s:i, s:I}, s:o, s:i, s:I, s:o, s:o, s:o, s:o, s:o}", "program",
                     "trimine", "version", trm_version(), "command", job->settings.kind->name, "store",
                     "rows", (json_int_t)job->base.total, "dim", job->base.batch.dim, "classes",
                     (json_int_t)job->base.rows->classes, "options", trm_settings_json(&job->settings),
                     "threads", trm_run_threads(job->run), "mem_per_rank",
                     (json_int_t)trm_run_mem_per_rank(job->run), "plan", table, "probe", probe_json(f),
                     "pilot", pilot_json(job), "assumed", assumed_json(job), "warnings",
                     trm_voice_warnings(&job->voice));
}
