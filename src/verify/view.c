/* Rows from a store; see view.h. */
#include "verify/view.h"

#include "base/alloc.h"
#include "base/hash_sum.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "store/labels.h"
#include "store/pair_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t piece_values = INT64_C(1) << 20;

/* All rows of the store, or of the queries. */
struct trm_view_rows {
    float *x[2];
    int64_t *label[2];
    double *norm[2];
};

/* ---- opening ---- */

static bool is_listed(const trm_rule *rule)
{
    return rule->pairs_fingerprint[0] != '\0';
}

static trm_status check_given(const trm_verify_ask *ask, const trm_result *result, const trm_rule *rule,
                              trm_error *err)
{
    int64_t rows;
    const bool two = trm_result_whole(result, "queries_rows", &rows);
    const char *path = trm_result_path(result);
    if (two != (ask->queries > 0))
        return trm_fail(err, TRM_ERR_USAGE, "result '%s' was made %s --queries: %s", path,
                        two ? "with" : "without", two ? "give them, too" : "leave them out");
    if (is_listed(rule) != (ask->pairs != NULL))
        return trm_fail(err, TRM_ERR_USAGE, "result '%s' was made %s --pairs: %s", path,
                        is_listed(rule) ? "with" : "without",
                        is_listed(rule) ? "give them, too" : "leave them out");
    return TRM_OK;
}

static trm_status open_store(const trm_verify_ask *ask, trm_view *view, trm_error *err)
{
    const int files = ask->stores + ask->queries;
    const char **path = trm_alloc(files, sizeof *path);
    trm_store_options options = *ask->from;
    if (path == NULL)
        return trm_fail_memory(err, "the list of inputs", files, sizeof *path);
    for (int i = 0; i < files; i++)
        path[i] = i < ask->stores ? ask->store[i] : ask->query[i - ask->stores];
    options.queries = ask->queries;
    options.unlabelled = (is_listed(view->rule) && !view->rule->and_labels) || view->rule->by_name;
    options.labels_may_lack =
        (view->rule->k > 0 || !isnan(view->rule->radius)) && trm_rule_is(view->rule->among, "any");
    trm_status status = trm_store_open(MPI_COMM_SELF, files, path, &options, &view->store, err);
    trm_free(path);
    if (status != TRM_OK)
        return status;
    const int64_t all = trm_store_rows(view->store);
    view->rows = trm_store_base_rows(view->store);
    view->two_sets = ask->queries > 0;
    view->first_asker = view->two_sets ? view->rows : 0;
    view->askers = view->two_sets ? all - view->rows : view->rows;
    view->dim = trm_store_dim(view->store);
    view->labelled = !options.unlabelled && trm_store_file_at(view->store, 0)->labels != NULL;
    return TRM_OK;
}

static int compare_pairs(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return x[0] != y[0] ? (x[0] < y[0] ? -1 : 1) : x[1] < y[1] ? -1 : x[1] > y[1];
}

static trm_status check_pairs(const trm_view *view, const char *path, const trm_pairs *pairs, trm_error *err)
{
    char text[33];
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    for (int64_t i = 0; i < pairs->count; i++) {
        const int64_t pair[2] = {pairs->query[i], pairs->positive[i]};
        trm_hash_sum_add(&hash, pair, sizeof pair);
    }
    trm_hash_sum_text(&hash, text);
    if (pairs->total == view->rule->pairs && strcmp(text, view->rule->pairs_fingerprint) == 0)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA,
                    "pairs '%s': %" PRId64 " pairs with the fingerprint %s, the result is of %" PRId64
                    " with %s",
                    path, pairs->total, text, view->rule->pairs, view->rule->pairs_fingerprint);
}

static trm_status read_pairs(const char *path, trm_view *view, trm_error *err)
{
    trm_pairs pairs = {0, 0, 0, NULL, NULL};
    if (path == NULL)
        return TRM_OK;
    trm_status status = trm_pairs_read(MPI_COMM_SELF, path, view->askers, view->rows, &pairs, err);
    if (status == TRM_OK)
        status = check_pairs(view, path, &pairs, err);
    view->pair = status == TRM_OK ? trm_alloc(pairs.count, 2 * sizeof *view->pair) : NULL;
    if (status == TRM_OK && view->pair == NULL)
        status = trm_fail_memory(err, "the list of pairs", pairs.count, 2 * sizeof *view->pair);
    for (int64_t i = 0; i < pairs.count && status == TRM_OK; i++) {
        view->pair[2 * i] = pairs.query[i];
        view->pair[2 * i + 1] = pairs.positive[i];
    }
    if (status == TRM_OK) {
        view->pairs = pairs.count;
        if (pairs.count > 1)
            qsort(view->pair, (size_t)pairs.count, 2 * sizeof *view->pair, compare_pairs);
    }
    trm_pairs_free(&pairs);
    return status;
}

/* A label as the options have it: a number or a text. */
static trm_status add_ignored(trm_view *view, const trm_labels *labels, const json_t *value, trm_error *err)
{
    char number[32];
    bool known = false;
    snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    const char *word = json_is_string(value) ? json_string_value(value) : number;
    trm_status status = trm_labels_parse(labels, word, &view->ignore[view->ignored], &known, err);
    view->ignored += status == TRM_OK && known;
    return status;
}

/* What labels are shows when some have been read. */
static trm_status read_kind(const trm_view *view, const trm_labels **labels, trm_error *err)
{
    int64_t label = 0;
    *labels = trm_store_labels(view->store);
    return trm_store_read(view->store, 0, 1, NULL, NULL, &label, NULL, err);
}

trm_status trm_view_names(const trm_view *view, const trm_names **names, trm_error *err)
{
    const trm_labels *labels = NULL;
    const trm_status status = view->labelled ? read_kind(view, &labels, err) : TRM_OK;
    if (status == TRM_OK && labels != NULL && labels->kind == TRM_LABELS_NAMED)
        *names = &labels->names;
    return status;
}

static trm_status read_ignored(trm_view *view, trm_error *err)
{
    json_t *ignore = view->rule->ignore;
    const trm_labels *labels = NULL;
    if (ignore == NULL || !view->labelled)
        return TRM_OK;
    const size_t count = json_is_array(ignore) ? json_array_size(ignore) : 1;
    trm_status status = read_kind(view, &labels, err);
    view->ignore = trm_alloc((int64_t)count, sizeof *view->ignore);
    if (status == TRM_OK && view->ignore == NULL)
        status = trm_fail_memory(err, "labels to ignore", (int64_t)count, sizeof *view->ignore);
    for (size_t i = 0; i < count && status == TRM_OK; i++)
        status = add_ignored(view, labels, json_is_array(ignore) ? json_array_get(ignore, i) : ignore, err);
    return status;
}

trm_status trm_view_open(MPI_Comm comm, const trm_verify_ask *ask, const trm_result *result,
                         const trm_rule *rule, trm_view *view, trm_error *err)
{
    *view = (trm_view){.rule = rule, .kept = trm_alloc_zero(1, sizeof *view->kept)};
    trm_status status = view->kept == NULL ? trm_fail_memory(err, "a view", 1, sizeof *view->kept)
                                           : check_given(ask, result, rule, err);
    if (status == TRM_OK)
        status = open_store(ask, view, err);
    if (status == TRM_OK)
        status = read_pairs(ask->pairs, view, err);
    if (status == TRM_OK)
        status = read_ignored(view, err);
    return trm_agree(comm, status, err);
}

void trm_view_close(trm_view *view)
{
    trm_store_close(&view->store);
    for (int k = 0; k < 2 && view->kept != NULL; k++) {
        trm_free(view->kept->x[k]);
        trm_free(view->kept->label[k]);
        trm_free(view->kept->norm[k]);
    }
    trm_free(view->kept);
    trm_free(view->ignore);
    trm_free(view->pair);
    *view = (trm_view){.rule = NULL};
}

/* ---- reading ---- */

int64_t trm_view_piece(const trm_view *view)
{
    return piece_values / view->dim + 1;
}

static trm_status read_rows(const trm_view *view, bool asker, int64_t first, int64_t count, float *x,
                            int64_t *label, double *norms, trm_error *err)
{
    trm_read_options options;
    trm_read_options_init(&options);
    options.normalize = view->rule->normalize;
    options.refuse_zero_norm = view->rule->metric == TRM_METRIC_COSINE;
    options.norms = norms;
    return trm_store_read(view->store, (asker ? view->first_asker : 0) + first, count, &options, x, label,
                          NULL, err);
}

trm_status trm_view_read(const trm_view *view, bool asker, int64_t first, int64_t count, float *x,
                         int64_t *label, trm_error *err)
{
    if (!view->labelled)
        memset(label, 0, (size_t)count * sizeof *label);
    return read_rows(view, asker, first, count, x, view->labelled ? label : NULL, NULL, err);
}

static const int64_t kept_bytes = INT64_C(1) << 30;

/* Reads a whole set. */
static trm_status keep_rows(const trm_view *view, bool asker, trm_error *err)
{
    struct trm_view_rows *kept = view->kept;
    const int64_t rows = asker ? view->askers : view->rows;
    kept->x[asker] = trm_alloc(rows * view->dim, sizeof *kept->x[asker]);
    kept->label[asker] = trm_alloc_zero(rows, sizeof *kept->label[asker]);
    kept->norm[asker] = trm_alloc(rows, sizeof *kept->norm[asker]);
    if (kept->x[asker] == NULL || kept->label[asker] == NULL || kept->norm[asker] == NULL)
        return trm_fail_memory(err, "rows", rows, (size_t)view->dim * sizeof *kept->x[asker]);
    for (int64_t row = 0; row < rows; row++)
        kept->norm[asker][row] = 1.0;
    return read_rows(view, asker, 0, rows, kept->x[asker], view->labelled ? kept->label[asker] : NULL,
                     view->rule->normalize ? kept->norm[asker] : NULL, err);
}

trm_status trm_view_row(const trm_view *view, bool asker, int64_t row, float *x, int64_t *label, double *norm,
                        trm_error *err)
{
    const int64_t rows = asker ? view->askers : view->rows, dim = view->dim;
    struct trm_view_rows *kept = view->kept;
    int64_t own_label = 0;
    double own_norm = 1.0;
    trm_status status = TRM_OK;
    const bool few = rows <= kept_bytes / (dim * (int64_t)sizeof *x);
    asker = asker && view->two_sets;
    if (!few)
        status = read_rows(view, asker, row, 1, x, view->labelled ? &own_label : NULL,
                           view->rule->normalize ? &own_norm : NULL, err);
    else if (kept->x[asker] == NULL)
        status = keep_rows(view, asker, err);
    if (status != TRM_OK)
        return status;
    if (few)
        memcpy(x, kept->x[asker] + row * dim, (size_t)dim * sizeof *x);
    if (label != NULL)
        *label = few ? kept->label[asker][row] : own_label;
    if (norm != NULL)
        *norm = few ? kept->norm[asker][row] : own_norm;
    return TRM_OK;
}

trm_status trm_view_labels(const trm_view *view, bool asker, int64_t first, int64_t count, int64_t *label,
                           trm_error *err)
{
    if (!view->labelled)
        memset(label, 0, (size_t)count * sizeof *label);
    return view->labelled ? read_rows(view, asker, first, count, NULL, label, NULL, err) : TRM_OK;
}

/* This rank's rows. */
static trm_status hash_rows(const trm_view *view, bool asker, int64_t first, int64_t last, float *x,
                            int64_t *label, trm_hash_sum *hash, trm_error *err)
{
    const int64_t piece = trm_view_piece(view);
    const size_t bytes = (size_t)view->dim * sizeof *x;
    trm_status status = TRM_OK;
    for (int64_t at = first; at < last && status == TRM_OK; at += piece) {
        const int64_t count = last - at < piece ? last - at : piece;
        status = trm_view_read(view, asker, at, count, x, label, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++) {
            const int64_t record[2] = {at + i, label[i]};
            trm_hash_sum_add_keyed(hash, at + i, x + i * view->dim, bytes);
            trm_hash_sum_add(hash, record, sizeof record);
        }
    }
    return status;
}

trm_status trm_view_fingerprint(MPI_Comm comm, const trm_view *view, bool asker, char text[33],
                                trm_error *err)
{
    int ranks = 0;
    int64_t first, last;
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    MPI_Comm_size(comm, &ranks);
    trm_share(asker ? view->askers : view->rows, trm_rank_of(comm), ranks, &first, &last);
    const int64_t piece = trm_view_piece(view);
    float *x = trm_alloc(piece * view->dim, sizeof *x);
    int64_t *label = trm_alloc(piece, sizeof *label);
    trm_status status = x == NULL || label == NULL
                            ? trm_fail_memory(err, "rows", piece, (size_t)view->dim * sizeof *x)
                            : hash_rows(view, asker, first, last, x, label, &hash, err);
    trm_free(x);
    trm_free(label);
    status = trm_agree(comm, status, err);
    if (status != TRM_OK)
        return status;
    trm_merge_hash_sum(comm, &hash);
    trm_hash_sum_text(&hash, text);
    return TRM_OK;
}

/* ---- what rows are ---- */

bool trm_view_ignores(const trm_view *view, int64_t label)
{
    bool ignored = false;
    for (int64_t i = 0; i < view->ignored; i++)
        ignored = ignored || view->ignore[i] == label;
    return ignored;
}

const int64_t *trm_view_listed(const trm_view *view, int64_t asker, int64_t *count)
{
    int64_t low = 0, high = view->pairs;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (view->pair[2 * middle] < asker)
            low = middle + 1;
        else
            high = middle;
    }
    for (*count = 0; low + *count < view->pairs && view->pair[2 * (low + *count)] == asker; ++*count)
        ;
    return view->pair == NULL ? NULL : view->pair + 2 * low + 1;
}
