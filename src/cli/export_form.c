/* Triplets as training data: of sentence-transformers (triplet, n-tuple, labeled-list) and of FlagEmbedding; see export.h.
 *
 * Lines of one pair, or of one anchor, follow each other in a result, so a group of them is all that is kept. */
#include "cli/export.h"

#include "base/alloc.h"
#include "base/order.h"
#include "store/result_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The triplets that become one line. */
typedef struct group {
    trm_export *export;
    trm_export_form form;
    trm_table table;
    trm_lined *lined;
    int64_t count, room;
    int64_t k; /* negatives of an n-tuple */
} group;

static const trm_export_rows *store_of(const group *of)
{
    return &of->export->base;
}

static const trm_export_rows *askers_of(const group *of)
{
    return of->export->two_sets ? &of->export->askers : &of->export->base;
}

static trm_status put(group *of, const char *key, const trm_export_rows *rows, int64_t row, trm_error *err)
{
    if (key != NULL)
        trm_table_key(&of->table, key);
    return trm_table_row(&of->table, rows, row, err);
}

/* ---- orders ---- */

static int by_rank(const void *a, const void *b)
{
    const trm_lined *x = a, *y = b;
    return trm_compare_whole(&x->triplet.rank, &y->triplet.rank);
}

static int by_nearness(const void *a, const void *b)
{
    const trm_triplet *x = &((const trm_lined *)a)->triplet, *y = &((const trm_lined *)b)->triplet;
    return x->d_an != y->d_an ? (x->d_an < y->d_an ? -1 : 1) : trm_compare_whole(&x->negative, &y->negative);
}

/* ---- a line of each form ---- */

static trm_status put_triplet(group *of, const trm_triplet *t, trm_error *err)
{
    trm_table_begin(&of->table);
    trm_status status = put(of, "anchor", askers_of(of), t->anchor, err);
    if (status == TRM_OK)
        status = put(of, "positive", store_of(of), t->positive, err);
    if (status == TRM_OK)
        status = put(of, "negative", store_of(of), t->negative, err);
    trm_table_end(&of->table);
    return status;
}

static trm_status put_tuple(group *of, trm_error *err)
{
    char key[32];
    const trm_triplet *t = &of->lined[0].triplet;
    trm_table_begin(&of->table);
    trm_status status = put(of, "anchor", askers_of(of), t->anchor, err);
    if (status == TRM_OK)
        status = put(of, "positive", store_of(of), t->positive, err);
    for (int64_t i = 0; i < of->count && status == TRM_OK; i++) {
        snprintf(key, sizeof key, "negative_%" PRId64, i + 1);
        status = put(of, key, store_of(of), of->lined[i].triplet.negative, err);
    }
    trm_table_end(&of->table);
    return status;
}

static trm_status put_labeled(group *of, trm_error *err)
{
    const trm_triplet *t = &of->lined[0].triplet;
    trm_table_begin(&of->table);
    trm_status status = put(of, "anchor", askers_of(of), t->anchor, err);
    trm_table_key(&of->table, "documents");
    trm_table_list(&of->table, true);
    if (status == TRM_OK)
        status = put(of, NULL, store_of(of), t->positive, err);
    for (int64_t i = 0; i < of->count && status == TRM_OK; i++)
        status = put(of, NULL, store_of(of), of->lined[i].triplet.negative, err);
    trm_table_list(&of->table, false);
    trm_table_key(&of->table, "labels");
    trm_table_list(&of->table, true);
    for (int64_t i = 0; i <= of->count; i++)
        trm_table_whole(&of->table, i == 0);
    trm_table_list(&of->table, false);
    trm_table_end(&of->table);
    return status;
}

/* All positives of an anchor, which are in the order of their row ids, and all its negatives, each once, the nearest first. */
static trm_status put_flag(group *of, trm_error *err)
{
    int64_t before = -1;
    trm_table_begin(&of->table);
    trm_status status = put(of, "query", askers_of(of), of->lined[0].triplet.anchor, err);
    trm_table_key(&of->table, "pos");
    trm_table_list(&of->table, true);
    for (int64_t i = 0; i < of->count && status == TRM_OK; i++) {
        if (of->lined[i].triplet.positive != before)
            status = put(of, NULL, store_of(of), of->lined[i].triplet.positive, err);
        before = of->lined[i].triplet.positive;
    }
    trm_table_list(&of->table, false);
    trm_table_key(&of->table, "neg");
    trm_table_list(&of->table, true);
    if (of->count > 1)
        qsort(of->lined, (size_t)of->count, sizeof *of->lined, by_nearness);
    before = -1;
    for (int64_t i = 0; i < of->count && status == TRM_OK; i++) {
        if (of->lined[i].triplet.negative != before)
            status = put(of, NULL, store_of(of), of->lined[i].triplet.negative, err);
        before = of->lined[i].triplet.negative;
    }
    trm_table_list(&of->table, false);
    trm_table_end(&of->table);
    return status;
}

/* ---- groups ---- */

static trm_status put_group(group *of, trm_error *err)
{
    trm_status status = TRM_OK;
    if (of->count == 0)
        return TRM_OK;
    const bool lone = of->lined[0].triplet.positive < 0,
               is_short = of->form == TRM_EXPORT_N_TUPLE && of->count < of->k;
    if (lone || is_short) {
        of->export->left_out += of->form == TRM_EXPORT_TRIPLET ? of->count : 1;
        return TRM_OK;
    }
    if (of->form == TRM_EXPORT_FLAG)
        return of->export->lines++, put_flag(of, err);
    if (of->count > 1)
        qsort(of->lined, (size_t)of->count, sizeof *of->lined, by_rank);
    of->export->lines += of->form == TRM_EXPORT_TRIPLET ? of->count : 1;
    if (of->form == TRM_EXPORT_N_TUPLE)
        return put_tuple(of, err);
    if (of->form == TRM_EXPORT_LABELED_LIST)
        return put_labeled(of, err);
    for (int64_t i = 0; i < of->count && status == TRM_OK; i++)
        status = put_triplet(of, &of->lined[i].triplet, err);
    return status;
}

static bool belongs(const group *of, const trm_lined *one)
{
    const trm_lined *first = of->lined;
    return of->count > 0 && first->batch == one->batch && first->triplet.anchor == one->triplet.anchor &&
           (of->form == TRM_EXPORT_FLAG || first->triplet.positive == one->triplet.positive);
}

static trm_status append(group *of, const trm_lined *one, trm_error *err)
{
    if (of->count == of->room) {
        const int64_t room = 2 * of->room + 64;
        trm_lined *larger = trm_grown(of->lined, of->count, room, sizeof *larger);
        if (larger == NULL)
            return trm_fail_memory(err, "the negatives of an anchor", room, sizeof *larger);
        of->lined = larger;
        of->room = room;
    }
    of->lined[of->count++] = *one;
    return TRM_OK;
}

/* Hands out the groups; counts: only the largest is wanted, for k. */
static trm_status walk(group *of, trm_result_lines *lines, bool counts, trm_error *err)
{
    trm_status status = TRM_OK;
    of->count = 0;
    for (int64_t at = 0; at < lines->lines && status == TRM_OK && !trm_stream_failed(of->export->to);
         at += lines->piece) {
        const int64_t count = lines->lines - at < lines->piece ? lines->lines - at : lines->piece;
        status = trm_result_lines_read(lines, at, count, err);
        for (int64_t i = 0; i < lines->lined_count && status == TRM_OK; i++) {
            if (!belongs(of, &lines->lined[i])) {
                status = counts ? TRM_OK : put_group(of, err);
                of->count = 0;
            }
            if (status == TRM_OK)
                status = append(of, &lines->lined[i], err);
            of->k = counts && of->count > of->k ? of->count : of->k;
        }
    }
    return status == TRM_OK && !counts ? put_group(of, err) : status;
}

static void put_header(const group *of)
{
    trm_stream_print(of->export->to, "anchor,positive");
    if (of->form == TRM_EXPORT_TRIPLET)
        trm_stream_print(of->export->to, ",negative");
    for (int64_t i = 0; i < of->k && of->form == TRM_EXPORT_N_TUPLE; i++)
        trm_stream_print(of->export->to, ",negative_%" PRId64, i + 1);
    trm_stream_put(of->export->to, "\r\n", 2);
}

trm_status trm_export_training(trm_export *export, trm_export_form form, bool csv, trm_error *err)
{
    trm_result_lines lines;
    group of = {.export = export, .form = form, .table = {.to = export->to, .csv = csv}};
    trm_status status = trm_result_lines_open(export->result, &lines, err);
    if (status == TRM_OK && form == TRM_EXPORT_N_TUPLE)
        status = walk(&of, &lines, true, err);
    if (status == TRM_OK && csv)
        put_header(&of);
    if (status == TRM_OK)
        status = walk(&of, &lines, false, err);
    trm_result_lines_close(&lines);
    trm_free(of.lined);
    return status;
}
