/* What a job of the soak test must give, by brute force: judge FOLDER.
 *
 * FOLDER has job.json (the options, all of them said; presets and defaults are not known here), rows.bin
 * (float32, as they were stored) and labels.bin (int64; -1 takes no part), or for given triplets also
 * triplets.bin (int64: all anchors, positives, negatives). Packed triplets come as rows, too: all anchors,
 * then all positives, then all negatives, without labels. Where job.json has "family", its policies are those of
 * reference_family. Written are expected.json, and by name triplets.out (trm_triplet), gradient.out and size.out
 * (float64; see reference_loss), and lists.out (int64 anchors, positives, negatives, then float64 d_ap, d_an). */
#include "support/reference.h"
#include "support/reference_family.h"
#include "support/reference_loss.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct job {
    const char *folder;
    json_t *text;
    reference_store store;
    trm_evaluate_options evaluate;
    char positives[32]; /* what evaluate.mine has */
    bool packed, normalize, at_stored, gradient;
    const char *choice; /* of an anchor's own negatives in packed triplets */
    int64_t anchors, negatives;
    double *norms; /* of the rows as stored, where they are normalised */
    int64_t semihard, fallback;
} job;

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "judge: %s: %s\n", what, detail);
    exit(2);
}

static void *need(int64_t count, size_t size)
{
    void *memory = calloc(count > 0 ? (size_t)count : 1, size);
    if (!memory)
        die("memory", "none left");
    return memory;
}

static FILE *open_in(const char *folder, const char *name, const char *mode)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, mode);
    if (!file)
        die(path, "can't be opened");
    return file;
}

static void *read_all(const char *folder, const char *name, int64_t count, size_t size)
{
    FILE *file = open_in(folder, name, "rb");
    void *data = need(count, size);
    if (fread(data, size, (size_t)count, file) != (size_t)count || fgetc(file) != EOF)
        die(name, "not as long as the job says");
    fclose(file);
    return data;
}

static void write_all(const char *folder, const char *name, const void *data, int64_t count, size_t size)
{
    FILE *file = open_in(folder, name, "wb");
    if (fwrite(data, size, (size_t)count, file) != (size_t)count || fclose(file) != 0)
        die(name, "can't be written");
}

/* ---- the job ---- */

static const char *word_of(const job *j, const char *key)
{
    const char *word = json_string_value(json_object_get(j->text, key));
    if (!word)
        die(key, "missing");
    return word;
}

/* The place of a word in a list that ends with NULL, which is the value of the enum in the same order. */
static int choice_of(const job *j, const char *key, const char *const *words)
{
    const char *word = word_of(j, key);
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    die(key, word);
    return 0;
}

static int64_t integer_of(const job *j, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(j->text, key));
}

static bool flag_of(const job *j, const char *key)
{
    return json_is_true(json_object_get(j->text, key));
}

/* ---- policies of the whole family ---- */

static double real_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void read_family(const job *j, const json_t *text, family_options *options)
{
    static const char *const filters[FAMILY_FILTERS] = {"min-distance", "max-distance", "absolute-margin",
                                                        "relative-margin", "not-near-positive"};
    const json_t *given = json_object_get(text, "filters");
    family_options_init(options);
    options->metric = j->evaluate.mine.metric;
    options->margin = j->evaluate.mine.margin;
    options->positives = json_string_value(json_object_get(text, "positives"));
    options->negatives = json_string_value(json_object_get(text, "negatives"));
    options->window = word_of(j, "window");
    options->pick = json_string_value(json_object_get(text, "pick"));
    options->fallback = json_string_value(json_object_get(text, "fallback"));
    options->seed = (uint64_t)json_integer_value(json_object_get(text, "seed"));
    options->rank_from = json_integer_value(json_object_get(text, "rank_from"));
    if (json_is_integer(json_object_get(text, "rank_to")))
        options->rank_to = json_integer_value(json_object_get(text, "rank_to"));
    options->rank_order_after = json_is_true(json_object_get(text, "after"));
    for (int f = 0; f < FAMILY_FILTERS; f++) {
        options->filter[f].given = json_is_number(json_object_get(given, filters[f]));
        options->filter[f].value = real_of(given, filters[f]);
    }
    options->lists = json_is_true(json_object_get(text, "lists"));
    options->list_at_most = json_integer_value(json_object_get(text, "list_at_most"));
}

/* The triplets of a family's result as if they were given. */
static void give_triplets(job *j, const family_result *result)
{
    int64_t *ids = need(3 * result->count, sizeof *ids);
    for (int64_t k = 0; k < result->count; k++) {
        ids[k] = result->triplets[k].anchor;
        ids[result->count + k] = result->triplets[k].positive;
        ids[2 * result->count + k] = result->triplets[k].negative;
    }
    j->evaluate.source = TRM_SOURCE_GIVEN;
    j->evaluate.given =
        (trm_given_triplets){result->count, ids, ids + result->count, ids + 2 * result->count};
}

static json_t *statistics_json(const family_statistics *of)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "count", (json_int_t)of->count, "mean",
                     of->mean, "median", of->median, "std", of->std, "min", of->min, "q1", of->lower_quartile,
                     "q3", of->upper_quartile, "max", of->max);
}

static json_t *family_json(const family_result *r)
{
    json_t *removed = json_array();
    for (int f = 0; f < FAMILY_FILTERS; f++)
        json_array_append_new(removed, json_integer((json_int_t)r->removed[f]));
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:{s:o, s:o, s:o}}", "positive_pairs",
                     (json_int_t)r->positive_pairs, "total", (json_int_t)r->total, "count",
                     (json_int_t)r->count, "fallback", (json_int_t)r->fallback, "skipped",
                     (json_int_t)r->skipped, "short_anchors", (json_int_t)r->anchors.fell_short, "removed",
                     removed, "lines", (json_int_t)r->lists.lines, "width", (json_int_t)r->lists.width,
                     "statistics", "d_ap", statistics_json(&r->d_ap), "d_an", statistics_json(&r->d_an),
                     "gap", statistics_json(&r->gap));
}

static void read_options(job *j)
{
    static const char *const metrics[] = {"sql2", "l2", "cosine", "dot", NULL};
    static const char *const sources[] = {"mined",  "given",  "batch-hard", "batch-all",
                                          "within", "packed", NULL};
    static const char *const positives[] = {"all", "hardest", "easiest", "nearest", NULL};
    static const char *const windows[] = {"none", "lt", "le", NULL};
    static const char *const picks[] = {"nearest", "farthest", NULL};
    static const char *const fallbacks[] = {"skip", "farthest-inside", "hardest", NULL};
    static const char *const reductions[] = {"mean_all",   "sum",       "mean_nonzero",
                                             "mean_valid", "mean_rows", NULL};
    trm_mine_options *mine = &j->evaluate.mine;
    trm_loss_options *loss = &j->evaluate.loss;
    const int source = choice_of(j, "source", sources);
    j->packed = source > TRM_SOURCE_WITHIN;
    j->evaluate.source = j->packed ? TRM_SOURCE_GIVEN : (trm_source)source;
    mine->metric = loss->metric = (trm_metric)choice_of(j, "metric", metrics);
    mine->margin = json_number_value(json_object_get(j->text, "window_margin"));
    snprintf(j->positives, sizeof j->positives, "%s", positives[choice_of(j, "positives", positives)]);
    if (strcmp(j->positives, "nearest") == 0)
        snprintf(j->positives, sizeof j->positives, "nearest:%lld", (long long)integer_of(j, "nearest"));
    mine->positives = j->positives;
    mine->negatives = "semihard";
    mine->window = (trm_window)choice_of(j, "window", windows);
    mine->pick = (trm_pick)choice_of(j, "pick", picks);
    mine->fallback = (trm_fallback)choice_of(j, "fallback", fallbacks);
    loss->margin = json_number_value(json_object_get(j->text, "loss_margin"));
    loss->soft = flag_of(j, "soft");
    loss->swap = flag_of(j, "swap");
    loss->whole_at_zero = flag_of(j, "whole_at_zero");
    j->store.norm_floor = json_number_value(json_object_get(j->text, "norm_floor"));
    loss->reduction = (trm_reduction)choice_of(j, "reduction", reductions);
    j->evaluate.lone = flag_of(j, "lone");
    j->normalize = flag_of(j, "normalize");
    j->at_stored = flag_of(j, "at_stored");
    j->gradient = flag_of(j, "gradient");
    j->choice = word_of(j, "choice");
    j->anchors = integer_of(j, "anchors");
    j->negatives = integer_of(j, "negatives");
}

static void read_rows(job *j)
{
    static const int64_t ignored = -1;
    j->store.rows = integer_of(j, "rows");
    j->store.dim = (int)integer_of(j, "dim");
    const int64_t values = j->store.rows * j->store.dim;
    float *rows = read_all(j->folder, "rows.bin", values, sizeof *rows);
    j->store.embeddings = rows;
    j->store.labels = j->packed ? need(j->store.rows, sizeof(int64_t))
                                : read_all(j->folder, "labels.bin", j->store.rows, sizeof(int64_t));
    j->store.ignore_label = &ignored;
    j->store.ignore_count = 1;
    if (j->normalize) {
        j->norms = need(j->store.rows, sizeof *j->norms);
        float *unit = need(values, sizeof *unit);
        reference_normalize(&j->store, unit, j->norms);
        free(rows);
        j->store.embeddings = unit;
    }
}

static void read_triplets(job *j)
{
    const int64_t count = integer_of(j, "triplets");
    const int64_t *ids = read_all(j->folder, "triplets.bin", 3 * count, sizeof *ids);
    j->evaluate.given = (trm_given_triplets){count, ids, ids + count, ids + 2 * count};
}

/* ---- packed triplets ---- */

static const float *row(const job *j, int64_t i)
{
    return j->store.embeddings + i * j->store.dim;
}

/* The semihard one of an anchor's own negatives: mined in a store of the anchor (0), its positive (1) and its
 * negatives (2, 3, ...). -1 where there is none. */
static int64_t choose_semihard(job *j, int64_t anchor)
{
    const int64_t rows = 2 + j->negatives, dim = j->store.dim;
    float *embeddings = need(rows * dim, sizeof *embeddings);
    int64_t *labels = need(rows, sizeof *labels), found = -1;
    memcpy(embeddings, row(j, anchor), (size_t)dim * sizeof *embeddings);
    memcpy(embeddings + dim, row(j, j->anchors + anchor), (size_t)dim * sizeof *embeddings);
    memcpy(embeddings + 2 * dim, row(j, 2 * j->anchors + anchor * j->negatives),
           (size_t)(j->negatives * dim) * sizeof *embeddings);
    for (int64_t i = 2; i < rows; i++)
        labels[i] = i;
    const reference_store store = {.rows = rows,
                                   .dim = j->store.dim,
                                   .embeddings = embeddings,
                                   .labels = labels,
                                   .norm_floor = j->store.norm_floor};
    trm_mine_options options = j->evaluate.mine;
    options.positives = "all";
    reference_result result;
    reference_mine(&store, &options, &result);
    if (result.count > 0 && result.triplets[0].anchor == 0) {
        found = result.triplets[0].negative - 2;
        *(result.triplets[0].kind == TRM_KIND_SEMIHARD ? &j->semihard : &j->fallback) += 1;
    }
    reference_destroy(&result);
    free(embeddings);
    free(labels);
    return found;
}

/* The first with the smallest distance, or (reversed) with the smallest [d(a,n) - d(a,p) + margin]+. */
static int64_t choose_least(const job *j, int64_t anchor, bool reversed)
{
    const trm_loss_options *loss = &j->evaluate.loss;
    const double d_ap = reference_distance(&j->store, loss->metric, anchor, j->anchors + anchor);
    int64_t best = -1;
    double least = 0.0;
    for (int64_t k = 0; k < j->negatives; k++) {
        double d =
            reference_distance(&j->store, loss->metric, anchor, 2 * j->anchors + anchor * j->negatives + k);
        if (reversed) {
            d = (d - d_ap) + loss->margin;
            d = d > 0.0 ? d : 0.0;
        }
        if (best < 0 || d < least) {
            best = k;
            least = d;
        }
    }
    return best;
}

static int64_t choose(job *j, int64_t anchor)
{
    if (strcmp(j->choice, "reversed") == 0)
        return choose_least(j, anchor, true);
    if (j->negatives == 1)
        return 0;
    /* random: which one is known to the program only; the hardest has the largest loss */
    return strcmp(j->choice, "semihard") == 0 ? choose_semihard(j, anchor) : choose_least(j, anchor, false);
}

/* The triplets as if given with a store of all the rows. That of the reversed rule has its two distances
 * exchanged. */
static void choose_all(job *j)
{
    const bool reversed = strcmp(j->choice, "reversed") == 0;
    int64_t *ids = need(3 * j->anchors, sizeof *ids), count = 0;
    int64_t *positive = ids + j->anchors, *negative = positive + j->anchors;
    for (int64_t a = 0; a < j->anchors; a++) {
        const int64_t k = choose(j, a);
        if (k < 0)
            continue;
        const int64_t p = j->anchors + a, n = 2 * j->anchors + a * j->negatives + k;
        ids[count] = a;
        positive[count] = reversed ? n : p;
        negative[count] = reversed ? p : n;
        count++;
    }
    j->evaluate.given = (trm_given_triplets){count, ids, positive, negative};
}

/* ---- what must come out ---- */

static json_t *loss_json(const reference_loss *loss)
{
    return json_pack("{s:f, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "sum", loss->sum, "count",
                     (json_int_t)loss->count, "active", (json_int_t)loss->active, "mean_all", loss->mean_all,
                     "mean_nonzero", loss->mean_nonzero, "mean_valid", loss->mean_valid, "mean_rows",
                     loss->mean_rows, "value", loss->value);
}

/* Whether the gradient must be equal to the bit. That of losses over all triplets adds its terms in another
 * order than the reference. Packed: valid anchors and rows are the anchors, which the reference does not
 * know. So it gets another reduction, and this divides; with a normalisation in between, the last bit may be
 * another.
 */
static bool evaluate(job *j, reference_loss *loss)
{
    const trm_reduction reduction = j->evaluate.loss.reduction;
    const bool by_anchors =
        j->packed && (reduction == TRM_REDUCTION_MEAN_VALID || reduction == TRM_REDUCTION_MEAN_ROWS);
    if (by_anchors)
        j->evaluate.loss.reduction = TRM_REDUCTION_SUM;
    reference_loss_evaluate(&j->store, &j->evaluate, j->at_stored ? j->norms : NULL, loss);
    if (!j->packed)
        return j->evaluate.source != TRM_SOURCE_BATCH_ALL && j->evaluate.source != TRM_SOURCE_WITHIN;
    loss->mean_valid = loss->mean_rows = loss->sum / (double)j->anchors;
    if (!by_anchors)
        return true;
    loss->value = loss->mean_rows;
    for (int64_t k = 0; k < loss->rows * loss->dim; k++)
        loss->gradient[k] /= (double)j->anchors;
    for (int64_t i = 0; i < loss->rows; i++)
        loss->size[i] /= (double)j->anchors;
    return !(j->norms && j->at_stored);
}

static json_t *counts_json(const job *j, const trm_mine_summary *s)
{
    return json_pack(
        "{s:{s:I, s:I, s:I, s:I, s:I}, s:I, s:I, s:{s:I, s:I, s:I, s:I}}", "anchors", "total",
        (json_int_t)s->anchors.total, "valid", (json_int_t)s->anchors.valid, "no_positive",
        (json_int_t)s->anchors.no_positive, "no_negative", (json_int_t)s->anchors.no_negative, "ignored",
        (json_int_t)s->anchors.ignored, "classes", (json_int_t)s->classes, "positive_pairs",
        (json_int_t)s->positive_pairs, "triplets", "total", (json_int_t)s->triplets.total, "semihard",
        (json_int_t)(s->triplets.semihard + j->semihard), "fallback",
        (json_int_t)(s->triplets.fallback + j->fallback), "skipped", (json_int_t)s->triplets.skipped);
}

static void write_lists(const job *j, const family_result *r)
{
    const int64_t lines = r->lists.lines, slots = lines * r->lists.width;
    FILE *file = open_in(j->folder, "lists.out", "wb");
    const struct {
        const void *data;
        int64_t count;
    } parts[] = {{r->lists.anchor, lines},
                 {r->lists.positive, lines},
                 {r->lists.negative, slots},
                 {r->lists.d_ap, lines},
                 {r->lists.d_an, slots}};
    for (int i = 0; i < 5; i++)
        if (parts[i].count > 0 &&
            fwrite(parts[i].data, 8, (size_t)parts[i].count, file) != (size_t)parts[i].count)
            die("lists.out", "can't be written");
    if (fclose(file) != 0)
        die("lists.out", "can't be written");
}

int main(int argc, char **argv)
{
    if (argc != 2)
        die("usage", "judge FOLDER");
    job j = {.folder = argv[1]};
    FILE *file = open_in(j.folder, "job.json", "r");
    json_error_t error;
    j.text = json_loadf(file, 0, &error);
    fclose(file);
    if (!j.text)
        die("job.json", error.text);
    read_options(&j);
    read_rows(&j);
    if (j.packed)
        choose_all(&j);
    else if (j.evaluate.source == TRM_SOURCE_GIVEN)
        read_triplets(&j);
    reference_result mined = {0};
    if (!j.packed)
        reference_mine(&j.store, &j.evaluate.mine, &mined);
    family_result family = {0};
    const json_t *text = json_object_get(j.text, "family");
    if (text) {
        family_options options;
        read_family(&j, text, &options);
        family_mine(&j.store, &options, &family);
        give_triplets(&j, &family);
    }
    reference_loss loss;
    const bool exactly = evaluate(&j, &loss);
    json_t *expected = counts_json(&j, &mined.summary);
    json_object_set_new(expected, "loss", loss_json(&loss));
    json_object_set_new(expected, "exactly", json_boolean(exactly));
    if (text)
        json_object_set_new(expected, "family", family_json(&family));
    FILE *out = open_in(j.folder, "expected.json", "w");
    if (json_dumpf(expected, out, JSON_REAL_PRECISION(17)) != 0 || fclose(out) != 0)
        die("expected.json", "can't be written");
    trm_triplet *triplets = need(loss.count, sizeof *triplets);
    for (int64_t k = 0; k < loss.count; k++)
        triplets[k] = text ? family.triplets[k] : loss.terms[k].triplet;
    write_lists(&j, &family);
    write_all(j.folder, "triplets.out", triplets, loss.count, sizeof *triplets);
    write_all(j.folder, "gradient.out", loss.gradient, j.gradient ? loss.rows * loss.dim : 0, sizeof(double));
    write_all(j.folder, "size.out", loss.size, j.gradient ? loss.rows : 0, sizeof(double));
    return 0;
}
