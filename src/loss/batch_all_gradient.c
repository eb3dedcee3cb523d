/* The gradient of batch-all, row by row in a fixed order.
 *
 * Row i of a rank's own adds, in ascending arranged place j, (multiplicity of {i, j}) * dd(i,j)/dx_i = a_ij
 * x_i + b_ij x_j. The multiplicities are whole numbers that come from the thresholds of both rows, so all
 * rows pass by every rank with theirs. Distances are blocked canonical dots; the terms are two blocked sums:
 * of a_ij, and of b_ij x_j, each product rounded before it is added, so that every instruction set gives the
 * same bits. Together four times the flops of a symmetric distance matrix, all of them in blocks. */
#include "loss/batch_all_gradient.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "loss/term.h"
#include "metric/isa.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "rows/pass.h"

#include <omp.h>
#include <string.h>

#if TRM_HAVE_X86
#include <immintrin.h>
#endif

enum { OWN_ROWS = 32, PIECE_ROWS = 256 }; /* a thread's block of own rows; rows that pass by at once */

/* The place of the first threshold for which a test that is monotone in t holds; at: a guess nearby. */
#define SETTLE(at, holds)                                                                                    \
    do {                                                                                                     \
        for (; (at) > 0 && holds((at)-1); (at)--)                                                            \
            continue;                                                                                        \
        for (; (at) < anchor->count && !holds(at); (at)++)                                                   \
            continue;                                                                                        \
    } while (0)

void trm_batch_all_find(const trm_thresholds *anchor, int64_t n, const double *d,
                        const trm_batch_all_rule *rule, trm_beside beside, trm_batch_all_found *found)
{
#define ACTIVE(at) (trm_term_z(anchor->t[at], d[i], rule->margin) > 0.0)
#define INSIDE(at) (d[i] - anchor->t[at] <= rule->within)
    trm_thresholds_below(anchor, n, d, rule->margin, beside, found->first);
    for (int64_t i = 0; i < n; i++) { /* t < d - margin is the same up to rounding: the test itself decides */
        SETTLE(found->first[i], ACTIVE);
        found->end[i] = anchor->count;
        found->members[i] = anchor->count;
    }
    if (!rule->limited)
        return;
    trm_thresholds_below(anchor, n, d, 0.0, beside, found->end);
    trm_thresholds_below(anchor, n, d, rule->within, (trm_beside){NULL, 0}, found->members);
    for (int64_t i = 0; i < n; i++) {
        int64_t inside = found->members[i];
        SETTLE(inside, INSIDE);
        found->members[i] = found->end[i] > inside ? found->end[i] - inside : 0;
        found->first[i] = found->first[i] > inside ? found->first[i] : inside;
        found->end[i] = found->end[i] > found->first[i] ? found->end[i] : found->first[i];
    }
#undef ACTIVE
#undef INSIDE
}

/* ---- sums of weighted rows ---- */

/* sum[r * dim + k] += b[r * PIECE_ROWS + j] * x[j * dim + k] for j = 0, 1, ...: rows r < 4. */
static void add_rows_portable(const double *b, const float *x, int count, int dim, double *sum, int rows)
{
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < count; j++) {
            const double weight = b[r * PIECE_ROWS + j];
            for (int k = 0; k < dim; k++)
                sum[(int64_t)r * dim + k] += weight * (double)x[(int64_t)j * dim + k];
        }
}

#if TRM_HAVE_X86
/* Four rows and 32 columns from column k on stay in registers while all j pass. */
TRM_TARGET_AVX512 static void add_block_avx512(const double *b, const float *x, int count, int dim, int k,
                                               double *sum)
{
    __m512d s[4][4];
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 4; c++)
            s[r][c] = _mm512_loadu_pd(sum + (int64_t)r * dim + k + 8 * c);
    for (int j = 0; j < count; j++) {
        const float *y = x + (int64_t)j * dim + k;
        __m512d v[4];
        for (int c = 0; c < 4; c++)
            v[c] = _mm512_cvtps_pd(_mm256_loadu_ps(y + 8 * c));
        for (int r = 0; r < 4; r++) {
            const __m512d weight = _mm512_set1_pd(b[r * PIECE_ROWS + j]);
            for (int c = 0; c < 4; c++)
                s[r][c] = _mm512_add_pd(s[r][c], _mm512_mul_pd(weight, v[c]));
        }
    }
    for (int r = 0; r < 4; r++)
        for (int c = 0; c < 4; c++)
            _mm512_storeu_pd(sum + (int64_t)r * dim + k + 8 * c, s[r][c]);
}

/* The columns past the last 32: one at a time. */
static void add_rest(const double *b, const float *x, int count, int dim, int k, double *sum)
{
    for (int r = 0; r < 4; r++)
        for (int j = 0; j < count; j++)
            for (int c = k; c < dim; c++)
                sum[(int64_t)r * dim + c] += b[r * PIECE_ROWS + j] * (double)x[(int64_t)j * dim + c];
}
#endif

static void add_rows(const double *b, const float *x, int count, int dim, double *sum, int rows)
{
#if TRM_HAVE_X86
    if (rows == 4 && trm_isa_get() == TRM_ISA_AVX512) {
        int k = 0;
        for (; k + 32 <= dim; k += 32)
            add_block_avx512(b, x, count, dim, k, sum);
        add_rest(b, x, count, dim, k, sum);
        return;
    }
#endif
    add_rows_portable(b, x, count, dim, sum, rows);
}

/* ---- one block of own rows against the rows that pass ---- */

/* Rows on their way, with their thresholds: the same arrays on every rank. */
typedef struct passing {
    trm_pass pass;
    trm_piece piece; /* in arranged places */
    trm_state state; /* of these rows, in the message and made */
    void *message, *made;
    int64_t room; /* thresholds that fit */
} passing;

/* A thread's scratch: own rows x rows passing. */
typedef struct scratch {
    double *g, *d, *a, *b;
} scratch;

typedef struct gradient_job {
    const trm_run *run;
    const trm_rows *rows;
    trm_metric metric;
    const trm_batch_all_rule *rule;
    const trm_state *state;
    int64_t first, last; /* own rows, in the shard */
    double *sum;         /* own rows x dim: of b_ij x_j */
    double *along;       /* own rows: of a_ij */
    passing *pass;
    scratch *scratches;
} gradient_job;

/* Adds to weight[i], i < n, the triplets of one anchor that its pair with a row at distance d[i] is active
 * in: as a positive pair plus, as a negative pair minus. Both are whole numbers. stride: between items. */
static void add_multiplicities(const trm_state *state, int64_t row, const trm_batch_all_rule *rule,
                               bool positive, int64_t n, const double *d, double *weight, int64_t stride)
{
    trm_thresholds anchor = trm_thresholds_of(state, row);
    const int64_t *active = (const int64_t *)state->field[TRM_FIELD_ACTIVE] + anchor.first;
    const trm_beside nothing = {NULL, 0};
    trm_batch_all_found found;
    if (anchor.count == 0 || n == 0)
        return;
    trm_thresholds_grid(&anchor);
    for (int64_t done = 0; done < n; done += TRM_THRESHOLDS_BATCH) {
        const int64_t count = n - done < TRM_THRESHOLDS_BATCH ? n - done : TRM_THRESHOLDS_BATCH;
        if (positive)
            trm_thresholds_below(&anchor, count, d + done, 0.0, nothing,
                                 found.first); /* its own, or an equal one */
        else
            trm_batch_all_find(&anchor, count, d + done, rule, nothing, &found);
        for (int64_t i = 0; i < count; i++)
            weight[(done + i) * stride] +=
                positive ? (double)active[found.first[i]] : (double)(found.first[i] - found.end[i]);
    }
}

/* For one row against n sorted labels: [*from, *to) has its label. */
static void same_label(const int64_t *label, int64_t n, int64_t sought, int64_t *from, int64_t *to)
{
    for (*from = 0; *from < n && label[*from] < sought; ++*from)
        continue;
    for (*to = *from; *to < n && label[*to] == sought; ++*to)
        continue;
}

/* The part of the weights that one row's thresholds give: of row against others 0 .. n. self: its place among
 * them, or out of range. */
static void weigh_line(const trm_state *state, int64_t row, const trm_batch_all_rule *rule,
                       const int64_t *label, int64_t n, int64_t own_label, int64_t self, const double *d,
                       double *weight, int64_t stride)
{
    int64_t from, to;
    same_label(label, n, own_label, &from, &to);
    add_multiplicities(state, row, rule, false, from, d, weight, stride);
    add_multiplicities(state, row, rule, false, n - to, d + to, weight + to * stride, stride);
    const bool here = self >= from && self < to;
    const int64_t before = here ? self : to;
    add_multiplicities(state, row, rule, true, before - from, d + from, weight + from * stride, stride);
    if (here)
        add_multiplicities(state, row, rule, true, to - self - 1, d + self + 1, weight + (self + 1) * stride,
                           stride);
}

/* Multiplicities of all pairs of the block, from both rows' thresholds, into s->a. */
static void weigh_block(const gradient_job *job, int64_t first, int count, const scratch *s)
{
    const passing *pass = job->pass;
    const int64_t *own_label = job->rows->label + first;
    const int64_t place =
        job->rows->first + first - pass->piece.first; /* of the first own row among the passing */
    double line[OWN_ROWS];
    memset(s->a, 0, (size_t)count * PIECE_ROWS * sizeof *s->a);
    for (int i = 0; i < count; i++)
        weigh_line(job->state, first + i, job->rule, pass->piece.label, pass->piece.count, own_label[i],
                   place + i, s->d + i * PIECE_ROWS, s->a + i * PIECE_ROWS, 1);
    for (int64_t j = 0; j < pass->piece.count; j++) {
        for (int i = 0; i < count; i++)
            line[i] = s->d[i * PIECE_ROWS + j];
        weigh_line(&pass->state, j, job->rule, own_label, count, pass->piece.label[j], j - place, line,
                   s->a + j, PIECE_ROWS);
    }
}

static void run_block(const gradient_job *job, int64_t first, int count, const scratch *s)
{
    const passing *pass = job->pass;
    const trm_rows *rows = job->rows;
    const trm_metric metric = job->metric;
    const float *x = rows->x + first * rows->dim;
    trm_distance_tile(metric, x, rows->norm2 + first, count, pass->piece.x, pass->piece.norm2,
                      (int)pass->piece.count, rows->dim, s->d, s->g, PIECE_ROWS);
    weigh_block(job, first, count, s);
    for (int i = 0; i < count; i++) {
        double along = job->along[first - job->first + i];
        for (int64_t at = (int64_t)i * PIECE_ROWS; at < i * PIECE_ROWS + pass->piece.count; at++) {
            const trm_term term = trm_term_of(metric, s->a[at], s->g[at], s->d[at], rows->norm2[first + i],
                                              pass->piece.norm2[at - (int64_t)i * PIECE_ROWS]);
            along += term.a;
            s->b[at] = term.b;
        }
        job->along[first - job->first + i] = along;
    }
    for (int i = 0; i < count; i += 4)
        add_rows(s->b + i * PIECE_ROWS, pass->piece.x, (int)pass->piece.count, rows->dim,
                 job->sum + (first - job->first + i) * rows->dim, count - i < 4 ? count - i : 4);
}

/* ---- the walk ---- */

/* The state of rows [first, first + count) of the own shard, copied into the message that passes. */
static void pack_state(const gradient_job *job, int64_t first, int64_t count)
{
    const trm_state *state = job->state;
    passing *pass = job->pass;
    const int64_t *offset = state->offset[0], at = offset[first], slots = offset[first + count] - at;
    for (int64_t i = 0; i <= count; i++)
        pass->state.offset[0][i] = offset[first + i] - at;
    for (int f = 0; f < state->type->fields; f++) {
        const size_t bytes = state->type->field[f].bytes;
        if (state->type->field[f].kind != TRM_FIELD_MADE && slots > 0)
            memcpy(pass->state.field[f], (const char *)state->field[f] + at * (int64_t)bytes,
                   (size_t)slots * bytes);
    }
}

/* Brings rows [first, first + count) of a team's shard to every rank. */
static void pass_rows(const gradient_job *job, int team, int64_t first, int64_t count)
{
    const trm_rows *rows = job->rows;
    const trm_query_type *type = job->state->type;
    passing *pass = job->pass;
    const int root = team * rows->replicate;
    int64_t slots = 0;
    pass->piece = (trm_piece){.first = rows->shards[team].first + first, .count = count};
    if (job->run->rank == root)
        pass->piece = (trm_piece){pass->piece.first, count, rows->x + first * rows->dim, rows->label + first,
                                  rows->norm2 + first};
    if (rows->team == team)
        slots = job->state->offset[0][first + count] - job->state->offset[0][first];
    trm_pass_bytes(&pass->pass, root, &slots, (int64_t)sizeof slots);
    trm_pass_rows(&pass->pass, root, &pass->piece);
    pass->state = trm_state_view(type, count, NULL, pass->piece.label, &slots, pass->message, pass->made);
    if (rows->team == team)
        pack_state(job, first, count);
    trm_pass_bytes(&pass->pass, root, pass->message, trm_state_message_bytes(type, count, &slots));
#pragma omp parallel for schedule(dynamic, 8) num_threads(job->run->threads)
    for (int64_t row = 0; row < count; row++)
        trm_thresholds_prepare(NULL, &pass->state, row);
}

/* The sums so far, as arrays over arranged places. */
static void sums_parts(const gradient_job *job, trm_checkpoint_part part[2])
{
    const trm_rows *rows = job->rows;
    const int64_t dim = rows->dim, first = rows->first + job->first, count = job->last - job->first;
    part[0] = (trm_checkpoint_part){"gradient", rows->total * dim, first * dim, count * dim, job->sum};
    part[1] = (trm_checkpoint_part){"along", rows->total, first, count, job->along};
}

static trm_status walk(const gradient_job *job, trm_mine_checkpoint *checkpoint, trm_error *err)
{
    const int64_t blocks = (job->last - job->first + OWN_ROWS - 1) / OWN_ROWS;
    const trm_rows *rows = job->rows;
    const trm_run *run = job->run;
    trm_checkpoint_part part[2];
    trm_status status = TRM_OK;
    int64_t place = 0;
    sums_parts(job, part);
    if (trm_mine_checkpoint_was_after(checkpoint)) {
        place = checkpoint->place;
        status = trm_mine_checkpoint_take(checkpoint, 2, part, err);
    }
    const int64_t begun = place;
    for (int team = 0; team < rows->teams; team++) {
        const trm_shard *shard = &rows->shards[team];
        while (status == TRM_OK && place < shard->first + shard->count) {
            const int64_t left = shard->first + shard->count - place;
            pass_rows(job, team, place - shard->first, left < PIECE_ROWS ? left : PIECE_ROWS);
#pragma omp parallel for schedule(dynamic, 1) num_threads(run->threads)
            for (int64_t k = 0; k < blocks; k++) {
                const int64_t from = job->first + k * OWN_ROWS, rest = job->last - from;
                run_block(job, from, (int)(rest < OWN_ROWS ? rest : OWN_ROWS),
                          &job->scratches[omp_get_thread_num()]);
            }
            place += left < PIECE_ROWS ? left : PIECE_ROWS;
            if (run->progress != NULL)
                run->progress(run->progress_context, "gradient", (double)place / (double)rows->total,
                              (double)begun / (double)rows->total);
            status = trm_mine_checkpoint_pause(checkpoint, place, 2, part, err);
        }
    }
    return status == TRM_OK && place > begun ? trm_mine_checkpoint_end(checkpoint, place, 2, part, err)
                                             : status;
}

/* ---- memory ---- */

/* The most thresholds that any PIECE_ROWS rows have that may pass together, on any rank. Collective. */
static int64_t most_thresholds(const gradient_job *job)
{
    int64_t most = 0;
    for (int64_t first = 0; first < job->rows->count; first++) {
        const int64_t end = first + PIECE_ROWS < job->rows->count ? first + PIECE_ROWS : job->rows->count;
        const int64_t slots = job->state->offset[0][end] - job->state->offset[0][first];
        most = slots > most ? slots : most;
    }
    MPI_Allreduce(MPI_IN_PLACE, &most, 1, MPI_INT64_T, MPI_MAX, job->run->comm);
    return most;
}

static trm_status allocate(gradient_job *job, trm_error *err)
{
    passing *pass = job->pass;
    const int64_t slots = pass->room, area = (int64_t)OWN_ROWS * PIECE_ROWS;
    pass->message = trm_alloc(trm_state_message_bytes(job->state->type, PIECE_ROWS, &slots), 1);
    pass->made = trm_alloc(trm_fields_bytes(job->state->type, TRM_FIELD_MADE, &slots), 1);
    job->along = trm_alloc_zero(job->last - job->first, sizeof *job->along);
    job->scratches = trm_alloc_zero(job->run->threads, sizeof *job->scratches);
    bool all = pass->message && pass->made && job->along && job->scratches;
    for (int k = 0; k < job->run->threads && all; k++) {
        double *memory = trm_alloc(4 * area, sizeof *memory);
        all = memory != NULL;
        if (all)
            job->scratches[k] = (scratch){memory, memory + area, memory + 2 * area, memory + 3 * area};
    }
    return all ? TRM_OK : trm_fail_memory(err, "rows that pass by with their thresholds", slots, 28);
}

static void release(gradient_job *job)
{
    passing *pass = job->pass;
    trm_pass_end(&pass->pass);
    trm_free(pass->message);
    trm_free(pass->made);
    trm_free(job->along);
    for (int k = 0; k < job->run->threads && job->scratches != NULL; k++)
        trm_free(job->scratches[k].g);
    trm_free(job->scratches);
}

trm_status trm_batch_all_gradient(trm_mine_checkpoint *checkpoint, trm_metric metric,
                                  const trm_batch_all_rule *rule, const trm_state *state, double *sum,
                                  double *seconds, trm_error *err)
{
    const double start = trm_clock();
    const trm_run *run = checkpoint->anchors->run;
    const trm_rows *rows = checkpoint->anchors->rows;
    passing pass = {0};
    gradient_job job = {
        .run = run, .rows = rows, .metric = metric, .rule = rule, .state = state, .sum = sum, .pass = &pass};
    trm_share(rows->count, rows->member, rows->replicate, &job.first, &job.last);
    memset(sum, 0, (size_t)((job.last - job.first) * rows->dim) * sizeof *sum);
    pass.room = most_thresholds(&job);
    trm_status status = trm_pass_begin(&pass.pass, run->comm, rows->dim, PIECE_ROWS, err);
    if (status == TRM_OK)
        status = trm_agree(run->comm, allocate(&job, err), err);
    if (status == TRM_OK)
        status = walk(&job, checkpoint, err);
    if (status == TRM_OK)
        for (int64_t i = job.first; i < job.last; i++)
            for (int k = 0; k < rows->dim; k++)
                sum[(i - job.first) * rows->dim + k] +=
                    job.along[i - job.first] * (double)rows->x[i * rows->dim + k];
    release(&job);
    *seconds += trm_clock() - start;
    return status;
}
