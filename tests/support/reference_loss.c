/* Losses by brute force; see reference_loss.h. */
#include "support/reference_loss.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(int64_t count, size_t size)
{
    void *memory = calloc(count > 0 ? (size_t)count : 1, size);
    if (!memory) {
        fprintf(stderr, "reference loss: out of memory\n");
        abort();
    }
    return memory;
}

/* rows x rows of d(i,j); what = TRM_METRIC_DOT with sign -1 gives the dots themselves. */
static double *table_of(const reference_store *store, trm_metric metric, double sign)
{
    double *table = need(store->rows * store->rows, sizeof *table);
    for (int64_t i = 0; i < store->rows; i++)
        for (int64_t j = 0; j < store->rows; j++)
            table[i * store->rows + j] = sign * reference_distance(store, metric, i, j);
    return table;
}

/* ---- which triplets ---- */

static bool is_positive(const reference_store *store, int64_t a, int64_t p)
{
    return p != a && reference_takes_part(store, a) && reference_takes_part(store, p) &&
           store->labels[p] == store->labels[a];
}

static bool is_negative(const reference_store *store, int64_t a, int64_t n)
{
    return reference_takes_part(store, a) && reference_takes_part(store, n) &&
           store->labels[n] != store->labels[a];
}

static int64_t farthest_positive(const reference_store *store, const double *d, int64_t a)
{
    int64_t best = -1;
    for (int64_t p = 0; p < store->rows; p++)
        if (is_positive(store, a, p) && (best < 0 || d[a * store->rows + p] > d[a * store->rows + best]))
            best = p;
    return best;
}

static int64_t nearest_negative(const reference_store *store, const double *d, int64_t a)
{
    int64_t best = -1;
    for (int64_t n = 0; n < store->rows; n++)
        if (is_negative(store, a, n) && (best < 0 || d[a * store->rows + n] < d[a * store->rows + best]))
            best = n;
    return best;
}

/* The hardest negative beside each selected positive: mining where every pair has an answer says which pairs
 * are selected. */
static trm_triplet *mined(const reference_store *store, const double *d, const trm_mine_options *options,
                          int64_t *count)
{
    reference_result result;
    trm_mine_options pairs = *options;
    const bool hard = strcmp(options->negatives, "hard") == 0;
    if (hard) {
        pairs.window = TRM_WINDOW_NONE;
        pairs.fallback = TRM_FALLBACK_HARDEST;
    }
    reference_mine(store, &pairs, &result);
    for (int64_t k = 0; k < result.count && hard; k++) {
        trm_triplet *t = &result.triplets[k];
        t->negative = nearest_negative(store, d, t->anchor);
        t->d_an = d[t->anchor * store->rows + t->negative];
        t->kind = 0;
    }
    *count = result.count;
    return result.triplets;
}

/* first: the row that is the first of those that positives and negatives are. A positive of -1 is none. */
static trm_triplet *given(const reference_store *store, const double *d, const trm_given_triplets *list,
                          int64_t first, int64_t *count)
{
    trm_triplet *triplets = need(list->count, sizeof *triplets);
    for (int64_t k = 0; k < list->count; k++) {
        const int64_t a = list->anchor[k], n = first + list->negative[k];
        const int64_t p = list->positive[k] < 0 ? -1 : first + list->positive[k];
        const double d_ap = p < 0 ? 0.0 : d[a * store->rows + p];
        triplets[k] = (trm_triplet){a, p, n, d_ap, d[a * store->rows + n], 0, 1};
    }
    *count = list->count;
    return triplets;
}

static trm_triplet *batch_hard(const reference_store *store, const double *d, bool lone, int64_t *count)
{
    trm_triplet *triplets = need(store->rows, sizeof *triplets);
    *count = 0;
    for (int64_t a = 0; a < store->rows; a++) {
        const int64_t p = farthest_positive(store, d, a), n = nearest_negative(store, d, a);
        if (n < 0 || (p < 0 && !lone))
            continue;
        const double d_ap = p < 0 ? 0.0 : d[a * store->rows + p];
        triplets[(*count)++] = (trm_triplet){a, p, n, d_ap, d[a * store->rows + n], 0, 1};
    }
    return triplets;
}

/* within: NULL, or how much farther than the positive a negative may be, but farther it must be. */
static bool belongs(const double *within, double d_ap, double d_an)
{
    return !within || (d_an - d_ap > 0.0 && d_an - d_ap <= *within);
}

/* The triplets of one anchor, written unless to is NULL; returns how many. */
static int64_t all_of_anchor(const reference_store *store, const double *d, int64_t a, const double *within,
                             trm_triplet *to)
{
    const double *from_a = d + a * store->rows;
    int64_t count = 0;
    for (int64_t p = 0; p < store->rows; p++)
        for (int64_t n = 0; n < store->rows && is_positive(store, a, p); n++)
            if (is_negative(store, a, n) && belongs(within, from_a[p], from_a[n])) {
                if (to)
                    to[count] = (trm_triplet){a, p, n, from_a[p], from_a[n], 0, 1};
                count++;
            }
    return count;
}

static trm_triplet *batch_all(const reference_store *store, const double *d, const double *within,
                              int64_t *count)
{
    int64_t total = 0;
    for (int64_t a = 0; a < store->rows; a++)
        total += all_of_anchor(store, d, a, within, NULL);
    trm_triplet *triplets = need(total, sizeof *triplets);
    *count = 0;
    for (int64_t a = 0; a < store->rows; a++)
        *count += all_of_anchor(store, d, a, within, triplets + *count);
    return triplets;
}

static trm_triplet *triplets_of(const reference_store *store, const double *d,
                                const trm_evaluate_options *options, int64_t *count)
{
    trm_mine_options mine = options->mine;
    mine.metric = options->loss.metric;
    switch (options->source) {
    case TRM_SOURCE_MINED:
        return mined(store, d, &mine, count);
    case TRM_SOURCE_GIVEN:
        return given(store, d, &options->given, 0, count);
    case TRM_SOURCE_BATCH_HARD:
        return batch_hard(store, d, options->lone, count);
    case TRM_SOURCE_BATCH_ALL:
        return batch_all(store, d, NULL, count);
    case TRM_SOURCE_WITHIN:
        return batch_all(store, d, &mine.margin, count);
    }
    *count = 0;
    return NULL;
}

trm_triplet *reference_loss_triplets(const reference_store *store, const trm_evaluate_options *options,
                                     int64_t *count)
{
    double *d = table_of(store, options->loss.metric, 1.0);
    trm_triplet *triplets = triplets_of(store, d, options, count);
    free(d);
    return triplets;
}

/* Anchors are the rows before last, their positives and negatives those from first on. */
static int64_t count_valid(const reference_store *store, int64_t last, int64_t first)
{
    int64_t valid = 0;
    for (int64_t a = 0; a < last; a++) {
        bool positive = false, negative = false;
        for (int64_t i = first; i < store->rows; i++) {
            positive = positive || is_positive(store, a, i);
            negative = negative || is_negative(store, a, i);
        }
        valid += positive && negative;
    }
    return valid;
}

static int64_t count_named(int64_t queries, const trm_given_triplets *list)
{
    int64_t named = 0;
    for (int64_t a = 0; a < queries; a++) {
        bool is_anchor = false;
        for (int64_t k = 0; k < list->count; k++)
            is_anchor = is_anchor || list->anchor[k] == a;
        named += is_anchor;
    }
    return named;
}

/* Queries with a listed row and one that is not, of so many rows. */
static int64_t count_listed(int64_t queries, int64_t rows, const trm_pair_list *pairs)
{
    int64_t valid = 0;
    for (int64_t a = 0; a < queries; a++) {
        int64_t listed = 0;
        for (int64_t i = 0; i < rows; i++) {
            bool is_listed = false;
            for (int64_t k = 0; k < pairs->count; k++)
                is_listed = is_listed || (pairs->query[k] == a && pairs->positive[k] == i);
            listed += is_listed;
        }
        valid += listed > 0 && listed < rows;
    }
    return valid;
}

/* ---- the value ---- */

static double softplus(double z)
{
    return log1p(exp(-fabs(z))) + fmax(z, 0.0);
}

static double sigmoid(double z)
{
    const double e = exp(-fabs(z));
    return z >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

static reference_term term_of(const trm_loss_options *options, const double *d, int64_t rows,
                              const trm_triplet *t)
{
    reference_term term = {*t, t->anchor, 0.0, false};
    if (options->swap && t->positive >= 0 && d[t->positive * rows + t->negative] < t->d_an)
        term.from = t->positive;
    term.z = (t->d_ap - d[term.from * rows + t->negative]) + options->margin;
    term.active = options->soft || term.z > 0.0;
    return term;
}

static double mean(double sum, int64_t count)
{
    return count > 0 ? sum / (double)count : 0.0;
}

/* sum over nothing is 0; dividing by 1 changes nothing. */
static int64_t denominator_of(const reference_loss *loss)
{
    switch (loss->options.reduction) {
    case TRM_REDUCTION_MEAN_ALL:
        return loss->count;
    case TRM_REDUCTION_SUM:
        return 1;
    case TRM_REDUCTION_MEAN_NONZERO:
        return loss->active;
    case TRM_REDUCTION_MEAN_VALID:
        return loss->valid;
    case TRM_REDUCTION_MEAN_ROWS:
        return loss->counted;
    }
    return 0;
}

static void add_up(reference_loss *loss, const double *d)
{
    double *parts = need(3 * loss->count, sizeof *parts);
    int64_t used = 0;
    for (int64_t k = 0; k < loss->count; k++) {
        const reference_term *term = &loss->terms[k];
        if (!term->active)
            continue;
        loss->active++;
        if (loss->options.soft) {
            parts[used++] = softplus(term->z);
        } else {
            parts[used++] = term->triplet.d_ap;
            parts[used++] = -d[term->from * loss->rows + term->triplet.negative];
            parts[used++] = loss->options.margin;
        }
    }
    loss->sum = reference_sum(parts, used);
    free(parts);
    loss->mean_all = mean(loss->sum, loss->count);
    loss->mean_nonzero = mean(loss->sum, loss->active);
    loss->mean_valid = mean(loss->sum, loss->valid);
    loss->mean_rows = mean(loss->sum, loss->counted);
    loss->value = mean(loss->sum, denominator_of(loss));
}

/* ---- the gradient ---- */

/* How much of pair {i,j} a term is. */
typedef struct share {
    int64_t i, j;
    double weight;
} share;

static int compare_shares(const void *a, const void *b)
{
    const share *s = a, *t = b;
    return s->weight < t->weight ? -1 : s->weight > t->weight;
}

/* rows x rows of c_ij. Those of one pair are added in ascending order, which rounding can notice (soft). */
static double *weights_of(const reference_loss *loss)
{
    double *c = need(loss->rows * loss->rows, sizeof *c);
    share *shares = need(2 * loss->count, sizeof *shares);
    int64_t used = 0;
    for (int64_t k = 0; k < loss->count; k++) {
        const reference_term *term = &loss->terms[k];
        const bool kink = loss->options.whole_at_zero && term->z == 0.0;
        const double weight = loss->options.soft ? sigmoid(term->z) : term->active || kink ? 1.0 : 0.0;
        if (term->triplet.positive >= 0)
            shares[used++] = (share){term->triplet.anchor, term->triplet.positive, weight};
        shares[used++] = (share){term->from, term->triplet.negative, -weight};
    }
    if (loss->options.soft)
        qsort(shares, (size_t)used, sizeof *shares, compare_shares);
    for (int64_t k = 0; k < used; k++) {
        c[shares[k].i * loss->rows + shares[k].j] += shares[k].weight;
        c[shares[k].j * loss->rows + shares[k].i] += shares[k].weight;
    }
    free(shares);
    return c;
}

/* c dd(i,j)/dx_i = *of_i x_i + *of_j x_j, to be computed as *of_i (x_i - x_j) where the two are opposite.
 * dots: of all pairs of rows. least: under the squared norms of cosine; a norm that it is has no derivative. */
static void pair_term(trm_metric metric, double c, const double *dots, int64_t rows, int64_t i, int64_t j,
                      double d, double least, double *of_i, double *of_j)
{
    const double square_i = fmax(dots[i * rows + i], least);
    const double both = sqrt(square_i * fmax(dots[j * rows + j], least));
    *of_i = *of_j = 0.0;
    if (metric == TRM_METRIC_SQL2) {
        *of_i = 2.0 * c;
        *of_j = -(2.0 * c);
    } else if (metric == TRM_METRIC_L2 && d > 0.0) {
        *of_i = c / d;
        *of_j = -(c / d);
    } else if (metric == TRM_METRIC_COSINE) { /* -(x_j/|x_j| - s x_i/|x_i|)/|x_i| */
        const double s = dots[i * rows + j] / both;
        *of_i = dots[i * rows + i] < least ? 0.0 : c * (s / square_i);
        *of_j = -(c / both);
    } else if (metric == TRM_METRIC_DOT) {
        *of_j = -c;
    }
}

/* (g - (g.y) y) / |x| for y = x / |x|. */
static void through_normalisation(double *g, double *size, const float *y, int dim, double norm)
{
    double along = 0.0;
    for (int k = 0; k < dim; k++)
        along += g[k] * (double)y[k];
    for (int k = 0; k < dim; k++)
        g[k] = (g[k] - along * (double)y[k]) / norm;
    *size = *size * (double)(dim + 1) / norm;
}

static void row_gradient(const reference_store *store, reference_loss *loss, const double *c, const double *d,
                         const double *dots, int64_t i)
{
    const int64_t rows = loss->rows, denominator = denominator_of(loss);
    double *g = loss->gradient + i * loss->dim;
    const float *x = store->embeddings + i * loss->dim;
    for (int64_t j = 0; j < rows; j++) {
        if (c[i * rows + j] == 0.0)
            continue;
        const float *y = store->embeddings + j * loss->dim;
        double of_i, of_j, largest = 0.0;
        pair_term(loss->options.metric, c[i * rows + j], dots, rows, i, j, d[i * rows + j], store->norm_floor,
                  &of_i, &of_j);
        for (int k = 0; k < loss->dim; k++) {
            const double xk = (double)x[k], yk = (double)y[k];
            /* one rounding less where it can be: rows far off lose no digits */
            g[k] += of_j == -of_i ? of_i * (xk - yk) : of_i * xk + of_j * yk;
            const double size = fabs(of_i * xk) + fabs(of_j * yk);
            largest = size > largest ? size : largest; /* gcc 12 for aarch64 fails on fmax here */
        }
        loss->size[i] += largest;
    }
    for (int k = 0; k < loss->dim; k++)
        g[k] = denominator > 0 ? g[k] / (double)denominator : 0.0;
    loss->size[i] = mean(loss->size[i], denominator);
}

static void differentiate(const reference_store *store, const double *norms, const double *d,
                          reference_loss *loss)
{
    double *c = weights_of(loss), *dots = table_of(store, TRM_METRIC_DOT, -1.0);
    loss->gradient = need(loss->rows * loss->dim, sizeof *loss->gradient);
    loss->size = need(loss->rows, sizeof *loss->size);
    for (int64_t i = 0; i < loss->rows; i++) {
        row_gradient(store, loss, c, d, dots, i);
        if (norms)
            through_normalisation(loss->gradient + i * loss->dim, &loss->size[i],
                                  store->embeddings + i * loss->dim, loss->dim, norms[i]);
    }
    free(c);
    free(dots);
}

/* Takes over triplets. counted, valid and options are there. */
static void evaluate(const reference_store *store, const double *norms, const double *d,
                     trm_triplet *triplets, reference_loss *loss)
{
    loss->rows = store->rows;
    loss->dim = store->dim;
    loss->terms = need(loss->count, sizeof *loss->terms);
    for (int64_t k = 0; k < loss->count; k++)
        loss->terms[k] = term_of(&loss->options, d, loss->rows, &triplets[k]);
    add_up(loss, d);
    differentiate(store, norms, d, loss);
    free(triplets);
}

void reference_loss_evaluate(const reference_store *store, const trm_evaluate_options *options,
                             const double *norms, reference_loss *loss)
{
    *loss = (reference_loss){.options = options->loss, .counted = store->rows};
    double *d = table_of(store, options->loss.metric, 1.0);
    trm_triplet *triplets = triplets_of(store, d, options, &loss->count);
    loss->valid = count_valid(store, store->rows, 0);
    evaluate(store, norms, d, triplets, loss);
    free(d);
}

void reference_loss_of_two_sets(const reference_store *both, int64_t queries, bool by_label,
                                const trm_evaluate_options *options, const double *norms,
                                reference_loss *loss)
{
    const trm_pair_list *pairs = options->mine.pairs;
    *loss = (reference_loss){.options = options->loss, .counted = queries};
    double *d = table_of(both, options->loss.metric, 1.0);
    trm_triplet *triplets = given(both, d, &options->given, queries, &loss->count);
    loss->valid = by_label        ? count_valid(both, queries, queries)
                  : pairs != NULL ? count_listed(queries, both->rows - queries, pairs)
                                  : count_named(queries, &options->given);
    evaluate(both, norms, d, triplets, loss);
    free(d);
}

void reference_loss_destroy(reference_loss *loss)
{
    free(loss->terms);
    free(loss->gradient);
    free(loss->size);
    *loss = (reference_loss){0};
}

/* ---- at other rows ---- */

/* By coordinates, not by dots: sum of (x - y)^2; rows of any length. */
static double distance_at(const reference_loss *loss, const double *rows, int64_t i, int64_t j)
{
    const double *x = rows + i * loss->dim, *y = rows + j * loss->dim;
    double square = 0.0, xy = 0.0, xx = 0.0, yy = 0.0;
    for (int k = 0; k < loss->dim; k++) {
        square += (x[k] - y[k]) * (x[k] - y[k]);
        xy += x[k] * y[k];
        xx += x[k] * x[k];
        yy += y[k] * y[k];
    }
    switch (loss->options.metric) {
    case TRM_METRIC_SQL2:
        return square;
    case TRM_METRIC_L2:
        return sqrt(square);
    case TRM_METRIC_COSINE:
        return 1.0 - xy / (sqrt(xx) * sqrt(yy));
    case TRM_METRIC_DOT:
        return -xy;
    }
    return 0.0;
}

static double loss_at(const reference_loss *loss, const reference_term *term, const double *rows, bool frozen)
{
    const int64_t a = term->triplet.anchor, p = term->triplet.positive, n = term->triplet.negative;
    double d_an = distance_at(loss, rows, frozen ? term->from : a, n);
    if (!frozen && loss->options.swap && p >= 0)
        d_an = fmin(d_an, distance_at(loss, rows, p, n));
    const double z = (p < 0 ? 0.0 : distance_at(loss, rows, a, p)) - d_an + loss->options.margin;
    if (loss->options.soft)
        return log(1.0 + exp(z)) < INFINITY ? log(1.0 + exp(z)) : z;
    return frozen ? (term->active ? z : 0.0) : fmax(z, 0.0);
}

double reference_loss_at(const reference_loss *loss, const double *x, bool normalize, bool frozen)
{
    double *rows = need(loss->rows * loss->dim, sizeof *rows);
    double *parts = need(loss->count, sizeof *parts);
    for (int64_t i = 0; i < loss->rows; i++) {
        double square = 0.0;
        for (int k = 0; k < loss->dim; k++)
            square += x[i * loss->dim + k] * x[i * loss->dim + k];
        for (int k = 0; k < loss->dim; k++)
            rows[i * loss->dim + k] = x[i * loss->dim + k] / (normalize ? sqrt(square) : 1.0);
    }
    for (int64_t k = 0; k < loss->count; k++)
        parts[k] = loss_at(loss, &loss->terms[k], rows, frozen);
    const double value = mean(reference_sum(parts, loss->count), denominator_of(loss));
    free(parts);
    free(rows);
    return value;
}

bool reference_loss_near_a_kink(const reference_store *store, const reference_loss *loss)
{
    const trm_metric metric = loss->options.metric;
    for (int64_t k = 0; k < loss->count; k++) {
        const reference_term *t = &loss->terms[k];
        const int64_t p = t->triplet.positive, n = t->triplet.negative;
        if (!loss->options.soft && fabs(t->z) < 1e-3)
            return true;
        if (loss->options.swap && p >= 0 &&
            fabs(t->triplet.d_an - reference_distance(store, metric, p, n)) < 1e-3)
            return true;
    }
    for (int64_t i = 0; i < store->rows; i++)
        for (int64_t j = 0; j < i; j++)
            if (reference_distance(store, TRM_METRIC_L2, i, j) < 0.05)
                return true;
    return false;
}

double reference_loss_difference(const reference_loss *loss, const float *x, bool normalize, bool frozen)
{
    const double step = 0x1p-16;
    double *at = need(loss->rows * loss->dim, sizeof *at), largest;
    for (int64_t k = 0; k < loss->rows * loss->dim; k++)
        at[k] = (double)x[k];
    largest = fabs(reference_loss_at(loss, at, normalize, frozen) - loss->value) / (1.0 + loss->value);
    for (int64_t k = 0; k < loss->rows * loss->dim; k++) {
        at[k] = (double)x[k] + step;
        const double above = reference_loss_at(loss, at, normalize, frozen);
        at[k] = (double)x[k] - step;
        const double below = reference_loss_at(loss, at, normalize, frozen);
        at[k] = (double)x[k];
        const double error = fabs((above - below) / (2.0 * step) - loss->gradient[k]);
        largest = fmax(largest, error / (1.0 + loss->size[k / loss->dim]));
    }
    free(at);
    return largest;
}

void reference_normalize(const reference_store *store, float *out, double *norms)
{
    for (int64_t i = 0; i < store->rows; i++) {
        norms[i] = sqrt(-reference_distance(store, TRM_METRIC_DOT, i, i));
        for (int k = 0; k < store->dim; k++)
            out[i * store->dim + k] = (float)((double)store->embeddings[i * store->dim + k] / norms[i]);
    }
}
