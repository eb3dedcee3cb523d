/* Losses on packed triplets: every anchor has its own rows, so each rank works alone and only sums travel.
 *
 * A gradient row is a sum over the anchor's triplets in the order of their ranks, of each the positive's term first,
 * then the negative's: the same bits for any ranks and threads. Distances are the canonical float64 ones. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/exact_sum.h"
#include "base/sized.h"
#include "loss/gradient.h"
#include "loss/options.h"
#include "loss/reduction.h"
#include "loss/term.h"
#include "mine/own.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "trimine/packed.h"

#include <inttypes.h>
#include <limits.h>
#include <omp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const trm_sized sized = {
    .name = "trm_packed_options",
    .size = sizeof(trm_packed_options),
    .parts = 1,
    .part = {{".loss", offsetof(trm_packed_options, loss), sizeof(trm_loss_options)}}};

void trm_packed_options_init_sized(trm_packed_options *options, size_t size, size_t loss_size)
{
    trm_packed_options own = {
        .size = sizeof own, .negatives = "semihard", .window = TRM_WINDOW_LT, .window_margin = 1.0};
    trm_loss_options_init(&own.loss);
    trm_sized_give(&sized, &own, options, (const size_t[]){size, loss_size});
}

/* A pair of rows, measured. */
typedef struct measured {
    const float *x, *y;
    double norm2_x, norm2_y, g, d;
    bool floor_x, floor_y; /* a norm is the floor: a constant */
} measured;

/* A negative that was chosen: its place among the anchor's own. */
typedef struct packed_choice {
    int negative; /* -1: none */
    trm_kind kind;
} packed_choice;

/* One call, on one rank. */
typedef struct packed_job {
    const trm_packed *packed;
    const trm_packed_options *options;
    trm_negatives negatives;
    int64_t first;         /* this rank's first anchor among all */
    int64_t most;          /* triplets of an anchor */
    packed_choice *chosen; /* `most` of each anchor, in the order of ranks; none after the last */
    bool wants_gradient;   /* as any rank does */
} packed_job;

/* Of one rank, and then of all. */
enum { COUNT_ALL, COUNT_ACTIVE, COUNT_FALLBACK, COUNT_SKIPPED, COUNTS };

/* The squared norm that counts; whether that is the floor. */
static double norm2_of(const packed_job *job, const float *x, bool *is_floor)
{
    const double norm2 = trm_dot(x, x, job->packed->dim), least = job->options->norm_floor;
    *is_floor = job->options->loss.metric == TRM_METRIC_COSINE && norm2 < least;
    return *is_floor ? least : norm2;
}

static measured measure(const packed_job *job, const float *x, const float *y)
{
    const trm_metric metric = job->options->loss.metric;
    const int dim = job->packed->dim;
    measured m = {.x = x, .y = y};
    m.norm2_x = norm2_of(job, x, &m.floor_x);
    m.norm2_y = norm2_of(job, y, &m.floor_y);
    m.d = trm_distance(metric, x, m.norm2_x, y, m.norm2_y, dim, &m.g);
    return m;
}

static const float *negative_of(const trm_packed *packed, int64_t anchor, int64_t k)
{
    return packed->negative + (anchor * packed->negatives + k) * packed->dim;
}

/* ---- which of an anchor's own negatives ---- */

static bool is_reversed(const packed_job *job)
{
    return job->negatives.policy == &trm_negatives_reversed;
}

static bool is_semihard(const packed_job *job)
{
    return (job->negatives.policy->takes & TRM_TAKES_WINDOW) != 0;
}

/* Is the one negative taken, whatever it is? */
static bool is_ready(const packed_job *job)
{
    return is_semihard(job) && job->packed->negatives == 1;
}

/* The policy, and how many triplets an anchor may get of it. Errors: USAGE. */
static trm_status settle_policy(packed_job *job, trm_error *err)
{
    const trm_packed_options *o = job->options;
    trm_mine_options mine;
    trm_mine_options_init(&mine);
    mine.metric = o->loss.metric;
    mine.negatives = o->negatives;
    mine.window = o->window;
    mine.margin = o->window_margin;
    mine.pick = o->pick;
    mine.fallback = o->fallback;
    mine.seed = o->seed;
    trm_own_policy(&job->negatives, &mine, job->packed->negatives, job->packed->dim);
    if (is_reversed(job)) /* its rule is the loss itself */
        job->negatives.options.margin = o->loss.margin;
    job->most = is_ready(job) ? 1 : trm_own_most(&job->negatives, job->packed->negatives);
    if (is_reversed(job) && (trm_term_other(&o->loss) != NULL || o->loss.swap))
        return trm_fail(err, TRM_ERR_USAGE,
                        "--negatives reversed has neither --soft nor --swap: it is of the hinge");
    return trm_negatives_check(&mine, err);
}

/* An anchor's choices, and how many there are. */
static packed_choice *chosen_of(const packed_job *job, int64_t anchor, int64_t *count)
{
    packed_choice *chosen = job->chosen + anchor * job->most;
    *count = 0;
    while (*count < job->most && chosen[*count].negative >= 0)
        ++*count;
    return chosen;
}

static void choose(const packed_job *job, int64_t anchor, trm_own *own)
{
    const trm_packed *packed = job->packed;
    const float *a = packed->anchor + anchor * packed->dim, *p = packed->positive + anchor * packed->dim;
    packed_choice *chosen = job->chosen + anchor * job->most;
    int64_t count = 1;
    chosen[0] = (packed_choice){0, TRM_KIND_SEMIHARD};
    if (!is_ready(job)) {
        const measured ap = measure(job, a, p);
        for (int64_t k = 0; k < packed->negatives; k++) {
            const measured an = measure(job, a, negative_of(packed, anchor, k));
            own->d[k] = an.d;
            own->norm2[k] = an.norm2_y;
        }
        count = trm_own_choose(own, job->first + anchor, (trm_row){a, &ap.norm2_x}, ap.d,
                               negative_of(packed, anchor, 0));
        for (int64_t i = 0; i < count; i++)
            chosen[i] = (packed_choice){(int)own->answer[i].id, own->answer[i].kind};
    }
    if (count < job->most)
        chosen[count].negative = -1;
}

/* ---- one anchor's triplet ---- */

/* near: the pair that is pulled together (a positive weight); far: the one that is pushed apart. */
typedef struct packed_triplet {
    measured near, far;
    double z, weight;
    bool active, swapped;
} packed_triplet;

static packed_triplet triplet_of(const packed_job *job, int64_t anchor, int chosen)
{
    const trm_packed *packed = job->packed;
    const trm_loss_options *loss = &job->options->loss;
    const float *a = packed->anchor + anchor * packed->dim, *p = packed->positive + anchor * packed->dim;
    const float *n = negative_of(packed, anchor, chosen);
    packed_triplet t = {.near = measure(job, a, p), .far = measure(job, a, n)};
    if (loss->swap) {
        const measured pn = measure(job, p, n);
        t.swapped = pn.d < t.far.d;
        t.far = t.swapped ? pn : t.far;
    }
    if (is_reversed(job)) {
        const measured other = t.near;
        t.near = t.far;
        t.far = other;
    }
    t.z = trm_term_z(t.near.d, t.far.d, loss->margin);
    t.active = trm_term_active(loss, t.z);
    t.weight = trm_term_slope(loss, t.z);
    return t;
}

/* Adds weight * dd/dx for whichever end of the pair row is. A norm that is a constant has no derivative: what
 * is along the row itself goes. */
static void add_term(trm_metric metric, const measured *m, double weight, const float *row, int dim,
                     double *sum)
{
    if (row != m->x && row != m->y)
        return;
    const bool first = row == m->x;
    trm_term term = trm_term_of(metric, weight, m->g, m->d, first ? m->norm2_x : m->norm2_y,
                                first ? m->norm2_y : m->norm2_x);
    if (first ? m->floor_x : m->floor_y)
        term.a = 0.0;
    trm_term_add(term, row, first ? m->y : m->x, dim, sum);
}

/* Adds the triplet's part of the gradient of one of its rows. */
static void add_to_row(const packed_job *job, const packed_triplet *t, const float *row, double *sum)
{
    const int dim = job->packed->dim;
    if (t->weight == 0.0)
        return;
    add_term(job->options->loss.metric, &t->near, t->weight, row, dim, sum);
    add_term(job->options->loss.metric, &t->far, -t->weight, row, dim, sum);
}

/* The gradient of an anchor's rows. sum: room for three. */
static void write_anchor(const packed_job *job, int64_t anchor, int64_t denominator, double *sum,
                         float *const gradient[3])
{
    const trm_packed *packed = job->packed;
    const int64_t at = anchor * packed->negatives;
    const int dim = packed->dim;
    const float *a = packed->anchor + anchor * dim, *p = packed->positive + anchor * dim;
    float *of_a = gradient[0] + anchor * dim, *of_p = gradient[1] + anchor * dim;
    int64_t count;
    const packed_choice *chosen = chosen_of(job, anchor, &count);
    const bool norms = packed->anchor_norms != NULL;
    double *sum_p = sum + dim, *sum_n = sum_p + dim;
    memset(sum, 0, (size_t)dim * 2 * sizeof *sum);
    memset(of_a, 0, (size_t)dim * sizeof(float));
    memset(of_p, 0, (size_t)dim * sizeof(float));
    memset(gradient[2] + at * dim, 0, (size_t)(packed->negatives * dim) * sizeof(float));
    if (count == 0)
        return;
    for (int64_t i = 0; i < count; i++) {
        const int k = chosen[i].negative;
        const packed_triplet t = triplet_of(job, anchor, k);
        const float *n = negative_of(packed, anchor, k);
        memset(sum_n, 0, (size_t)dim * sizeof *sum_n);
        add_to_row(job, &t, a, sum);
        add_to_row(job, &t, p, sum_p);
        add_to_row(job, &t, n, sum_n);
        trm_gradient_round(sum_n, n, dim, denominator, norms ? packed->negative_norms + at + k : NULL,
                           gradient[2] + (at + k) * dim);
    }
    trm_gradient_round(sum, a, dim, denominator, norms ? packed->anchor_norms + anchor : NULL, of_a);
    trm_gradient_round(sum_p, p, dim, denominator, norms ? packed->positive_norms + anchor : NULL, of_p);
}

/* ---- all of them ---- */

/* Whether a row may take part: no sum of squares of finite float32 overflows. */
static bool is_fit(const packed_job *job, const float *x)
{
    const double norm2 = trm_dot(x, x, job->packed->dim);
    return isfinite(norm2) &&
           (norm2 > 0.0 || job->options->norm_floor > 0.0 || job->options->loss.metric != TRM_METRIC_COSINE);
}

static bool is_fit_anchor(const packed_job *job, int64_t i)
{
    const trm_packed *packed = job->packed;
    bool fit =
        is_fit(job, packed->anchor + i * packed->dim) && is_fit(job, packed->positive + i * packed->dim);
    for (int64_t k = 0; k < packed->negatives && fit; k++)
        fit = is_fit(job, negative_of(packed, i, k));
    return fit;
}

static trm_status refuse_anchor(const packed_job *job, int64_t i, trm_error *err)
{
    const trm_packed *packed = job->packed;
    const float *rows[] = {packed->anchor + i * packed->dim, packed->positive + i * packed->dim};
    int64_t k = -2; /* the anchor's own row, its positive, its negatives */
    while (is_fit(job, k < 0 ? rows[k + 2] : negative_of(packed, i, k)))
        k++;
    const float *x = k < 0 ? rows[k + 2] : negative_of(packed, i, k);
    char what[40];
    snprintf(what, sizeof what, "negative %" PRId64, k);
    return trm_fail(err, TRM_ERR_DATA, "anchor %" PRId64 ": its %s has %s", job->first + i,
                    k >= 0    ? what
                    : k == -2 ? "row"
                              : "positive",
                    isfinite(trm_dot(x, x, packed->dim)) ? "norm zero, which cosine does not allow"
                                                         : "a non-finite value");
}

/* Names the first anchor with a row that is not finite or, under cosine, of norm 0. */
static trm_status check_rows(const packed_job *job, trm_error *err)
{
    int64_t bad = INT64_MAX;
#pragma omp parallel for schedule(static) reduction(min : bad)
    for (int64_t i = 0; i < job->packed->count; i++)
        if (i < bad && !is_fit_anchor(job, i))
            bad = i;
    return bad == INT64_MAX ? TRM_OK : refuse_anchor(job, bad, err);
}

/* The arrays of this rank. any_norms: some rank gave norms. */
static trm_status check_arrays(const packed_job *job, float *const gradient[3], bool any_norms, int rank,
                               trm_error *err)
{
    const trm_packed *p = job->packed;
    const char *missing = NULL;
    if (p->count < 0)
        return trm_fail(err, TRM_ERR_USAGE, "count %" PRId64 ": must be at least 0", p->count);
    if (p->count == 0)
        return TRM_OK;
    if (p->anchor == NULL || p->positive == NULL || p->negative == NULL)
        missing = "anchor, positive, negative";
    else if (any_norms && (p->anchor_norms == NULL || p->positive_norms == NULL || p->negative_norms == NULL))
        missing = "anchor_norms, positive_norms, negative_norms";
    else if (job->wants_gradient &&
             (gradient == NULL || gradient[0] == NULL || gradient[1] == NULL || gradient[2] == NULL))
        missing = "gradient";
    if (missing != NULL)
        return trm_fail(err, TRM_ERR_USAGE,
                        "%s NULL on rank %d, which has %" PRId64 " anchors: needed, or one of them was given",
                        missing, rank, p->count);
    return TRM_OK;
}

static trm_status check_norms(const packed_job *job, trm_error *err)
{
    const trm_packed *p = job->packed;
    const int64_t k = p->negatives;
    if (!job->wants_gradient || p->count == 0 || p->anchor_norms == NULL)
        return TRM_OK;
    trm_status status = trm_loss_check_norms(p->count, p->anchor_norms, "anchor", job->first, err);
    if (status == TRM_OK)
        status = trm_loss_check_norms(p->count, p->positive_norms, "positive", job->first, err);
    if (status == TRM_OK)
        status = trm_loss_check_norms(p->count * k, p->negative_norms, "negative", job->first * k, err);
    return status;
}

/* Settles wants_gradient, first and *total. local: what is wrong with the options already. Collective. */
static trm_status check(MPI_Comm comm, packed_job *job, float *const gradient[3], int64_t *total,
                        trm_status local, trm_error *err)
{
    enum { GRADIENT = 1, NORMS = 2 };
    const trm_packed *p = job->packed;
    const trm_packed_options *o = job->options;
    const bool norms = p->anchor_norms != NULL || p->positive_norms != NULL || p->negative_norms != NULL;
    bool wants = false;
    int rank = 0;
    MPI_Comm_rank(comm, &rank);
    for (int k = 0; k < 3 && gradient != NULL; k++)
        wants = wants || gradient[k] != NULL;
    const int any = trm_arguments_any(comm, (wants ? GRADIENT : 0) | (norms ? NORMS : 0));
    job->wants_gradient = (any & GRADIENT) != 0;
    job->first = trm_prefix_int64(comm, p->count);
    *total = trm_sum_int64(comm, p->count);
    trm_arguments list = {.count = 0};
    trm_arguments_whole(&list, "dim", p->dim, 1, INT_MAX);
    trm_arguments_whole(&list, "negatives", p->negatives, 1, INT_MAX);
    trm_packed_arguments(&list, o);
    list.owner = "loss.";
    trm_loss_arguments(&list, &o->loss);
    trm_status status = local;
    if (status == TRM_OK)
        status = check_arrays(job, gradient, (any & NORMS) != 0, rank, err);
    status = trm_arguments_agree(comm, &list, status, err);
    if (status == TRM_OK)
        status = settle_policy(job, err); /* options are equal on all ranks now */
    if (status != TRM_OK)
        return status;
    if (*total == 0)
        return trm_fail(err, TRM_ERR_DATA, "packed triplets: there are none");
    status = check_rows(job, err); /* not before dim and K are known to be right */
    if (status == TRM_OK)
        status = check_norms(job, err);
    return trm_agree(comm, status, err);
}

/* What chooses and adds up, a thread's each. */
typedef struct worker {
    trm_own own;
    trm_exact_sum sum;
    int64_t count[COUNTS];
} worker;

static void evaluate_anchor(const packed_job *job, int64_t anchor, worker *mine)
{
    int64_t count;
    choose(job, anchor, &mine->own);
    const packed_choice *chosen = chosen_of(job, anchor, &count);
    for (int64_t i = 0; i < count; i++) {
        const packed_triplet t = triplet_of(job, anchor, chosen[i].negative);
        trm_term_add_loss(&job->options->loss, t.near.d, t.far.d, t.z, &mine->sum);
        mine->count[COUNT_ACTIVE] += t.active;
        mine->count[COUNT_FALLBACK] += chosen[i].kind == TRM_KIND_FALLBACK;
    }
    mine->count[COUNT_ALL] += count;
    mine->count[COUNT_SKIPPED] += count == 0;
}

/* Chooses and adds up, this rank's. */
static void evaluate(const packed_job *job, int threads, worker *workers, trm_exact_sum *sum,
                     int64_t counts[COUNTS])
{
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < job->packed->count; i++)
        evaluate_anchor(job, i, &workers[omp_get_thread_num()]);
    for (int t = 0; t < threads; t++) {
        trm_exact_sum_merge(sum, &workers[t].sum);
        for (int c = 0; c < COUNTS; c++)
            counts[c] += workers[t].count[c];
    }
}

/* Room for choices and for work, on this rank. */
static trm_status begin_workers(packed_job *job, int threads, worker *workers, trm_error *err)
{
    trm_status status = TRM_OK;
    const int64_t slots = job->packed->count * job->most;
    job->chosen = trm_alloc(slots, sizeof *job->chosen);
    if (job->chosen == NULL || workers == NULL)
        status = trm_fail_memory(err, "choices", slots, sizeof *job->chosen);
    for (int t = 0; t < threads && status == TRM_OK; t++) {
        trm_exact_sum_clear(&workers[t].sum);
        status = trm_own_begin(&workers[t].own, &job->negatives, job->packed->negatives, err);
    }
    return status;
}

static void end_workers(int threads, worker *workers)
{
    for (int t = 0; t < threads && workers != NULL; t++)
        trm_own_end(&workers[t].own);
    trm_free(workers);
}

static trm_status total_up(MPI_Comm comm, const packed_job *job, trm_exact_sum *sum, int64_t counts[COUNTS],
                           int64_t total, trm_loss_summary *summary, trm_loss_part *part, trm_error *err)
{
    *part = (trm_loss_part){
        .rows = job->packed->count, .triplets = counts[COUNT_ALL], .loss_sum = trm_exact_sum_value(sum)};
    MPI_Allreduce(MPI_IN_PLACE, counts, COUNTS, MPI_INT64_T, MPI_SUM, comm);
    trm_merge_exact_sum(comm, sum);
    *summary = (trm_loss_summary){
        .sum = trm_exact_sum_value(sum),
        .count = counts[COUNT_ALL],
        .active = counts[COUNT_ACTIVE],
        .semihard = is_semihard(job) && !is_ready(job) ? counts[COUNT_ALL] - counts[COUNT_FALLBACK] : 0,
        .fallback = counts[COUNT_FALLBACK],
        .skipped = counts[COUNT_SKIPPED],
        .valid = total,
        .rows = total};
    return trm_loss_reduce(summary, &job->options->loss, err);
}

/* The lowest anchor with a gradient beyond float32 is named. */
static trm_status check_gradient(const packed_job *job, float *const gradient[3], trm_error *err)
{
    static const char *const names[] = {"anchor", "positive", "negative"};
    const trm_packed *packed = job->packed;
    int64_t lowest = packed->count;
    int part = 0;
    for (int k = 0; k < 3; k++) {
        const int64_t each = k == 2 ? packed->negatives : 1;
        const int64_t row = trm_gradient_unfit(gradient[k], packed->count * each, packed->dim);
        if (row >= 0 && row / each < lowest) {
            lowest = row / each;
            part = k;
        }
    }
    if (lowest == packed->count)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA, "gradient of row %" PRId64 " does not fit float32: that of its %s",
                    job->first + lowest, names[part]);
}

static void write_gradient(const packed_job *job, int64_t denominator, double *sum, float *const gradient[3])
{
    for (int64_t i = 0; i < job->packed->count; i++)
        write_anchor(job, i, denominator, sum, gradient);
}

static trm_status measure_gradient(MPI_Comm comm, const packed_job *job, float *const gradient[3],
                                   trm_loss_summary *summary, trm_loss_part *part, trm_error *err)
{
    const trm_packed *packed = job->packed;
    const int64_t values = packed->count * packed->dim;
    const int64_t sizes[3] = {values, values, values * packed->negatives};
    trm_status status = trm_agree(comm, check_gradient(job, gradient, err), err);
    if (status == TRM_OK)
        trm_gradient_measure(comm, 3, gradient, sizes, summary, part);
    return status;
}

/* ---- the triplets, for those who want to see them ---- */

/* Those of anchors [from, to); returns how many. */
static int64_t list_triplets(const packed_job *job, int64_t from, int64_t to, trm_triplet *triplets)
{
    const trm_packed *packed = job->packed;
    int64_t all = 0, count;
    for (int64_t i = from; i < to; i++) {
        const float *a = packed->anchor + i * packed->dim, *p = packed->positive + i * packed->dim;
        const packed_choice *chosen = chosen_of(job, i, &count);
        const int64_t anchor = job->first + i;
        for (int64_t k = 0; k < count; k++)
            triplets[all++] =
                (trm_triplet){.anchor = anchor,
                              .positive = anchor,
                              .negative = anchor * packed->negatives + chosen[k].negative,
                              .d_ap = measure(job, a, p).d,
                              .d_an = measure(job, a, negative_of(packed, i, chosen[k].negative)).d,
                              .kind = chosen[k].kind,
                              .rank = k + 1};
    }
    return all;
}

/* Some anchors at a time, so that it takes little memory. Collective. */
static trm_status emit_triplets(MPI_Comm comm, const packed_job *job, trm_error *err)
{
    enum { TRIPLETS_A_ROUND = 1 << 16 };
    const trm_packed_options *o = job->options;
    const int64_t count = job->packed->count,
                  step = job->most < TRIPLETS_A_ROUND ? TRIPLETS_A_ROUND / job->most : 1;
    int64_t most[2] = {o->emit != NULL, count}; /* of any rank */
    trm_status status = TRM_OK;
    MPI_Allreduce(MPI_IN_PLACE, most, 2, MPI_INT64_T, MPI_MAX, comm);
    for (int64_t done = 0; most[0] && done < most[1] && status == TRM_OK; done += step) {
        const int64_t from = done < count ? done : count, to = from + step < count ? from + step : count;
        trm_triplet *triplets = trm_alloc((to - from) * job->most, sizeof *triplets);
        if (triplets == NULL)
            status = trm_fail_memory(err, "triplets", (to - from) * job->most, sizeof *triplets);
        status = trm_agree(comm, status, err);
        if (status == TRM_OK && o->emit != NULL)
            status = o->emit(o->context, &triplets, list_triplets(job, from, to, triplets), err);
        trm_free(triplets);
        status = trm_agree(comm, status, err);
    }
    return status;
}

/* Evaluates, and takes the times: work on the one side, what is collective on the other. */
static trm_status work(MPI_Comm comm, const packed_job *job, int threads, worker *workers, int64_t total,
                       double *row, float *const gradient[3], trm_loss_summary *summary, trm_loss_part *part,
                       trm_error *err)
{
    trm_exact_sum sum;
    int64_t counts[COUNTS] = {0};
    trm_exact_sum_clear(&sum);
    const double start = trm_clock();
    evaluate(job, threads, workers, &sum, counts);
    const double evaluated = trm_clock();
    trm_status status = total_up(comm, job, &sum, counts, total, summary, part, err);
    if (status == TRM_OK)
        status = emit_triplets(comm, job, err);
    const double totalled = trm_clock();
    if (status == TRM_OK && job->wants_gradient)
        write_gradient(job, trm_loss_denominator(summary, job->options->loss.reduction), row, gradient);
    const double written = trm_clock();
    if (status == TRM_OK && job->wants_gradient)
        status = measure_gradient(comm, job, gradient, summary, part, err);
    const double ended = trm_clock();
    part->compute_s = evaluated - start + (written - totalled);
    part->wait_s = totalled - evaluated + (ended - written);
    double seconds[2] = {totalled - start, ended - totalled};
    MPI_Allreduce(MPI_IN_PLACE, seconds, 2, MPI_DOUBLE, MPI_MAX, comm);
    summary->loss_s = seconds[0];
    summary->gradient_s = seconds[1];
    return status;
}

/* On a communicator of the call's own. */
static trm_status run(MPI_Comm comm, const trm_packed *packed, const trm_packed_options *given,
                      float *const gradient[3], trm_loss_summary *summary, trm_loss_part *part,
                      trm_error *err)
{
    static float *const none[3] = {NULL, NULL, NULL};
    trm_packed_options options;
    packed_job job = {.packed = packed, .options = &options};
    trm_loss_part own;
    int64_t total;
    *summary = (trm_loss_summary){0};
    trm_packed_options_init(&options);
    trm_status status = trm_sized_take(&sized, &options, given, err);
    status = check(comm, &job, gradient, &total, status, err);
    if (status != TRM_OK)
        return status;
    const int threads = omp_get_max_threads();
    worker *workers = trm_alloc_zero(threads, sizeof *workers);
    double *row = trm_alloc(3 * (int64_t)packed->dim, sizeof *row);
    status = begin_workers(&job, threads, workers, err);
    if (status == TRM_OK && row == NULL)
        status = trm_fail_memory(err, "sums", packed->dim, sizeof *row);
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = work(comm, &job, threads, workers, total, row, gradient != NULL ? gradient : none, summary,
                      &own, err);
    if (status == TRM_OK && part != NULL)
        *part = own;
    end_workers(threads, workers);
    trm_free(job.chosen);
    trm_free(row);
    return status;
}

trm_status trm_packed_loss(MPI_Comm comm, const trm_packed *packed, const trm_packed_options *options,
                           float *const gradient[3], trm_loss_summary *summary, trm_loss_part *part,
                           trm_error *err)
{
    MPI_Comm own;
    MPI_Comm_dup(comm, &own);
    const trm_status status = run(own, packed, options, gradient, summary, part, err);
    MPI_Comm_free(&own);
    return status;
}
