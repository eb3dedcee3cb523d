/* The brute-force reference: lists and scans, nothing clever. */
#include "support/reference.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(int64_t count, size_t size)
{
    void *memory = calloc(count > 0 ? (size_t)count : 1, size);
    if (!memory) {
        fprintf(stderr, "reference: out of memory\n");
        abort();
    }
    return memory;
}

/* Eight accumulators, element j to accumulator j mod 8. */
static double dot(const float *x, const float *y, int dim)
{
    double s[8] = {0.0};
    for (int j = 0; j < dim; j++)
        s[j % 8] += (double)x[j] * (double)y[j];
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

/* The squared distance by differences, where (nx + ny) - 2 g has lost too many digits. */
static double difference(const float *x, const float *y, int dim)
{
    double s[8] = {0.0};
    for (int j = 0; j < dim; j++) {
        double gap = (double)x[j] - (double)y[j];
        double square = gap * gap;
        s[j % 8] += square;
    }
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

double reference_distance_between(const reference_store *one, int64_t i, const reference_store *other,
                                  int64_t j, trm_metric metric)
{
    const float *x = one->embeddings + i * one->dim;
    const float *y = other->embeddings + j * one->dim;
    double g = dot(x, y, one->dim);
    double nx = dot(x, x, one->dim);
    double ny = dot(y, y, one->dim);
    double square = (nx + ny) - 2.0 * g;
    if (square < (nx + ny) / 1024.0)
        square = difference(x, y, one->dim);
    if (metric == TRM_METRIC_SQL2)
        return square;
    if (metric == TRM_METRIC_L2)
        return sqrt(square);
    if (metric == TRM_METRIC_COSINE) {
        double d = 1.0 - g / sqrt(fmax(nx, one->norm_floor) * fmax(ny, one->norm_floor));
        return d > 0.0 ? d : 0.0;
    }
    return g == 0.0 ? 0.0 : -g; /* +0, never -0 */
}

double reference_distance(const reference_store *store, trm_metric metric, int64_t i, int64_t j)
{
    return reference_distance_between(store, i, store, j, metric);
}

/* As Python's math.fsum: partials never overlap, the last step mends a tie that hides a smaller partial. */
double reference_sum(const double *values, int64_t count)
{
    double partial[2200];
    int used = 0;
    for (int64_t i = 0; i < count; i++) {
        double x = values[i];
        int kept = 0;
        for (int j = 0; j < used; j++) {
            double y = partial[j];
            if (fabs(x) < fabs(y)) {
                double t = x;
                x = y;
                y = t;
            }
            double high = x + y;
            double low = y - (high - x);
            if (low != 0.0)
                partial[kept++] = low;
            x = high;
        }
        partial[kept++] = x;
        used = kept;
    }
    if (used == 0)
        return 0.0;
    double high = partial[--used];
    double low = 0.0;
    while (used > 0) {
        double x = high;
        double y = partial[--used];
        high = x + y;
        low = y - (high - x);
        if (low != 0.0)
            break;
    }
    if (used > 0 && ((low < 0.0 && partial[used - 1] < 0.0) || (low > 0.0 && partial[used - 1] > 0.0))) {
        double twice = 2.0 * low;
        double x = high + twice;
        if (twice == x - high)
            high = x;
    }
    return high == 0.0 ? 0.0 : high;
}

int reference_compare_triplets(const void *a, const void *b)
{
    const trm_triplet *s = a, *t = b;
    if (s->anchor != t->anchor)
        return s->anchor < t->anchor ? -1 : 1;
    if (s->positive != t->positive)
        return s->positive < t->positive ? -1 : 1;
    if (s->negative != t->negative)
        return s->negative < t->negative ? -1 : 1;
    return 0;
}

typedef struct neighbour {
    double d;
    int64_t id;
} neighbour;

/* Ascending (d, id). */
static int compare_near(const void *a, const void *b)
{
    const neighbour *s = a, *t = b;
    if (s->d != t->d)
        return s->d < t->d ? -1 : 1;
    return s->id < t->id ? -1 : s->id > t->id;
}

/* Descending d, then ascending id. */
static int compare_far(const void *a, const void *b)
{
    const neighbour *s = a, *t = b;
    if (s->d != t->d)
        return s->d > t->d ? -1 : 1;
    return s->id < t->id ? -1 : s->id > t->id;
}

bool reference_takes_part(const reference_store *store, int64_t row)
{
    for (int64_t i = 0; i < store->ignore_count; i++)
        if (store->labels[row] == store->ignore_label[i])
            return false;
    return true;
}

/* Keeps the selected ones of an anchor's positives at the front of the list; returns how many. */
static int64_t select_positives(neighbour *list, int64_t count, const trm_mine_options *options)
{
    const char *positives = options->positives;
    int64_t most = 1;
    if (strcmp(positives, "all") == 0)
        return count;
    if (strncmp(positives, "nearest:", 8) == 0)
        most = strtoll(positives + 8, NULL, 10);
    qsort(list, (size_t)count, sizeof *list, strcmp(positives, "hardest") == 0 ? compare_far : compare_near);
    return count < most ? count : most;
}

static bool in_window(const trm_mine_options *options, double d_an, double d_ap)
{
    if (options->window == TRM_WINDOW_LT)
        return d_an - d_ap < options->margin;
    if (options->window == TRM_WINDOW_LE)
        return d_an - d_ap <= options->margin;
    return true;
}

/* One scan of the negatives for each rule; ids ascend, so a strict comparison leaves ties with the lower id.
 */
static bool choose_negative(const neighbour *negatives, int64_t count, double d_ap,
                            const trm_mine_options *options, neighbour *chosen, int64_t *kind)
{
    bool found = false;
    for (int64_t i = 0; i < count; i++) {
        double d = negatives[i].d;
        if (!(d > d_ap) || !in_window(options, d, d_ap))
            continue;
        bool better = options->pick == TRM_PICK_NEAREST ? d < chosen->d : d > chosen->d;
        if (!found || better) {
            *chosen = negatives[i];
            found = true;
        }
    }
    *kind = TRM_KIND_SEMIHARD;
    if (found || options->fallback == TRM_FALLBACK_SKIP)
        return found;
    *kind = TRM_KIND_FALLBACK;
    for (int64_t i = 0; i < count; i++) {
        double d = negatives[i].d;
        if (options->fallback == TRM_FALLBACK_FARTHEST_INSIDE) {
            if (d <= d_ap && (!found || d > chosen->d)) {
                *chosen = negatives[i];
                found = true;
            }
        } else if (!found || d < chosen->d) {
            *chosen = negatives[i];
            found = true;
        }
    }
    return found;
}

static int64_t count_classes(const reference_store *store)
{
    int64_t classes = 0;
    for (int64_t i = 0; i < store->rows; i++) {
        bool first = reference_takes_part(store, i);
        for (int64_t j = 0; j < i && first; j++)
            first = store->labels[j] != store->labels[i];
        classes += first;
    }
    return classes;
}

static void mine_anchor(const reference_store *store, const trm_mine_options *options, int64_t a,
                        neighbour *positives, neighbour *negatives, reference_result *result,
                        int64_t *capacity)
{
    trm_mine_summary *summary = &result->summary;
    int64_t p = 0, n = 0;
    for (int64_t i = 0; i < store->rows; i++) {
        if (i == a || !reference_takes_part(store, i))
            continue;
        neighbour row = {reference_distance(store, options->metric, a, i), i};
        if (store->labels[i] == store->labels[a])
            positives[p++] = row;
        else
            negatives[n++] = row;
    }
    summary->anchors.total++;
    if (p == 0) {
        summary->anchors.no_positive++;
        return;
    }
    if (n == 0) {
        summary->anchors.no_negative++;
        return;
    }
    summary->anchors.valid++;
    int64_t selected = select_positives(positives, p, options);
    summary->positive_pairs += selected;
    for (int64_t i = 0; i < selected; i++) {
        neighbour chosen = {0.0, -1};
        int64_t kind;
        if (!choose_negative(negatives, n, positives[i].d, options, &chosen, &kind)) {
            summary->triplets.skipped++;
            continue;
        }
        summary->triplets.total++;
        if (kind == TRM_KIND_FALLBACK)
            summary->triplets.fallback++;
        else
            summary->triplets.semihard++;
        if (result->count == *capacity) {
            *capacity = 2 * *capacity + 64;
            result->triplets = realloc(result->triplets, (size_t)*capacity * sizeof(trm_triplet));
            if (!result->triplets)
                abort();
        }
        result->triplets[result->count++] =
            (trm_triplet){a, positives[i].id, chosen.id, positives[i].d, chosen.d, kind, 1};
    }
}

static void sum_loss(const trm_mine_options *options, reference_result *result)
{
    double *terms = need(3 * result->count, sizeof *terms);
    int64_t count = 0;
    for (int64_t i = 0; i < result->count; i++) {
        const trm_triplet *t = &result->triplets[i];
        if (!((t->d_ap - t->d_an) + options->margin > 0.0))
            continue;
        result->loss_active++;
        terms[count++] = t->d_ap;
        terms[count++] = -t->d_an;
        terms[count++] = options->margin;
    }
    result->loss_sum = reference_sum(terms, count);
    free(terms);
}

void reference_mine(const reference_store *store, const trm_mine_options *options, reference_result *result)
{
    memset(result, 0, sizeof *result);
    neighbour *positives = need(store->rows, sizeof *positives);
    neighbour *negatives = need(store->rows, sizeof *negatives);
    int64_t capacity = 0;
    for (int64_t a = 0; a < store->rows; a++) {
        if (reference_takes_part(store, a))
            mine_anchor(store, options, a, positives, negatives, result, &capacity);
        else
            result->summary.anchors.ignored++;
    }
    result->summary.classes = count_classes(store);
    sum_loss(options, result);
    if (result->count > 0)
        qsort(result->triplets, (size_t)result->count, sizeof *result->triplets, reference_compare_triplets);
    free(positives);
    free(negatives);
}

void reference_destroy(reference_result *result)
{
    free(result->triplets);
    memset(result, 0, sizeof *result);
}
