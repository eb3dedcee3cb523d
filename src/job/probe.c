/* The probe; see probe.h.
 *
 * A sample is drawn so that its sweeps are like those of all rows: of large classes a part of the rows of each, of small ones
 * all rows of a part of the classes, since a class of one row has no positive. Of queries it has the same part as of the rows of their
 * class. Samples are doubled until one takes long enough to be timed; the last few are what forecasts are made from. The best of two rounds counts, and what its threads waited for a core
 * is left out of it: other programs only make one slower. */
#include "job/probe.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/order.h"
#include "job/clusters.h"
#include "kernel/basis.h"
#include "kernel/kernel.h"
#include "metric/metric.h"
#include "mine/gaps.h"
#include "mine/negatives.h"
#include "mine/options.h"
#include "mine/pool.h"
#include "sweep/basis.h"
#include "sweep/choose.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIRST_ROWS = 1000, LEAST_OF_CLASS = 16, ROUNDS = 2, MOST_ROUNDS = 5, PILOT_PAIRS = 8 };
static const double enough_s = 0.4, once_s = 1.0, most_s = 30.0, undisturbed = 0.9, many_rows = 65536.0,
                    whole_bytes = 1e9, timed_bytes = 64e6, most_counted = 1e15;

/* ---- how long it takes ---- */

/* Seconds that the threads of this process were ready to run and did not, all together; 0 where the system does not tell. */
static double waited(void)
{
    DIR *threads = opendir("/proc/self/task");
    double seconds = 0.0;
    if (threads == NULL)
        return 0.0;
    for (struct dirent *one; (one = readdir(threads)) != NULL;) {
        char path[sizeof one->d_name + 40], line[128] = {0}, *rest = line; /* ns that it ran, and waited */
        if (one->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", one->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(line, sizeof line, file) != NULL) {
            (void)strtoull(line, &rest, 10);
            seconds += (double)strtoull(rest, NULL, 10) / 1e9;
        }
        fclose(file);
    }
    closedir(threads);
    return seconds;
}

/* A moment, and what this process had used of cores, and waited for them, until then. */
typedef struct moment {
    double time, used, waited;
} moment;

static moment moment_now(void)
{
    struct timespec used = {0, 0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (moment){trm_clock(), (double)used.tv_sec + (double)used.tv_nsec / 1e9, waited()};
}

/* The share of the time since then that this process had for itself: of what one thread did, and of what all did. A thread that
 * waits for a core keeps others waiting for it, which is not told apart from work that one does alone; so where much was
 * waited, only what was used counts. */
typedef struct shares {
    double one, all;
} shares;

static shares shares_since(moment then, int threads)
{
    const moment now = moment_now();
    const double whole = now.time - then.time, little = 0.05;
    if (!(whole > 0.0))
        return (shares){1.0, 1.0};
    const double lost = (now.waited - then.waited) / threads / whole,
                 used = (now.used - then.used) / threads / whole;
    shares own = {1.0 - lost, 1.0 - lost};
    if (lost > little && used < own.all)
        own.all = used;
    own.one = own.one < little ? little : own.one; /* of a moment too short to be told apart */
    own.all = own.all < little ? little : own.all;
    return own;
}

/* The rows of a sample that are of one set. */
typedef struct part_of {
    const trm_job_rows *set;
    float *whole; /* all rows of the set, or NULL: they are read one by one */
    int64_t room, count, *id;
    float *x;
    int64_t *labels;
} part_of;

typedef struct prober {
    trm_job *job;
    trm_probe *probe;
    trm_clusters clusters;
    part_of base, queries; /* queries.set NULL: one set */
    trm_keyed *label; /* two sets: the labels of the base, how many rows have each, and how many are drawn */
    int64_t label_count;
    trm_mine_summary summary; /* of the last sample */
    trm_loss_summary loss;
    int64_t pairs_within; /* of radius */
    double whole_s;       /* of its evaluation */
    double start;
    bool told;    /* that it takes its time */
    bool chooses; /* the job among kernels */
    shares own;   /* of its time */
} prober;

/* ---- a sample ---- */

/* How many rows of a class of so many, where a share of all rows is to be drawn; *classes: of so many classes of that size. */
static int64_t rows_of_class(int64_t size, double share, double *classes)
{
    double part = size <= LEAST_OF_CLASS ? 1.0 : (double)LEAST_OF_CLASS / (double)size;
    part = part < share ? share : part;
    *classes = share / part;
    const int64_t rows = (int64_t)(part * (double)size + 0.5);
    return rows < 1 ? 1 : rows > size ? size : rows;
}

/* So many rows of a class of so many, which begins there. */
static void draw_of_class(part_of *s, int64_t start, int64_t size, int64_t wanted)
{
    for (int64_t i = 0; i < wanted && s->count < s->room; i++)
        s->id[s->count++] = s->set->rows->id[start + (int64_t)((double)i * (double)size / (double)wanted)];
}

static trm_keyed *known_label(const prober *p, int64_t label)
{
    const trm_keyed sought = {.key = label};
    return p->label == NULL
               ? NULL
               : bsearch(&sought, p->label, (size_t)p->label_count, sizeof sought, trm_compare_whole);
}

static void draw_base(prober *p, double share)
{
    const trm_rows *rows = p->job->base.rows;
    double due = 0.5; /* of classes; one is taken when they come to 1 */
    for (int64_t i = 0; i < p->label_count; i++)
        p->label[i].sum[1] = 0;
    for (int64_t start = 0; start < rows->total; start += rows->class_size[start]) {
        const int64_t size = rows->class_size[start];
        double classes;
        const int64_t wanted = rows_of_class(size, share, &classes);
        due += classes;
        if (due < 1.0 && share < 1.0)
            continue;
        due -= 1.0;
        draw_of_class(&p->base, start, size, wanted);
        trm_keyed *drawn = known_label(p, rows->label[start]);
        if (drawn != NULL)
            drawn->sum[1] = wanted;
    }
}

/* Of each label the part that the base has of it; of one that the base does not have, the part of all rows. */
static void draw_queries(prober *p, double share)
{
    const trm_rows *rows = p->job->queries.rows;
    double due = 0.5; /* of queries */
    for (int64_t start = 0; start < rows->total; start += rows->class_size[start]) {
        const int64_t size = rows->class_size[start];
        const trm_keyed *drawn = known_label(p, rows->label[start]);
        due += (double)size * (drawn != NULL ? (double)drawn->sum[1] / (double)drawn->sum[0] : share);
        draw_of_class(&p->queries, start, size, (int64_t)due < size ? (int64_t)due : size);
        due -= floor(due);
    }
}

/* Row ids of about n rows, ascending, and of queries in proportion. */
static void draw(prober *p, int64_t n)
{
    const int64_t total = p->job->base.rows->total;
    const double share = n < total ? (double)n / (double)total : 1.0;
    p->base.count = p->queries.count = 0;
    draw_base(p, share);
    qsort(p->base.id, (size_t)p->base.count, sizeof *p->base.id, trm_compare_whole);
    if (p->queries.set == NULL)
        return;
    draw_queries(p, share);
    if (p->queries.count > 0)
        qsort(p->queries.id, (size_t)p->queries.count, sizeof *p->queries.id, trm_compare_whole);
}

static trm_status read_some(prober *p, const part_of *s, int64_t first, int64_t count, float *x,
                            trm_error *err)
{
    const trm_read_options options = trm_job_read_options(p->job);
    if (p->job->store != NULL)
        return trm_store_read(p->job->store, s->set->before + first, count, &options, x, NULL, NULL, err);
    trm_clusters_fill(&p->clusters, first, count, x, s->labels);
    return TRM_OK;
}

/* The rows of the sample and their labels; rows that follow one another are read together. */
static trm_status load(prober *p, part_of *s, trm_error *err)
{
    const int64_t dim = p->job->base.batch.dim;
    trm_status status = TRM_OK;
    for (int64_t from = 0, to; from < s->count && status == TRM_OK; from = to) {
        for (to = from + 1; to < s->count && s->id[to] == s->id[to - 1] + 1;)
            to++;
        if (s->whole != NULL)
            memcpy(s->x + from * dim, s->whole + s->id[from] * dim,
                   (size_t)((to - from) * dim) * sizeof *s->x);
        else
            status = read_some(p, s, s->id[from], to - from, s->x + from * dim, err);
    }
    for (int64_t i = 0; i < s->count; i++)
        s->labels[i] = s->set->batch.labels[s->id[i]];
    return status;
}

/* ---- what a sample takes ---- */

static void keep_best(trm_sweep_point *point, trm_sweep_point now)
{
    if (point->rows != now.rows || now.seconds < point->seconds)
        *point = now;
}

static const trm_chain_use *most_used(const trm_chain_use *chains)
{
    const trm_chain_use *most = &chains[0];
    for (int c = 1; c < TRM_CHAINS && chains[c].name[0] != '\0'; c++)
        most = chains[c].elements > most->elements ? &chains[c] : most;
    return most;
}

/* What a chain is, by its name. */
static void note_chain(const trm_chain_use *chain, trm_probe_kernel *kernel)
{
    char name[sizeof chain->name];
    memcpy(name, chain->name, sizeof name);
    char *colon = strchr(name, ':');
    kernel->taken_width = colon != NULL ? (int)strtol(colon + 1, NULL, 10) : 0;
    if (colon != NULL)
        *colon = '\0';
    kernel->taken = trm_kernel_find(name);
}

void trm_probe_note_taken(const trm_chain_use *chains, trm_probe_kernel *kernel)
{
    note_chain(most_used(chains), kernel);
}

void trm_probe_note_largest(const trm_chain_use *chains, int dim, trm_probe_kernel *kernel)
{
    const int64_t rows = TRM_TILE_ALIGN;
    const trm_chain_use *most = most_used(chains);
    trm_probe_note_taken(chains, kernel);
    for (int c = 0; c < TRM_CHAINS && chains[c].name[0] != '\0' && kernel->taken != NULL; c++) {
        trm_probe_kernel other = *kernel;
        note_chain(&chains[c], &other);
        if (chains[c].ns > 0.0 && chains[c].ns <= TRM_PROBE_ABOUT * most->ns && other.taken != NULL &&
            trm_block_bytes(other.taken, rows, dim, other.taken_width) >
                trm_block_bytes(kernel->taken, rows, dim, kernel->taken_width))
            *kernel = other;
    }
}

/* What follows the sweeps: the triplets are put together and counted, their loss is taken and its gradient. */
static void take_rest(prober *p, int at, double own)
{
    const trm_mine_summary *s = &p->summary;
    trm_probe_rest *rest = &p->probe->rest[at];
    const double rows = (double)(p->base.count + p->queries.count),
                 after = p->whole_s - s->prepare_s - s->positives_s - s->negatives_s,
                 answers = after - p->loss.loss_s - p->loss.gradient_s;
    if (rest->rows == rows && rest->answers_s + rest->loss_s + rest->gradient_s <= after * own)
        return;
    *rest = (trm_probe_rest){.rows = rows,
                             .pairs = (double)s->positive_pairs,
                             .answers_s = answers > 0.0 ? answers * own : 0.0,
                             .loss_s = p->loss.loss_s * own,
                             .gradient_s = p->loss.gradient_s * own};
    p->probe->looks_at_gaps = p->job->settings.kind->question == NULL && trm_job_looks_at_gaps(p->job, s);
}

static void take(prober *p, trm_probe_kernel *kernel, int at)
{
    const trm_mine_summary *s = &p->summary;
    /* a rank's threads have a core each, even where there are fewer here */
    const double n = (double)p->base.count, all = n + (double)p->queries.count, one = p->own.one,
                 own = p->own.all * p->probe->threads / trm_run_threads(p->job->run);
    if (kernel->negatives[at].rows != n || s->prepare_s * one < kernel->prepare_s[at])
        kernel->prepare_s[at] = s->prepare_s * one;
    keep_best(&kernel->positives[at],
              (trm_sweep_point){n, s->positives_s * own, (double)s->certify_positives.elements,
                                (double)s->certify_positives.float64});
    keep_best(&kernel->negatives[at], (trm_sweep_point){n, s->negatives_s * own, (double)s->certify.elements,
                                                        (double)s->certify.float64});
    p->probe->arrange_a_row_s = s->arrange_s * one / all;
    trm_probe_note_taken(s->chains, kernel);
    if (kernel != p->probe->kernel)
        return;
    take_rest(p, at, own);
    p->probe->pairs_within[at] = (double)p->pairs_within;
    p->probe->set_size[at] = (double)s->set_size;
}

/* Of all rows, from the samples'. It goes as a power of the rows; usual: where but one sample has any. */
static int64_t count_of_all(const trm_probe *probe, const double *counted, double usual, double most)
{
    const trm_probe_kernel *first = &probe->kernel[0];
    double rows[TRM_PROBE_SIZES];
    int found = 0;
    for (int i = 0; i < first->count; i++) {
        rows[i] = first->negatives[i].rows;
        found += counted[i] > 0.0;
    }
    const int last = first->count - 1;
    if (last < 0 || !(counted[last] > 0.0))
        return 0;
    const trm_power fit = trm_power_fit(first->count, rows, counted, found > 1 ? 1.0 : usual, most);
    const double all = counted[last] * pow((double)probe->of / rows[last], fit.power);
    return all < most_counted ? (int64_t)(all + 0.5) : (int64_t)most_counted;
}

int64_t trm_probe_pairs_within(const trm_probe *probe)
{
    /* of small classes samples have whole ones, whose pairs go as the rows; all others as their square */
    return count_of_all(probe, probe->pairs_within, 2.0, 2.0);
}

int64_t trm_probe_set_size(const trm_probe *probe)
{
    /* a pair has as many negatives as there are rows; pairs go as before */
    return count_of_all(probe, probe->set_size, 2.0, 3.0);
}

static trm_status time_pilot(prober *p, const trm_run *run, const trm_rows *rows,
                             const trm_mine_options *mine, trm_error *err)
{
    double gap[PILOT_PAIRS];
    int64_t sampled;
    const moment start = moment_now();
    trm_status status = trm_mine_sample_gaps(run, rows, mine, PILOT_PAIRS, gap, &sampled, err);
    if (sampled > 0)
        p->probe->pilot_a_distance_s = shares_since(start, run->threads).all * (trm_clock() - start.time) *
                                       run->threads / trm_run_threads(p->job->run) / PILOT_PAIRS /
                                       (double)p->base.count;
    return status;
}

static trm_batch batch_of(const prober *p, const part_of *s)
{
    return (trm_batch){
        .count = s->count, .dim = p->job->base.batch.dim, .embeddings = s->x, .labels = s->labels};
}

/* As a job does it that writes no triplets, and keeps what quartiles need. */
static trm_status evaluate(prober *p, trm_run *run, const trm_rows *rows, const trm_evaluate_options *options,
                           trm_error *err)
{
    const bool surveys = trm_job_has_triplets(p->job), wants = p->job->settings.gradient;
    const int64_t dim = rows->dim;
    const trm_batch batch = batch_of(p, &p->base);
    const double start = trm_clock();
    trm_survey survey = {.keeps = false};
    trm_evaluation *evaluation = NULL;
    /* new each time: memory that has been touched is faster */
    float *gradient = wants ? trm_alloc(p->base.count * dim, sizeof *gradient) : NULL,
          *of_queries = wants ? trm_alloc(p->queries.count * dim, sizeof *of_queries) : NULL;
    trm_status status = wants && (gradient == NULL || of_queries == NULL)
                            ? trm_fail_memory(err, "a gradient", p->base.count, (size_t)dim * sizeof(float))
                            : TRM_OK;
    if (status == TRM_OK)
        status = trm_evaluation_create(run, rows, options, wants, &p->summary, &evaluation, err);
    if (status == TRM_OK && surveys)
        status = trm_survey_begin(&survey, p->job->comm, run->threads, &p->job->settings.survey,
                                  (trm_survey_taker){NULL, NULL, NULL}, true, err);
    if (status == TRM_OK)
        status = trm_evaluation_run(evaluation, &batch, surveys ? trm_survey_take : NULL, &survey, gradient,
                                    of_queries, &p->summary, &p->loss, NULL, err);
    if (status == TRM_OK && surveys)
        status = trm_survey_finish(&survey, err);
    trm_survey_end(&survey);
    trm_evaluation_destroy(&evaluation);
    trm_free(gradient);
    trm_free(of_queries);
    p->whole_s = trm_clock() - start;
    return status;
}

/* The job's question, of these rows: a job of its own that has no file. */
static trm_status ask(prober *p, trm_run *run, trm_rows *rows, trm_rows *queries, trm_error *err)
{
    const trm_job_question *question = p->job->settings.kind->question;
    const double start = trm_clock();
    trm_job own = *p->job;
    own.run = run;
    own.base.rows = rows;
    own.queries.rows = queries;
    own.voice = (trm_voice){.say = NULL};
    own.asked = NULL;
    own.pairs_known = false;
    trm_status status = trm_job_plan_question(&own, err);
    if (status == TRM_OK)
        status = question->run(&own, err);
    question->end(&own);
    p->probe->counts_pairs = own.pairs_known;
    p->pairs_within = own.pairs_within;
    p->whole_s = trm_clock() - start;
    p->summary = trm_job_as_mined(&own.ask, p->whole_s);
    return status;
}

/* Mines the sample that is loaded, or asks. pilot: also what a pilot takes. */
static trm_status mine(prober *p, const char *kernel, bool pilot, trm_error *err)
{
    const trm_job *job = p->job;
    trm_run_options how = job->settings.run;
    trm_evaluate_options options = job->options;
    const trm_batch of_queries = batch_of(p, &p->queries);
    const bool asks = job->settings.kind->question != NULL;
    trm_run *run = NULL;
    trm_rows *rows = NULL, *queries = NULL;
    how.kernel = kernel;
    how.threads = p->probe->threads;
    how.replicate = 1;
    how.mem_per_rank = 0;
    how.progress = NULL;
    how.checkpoint = NULL;
    trm_status status = trm_run_create(job->comm, &how, &run, err);
    if (status == TRM_OK)
        status = trm_rows_create(run, p->base.count, job->base.batch.dim, p->base.x, p->base.labels, 0, NULL,
                                 &rows, err);
    if (status == TRM_OK && p->queries.set != NULL)
        status = trm_rows_create_queries(run, rows, p->queries.count, p->queries.x, p->queries.labels,
                                         &queries, err);
    options.mine.queries = queries;
    options.mine.reserve = options.mine.reserve_a_triplet = 0;
    options.queries = queries != NULL ? &of_queries : NULL;
    const moment start = moment_now();
    if (status == TRM_OK && asks)
        status = ask(p, run, rows, queries, err);
    else if (status == TRM_OK)
        status = evaluate(p, run, rows, &options, err);
    p->own = shares_since(start, how.threads);
    if (status == TRM_OK && pilot && queries == NULL && !asks) /* there is none of queries */
        status = time_pilot(p, run, rows, &options.mine, err);
    trm_rows_destroy(&queries);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
    return status;
}

static double sweeps_of(const trm_probe_kernel *kernel, int at)
{
    return kernel->positives[at].seconds + kernel->negatives[at].seconds;
}

/* What these took here, of a rank that has more threads than there are cores. */
static double taken_here(const prober *p, const trm_probe_kernel *kernel, int at)
{
    return sweeps_of(kernel, at) * trm_run_threads(p->job->run) / p->probe->threads;
}

/* Says what takes so long, once that shows, and how far it has come, as far as can be told. */
static void tell(prober *p, const trm_probe_kernel *kernel, int64_t n, double share)
{
    const double long_s = 1.5;
    const trm_job *job = p->job;
    char phase[64];
    if (!p->told && trm_clock() - p->start > long_s) {
        p->told = true;
        trm_voice_say(&job->voice, TRM_LINE_STEP,
                      "probe      %s samples of the rows on %d %s, to see how fast this machine is%s",
                      job->settings.kind->question != NULL ? "asks" : "mines", p->probe->threads,
                      p->probe->threads == 1 ? "thread" : "threads",
                      trm_settings_takes(&job->settings, "gflops") ? "; --gflops G instead runs nothing"
                                                                   : "");
    }
    snprintf(phase, sizeof phase, "probe, %s, %" PRId64 " rows", kernel->name, n);
    if (job->settings.run.progress != NULL)
        job->settings.run.progress(job->settings.run.progress_context, phase, share, 0.0);
}

/* Nothing more is begun after so long: what was timed must do. */
static bool is_late(const prober *p)
{
    return trm_clock() - p->start > most_s;
}

/* A sample of about n rows, at [at] of the kernel. */
static trm_status probe_one(prober *p, trm_probe_kernel *kernel, int at, int64_t n, trm_error *err)
{
    draw(p, n);
    trm_status status = load(p, &p->base, err);
    if (status == TRM_OK && p->queries.set != NULL)
        status = load(p, &p->queries, err);
    double spent = 0.0;
    for (int round = 0; round < MOST_ROUNDS && status == TRM_OK; round++) {
        status = mine(p, kernel->name, round == 0 && kernel == p->probe->kernel, err);
        if (status == TRM_OK)
            take(p, kernel, at);
        spent += p->whole_s;
        if ((round + 1 >= ROUNDS && spent > enough_s) || is_late(p))
            break;
        if (p->whole_s > once_s && p->own.one > undisturbed) /* long enough not to depend on chance */
            break;
    }
    return status;
}

/* Samples that double, of which the last few are kept. */
static trm_status probe_first(prober *p, int64_t *sizes, trm_error *err)
{
    trm_probe_kernel *kernel = &p->probe->kernel[0];
    const int64_t total = p->job->base.rows->total;
    for (int64_t n = FIRST_ROWS;; n *= 2) {
        n = n < total ? n : total;
        if (kernel->count == TRM_PROBE_SIZES) {
            for (int i = 1; i < TRM_PROBE_SIZES; i++) {
                kernel->positives[i - 1] = kernel->positives[i];
                kernel->negatives[i - 1] = kernel->negatives[i];
                kernel->prepare_s[i - 1] = kernel->prepare_s[i];
                sizes[i - 1] = sizes[i];
                p->probe->rest[i - 1] = p->probe->rest[i];
                p->probe->pairs_within[i - 1] = p->probe->pairs_within[i];
                p->probe->set_size[i - 1] = p->probe->set_size[i];
            }
            kernel->count--;
            kernel->negatives[kernel->count].rows = kernel->positives[kernel->count].rows = 0.0;
        }
        sizes[kernel->count] = n;
        tell(p, kernel, n, 0.0);
        trm_status status = probe_one(p, kernel, kernel->count, n, err);
        if (status != TRM_OK)
            return status;
        kernel->count++;
        p->probe->rows = p->base.count;
        if (n >= total || (double)n >= many_rows || is_late(p) ||
            taken_here(p, kernel, kernel->count - 1) >= enough_s)
            return trm_job_pause(p->job, err);
    }
}

/* Where the last sample is all rows: what a run that chooses takes, trials and all. */
static trm_status probe_choice(prober *p, const int64_t *sizes, trm_error *err)
{
    const trm_probe_kernel *first = &p->probe->kernel[0];
    trm_probe_kernel *choice = &p->probe->choice;
    if (!p->chooses || p->probe->rows < p->probe->of)
        return TRM_OK;
    *choice = (trm_probe_kernel){.name = "auto", .count = 1};
    tell(p, choice, sizes[first->count - 1], 0.5);
    return probe_one(p, choice, 0, sizes[first->count - 1], err);
}

/* What the basis takes that a run makes which chooses. It is made from as many rows as it would be of the whole store, or
 * from all of the last sample, where that has fewer. */
static trm_status time_basis(prober *p, trm_error *err)
{
    const int dim = p->job->base.batch.dim;
    const int64_t sample = trm_basis_sample(p->job->base.rows->total, dim),
                  count = sample < p->base.count ? sample : p->base.count;
    trm_basis *basis = NULL;
    double largest = 0.0, directions = INFINITY, *norm2 = trm_alloc(count, sizeof *norm2);
    if (norm2 == NULL)
        return trm_fail_memory(err, "a sample of rows", count, sizeof *norm2);
    for (int64_t i = 0; i < count; i++) {
        norm2[i] = trm_dot(p->base.x + i * dim, p->base.x + i * dim, dim);
        largest = norm2[i] > largest ? norm2[i] : largest;
    }
    const trm_map map = {
        .metric = p->job->options.mine.metric, .dim = dim, .scale = trm_map_scale(sqrt(largest))};
    const moment start = moment_now();
    trm_status status = trm_basis_create(p->base.x, norm2, count, &map, &basis, err);
    p->probe->basis_s = (trm_clock() - start.time) * shares_since(start, 1).one;
    if (status == TRM_OK)
        status = trm_basis_directions(p->base.x, norm2, count, &map, &directions, err);
    p->probe->basis_promises = trm_sweep_basis_promises(p->job->run, directions, dim);
    trm_basis_destroy(&basis);
    trm_free(norm2);
    return status;
}

static bool chooses_with_basis(const prober *p)
{
    bool any = false;
    for (int k = 0; p->chooses && trm_kernel_at(k) != NULL; k++)
        any = any || (trm_kernel_at(k)->needs_basis && trm_run_may_choose(p->job->run, trm_kernel_at(k)));
    return any;
}

/* The fastest of those that have been probed, but for what a run that is short would not take. */
static double least_of(const trm_probe *probe, int at)
{
    double least = sweeps_of(&probe->kernel[0], at);
    for (int k = 1; k < probe->kernels; k++) {
        const trm_probe_kernel *kernel = &probe->kernel[k];
        const bool counts = probe->basis_promises || kernel->taken == NULL || !kernel->taken->needs_basis;
        if (counts && sweeps_of(kernel, at) < least)
            least = sweeps_of(kernel, at);
    }
    return least;
}

/* Where one rank's run is too short to make a basis, that of each of more ranks is. */
static bool never_makes_basis(const prober *p)
{
    const trm_rows *rows = p->job->base.rows, *queries = p->job->queries.rows;
    return !p->probe->basis_promises &&
           trm_chooser_is_short(p->job->run, rows, queries != NULL ? queries : rows);
}

/* The other kernels that --kernel auto could take, but for those that are far behind on any sample. */
static trm_status probe_others(prober *p, const int64_t *sizes, trm_error *err)
{
    const trm_run *run = p->job->run;
    const trm_probe_kernel *first = &p->probe->kernel[0];
    const double far_behind = 3.0;
    const bool without_basis = never_makes_basis(p);
    int kernels = 0;
    while (trm_kernel_at(kernels) != NULL)
        kernels++;
    trm_status status = TRM_OK;
    for (int k = 0; p->chooses && trm_kernel_at(k) != NULL && status == TRM_OK && !is_late(p); k++) {
        const trm_kernel *kernel = trm_kernel_at(k);
        if (kernel == run->kernel || !trm_run_may_choose(run, kernel) ||
            (without_basis && kernel->needs_basis) || p->probe->kernels == TRM_PROBE_KERNELS)
            continue;
        trm_probe_kernel *own = &p->probe->kernel[p->probe->kernels];
        bool behind = false;
        *own = (trm_probe_kernel){.name = kernel->name};
        while (own->count < first->count && !behind && status == TRM_OK) {
            const int at = own->count++;
            tell(p, own, sizes[at], (k + (double)at / first->count) / kernels);
            status = probe_one(p, own, at, sizes[at], err);
            behind = sweeps_of(own, at) > far_behind * least_of(p->probe, at);
        }
        p->probe->kernels += !behind;
        if (status == TRM_OK)
            status = trm_job_pause(p->job, err);
    }
    return status;
}

/* Reads all rows of a set, where they are not too many, or some, to time that. */
static trm_status read_first(prober *p, part_of *s, trm_error *err)
{
    const int64_t total = s->set->total, dim = p->job->base.batch.dim;
    const double bytes = (double)total * (double)dim * (double)sizeof(float);
    const bool all = bytes <= whole_bytes && bytes * 4.0 <= (double)trm_run_mem_per_rank(p->job->run);
    const int64_t some = bytes <= timed_bytes ? total : (int64_t)(timed_bytes / bytes * (double)total) + 1;
    const int64_t count = all ? total : some;
    if (p->job->store == NULL)
        return TRM_OK;
    float *x = trm_alloc(count * dim, sizeof *x);
    if (x == NULL)
        return trm_fail_memory(err, "rows of a probe", count, (size_t)dim * sizeof *x);
    const moment start = moment_now();
    trm_status status = read_some(p, s, 0, count, x, err);
    const double seconds = shares_since(start, 1).one * (trm_clock() - start.time) + 1e-9;
    if (s == &p->base)
        p->probe->read_bytes_s = (double)(count * dim) * (double)sizeof *x / seconds;
    s->whole = all && status == TRM_OK ? x : NULL;
    if (s->whole == NULL)
        trm_free(x);
    return status;
}

/* Room for samples of a set, of so many rows at most. */
static trm_status make_room(prober *p, part_of *s, const trm_job_rows *set, int64_t room, trm_error *err)
{
    const int64_t total = set->rows->total, dim = p->job->base.batch.dim;
    s->set = set;
    s->room = room < total ? room : total;
    s->id = trm_alloc(total, sizeof *s->id);
    s->x = trm_alloc(s->room * dim, sizeof *s->x);
    s->labels = trm_alloc(s->room, sizeof *s->labels);
    return s->id == NULL || s->x == NULL || s->labels == NULL
               ? trm_fail_memory(err, "rows of a probe", s->room, (size_t)dim * sizeof *s->x)
               : TRM_OK;
}

static trm_status begin(prober *p, trm_error *err)
{
    const trm_job *job = p->job;
    const trm_rows *rows = job->base.rows;
    const double most = 2.0 * many_rows;
    trm_status status = make_room(p, &p->base, &job->base, (int64_t)most, err);
    if (status == TRM_OK)
        status = read_first(p, &p->base, err);
    if (status != TRM_OK || job->queries.rows == NULL || rows->total == 0)
        return status;
    p->label = trm_pool_labels_of(rows, 0, rows->count, &p->label_count);
    if (p->label == NULL)
        return trm_fail_memory(err, "labels", rows->count, sizeof *p->label);
    const double queries = most / (double)rows->total * (double)job->queries.total;
    status = make_room(p, &p->queries, &job->queries, (int64_t)(2.0 * queries) + FIRST_ROWS, err);
    return status == TRM_OK ? read_first(p, &p->queries, err) : status;
}

static void free_part(part_of *s)
{
    trm_free(s->id);
    trm_free(s->x);
    trm_free(s->labels);
    trm_free(s->whole);
}

/* What a sample is refused for, the job is, too: of all rows it may be more. */
static trm_status name_sample(const prober *p, trm_status status, trm_error *err)
{
    if (status != TRM_ERR_DATA || p->base.count == p->probe->of)
        return status;
    trm_error why = *err;
    *err = (trm_error)TRM_ERROR_INIT;
    return trm_fail(err, status, "would stop: %" PRId64 " rows alone, a sample: %s", p->base.count, why.text);
}

trm_status trm_job_probe(trm_job *job, trm_probe *probe, trm_error *err)
{
    const double start = trm_clock();
    const int64_t total = job->base.rows->total;
    int64_t sizes[TRM_PROBE_SIZES];
    const int threads = trm_run_threads(job->run), cores = trm_run_host_cores(job->run);
    prober p = {.job = job,
                .probe = probe,
                .clusters = job->clusters,
                .start = start,
                .chooses = job->run->chooses && !trm_negatives_take_every_pair(&job->options.mine)};
    *probe = (trm_probe){.of = total, .kernels = 1, .threads = threads < cores ? threads : cores};
    probe->kernel[0].name = job->run->kernel->name;
    trm_status status = begin(&p, err);
    if (status == TRM_OK && total > 0)
        status = probe_first(&p, sizes, err);
    if (status == TRM_OK && total > 0)
        status = probe_choice(&p, sizes, err);
    if (status == TRM_OK && total > 0 && chooses_with_basis(&p))
        status = time_basis(&p, err);
    if (status == TRM_OK && total > 0 && probe->choice.count == 0)
        status = probe_others(&p, sizes, err);
    status = name_sample(&p, status, err);
    free_part(&p.base);
    free_part(&p.queries);
    trm_free(p.label);
    probe->seconds = trm_clock() - start;
    return status;
}
