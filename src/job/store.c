/* A job over a store: open, plan, run; see inner.h. */
#include "job/inner.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash_sum.h"
#include "mine/negatives.h"
#include "mine/positives.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "rows/ask.h"
#include "rows/rows.h"
#include "store/claim.h"

#include <inttypes.h>
#include <string.h>

const char *trm_job_name_of_loss(const trm_settings *settings)
{
    if (settings->packed && trm_negatives_are_reversed(&settings->mine))
        return "reversed";
    switch (settings->packed ? TRM_SOURCE_GIVEN : settings->source) {
    case TRM_SOURCE_BATCH_HARD:
        return settings->loss.soft ? "batch-hard-soft" : "batch-hard";
    case TRM_SOURCE_BATCH_ALL:
        return "batch-all";
    case TRM_SOURCE_WITHIN:
        return "within-margin";
    default:
        return settings->loss.soft ? "triplet-soft" : "triplet";
    }
}

bool trm_job_writes_triplets(const trm_job *job)
{
    return job->settings.kind->mines && job->settings.output != NULL;
}

bool trm_job_has_triplets(const trm_job *job)
{
    return job->packed != NULL || job->options.source == TRM_SOURCE_MINED ||
           job->options.source == TRM_SOURCE_GIVEN || job->options.source == TRM_SOURCE_BATCH_HARD;
}

bool trm_job_is_set(const trm_job *job)
{
    return job->options.source == TRM_SOURCE_MINED && trm_negatives_are_set(&job->options.mine);
}

/* ---- what it writes ---- */

trm_status trm_job_pause(const trm_job *job, trm_error *err)
{
    const trm_job_hooks *hooks = &job->hooks;
    int stopped = hooks->wish != NULL && (hooks->wish(hooks->context) & TRM_WISH_STOP) != 0;
    MPI_Allreduce(MPI_IN_PLACE, &stopped, 1, MPI_INT, MPI_MAX, job->comm);
    return stopped ? trm_fail(err, TRM_ERR_STOPPED,
                              "stopped on a signal before there was anything to keep: run again")
                   : TRM_OK;
}

/* The files of the store, then those of queries; returns how many. */
static int list_inputs(const trm_settings *settings, const char **input)
{
    for (int i = 0; i < settings->inputs; i++)
        input[i] = settings->input[i];
    for (int i = 0; i < settings->queries.count; i++)
        input[settings->inputs + i] = settings->queries.text[i];
    return settings->inputs + settings->queries.count;
}

const char **trm_job_inputs(const trm_settings *settings, int *count)
{
    const char *const list = settings->batches == 0 ? settings->batch_list : NULL; /* that is read */
    const char *const others[] = {settings->triplets, list, settings->pairs};
    enum { OTHERS = sizeof others / sizeof *others };
    const char **input = trm_alloc(settings->inputs + settings->queries.count + OTHERS, sizeof *input);
    *count = input != NULL ? list_inputs(settings, input) : 0;
    for (int i = 0; i < OTHERS && input != NULL; i++)
        if (others[i] != NULL)
            input[(*count)++] = others[i];
    return input;
}

static trm_status check_name(const char *kind, const char *path, trm_error *err)
{
    return strcmp(kind, "output") != 0
               ? TRM_OK
               : trm_path_check_hdf5(
                     path,
                     "a result is HDF5: call it .h5; then trimine export makes JSON lines, CSV or .npz "
                     "of it, and trimine report a page",
                     err);
}

trm_status trm_job_claim(const trm_job *job, const char *kind, const char *path, bool overwrite,
                         trm_claim **claim, trm_error *err)
{
    int inputs = 0;
    const char **input = trm_job_inputs(&job->settings, &inputs);
    trm_status status = input == NULL ? trm_fail_memory(err, "the list of inputs", 1, sizeof *input)
                                      : check_name(kind, path, err);
    status = trm_agree(job->comm, status, err);
    if (status == TRM_OK)
        status = trm_settings_plan_only(&job->settings)
                     ? trm_claim_look(job->comm, kind, path, overwrite, inputs, input, claim, err)
                     : trm_claim_take(job->comm, kind, path, overwrite, inputs, input, claim, err);
    trm_free(input);
    return status;
}

static trm_status claim_checkpoint(trm_job *job, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    trm_claim *claim = NULL;
    trm_status status = TRM_OK;
    if (settings->checkpoint != NULL) {
        status = job->rank == 0 ? trm_job_checkpoint_check(settings, err) : TRM_OK;
        status = trm_agree(job->comm, status, err);
        if (status == TRM_OK)
            status = trm_job_claim(job, "checkpoint", settings->checkpoint, true, &claim, err);
    }
    if (status != TRM_OK)
        return status;
    return trm_job_checkpoint_begin(&job->checkpoint, job->comm, settings, &job->hooks, &job->voice, claim,
                                    err);
}

static trm_status claim_all(trm_job *job, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    trm_status status = claim_checkpoint(job, err);
    if (status == TRM_OK && settings->output != NULL)
        status = trm_job_claim(job, "output", settings->output, settings->overwrite, &job->claim, err);
    if (status == TRM_OK && settings->batches > 0 && settings->batch_list != NULL)
        status = trm_job_claim_list(job, err);
    return status == TRM_OK ? trm_job_open_report(job, err) : status;
}

void trm_job_let_go(trm_job *job)
{
    trm_claim_release(&job->claim);
    trm_claim_release(&job->list_claim);
    trm_claim_release(&job->checkpoint.claim);
    trm_stream_close(&job->report);
}

/* The run, and what is to be evaluated. */
static trm_status begin(trm_job *job, trm_error *err)
{
    trm_settings *settings = &job->settings;
    job->loss_name = trm_job_name_of_loss(settings);
    trm_evaluate_options_init(&job->options);
    job->options.source = settings->source;
    job->options.mine = settings->mine;
    job->options.loss = settings->loss;
    job->options.lone = settings->lone;
    if (settings->source == TRM_SOURCE_WITHIN)
        job->options.mine.margin = settings->within;
    settings->run.checkpoint = &job->checkpoint.checkpoint;
    trm_run_options how = settings->run;
    how.replicate = settings->plans ? 1 : how.replicate; /* those are other ranks' */
    trm_status status = trm_run_create(job->comm, &how, &job->run, err);
    if (status == TRM_OK && job->rank == 0)
        trm_warn_of_blas(&job->voice, job->run);
    return status;
}

/* ---- reading ---- */

/* Adds this rank's rows [from, to) of the set, x: as they are used, after conversion, and normalisation where asked for. */
static void add_to_fingerprint(const trm_job *job, const trm_job_rows *set, int64_t from, int64_t to,
                               const float *x, trm_hash_sum *hash)
{
    const int dim = set->batch.dim;
#pragma omp parallel num_threads(trm_run_threads(job->run))
    {
        trm_hash_sum own = TRM_HASH_SUM_INIT;
#pragma omp for nowait
        for (int64_t i = from; i < to; i++) {
            trm_hash_sum_add_keyed(&own, set->first + i, x + (i - from) * dim, (size_t)dim * sizeof *x);
            const int64_t label[2] = {set->first + i, set->batch.labels[i]};
            trm_hash_sum_add(&own, label, sizeof label);
        }
#pragma omp critical(trimine_fingerprint)
        trm_hash_sum_merge(hash, &own);
    }
}

/* Of all rows, which all ranks have added. Collective. */
static void take_fingerprint(const trm_job *job, trm_job_rows *set, trm_hash_sum *hash)
{
    trm_merge_hash_sum(job->comm, hash);
    trm_hash_sum_text(hash, set->fingerprint);
}

static bool looks_at_rows_again(const trm_settings *settings)
{
    return settings->gradient || settings->loss.swap || settings->source == TRM_SOURCE_GIVEN ||
           trm_settings_in_batches(settings);
}

static const char *label_text(const void *context, int64_t label, char text[TRM_LABEL_TEXT])
{
    return trm_labels_text(context, label, text);
}

/* Of pairs the rows are arranged by their ids, and labels may not be there. */
static trm_status sort_rows(trm_job *job, trm_job_rows *set, int64_t ignored, const int64_t *ignored_label,
                            trm_error *err)
{
    const trm_settings *settings = &job->settings;
    const bool by_id = trm_job_by_id(job), labelled = !by_id || settings->mine.and_labels;
    trm_status status = trm_rows_sort(
        job->run, set->batch.count, set->batch.dim, labelled ? set->batch.labels : NULL, ignored,
        ignored_label, by_id, looks_at_rows_again(settings),
        job->store != NULL ? trm_store_read_bytes(job->store, set->batch.count) : 0, &set->rows, err);
    if (status == TRM_OK) {
        set->rows->label_text = label_text;
        set->rows->label_context = &job->labels;
    }
    return status;
}

static trm_status sort_sets(trm_job *job, trm_error *err)
{
    int64_t ignored = 0, *label = NULL;
    trm_status status = trm_job_ignored(job, &ignored, &label, err);
    if (status == TRM_OK)
        status = sort_rows(job, &job->base, ignored, label, err);
    if (status == TRM_OK && trm_settings_in_two_sets(&job->settings))
        status = sort_rows(job, &job->queries, ignored, label, err);
    trm_free(label);
    return status;
}

/* This rank's part of a set, with its labels, which are all 0 where there are none. */
static trm_status read_labels(trm_job *job, trm_job_rows *set, int64_t before, int64_t total, trm_error *err)
{
    int64_t last;
    set->before = before;
    set->total = total;
    trm_share(total, job->rank, job->ranks, &set->first, &last);
    const int64_t count = last - set->first;
    int64_t *labels = trm_alloc_zero(count, sizeof *labels);
    set->batch = (trm_batch){.count = count, .dim = trm_store_dim(job->store), .labels = labels};
    trm_status status = labels == NULL ? trm_fail_memory(err, "labels", count, sizeof *labels) : TRM_OK;
    status = trm_agree(job->comm, status, err);
    return status == TRM_OK && !job->settings.store.unlabelled
               ? trm_store_read(job->store, before + set->first, count, NULL, NULL, labels, NULL, err)
               : status;
}

static trm_status read_sets(trm_job *job, trm_error *err)
{
    const int64_t base = trm_store_base_rows(job->store);
    trm_status status = read_labels(job, &job->base, 0, base, err);
    if (status == TRM_OK && trm_settings_in_two_sets(&job->settings))
        status = read_labels(job, &job->queries, base, trm_store_rows(job->store) - base, err);
    if (status != TRM_OK)
        return status;
    job->labels = trm_store_take_labels(job->store);
    job->settings.ignore.named = job->labels.kind == TRM_LABELS_NAMED;
    return sort_sets(job, err);
}

/* Nothing that the store is read from may be written. */
static trm_status check_claims(const trm_job *job, trm_error *err)
{
    const trm_claim *const claims[] = {job->claim, job->checkpoint.claim, job->list_claim};
    trm_status status = TRM_OK;
    for (size_t i = 0; i < sizeof claims / sizeof *claims && status == TRM_OK; i++)
        if (claims[i] != NULL)
            status = trm_claim_check_store(claims[i], job->store, err);
    if (status != TRM_OK)
        return status;
    if (job->report != NULL)
        status = trm_stream_check_store(job->report, job->store, err);
    return trm_agree(job->comm, status, err);
}

/* The pairs, and what they are told apart by. */
static trm_status read_pairs(trm_job *job, trm_error *err)
{
    trm_settings *settings = &job->settings;
    trm_pairs *pairs = &job->pairs;
    if (settings->pairs == NULL)
        return TRM_OK;
    trm_status status =
        trm_pairs_read(job->comm, settings->pairs, job->queries.total, job->base.total, pairs, err);
    if (status != TRM_OK)
        return status;
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    for (int64_t i = 0; i < pairs->count; i++) {
        const int64_t pair[2] = {pairs->query[i], pairs->positive[i]};
        trm_hash_sum_add(&hash, pair, sizeof pair);
    }
    trm_merge_hash_sum(job->comm, &hash);
    trm_hash_sum_text(&hash, settings->pairs_fingerprint);
    settings->pairs_count = pairs->total;
    job->pair_list = (trm_pair_list){pairs->count, pairs->query, pairs->positive};
    if (pairs->total == 0 && job->rank == 0)
        trm_warn(&job->voice, "pairs '%s': there are none: no query has a positive", settings->pairs);
    return TRM_OK;
}

/* A question may do without. The same on all ranks. */
static trm_status look_for_labels(trm_job *job, trm_error *err)
{
    trm_settings *settings = &job->settings;
    if (!settings->store.labels_may_lack || trm_store_file_at(job->store, 0)->labels != NULL)
        return TRM_OK;
    settings->store.unlabelled = true;
    return settings->ignore.count == 0
               ? TRM_OK
               : trm_fail(err, TRM_ERR_USAGE, "--ignore-label: store '%s' has no labels",
                          trm_store_file_at(job->store, 0)->path);
}

static void say_labels_unread(trm_job *job)
{
    static const char *const of_labels[] = {"labels", "query-labels"};
    for (size_t i = 0; i < sizeof of_labels / sizeof *of_labels; i++)
        if (trm_settings_given(&job->settings, of_labels[i]))
            trm_warn(&job->voice,
                     "--%s is not read: with --pairs labels count where --and-labels is given, too",
                     of_labels[i]);
}

/* Opens the files of both sets as one store, so that they are alike, and their labels mean the same. */
static trm_status open_files(trm_job *job, trm_error *err)
{
    trm_settings *settings = &job->settings;
    const int most = settings->inputs + settings->queries.count;
    const char **input = trm_alloc(most, sizeof *input);
    trm_status status =
        input == NULL ? trm_fail_memory(err, "the list of inputs", most, sizeof *input) : TRM_OK;
    status = trm_agree(job->comm, status, err);
    settings->store.queries = settings->queries.count;
    settings->store.unlabelled = trm_job_by_id(job) && !settings->mine.and_labels;
    settings->store.without_pairs = !trm_settings_takes(settings, "pairs");
    settings->store.labels_may_lack = trm_settings_labels_may_lack(settings);
    if (status == TRM_OK)
        status = trm_store_open(job->comm, list_inputs(settings, input), input, &settings->store, &job->store,
                                err);
    trm_free(input);
    if (status == TRM_OK && trm_job_by_id(job) && !settings->mine.and_labels)
        say_labels_unread(job);
    return status == TRM_OK ? look_for_labels(job, err) : status;
}

/* Of so many rows a tenth, a hundredth, ... whose labels fit well. */
static int64_t part_that_fits(int64_t rows, int64_t memory)
{
    while (rows > 10 && trm_rows_labels_bytes(rows) > memory)
        rows /= 10;
    return rows;
}

/* Refuses rows whose labels don't fit. A plan has all of them in its one process, whatever its ranks may take. */
static trm_status check_labels(const trm_job *job, int64_t rows, int dim, trm_error *err)
{
    const int64_t need = trm_rows_labels_bytes(rows), free_memory = job->run->free_memory;
    if (!job->settings.plans)
        return trm_rows_check_labels(job->run, rows, dim, err);
    if (need <= free_memory)
        return TRM_OK;
    return trm_fail(
        err, TRM_ERR_MEMORY,
        "a plan has the labels of all rows in one process: %.1f MB, of %.1f MB that are left here; plan "
        "a part, as by --rows %" PRId64 " --dim %d: memory goes with the rows, seconds with their square",
        (double)need / 1e6, (double)free_memory / 1e6, part_that_fits(rows, free_memory), dim);
}

/* Data that are not there yet: their labels. */
static trm_status make_labels(trm_job *job, trm_error *err)
{
    const trm_plan_settings *plan = &job->settings.plan;
    job->clusters = (trm_clusters){.rows = plan->rows,
                                   .classes = plan->classes,
                                   .dim = (int)plan->dim,
                                   .seed = (uint64_t)job->settings.seed,
                                   .spread = plan->spread};
    trm_status status = check_labels(job, plan->rows, (int)plan->dim, err);
    if (status == TRM_OK)
        status = trm_clusters_begin(&job->clusters, err);
    int64_t *labels = status == TRM_OK ? trm_alloc(plan->rows, sizeof *labels) : NULL;
    job->base.total = plan->rows;
    job->base.batch = (trm_batch){.count = plan->rows, .dim = (int)plan->dim, .labels = labels};
    if (status == TRM_OK && labels == NULL)
        status = trm_fail_memory(err, "labels", plan->rows, sizeof *labels);
    if (status != TRM_OK)
        return status;
    trm_clusters_fill(&job->clusters, 0, plan->rows, NULL, labels);
    return sort_sets(job, err);
}

trm_read_options trm_job_read_options(const trm_job *job)
{
    trm_read_options options;
    trm_read_options_init(&options);
    options.normalize = job->settings.normalize;
    options.refuse_zero_norm = job->settings.mine.metric == TRM_METRIC_COSINE;
    options.threads = trm_run_threads(job->run);
    return options;
}

/* Opens the store and reads its labels. */
static trm_status open_store(trm_job *job, trm_error *err)
{
    const double start = trm_clock();
    if (job->settings.plan.rows > 0)
        return make_labels(job, err);
    trm_status status = open_files(job, err);
    if (status == TRM_OK) {
        if (job->rank == 0)
            trm_warn_of_files(&job->voice, job->store);
        status = check_claims(job, err);
    }
    if (status == TRM_OK) {
        status = trm_agree(
            job->comm, check_labels(job, trm_store_rows(job->store), trm_store_dim(job->store), err), err);
    }
    if (status == TRM_OK)
        status = trm_job_pause(job, err);
    if (status == TRM_OK)
        status = read_sets(job, err);
    if (status == TRM_OK)
        status = read_pairs(job, err);
    job->read_s = trm_clock() - start;
    return status;
}

/* The list of triplets, or nothing. */
static trm_status read_triplets(trm_job *job, trm_error *err)
{
    const char *path = job->settings.triplets;
    int64_t first, total;
    job->given_origin =
        (trm_triplets_origin){.store_rows = -1, .store_dim = -1, .queries_rows = -1, .pairs = -1};
    if (path == NULL)
        return TRM_OK;
    trm_status status =
        trm_triplets_read(job->comm, path, &job->options.given, &first, &total, &job->given_origin, err);
    if (status == TRM_OK && total == 0 && job->rank == 0)
        trm_warn(&job->voice, "triplets '%s': there are none: the loss and its gradient are 0", path);
    if (status == TRM_OK && trm_job_by_id(job) && job->settings.ignore.count > 0) /* the same on all ranks */
        return trm_fail(err, TRM_ERR_USAGE,
                        "--ignore-label goes by labels, triplets '%s' were mined by pairs: leave it out",
                        path);
    return status;
}

/* Was the list mined from as many rows as there are? */
static trm_status check_triplets(const trm_job *job, trm_error *err)
{
    const char *path = job->settings.triplets;
    const trm_triplets_origin *origin = &job->given_origin;
    const int64_t queries = job->queries.rows != NULL ? job->queries.total : -1;
    if (path == NULL || origin->store_rows < 0)
        return TRM_OK;
    if (origin->queries_rows >= 0 && queries < 0)
        return trm_fail(err, TRM_ERR_DATA,
                        "triplets '%s': were mined for %" PRId64 " queries: give them with --queries", path,
                        origin->queries_rows);
    if (origin->queries_rows < 0 && queries >= 0)
        return trm_fail(err, TRM_ERR_DATA, "triplets '%s': were mined in one set, without --queries", path);
    if (origin->store_rows != job->base.total)
        return trm_fail(err, TRM_ERR_DATA,
                        "triplets '%s': were mined from a store of %" PRId64 " rows, this one has %" PRId64,
                        path, origin->store_rows, job->base.total);
    if (origin->queries_rows != queries)
        return trm_fail(err, TRM_ERR_DATA,
                        "triplets '%s': were mined for %" PRId64 " queries, here are %" PRId64, path,
                        origin->queries_rows, queries);
    return TRM_OK;
}

bool trm_job_by_id(const trm_job *job)
{
    return job->settings.pairs != NULL || (job->settings.triplets != NULL && job->given_origin.pairs >= 0);
}

trm_status trm_job_open_store(trm_job *job, trm_error *err)
{
    trm_status status = claim_all(job, err);
    if (status == TRM_OK)
        status = begin(job, err);
    if (status == TRM_OK)
        status = read_triplets(job, err);
    if (status == TRM_OK)
        status = open_store(job, err);
    return status == TRM_OK ? trm_agree(job->comm, check_triplets(job, err), err) : status;
}

static bool is_zero(const float *x, int dim)
{
    int k = 0;
    while (k < dim && x[k] == 0.0F)
        k++;
    return k == dim;
}

/* A store that was laid out and not, or only in part, filled. Rows to be ignored may be anything. */
static trm_status check_zero_rows(trm_job *job, const trm_job_rows *set, const float *x, trm_error *err)
{
    int64_t zero = 0, first = INT64_MAX;
    const int dim = set->batch.dim;
#pragma omp parallel for reduction(+ : zero) reduction(min : first) num_threads(trm_run_threads(job->run))
    for (int64_t i = 0; i < set->batch.count; i++)
        if (is_zero(x + i * dim, dim) && !trm_rows_ignore(set->rows, set->batch.labels[i])) {
            zero++;
            first = set->first + i < first ? set->first + i : first;
        }
    zero = trm_sum_int64(job->comm, zero);
    MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT64_T, MPI_MIN, job->comm);
    const trm_store_file *file = zero > 0 ? trm_file_of_row(job->store, set->before + first) : NULL;
    if (file != NULL && zero == set->rows->total)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': all %" PRId64
                        " rows are zero: it looks as if it was laid out and never filled",
                        trm_file_kind(file), file->path, zero);
    if (job->rank == 0)
        trm_warn_of_zero_rows(&job->voice, job->store, zero, zero > 0 ? set->before + first : 0,
                              set->rows->total);
    return TRM_OK;
}

static trm_status read_and_arrange(trm_job *job, trm_job_rows *set, trm_error *err)
{
    const trm_settings *settings = &job->settings;
    const double start = trm_clock();
    const int64_t count = set->batch.count;
    const int dim = set->batch.dim;
    float *x = trm_alloc(count * dim, sizeof *x);
    double *norms = settings->normalize ? trm_alloc(count, sizeof *norms) : NULL;
    set->batch.embeddings = x;
    set->batch.norms = norms;
    trm_status status = TRM_OK;
    if (x == NULL || (settings->normalize && norms == NULL))
        status = trm_fail_memory(err, "rows", count, (size_t)dim * sizeof *x);
    status = trm_agree(job->comm, status, err);
    trm_read_options options = trm_job_read_options(job);
    options.norms = norms;
    if (status == TRM_OK)
        status = trm_store_read(job->store, set->before + set->first, count, &options, x, NULL, NULL, err);
    if (status != TRM_OK)
        return status;
    status = check_zero_rows(job, set, x, err);
    if (status != TRM_OK)
        return status;
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    add_to_fingerprint(job, set, 0, count, x, &hash);
    take_fingerprint(job, set, &hash);
    job->read_s += trm_clock() - start;
    status = trm_job_pause(job, err);
    if (status != TRM_OK)
        return status;
    if (!trm_settings_in_batches(settings)) /* which are made from the rows as they are */
        status = trm_rows_fill(job->run, set->rows, count, &x, err);
    set->batch.embeddings = x;
    if (settings->gradient_at_normalized) {
        trm_free(norms);
        set->batch.norms = NULL;
    }
    return status;
}

/* What the queries are told apart by is a part of what the job is. */
static void note_queries(trm_job *job)
{
    trm_settings *settings = &job->settings;
    memcpy(settings->queries_fingerprint, job->queries.fingerprint, sizeof settings->queries_fingerprint);
    settings->queries_rows = job->queries.total;
}

/* What there is to go on from. Collective. */
static trm_status resume(trm_job *job, trm_error *err)
{
    const trm_checkpoint_job of = {.store_rows = job->base.total,
                                   .store_dim = job->base.batch.dim,
                                   .store_fingerprint = job->base.fingerprint,
                                   .threads = trm_run_threads(job->run)};
    return trm_job_checkpoint_resume(&job->checkpoint, of, err);
}

/* Reads a set for nothing but its fingerprint, some rows at a time. */
static trm_status look_through(trm_job *job, trm_job_rows *set, trm_error *err)
{
    enum { PIECE_BYTES = 8 << 20 };
    const int64_t row = set->batch.dim * (int64_t)sizeof(float), rows = PIECE_BYTES / row + 1,
                  most = (set->total + job->ranks - 1) / job->ranks; /* of a rank */
    const trm_read_options options = trm_job_read_options(job);
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    float *x = trm_alloc(rows, (size_t)row);
    trm_status status = x == NULL ? trm_fail_memory(err, "rows", rows, (size_t)row) : TRM_OK;
    status = trm_agree(job->comm, status, err);
    for (int64_t at = 0; at < most && status == TRM_OK; at += rows) {
        const int64_t count = set->batch.count, from = at < count ? at : count,
                      to = at + rows < count ? at + rows : count;
        status = trm_store_read(job->store, set->before + set->first + from, to - from, &options, x, NULL,
                                NULL, err);
        if (status == TRM_OK)
            add_to_fingerprint(job, set, from, to, x, &hash);
        if (status == TRM_OK)
            status = trm_job_pause(job, err);
    }
    trm_free(x);
    take_fingerprint(job, set, &hash);
    return status;
}

trm_status trm_job_look_at_checkpoint(trm_job *job, trm_error *err)
{
    trm_status status = TRM_OK;
    if (!job->settings.resume)
        return TRM_OK;
    int there = job->rank == 0 && job->checkpoint.found;
    MPI_Bcast(&there, 1, MPI_INT, 0, job->comm);
    if (there)
        status = look_through(job, &job->base, err);
    if (there && status == TRM_OK && trm_settings_in_two_sets(&job->settings)) {
        status = look_through(job, &job->queries, err);
        note_queries(job);
    }
    return status == TRM_OK ? resume(job, err) : status;
}

static trm_status make_gradient(trm_job *job, const trm_job_rows *set, float **gradient, trm_error *err)
{
    const int64_t size = set->batch.count * set->batch.dim;
    trm_status status = TRM_OK;
    *gradient = trm_alloc(size, sizeof **gradient);
    if (*gradient == NULL)
        status = trm_fail_memory(err, "the gradient", size, sizeof **gradient);
    return trm_agree(job->comm, status, err);
}

static trm_status make_gradients(trm_job *job, trm_error *err)
{
    trm_status status = make_gradient(job, &job->base, &job->gradient, err);
    if (status == TRM_OK && trm_settings_in_two_sets(&job->settings))
        status = make_gradient(job, &job->queries, &job->queries_gradient, err);
    return status;
}

/* Reads the rows and arranges them, and makes room for the gradient. */
static trm_status load_rows(trm_job *job, trm_error *err)
{
    trm_status status = read_and_arrange(job, &job->base, err);
    if (status == TRM_OK && trm_settings_in_two_sets(&job->settings)) {
        status = read_and_arrange(job, &job->queries, err);
        note_queries(job);
    }
    trm_store_close(&job->store);
    if (status == TRM_OK &&
        !trm_settings_plan_only(&job->settings)) /* which has looked before, and begins anew */
        status = resume(job, err);
    if (status == TRM_OK)
        status = trm_job_pause(job, err);
    return status == TRM_OK && job->settings.gradient ? make_gradients(job, err) : status;
}

/* ---- planning ---- */

/* Collective. */
static int64_t survey_bytes(const trm_job *job, int64_t triplets)
{
    if (job->base.rows->all_here) /* of a rank that has most: about as many of each */
        triplets *= job->ranks;
    const trm_run sweeps = trm_run_for_sweeps(job->run, trm_negatives_take_every_pair(&job->options.mine));
    int64_t bytes =
        trm_survey_bytes(&job->settings.survey, &sweeps, job->base.rows,
                         job->options.source != TRM_SOURCE_GIVEN, trm_sum_int64(job->comm, triplets));
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, job->comm);
    return trm_job_has_triplets(job) ? bytes : 0;
}

const trm_job_rows *trm_job_askers(const trm_job *job)
{
    return trm_settings_in_two_sets(&job->settings) ? &job->queries : &job->base;
}

/* What the file of triplets takes: no anchor has more pairs than positives, and those are of its class; of queries the
 * plan knows which has most. Collective. */
static int64_t file_bytes(const trm_job *job)
{
    trm_positives positives;
    int64_t most = 0;
    if (trm_settings_in_two_sets(&job->settings))
        return trm_triplet_file_bytes(job->settings.form, trm_mine_negatives(&job->options.mine),
                                      job->queries.total, 0);
    trm_positives_choose(&positives, &job->options.mine, INT64_MAX);
    for (int64_t row = 0; row < job->base.rows->count; row++) {
        const int64_t pairs = trm_positives_pairs(&positives, job->base.rows->class_size[row] - 1);
        most = pairs > most ? pairs : most;
    }
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, job->comm);
    const int64_t negatives = trm_mine_negatives(&job->options.mine);
    return trm_triplet_file_bytes(job->settings.form, negatives, job->base.total, most * negatives);
}

/* And for each triplet of the anchor that has most of a set, or of queries. Not collective. */
static int64_t file_bytes_a_triplet(const trm_job *job)
{
    const int64_t anchors = trm_job_askers(job)->total;
    return trm_triplet_file_bytes(job->settings.form, 1, anchors, 1) -
           trm_triplet_file_bytes(job->settings.form, 1, anchors, 0);
}

static trm_status plan_with(trm_job *job, int64_t reserve, trm_error *err)
{
    job->options.mine.reserve = reserve;
    job->options.mine.queries = job->queries.rows;
    job->options.mine.pairs = job->settings.pairs != NULL ? &job->pair_list : NULL;
    job->options.queries = job->queries.rows != NULL ? &job->queries.batch : NULL;
    trm_evaluation_destroy(&job->evaluation);
    return trm_evaluation_create(job->run, job->base.rows, &job->options, job->settings.gradient, &job->mined,
                                 &job->evaluation, err);
}

/* What so many triplets of all batches take until they are written, or what quartiles need of them. Not collective. */
static int64_t batched_bytes(const trm_job *job, int64_t triplets)
{
    if (trm_job_writes_triplets(job))
        return trm_batch_triplets_bytes(job->settings.form, trm_mine_negatives(&job->options.mine), triplets);
    return job->keeps ? triplets * TRM_KEPT_BYTES_A_TRIPLET : 0;
}

/* Rows that batches are made from stay as they are read: no plan of mining knows what reading them takes. Collective. */
static trm_status plan_reading(trm_job *job, trm_error *err)
{
    const trm_rows *rows = job->base.rows;
    const trm_batch *batch = &job->base.batch;
    int64_t bytes = rows->read_bytes + batch->count * (batch->dim * (int64_t)sizeof(float) + 24) +
                    trm_rows_held_bytes(rows) + trm_names_bytes(&job->labels.names);
    MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_MAX, job->comm);
    if (bytes > job->mined.memory_bytes)
        job->mined.memory_bytes = bytes;
    const trm_status status = bytes <= trm_run_mem_per_rank(job->run)
                                  ? TRM_OK
                                  : trm_run_refuse(job->run, "reading the rows needs at least", bytes, err);
    return trm_agree(job->comm, status, err);
}

/* The batches are known, and so is what this rank needs for them; triplets that go to a file wait for the end, and
 * without a file, what quartiles need, if there is room. */
static trm_status plan_batches(trm_job *job, bool file, trm_error *err)
{
    trm_status status = trm_rows_lay_out(job->run, job->base.rows, 1, err);
    if (status == TRM_OK)
        status = trm_job_find_batches(job, err);
    if (status != TRM_OK)
        return status;
    const int64_t triplets = trm_evaluate_triplets(job->run, job->base.rows, &job->options);
    const int64_t reserve = trm_evaluate_bytes(job->run, job->base.rows, &job->base.batch, &job->options,
                                               job->settings.gradient) +
                            trm_names_bytes(&job->labels.names) + survey_bytes(job, triplets);
    trm_error unheard = TRM_ERROR_INIT;
    const bool must = job->settings.survey.bins > 0;
    job->keeps = !file;
    if (job->keeps)
        status = plan_with(job, reserve + batched_bytes(job, triplets), must ? err : &unheard);
    if (!job->keeps || (status != TRM_OK && !must)) {
        job->keeps = false;
        status = plan_with(job, reserve + batched_bytes(job, triplets), err);
    }
    return status == TRM_OK ? plan_reading(job, err) : status;
}

/* What is reserved for batches, where all of them give as many triplets, of those that there may be, as the first. */
static int64_t reserve_expected(trm_job *job, int64_t most)
{
    const int64_t all = job->batches.count,
                  triplets = trm_evaluate_triplets(job->run, job->base.rows, &job->options);
    job->batches.count = most < all ? most : all;
    const int64_t tried =
        trm_sum_int64(job->comm, trm_evaluate_triplets(job->run, job->base.rows, &job->options));
    job->batches.count = all;
    const double share = tried > 0 ? (double)job->mined.triplets.total / (double)tried : 1.0;
    const int64_t expected = share < 1.0 ? (int64_t)(share * (double)triplets) : triplets;
    return job->options.mine.reserve - batched_bytes(job, triplets) + batched_bytes(job, expected);
}

trm_status trm_job_expect(trm_job *job, int64_t most, const trm_kernel *taken, int width, int64_t *bytes,
                          trm_error *err)
{
    const bool batches = trm_settings_in_batches(&job->settings);
    const int64_t given = job->options.mine.reserve;
    const trm_mine_summary mined = job->mined;
    job->run->expected = batches ? NULL : taken;
    job->run->expected_width = width;
    job->run->expected_first = !batches; /* positives of lists are measured */
    trm_status status = job->settings.kind->question != NULL
                            ? trm_job_plan_question(job, err)
                            : plan_with(job, batches ? reserve_expected(job, most) : given, err);
    job->run->expected = NULL;
    job->run->expected_first = false;
    if (status == TRM_OK && batches)
        status = plan_reading(job, err);
    *bytes = job->mined.memory_bytes;
    job->mined = mined;
    return status;
}

/* Do all triplets come at once? Those of a file do not, and how many panels a set takes that is listed shows when it was
 * counted. */
static bool is_one_panel(const trm_job *job)
{
    return job->mined.panels == 1 && job->options.source != TRM_SOURCE_GIVEN &&
           !(trm_job_is_set(job) && job->options.mine.emit_sets);
}

/* What is kept of the triplets of one panel needs no memory of its own: it is a part of the array that they
 * came in, when what else the panel needed is free again. What is kept of several waits beside the next, and
 * where there is no room for that, there are no quartiles; but a histogram was asked for. */
static trm_status plan_teams(trm_job *job, int replicate, bool file, trm_error *err)
{
    trm_status status = trm_rows_lay_out(job->run, job->base.rows, replicate, err);
    if (status == TRM_OK && trm_settings_in_two_sets(&job->settings))
        status = trm_rows_lay_out(job->run, job->queries.rows, replicate, err);
    if (status != TRM_OK)
        return status;
    if (job->settings.kind->question != NULL)
        return trm_job_plan_question(job, err);
    const int64_t triplets = trm_evaluate_triplets(job->run, job->base.rows, &job->options);
    const int64_t reserve = trm_evaluate_bytes(job->run, job->base.rows, &job->base.batch, &job->options,
                                               job->settings.gradient) +
                            trm_names_bytes(&job->labels.names) + (file ? file_bytes(job) : 0) +
                            survey_bytes(job, triplets) +
                            2 * job->pairs.count * (int64_t)sizeof *job->pairs.query;
    int64_t kept = triplets * TRM_KEPT_BYTES_A_TRIPLET;
    job->options.mine.reserve_a_triplet = file ? file_bytes_a_triplet(job) : 0;
    MPI_Allreduce(MPI_IN_PLACE, &kept, 1, MPI_INT64_T, MPI_MAX, job->comm);
    job->keeps = trm_job_has_triplets(job) && !file;
    const bool must = job->keeps && job->settings.survey.bins > 0;
    trm_error unheard = TRM_ERROR_INIT;
    status = plan_with(job, reserve, must ? &unheard : err);
    if (status == TRM_OK ? !job->keeps || is_one_panel(job) : !must)
        return status;
    if (must)
        return plan_with(job, reserve + kept, err);
    if (plan_with(job, reserve + kept, &unheard) == TRM_OK)
        return TRM_OK;
    job->keeps = false;
    return plan_with(job, reserve, err);
}

/* Lays the rows out for the teams that need fewest panels, each of which is a sweep over everything; among
 * those for the best ones. Where none fits, the error is that of those that need least. */
static trm_status choose_teams(trm_job *job, bool file, trm_error *err)
{
    const bool queries = trm_settings_in_two_sets(&job->settings) &&
                         job->queries.rows->total > job->base.rows->total; /* the larger set */
    const int best = trm_rows_best_replicate(job->run, queries ? job->queries.rows : job->base.rows);
    const int last = job->settings.run.replicate > 0 ? best : 1;
    int chosen = 0, panels = 0;
    int64_t least = INT64_MAX;
    trm_error refusal = TRM_ERROR_INIT;
    for (int c = best; c >= last && panels != 1; c--) {
        trm_error why = TRM_ERROR_INIT;
        if (job->ranks % c != 0)
            continue;
        const trm_status status = plan_teams(job, c, file, &why);
        if (status == TRM_OK && (chosen == 0 || job->mined.panels < panels)) {
            chosen = c;
            panels = job->mined.panels;
        }
        if (status != TRM_OK && job->mined.memory_bytes < least) {
            least = job->mined.memory_bytes;
            refusal = why;
        }
        if (status != TRM_OK && status != TRM_ERR_MEMORY) {
            *err = why;
            return status;
        }
    }
    if (chosen == 0) {
        *err = refusal;
        return refusal.status;
    }
    return job->base.rows->replicate == chosen ? TRM_OK : plan_teams(job, chosen, file, err);
}

trm_status trm_job_plan_for_all(trm_job *job, trm_run *run, int replicate, trm_error *err)
{
    trm_run *const own = job->run;
    trm_settings *settings = &job->settings;
    const int ranks = job->ranks, given = settings->run.replicate;
    const int64_t count = job->base.batch.count;
    job->run = run;
    job->ranks = run->ranks;
    run->replicate = settings->run.replicate = replicate;
    job->base.batch.count = (job->base.total + run->ranks - 1) / run->ranks; /* as a rank reads them */
    job->base.rows->read_bytes =
        job->store != NULL ? trm_store_read_bytes(job->store, job->base.batch.count) : 0;
    const int64_t queries = job->queries.batch.count;
    if (job->queries.rows != NULL) {
        job->queries.batch.count = (job->queries.total + run->ranks - 1) / run->ranks;
        job->queries.rows->read_bytes = trm_store_read_bytes(job->store, job->queries.batch.count);
    }
    const trm_status status = choose_teams(job, trm_job_writes_triplets(job), err);
    job->run = own;
    job->ranks = ranks;
    settings->run.replicate = given;
    job->base.batch.count = count;
    job->queries.batch.count = queries;
    return status;
}

trm_status trm_job_read_rows(trm_job *job, trm_error *err)
{
    return read_and_arrange(job, &job->base, err);
}

double trm_job_own_pairs(const trm_job *job)
{
    const trm_rows *rows = job->base.rows;
    trm_positives positives;
    double pairs = 0.0;
    trm_positives_choose(&positives, &job->options.mine, INT64_MAX);
    for (int64_t i = 0; i < rows->count; i++)
        if (rows->class_size[i] < rows->total)
            pairs += (double)trm_positives_pairs(&positives, rows->class_size[i] - 1);
    return pairs;
}

/* How large a result is shows at its end, when room for it is looked for; how large it may become is known before hours
 * of work. Collective. */
static void warn_of_room(trm_job *job)
{
    double pairs = trm_job_own_pairs(job);
    MPI_Allreduce(MPI_IN_PLACE, &pairs, 1, MPI_DOUBLE, MPI_SUM, job->comm);
    if (job->rank == 0)
        trm_warn_of_room(&job->voice, job->claim,
                         pairs * (double)trm_mine_negatives(&job->options.mine) * TRM_JOB_BYTES_A_TRIPLET);
}

trm_status trm_job_plan_store(trm_job *job, trm_error *err)
{
    const bool file = trm_job_writes_triplets(job);
    trm_status status =
        trm_settings_in_batches(&job->settings) ? plan_batches(job, file, err) : choose_teams(job, file, err);
    char queries[64] = "";
    if (trm_settings_in_two_sets(&job->settings))
        snprintf(queries, sizeof queries, "%" PRId64 " queries on ", job->queries.total);
    if (status == TRM_OK && job->rank == 0)
        trm_voice_say(&job->voice, TRM_LINE_STEP,
                      "plan       %s%" PRId64
                      " rows x %d on %d ranks x %d threads: %.0f MB a rank of at most %.0f MB%s",
                      queries, job->base.total, job->base.batch.dim, job->ranks, trm_run_threads(job->run),
                      (double)job->mined.memory_bytes / 1e6, (double)trm_run_mem_per_rank(job->run) / 1e6,
                      job->mined.panels > 1 ? ", anchors in panels" : "");
    if (job->rank == 0)
        trm_warn_of_threads(&job->voice, job->run);
    const bool by_labels = !trm_settings_in_batches(&job->settings) &&
                           !trm_settings_in_two_sets(&job->settings) && !trm_job_by_id(job);
    if (status == TRM_OK && file && by_labels && !trm_job_is_set(job))
        warn_of_room(job);
    if (status == TRM_OK && job->settings.kind->question == NULL)
        trm_job_check_classes(job);
    return status;
}

/* What the plan leaves when the work is done: all but the rows and the gradient. */
static int64_t spare_bytes(const trm_job *job)
{
    const trm_job_rows *const sets[] = {&job->base, &job->queries};
    const int64_t row = job->base.batch.dim * (int64_t)sizeof(float);
    int64_t spare = job->mined.memory_bytes;
    for (size_t k = 0; k < sizeof sets / sizeof *sets && sets[k]->rows != NULL; k++) {
        const trm_batch *batch = &sets[k]->batch;
        spare -= sets[k]->rows->count * trm_rows_bytes_per_row(batch->dim);
        spare -=
            batch->count * (24 + (batch->embeddings != NULL ? row : 0) + (job->gradient != NULL ? row : 0));
    }
    return spare;
}

/* ---- working ---- */

trm_status trm_job_name_file(const char *kind, const char *item, const char *path, trm_status status,
                             trm_error *err)
{
    if (status != TRM_ERR_DATA || strncmp(err->text, item, strlen(item)) != 0)
        return status;
    trm_error named = TRM_ERROR_INIT;
    (void)trm_fail(&named, status, "%s '%s': %s", kind, path, err->text);
    memcpy(err->text, named.text, sizeof named.text);
    return status;
}

/* Who takes the triplets; all zero: nobody. */
static trm_status make_taker(trm_job *job, trm_survey_taker *taker, trm_error *err)
{
    const trm_mine_options *mine = &job->options.mine;
    *taker = (trm_survey_taker){0};
    if (!trm_job_writes_triplets(job))
        return TRM_OK;
    if (trm_settings_in_batches(&job->settings)) {
        job->batch_triplets.budget =
            trm_run_mem_per_rank(job->run) - job->mined.memory_bytes +
            batched_bytes(job, trm_evaluate_triplets(job->run, job->base.rows, &job->options));
        job->batch_triplets.limit = trm_run_limit_name(job->run);
        *taker = (trm_survey_taker){trm_batch_triplets_add, trm_batch_triplets_walk, &job->batch_triplets};
        return TRM_OK;
    }
    if (job->claim == NULL) /* a dry run's try */
        return TRM_OK;
    /* Triplets of several panels wait in files of their own; how many panels a set takes shows when it was counted. */
    const bool spool = job->mined.panels > 1 || mine->emit_sets;
    trm_status status =
        trm_triplet_file_create(job->comm, job->claim, job->settings.form, trm_mine_negatives(mine),
                                trm_job_askers(job)->total, spool, spare_bytes(job), &job->file, err);
    *taker = (trm_survey_taker){trm_triplet_file_add, trm_triplet_file_walk, job->file};
    return status;
}

static trm_status evaluate(trm_job *job, trm_error *err)
{
    const bool surveys = trm_job_has_triplets(job);
    const int64_t planned = job->mined.memory_bytes;
    trm_survey_taker taker;
    trm_status status = make_taker(job, &taker, err);
    if (status == TRM_OK && surveys)
        status = trm_survey_begin(&job->survey, job->comm, trm_run_threads(job->run), &job->settings.survey,
                                  taker, job->keeps, err);
    if (status == TRM_OK)
        status = trm_evaluation_run(job->evaluation, &job->base.batch, surveys ? trm_survey_take : NULL,
                                    &job->survey, job->gradient, job->queries_gradient, &job->mined,
                                    &job->loss, &job->part, err);
    if (trm_settings_in_batches(&job->settings)) /* the batches say what they took */
        job->mined.memory_bytes = planned;
    return status == TRM_OK && surveys ? trm_survey_finish(&job->survey, err) : status;
}

/* Of this rank's pairs those of the first so many queries of each shard: new memory. */
static trm_status pick_pairs(const trm_job *job, int64_t most, trm_pairs *picked, trm_error *err)
{
    const trm_rows *queries = job->queries.rows;
    const trm_pairs *pairs = &job->pairs;
    *picked = (trm_pairs){.query = trm_alloc(pairs->count, sizeof *picked->query),
                          .positive = trm_alloc(pairs->count, sizeof *picked->positive)};
    trm_status status = picked->query == NULL || picked->positive == NULL
                            ? trm_fail_memory(err, "pairs", pairs->count, 2 * sizeof *picked->query)
                            : TRM_OK;
    for (int64_t i = 0; i < pairs->count && status == TRM_OK; i++) {
        const trm_shard *shard = &queries->shards[trm_team_of_id(queries, pairs->query[i])];
        if (pairs->query[i] - shard->first >= most) /* rows are arranged by their ids */
            continue;
        picked->query[picked->count] = pairs->query[i];
        picked->positive[picked->count++] = pairs->positive[i];
    }
    return trm_agree(job->comm, status, err);
}

int64_t trm_job_tries(const trm_job *job, int64_t most)
{
    int64_t all = 0;
    if (trm_settings_in_batches(&job->settings))
        return trm_sum_int64(job->comm, most < job->batches.count ? most : job->batches.count);
    for (int t = 0; t < job->queries.rows->teams; t++) {
        const int64_t count = job->queries.rows->shards[t].count;
        all += most < count ? most : count;
    }
    return all;
}

/* What is planned for one run, and runs. *start: when that began. */
static trm_status try_once(trm_job *job, double *start, trm_error *err)
{
    const bool asks = job->settings.kind->question != NULL;
    const int64_t planned = job->mined.memory_bytes;
    const int panels = job->mined.panels;
    trm_status status =
        asks ? trm_job_plan_question(job, err) : plan_with(job, job->options.mine.reserve, err);
    job->mined.memory_bytes = planned;
    *start = trm_clock();
    if (status == TRM_OK)
        status = asks ? trm_job_run_question(job, err) : evaluate(job, err);
    if (asks) {
        job->mined = trm_job_as_mined(&job->ask, trm_clock() - *start);
        job->mined.panels = panels;
    }
    job->mined.memory_bytes = planned;
    return status;
}

trm_status trm_job_try(trm_job *job, int64_t most, double *seconds, trm_error *err)
{
    const int64_t all = job->batches.count;
    const bool listed = job->settings.pairs != NULL;
    double start = trm_clock();
    const trm_pair_list list = job->pair_list;
    trm_pairs picked = {.count = 0};
    trm_status status = job->store != NULL ? load_rows(job, err) : TRM_OK; /* which closes it */
    trm_survey_end(&job->survey);                                          /* what an earlier try has left */
    trm_batch_triplets_free(&job->batch_triplets);
    job->batches.count = most < all ? most : all;
    if (status == TRM_OK && listed)
        status = pick_pairs(job, most, &picked, err);
    if (listed)
        job->pair_list = (trm_pair_list){picked.count, picked.query, picked.positive};
    if (status == TRM_OK)
        status = try_once(job, &start, err);
    *seconds = trm_clock() - start;
    MPI_Allreduce(MPI_IN_PLACE, seconds, 1, MPI_DOUBLE, MPI_MAX, job->comm);
    job->batches.count = all;
    job->pair_list = list;
    trm_pairs_free(&picked);
    return status;
}

static void compare_fingerprints(trm_job *job)
{
    const char *mined_from = job->given_origin.store_fingerprint;
    if (job->rank == 0 && mined_from[0] != '\0' && strcmp(mined_from, job->base.fingerprint) != 0)
        trm_warn(&job->voice, "triplets '%s' were mined from rows with the fingerprint %s, these have %s",
                 job->settings.triplets, mined_from, job->base.fingerprint);
    const char *mined_for = job->given_origin.queries_fingerprint;
    if (job->rank == 0 && mined_for[0] != '\0' && strcmp(mined_for, job->queries.fingerprint) != 0)
        trm_warn(&job->voice, "triplets '%s' were mined for queries with the fingerprint %s, these have %s",
                 job->settings.triplets, mined_for, job->queries.fingerprint);
}

/* Options that the list was mined with and that this job, which takes them at their defaults, may have been meant to have, too. */
static const char *options_of_list(const trm_job *job, char *text, size_t size)
{
    const trm_triplets_origin *by = &job->given_origin;
    const trm_settings *settings = &job->settings;
    const bool other = by->metric != settings->mine.metric && !trm_settings_given(settings, "metric");
    const bool margin = (other || by->metric == settings->mine.metric) && !settings->loss.soft &&
                        !trm_settings_given(settings, "margin") &&
                        by->margin != trm_metric_default_margin(by->metric);
    char number[48] = "";
    if (margin)
        snprintf(number, sizeof number, " --margin %.15g", by->margin);
    snprintf(text, size, "%s%s%s%s", other ? " --metric " : "", other ? trm_metric_name(by->metric) : "",
             number, by->normalize && !settings->normalize ? " --normalize" : "");
    return text;
}

static void compare_distances(trm_job *job)
{
    char options[128] = "";
    if (job->rank == 0 && job->given_origin.by_known &&
        options_of_list(job, options, sizeof options)[0] != '\0')
        trm_warn(
            &job->voice,
            "triplets '%s' were mined with%s, their loss is taken without (metric %s, margin %.15g): give it "
            "again, unless another loss is meant",
            job->settings.triplets, options, trm_metric_name(job->settings.loss.metric),
            job->settings.loss.margin);
}

/* What was given fits the rows? */
static trm_status settle_given(trm_job *job, trm_error *err)
{
    if (trm_settings_in_batches(&job->settings))
        trm_job_compare_list(job);
    if (job->settings.triplets == NULL)
        return TRM_OK;
    if (job->hooks.not_saved != NULL)
        job->hooks.not_saved(job->hooks.context);
    compare_fingerprints(job);
    compare_distances(job);
    return trm_job_pause(job, err);
}

trm_status trm_job_run_store(trm_job *job, trm_error *err)
{
    trm_status status = load_rows(job, err);
    if (job->settings.kind->question != NULL)
        return status == TRM_OK ? trm_job_run_question(job, err) : status;
    if (status == TRM_OK)
        status = settle_given(job, err);
    if (status == TRM_OK)
        status = evaluate(job, err);
    if (status == TRM_OK) /* not before: a job that is stopped and goes on must find nothing in its way */
        status = trm_job_write_list(job, err);
    return job->settings.triplets == NULL
               ? status
               : trm_job_name_file("triplets", "triplet ", job->settings.triplets, status, err);
}
