/* The family's reference: sorted lists and scans, nothing clever. */
#include "support/reference_family.h"

#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A positive or a negative of an anchor; key: what it is chosen by. */
typedef struct neighbour {
    double d, key;
    int64_t id;
} neighbour;

/* An anchor while it is mined; lists are sorted by (d, id) until its triplets are made. */
typedef struct anchor {
    const family_sets *sets;
    const reference_store *from, *store; /* the set that the anchor is of, and the one of its candidates */
    const family_options *options;
    int64_t row;
    bool *listed; /* of each row of the store, where there is a list */
    neighbour *positives, *negatives;
    int64_t p, n;
    double nearest, farthest; /* d of the nearest negative, of the farthest selected positive */
    neighbour *chosen;
    int64_t chosen_count; /* in order of rank */
} anchor;

static const int64_t no_row = -1; /* the positive of an anchor that has none */

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "reference: %s: %s\n", what, detail);
    abort();
}

static void *need(int64_t count, size_t size)
{
    void *memory = calloc(count > 0 ? (size_t)count : 1, size);
    if (!memory)
        die("memory", "none left");
    return memory;
}

/* Whether the word is this name, alone or with a number after a colon. */
static bool is_word(const char *word, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && (word[length] == '\0' || word[length] == ':');
}

static double number_of(const char *word)
{
    const char *colon = strchr(word, ':');
    if (!colon)
        die("no number", word);
    return strtod(colon + 1, NULL);
}

/* From the anchor to a row of the store. */
static double distance_to(const anchor *a, trm_metric metric, int64_t id)
{
    return reference_distance_between(a->from, a->row, a->store, id, metric);
}

/* ---- orders and draws ---- */

/* Ascending (d, id). */
static int by_distance(const void *a, const void *b)
{
    const neighbour *s = a, *t = b;
    if (s->d != t->d)
        return s->d < t->d ? -1 : 1;
    return s->id < t->id ? -1 : s->id > t->id;
}

/* Ascending (key, id). */
static int by_key(const void *a, const void *b)
{
    const neighbour *s = a, *t = b;
    if (s->key != t->key)
        return s->key < t->key ? -1 : 1;
    return s->id < t->id ? -1 : s->id > t->id;
}

static int by_id(const void *a, const void *b)
{
    const neighbour *s = a, *t = b;
    return s->id < t->id ? -1 : s->id > t->id;
}

static void sort(neighbour *list, int64_t count, int (*order)(const void *, const void *))
{
    if (count > 0)
        qsort(list, (size_t)count, sizeof *list, order);
}

double family_uniform(uint64_t seed, int64_t a, int64_t n)
{
    uint32_t bits[4];
    trm_random_bits(seed, (uint64_t)a, (uint64_t)n, bits);
    const uint64_t high = (uint64_t)bits[0] << 32 | bits[1];
    return ((double)(high >> 11) + 0.5) * 0x1p-53;
}

double family_log_weight(int dim, double l2)
{
    const double d = l2 > 0.5 ? l2 : 0.5;
    if (d >= 1.4)
        return -INFINITY;
    return (2.0 - dim) * log(d) - (dim - 3.0) / 2.0 * log(1.0 - d * d / 4.0);
}

static double draw(const anchor *a, int64_t id)
{
    return family_uniform(a->options->seed, a->row, id);
}

/* ---- positives ---- */

/* Of all positives, sorted by (d, id): keeps the selected ones in front, sorted again. */
static void select_positives(anchor *a)
{
    const char *word = a->options->positives;
    int64_t k = a->p;
    if (is_word(word, "all"))
        return;
    if (is_word(word, "hardest")) {
        for (int64_t i = 0; i < a->p; i++)
            a->positives[i].key = -a->positives[i].d;
        k = 1;
    } else if (is_word(word, "easiest")) {
        for (int64_t i = 0; i < a->p; i++)
            a->positives[i].key = a->positives[i].d;
        k = 1;
    } else if (is_word(word, "nearest")) {
        for (int64_t i = 0; i < a->p; i++)
            a->positives[i].key = a->positives[i].d;
        k = (int64_t)number_of(word);
    } else if (is_word(word, "random")) {
        for (int64_t i = 0; i < a->p; i++)
            a->positives[i].key = draw(a, a->positives[i].id);
        k = (int64_t)number_of(word);
    } else {
        die("no policy of positives", word);
    }
    sort(a->positives, a->p, by_key);
    a->p = k < a->p ? k : a->p;
    sort(a->positives, a->p, by_distance);
}

/* ---- semihard: a negative for each pair ---- */

static bool in_window(const family_options *options, double d_an, double d_ap)
{
    if (is_word(options->window, "none"))
        return true;
    if (is_word(options->window, "lt"))
        return d_an - d_ap < options->margin;
    if (!is_word(options->window, "le"))
        die("no window", options->window);
    return d_an - d_ap <= options->margin;
}

/* What a pick or a fallback goes by: the smallest (key, id) is taken. */
static double key_of(const anchor *a, const char *word, const neighbour *negative)
{
    if (is_word(word, "nearest") || is_word(word, "hardest"))
        return negative->d;
    if (is_word(word, "farthest") || is_word(word, "farthest-inside"))
        return -negative->d;
    if (!is_word(word, "random"))
        die("no pick or fallback", word);
    return draw(a, negative->id);
}

static void semihard(anchor *a, const neighbour *positive, int64_t *kind)
{
    const family_options *options = a->options;
    const double d_ap = positive->d;
    int64_t count = 0;
    for (int64_t i = 0; i < a->n; i++)
        if (a->negatives[i].d > d_ap && in_window(options, a->negatives[i].d, d_ap)) {
            a->chosen[count] = a->negatives[i];
            a->chosen[count++].key = key_of(a, options->pick, &a->negatives[i]);
        }
    *kind = 0;
    if (count == 0 && !is_word(options->fallback, "skip")) {
        *kind = 1;
        for (int64_t i = 0; i < a->n; i++)
            if (!is_word(options->fallback, "farthest-inside") || a->negatives[i].d <= d_ap) {
                a->chosen[count] = a->negatives[i];
                a->chosen[count++].key = key_of(a, options->fallback, &a->negatives[i]);
            }
    }
    sort(a->chosen, count, by_key);
    a->chosen_count = count > 0 ? 1 : 0;
}

/* ---- sets: every negative of a pair that is in it ---- */

static const char *const set_names[FAMILY_SETS] = {"within-margin", "hard-all", "easy-all", "violating"};

static bool in_set(int set, double d_an, double d_ap, double margin)
{
    switch (set) {
    case FAMILY_WITHIN_MARGIN:
        return d_an - d_ap > 0.0 && d_an - d_ap <= margin;
    case FAMILY_HARD_ALL:
        return d_an <= d_ap;
    case FAMILY_EASY_ALL:
        return d_an - d_ap > margin;
    default:
        return d_an - d_ap <= margin;
    }
}

static void choose_set(anchor *a, int set, const neighbour *positive)
{
    a->chosen_count = 0;
    for (int64_t i = 0; i < a->n; i++)
        if (in_set(set, a->negatives[i].d, positive->d, a->options->margin))
            a->chosen[a->chosen_count++] = a->negatives[i];
}

static void count_sets(const anchor *a, family_result *result)
{
    for (int64_t i = 0; i < a->p; i++)
        for (int64_t j = 0; j < a->n; j++)
            for (int set = 0; set < FAMILY_SETS; set++)
                result->sets[set] += in_set(set, a->negatives[j].d, a->positives[i].d, a->options->margin);
}

/* ---- multisimilarity: some positives with some negatives ---- */

/* The similarities that the rule is about; for sql2 and l2, which have none, it is turned round: s = -d. */
static double similarity(trm_metric metric, double d)
{
    return metric == TRM_METRIC_COSINE ? 1.0 - d : -d;
}

static bool keeps_positive(const anchor *a, const neighbour *positive)
{
    const trm_metric metric = a->options->metric;
    const double epsilon = number_of(a->options->negatives);
    return similarity(metric, positive->d) - epsilon < similarity(metric, a->nearest);
}

static bool keeps_negative(const anchor *a, const neighbour *negative)
{
    const trm_metric metric = a->options->metric;
    const double epsilon = number_of(a->options->negatives);
    return similarity(metric, negative->d) + epsilon > similarity(metric, a->farthest);
}

static void multisimilarity(anchor *a, const neighbour *positive)
{
    a->chosen_count = 0;
    for (int64_t i = 0; i < a->n && keeps_positive(a, positive); i++)
        if (keeps_negative(a, &a->negatives[i]))
            a->chosen[a->chosen_count++] = a->negatives[i];
}

static void count_kept(const anchor *a, family_result *result)
{
    for (int64_t i = 0; i < a->p; i++)
        result->kept_positives += keeps_positive(a, &a->positives[i]);
    for (int64_t i = 0; i < a->n; i++)
        result->kept_negatives += keeps_negative(a, &a->negatives[i]);
}

/* ---- hard, topk, random, weighted: negatives for an anchor, of what ranks and filters leave ---- */

static bool near_a_positive(const anchor *a, int64_t negative, double radius)
{
    for (int64_t i = 0; i < a->p; i++)
        if (a->positives[i].id != no_row &&
            reference_distance(a->store, a->options->metric, a->positives[i].id, negative) <= radius)
            return true;
    return false;
}

static bool passes_relative(const anchor *a, double d, double r)
{
    const trm_metric metric = a->options->metric;
    if (metric == TRM_METRIC_SQL2 || metric == TRM_METRIC_L2)
        return d >= a->farthest * (1.0 + r);
    const double s_pos = similarity(metric, a->farthest);
    return similarity(metric, d) <= s_pos - fabs(s_pos) * r;
}

static bool passes(const anchor *a, int filter, const neighbour *negative)
{
    const double x = a->options->filter[filter].value;
    const double d = negative->d;
    switch (filter) {
    case FAMILY_MIN_DISTANCE:
        return d >= x;
    case FAMILY_MAX_DISTANCE:
        return d <= x;
    case FAMILY_ABSOLUTE_MARGIN:
        return d >= a->farthest + x;
    case FAMILY_RELATIVE_MARGIN:
        return passes_relative(a, d, x);
    default:
        return !near_a_positive(a, negative->id, x);
    }
}

/* Whether the negative passes the filters; the first one that it does not pass is charged. */
static bool passes_all(const anchor *a, const neighbour *negative, family_result *result)
{
    for (int filter = 0; filter < FAMILY_FILTERS; filter++)
        if (a->options->filter[filter].given && !passes(a, filter, negative)) {
            result->removed[filter]++;
            return false;
        }
    return true;
}

static bool in_ranks(const family_options *options, int64_t rank)
{
    return rank >= options->rank_from && rank <= options->rank_to;
}

/* What may be chosen from, nearest first. */
static void gather_eligible(anchor *a, family_result *result)
{
    const bool after = a->options->rank_order_after;
    int64_t left = 0;
    a->chosen_count = 0;
    for (int64_t i = 0; i < a->n; i++) {
        if (!after && !in_ranks(a->options, i + 1))
            continue;
        if (!passes_all(a, &a->negatives[i], result))
            continue;
        left++;
        if (!after || in_ranks(a->options, left))
            a->chosen[a->chosen_count++] = a->negatives[i];
    }
}

static double l2_distance(const anchor *a, const neighbour *negative)
{
    if (a->options->metric == TRM_METRIC_COSINE)
        return sqrt(2.0 * negative->d);
    return distance_to(a, TRM_METRIC_L2, negative->id);
}

/* Gives every candidate its key in the race; those of weight 0 leave it. */
static void race(anchor *a)
{
    const bool weighted = is_word(a->options->negatives, "weighted");
    int64_t count = 0;
    for (int64_t i = 0; i < a->chosen_count; i++) {
        neighbour negative = a->chosen[i];
        negative.key = draw(a, negative.id);
        if (weighted) {
            const double log_weight = family_log_weight(a->store->dim, l2_distance(a, &negative));
            if (isinf(log_weight))
                continue;
            negative.key = log(-log(negative.key)) - log_weight;
        }
        a->chosen[count++] = negative;
    }
    sort(a->chosen, count, by_key);
    a->chosen_count = count;
}

static void choose_for_anchor(anchor *a, int64_t k, family_result *result)
{
    gather_eligible(a, result);
    if (is_word(a->options->negatives, "random") || is_word(a->options->negatives, "weighted"))
        race(a);
    if (a->chosen_count > k)
        a->chosen_count = k;
    result->anchors.fell_short += a->chosen_count < k;
}

/* ---- what comes out ---- */

static void append_triplets(const anchor *a, const neighbour *positive, int64_t kind, family_result *result,
                            int64_t *capacity)
{
    result->total += a->chosen_count;
    result->fallback += kind * a->chosen_count;
    if (result->total > a->options->list_at_most)
        return;
    if (result->total > *capacity) {
        *capacity = 2 * result->total + 64;
        result->triplets = realloc(result->triplets, (size_t)*capacity * sizeof *result->triplets);
        if (!result->triplets)
            die("memory", "none left");
    }
    for (int64_t i = 0; i < a->chosen_count; i++)
        result->triplets[result->count++] =
            (trm_triplet){a->row, positive->id, a->chosen[i].id, positive->d, a->chosen[i].d, kind, i + 1};
}

/* The line of (anchor, positive), for which there is room. */
static void append_line(const anchor *a, const neighbour *positive, family_result *result)
{
    const int64_t line = result->lists.lines++, width = result->lists.width;
    result->lists.anchor[line] = a->row;
    result->lists.positive[line] = positive->id;
    result->lists.d_ap[line] = positive->d;
    for (int64_t i = 0; i < width; i++) {
        const bool there = i < a->chosen_count;
        result->lists.negative[line * width + i] = there ? a->chosen[i].id : -1;
        result->lists.d_an[line * width + i] = there ? a->chosen[i].d : INFINITY;
    }
}

static void grow_lists(family_result *result, int64_t more)
{
    const size_t lines = (size_t)(result->lists.lines + more), cells = lines * (size_t)result->lists.width;
    result->lists.anchor = realloc(result->lists.anchor, lines * sizeof(int64_t));
    result->lists.positive = realloc(result->lists.positive, lines * sizeof(int64_t));
    result->lists.negative = realloc(result->lists.negative, cells * sizeof(int64_t));
    result->lists.d_ap = realloc(result->lists.d_ap, lines * sizeof(double));
    result->lists.d_an = realloc(result->lists.d_an, cells * sizeof(double));
    if (!result->lists.anchor || !result->lists.positive || !result->lists.negative || !result->lists.d_ap ||
        !result->lists.d_an)
        die("memory", "none left");
}

/* Negatives a pair: K, 1, or 0 for the policies that have no such number. */
static int64_t negatives_a_pair(const char *word)
{
    if (is_word(word, "topk") || is_word(word, "random") || is_word(word, "weighted"))
        return (int64_t)number_of(word);
    return is_word(word, "hard") || is_word(word, "semihard");
}

static int set_of(const char *word)
{
    for (int set = 0; set < FAMILY_SETS; set++)
        if (is_word(word, set_names[set]))
            return set;
    return -1;
}

/* A valid anchor, its positives selected. */
static void make_triplets(anchor *a, family_result *result, int64_t *capacity)
{
    const char *word = a->options->negatives;
    const bool by_pair = is_word(word, "semihard"), similar = is_word(word, "multisimilarity");
    const int set = set_of(word);
    if (similar)
        count_kept(a, result);
    else if (!by_pair && set < 0)
        choose_for_anchor(a, negatives_a_pair(word), result);
    if (a->options->lists)
        grow_lists(result, a->p);
    sort(a->positives, a->p, by_id);
    for (int64_t i = 0; i < a->p; i++) {
        int64_t kind = 0;
        if (by_pair) {
            semihard(a, &a->positives[i], &kind);
        } else if (similar) {
            multisimilarity(a, &a->positives[i]);
        } else if (set >= 0) {
            choose_set(a, set, &a->positives[i]);
        }
        result->skipped += negatives_a_pair(word) > 0 && a->chosen_count == 0;
        append_triplets(a, &a->positives[i], kind, result, capacity);
        if (a->options->lists)
            append_line(a, &a->positives[i], result);
    }
}

typedef enum role { NEITHER, POSITIVE, NEGATIVE } role;

static role role_of(const anchor *a, int64_t row)
{
    const family_sets *sets = a->sets;
    if ((sets->queries == NULL && row == a->row) || !reference_takes_part(a->store, row))
        return NEITHER;
    const bool same = (!sets->listed || sets->and_labels) && a->store->labels[row] == a->from->labels[a->row];
    if (!sets->listed)
        return same ? POSITIVE : NEGATIVE;
    return a->listed[row] ? POSITIVE : same ? NEITHER : NEGATIVE;
}

static void gather_neighbours(anchor *a, family_result *result)
{
    a->p = a->n = a->chosen_count = 0;
    for (int64_t i = 0; i < a->store->rows; i++)
        a->listed[i] = false;
    for (int64_t i = 0; i < a->sets->pairs && a->sets->listed; i++) {
        const family_pair *pair = &a->sets->pair[i];
        if (pair->query != a->row)
            continue;
        result->repeated_pairs += a->listed[pair->positive];
        a->listed[pair->positive] = true;
    }
    for (int64_t i = 0; i < a->store->rows; i++) {
        const role is = role_of(a, i);
        if (is == NEITHER)
            continue;
        const neighbour row = {distance_to(a, a->options->metric, i), 0.0, i};
        if (is == POSITIVE)
            a->positives[a->p++] = row;
        else
            a->negatives[a->n++] = row;
    }
    sort(a->positives, a->p, by_distance);
    sort(a->negatives, a->n, by_distance);
}

static void mine_anchor(anchor *a, family_result *result, int64_t *capacity)
{
    gather_neighbours(a, result);
    result->anchors.total++;
    if (a->p == 0)
        result->anchors.no_positive++;
    else if (a->n == 0)
        result->anchors.no_negative++;
    else
        result->anchors.valid++;
    if (a->p == 0 && a->options->lone)
        a->positives[a->p++] = (neighbour){0.0, 0.0, no_row};
    if (a->p == 0 || a->n == 0)
        return;
    select_positives(a);
    a->nearest = a->negatives[0].d;
    a->farthest = a->positives[a->p - 1].d;
    result->positive_pairs += a->p;
    count_sets(a, result);
    make_triplets(a, result, capacity);
}

/* ---- statistics ---- */

static int by_value(const void *a, const void *b)
{
    const double *s = a, *t = b;
    return *s < *t ? -1 : *s > *t;
}

/* As numpy.quantile: between its neighbours in proportion, from the nearer one. */
static double quantile(const double *sorted, int64_t count, double share)
{
    const double place = share * (double)(count - 1);
    const int64_t below = (int64_t)place;
    const double part = place - (double)below;
    const double low = sorted[below], high = sorted[below + 1 < count ? below + 1 : below];
    const double step = high - low;
    return part >= 0.5 ? high - step * (1.0 - part) : low + step * part;
}

/* n Q - S S, S the sum of the values and Q that of their squares, formed exactly and rounded once. S stands as
 * values that add up to it, each product as two. */
static double spread(const double *values, int64_t n)
{
    enum { TERMS = 64 };
    double *list = need(4 * n + 2 * TERMS * TERMS, sizeof *list), term[TERMS];
    int terms = 0;
    memcpy(list, values, (size_t)n * sizeof *list);
    for (double next = reference_sum(list, n); next != 0.0 && terms < TERMS;
         next = reference_sum(list, n + terms)) {
        term[terms] = next;
        list[n + terms++] = -next;
    }
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        const double square[2] = {values[i] * values[i], fma(values[i], values[i], -values[i] * values[i])};
        for (int k = 0; k < 2; k++) {
            list[count] = square[k] * (double)n;
            list[count + 1] = fma(square[k], (double)n, -list[count]);
            count += 2;
        }
    }
    for (int i = 0; i < terms; i++)
        for (int k = 0; k < terms; k++) {
            list[count] = -(term[i] * term[k]);
            list[count + 1] = -fma(term[i], term[k], list[count]);
            count += 2;
        }
    const double sum = reference_sum(list, count);
    free(list);
    return sum > 0.0 ? sum : 0.0;
}

family_statistics family_describe(double *values, int64_t count)
{
    family_statistics s = {0};
    s.count = count;
    if (count == 0)
        return s;
    qsort(values, (size_t)count, sizeof *values, by_value);
    s.mean = reference_sum(values, count) / (double)count;
    s.min = values[0];
    s.lower_quartile = quantile(values, count, 0.25);
    s.median = quantile(values, count, 0.5);
    s.upper_quartile = quantile(values, count, 0.75);
    s.max = values[count - 1];
    s.std = sqrt(spread(values, count)) / (double)count;
    return s;
}

static void describe_all(family_result *result)
{
    double *d_ap = need(result->count, sizeof *d_ap);
    double *d_an = need(result->count, sizeof *d_an);
    double *gap = need(result->count, sizeof *gap);
    for (int64_t i = 0; i < result->count; i++) {
        d_ap[i] = result->triplets[i].d_ap;
        d_an[i] = result->triplets[i].d_an;
        gap[i] = d_an[i] - d_ap[i];
    }
    result->d_ap = family_describe(d_ap, result->count);
    result->d_an = family_describe(d_an, result->count);
    result->gap = family_describe(gap, result->count);
    free(d_ap);
    free(d_an);
    free(gap);
}

/* ---- all of it ---- */

void family_options_init(family_options *options)
{
    *options = (family_options){.metric = TRM_METRIC_SQL2,
                                .margin = 1.0,
                                .positives = "all",
                                .negatives = "semihard",
                                .window = "lt",
                                .pick = "nearest",
                                .fallback = "skip",
                                .rank_from = 1,
                                .rank_to = INT64_MAX,
                                .list_at_most = INT64_MAX};
}

static void check_words(const family_options *options)
{
    const char *word = options->negatives;
    if (negatives_a_pair(word) == 0 && set_of(word) < 0 && !is_word(word, "multisimilarity"))
        die("no policy of negatives", word);
    if (options->lists && negatives_a_pair(word) == 0)
        die("no lists for this policy", word);
}

void family_mine_sets(const family_sets *sets, const family_options *options, family_result *result)
{
    const reference_store *store = sets->store;
    check_words(options);
    memset(result, 0, sizeof *result);
    result->lists.width = options->lists ? negatives_a_pair(options->negatives) : 0;
    anchor a = {.sets = sets,
                .from = sets->queries != NULL ? sets->queries : store,
                .store = store,
                .options = options};
    a.positives = need(store->rows, sizeof *a.positives);
    a.negatives = need(store->rows, sizeof *a.negatives);
    a.chosen = need(store->rows, sizeof *a.chosen);
    a.listed = need(store->rows, sizeof *a.listed);
    int64_t capacity = 0;
    for (a.row = 0; a.row < a.from->rows; a.row++) {
        if (reference_takes_part(a.from, a.row))
            mine_anchor(&a, result, &capacity);
        else
            result->anchors.ignored++;
    }
    free(a.positives);
    free(a.negatives);
    free(a.chosen);
    free(a.listed);
    if (result->total > options->list_at_most) {
        free(result->triplets);
        result->triplets = NULL;
        result->count = 0;
    }
    if (result->count > 0)
        qsort(result->triplets, (size_t)result->count, sizeof *result->triplets, reference_compare_triplets);
    describe_all(result);
}

void family_mine(const reference_store *store, const family_options *options, family_result *result)
{
    const family_sets one = {.store = store};
    family_mine_sets(&one, options, result);
}

void family_destroy(family_result *result)
{
    free(result->triplets);
    free(result->lists.anchor);
    free(result->lists.positive);
    free(result->lists.negative);
    free(result->lists.d_ap);
    free(result->lists.d_an);
    memset(result, 0, sizeof *result);
}
