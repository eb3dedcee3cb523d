/* Lines as triplets; see result_lines.h. */
#include "store/result_lines.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

bool trm_result_has_lines(const trm_result *result)
{
    const char *format = trm_result_text(result, "format");
    return strcmp(format, trm_form_format(TRM_FORM_TRIPLETS)) == 0 ||
           strcmp(format, trm_form_format(TRM_FORM_LISTS)) == 0;
}

/* ---- opening ---- */

enum { PIECE_VALUES = 1 << 16 };

static bool is_wide(trm_form form, int column)
{
    return form == TRM_FORM_LISTS && (column == TRM_COLUMN_NEGATIVE || column == TRM_COLUMN_D_AN);
}

static trm_array_type type_of(int column)
{
    return column == TRM_COLUMN_KIND                                ? TRM_ARRAY_UINT8
           : column == TRM_COLUMN_D_AP || column == TRM_COLUMN_D_AN ? TRM_ARRAY_FLOAT64
                                                                    : TRM_ARRAY_INT64;
}

static trm_status look_columns(trm_result_lines *lines, trm_error *err)
{
    trm_status status = TRM_OK;
    lines->lines = -1;
    for (int c = 0; c < TRM_COLUMNS && status == TRM_OK; c++) {
        const char *path = trm_form_path(lines->form, (trm_form_column)c);
        if (path == NULL)
            continue;
        status = trm_result_need(lines->result, path, type_of(c), is_wide(lines->form, c) ? 2 : 1,
                                 lines->lines, &lines->column[c], err);
        if (status == TRM_OK)
            lines->lines = lines->column[c].size[0];
    }
    lines->k = lines->column[TRM_COLUMN_NEGATIVE].width;
    if (status == TRM_OK && lines->k != lines->column[TRM_COLUMN_D_AN].width)
        status = trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' and '%s' have not the same width",
                          trm_result_path(lines->result), trm_form_path(lines->form, TRM_COLUMN_NEGATIVE),
                          trm_form_path(lines->form, TRM_COLUMN_D_AN));
    return status;
}

static trm_status look_batches(trm_result_lines *lines, trm_error *err)
{
    const char *batch = lines->form == TRM_FORM_LISTS ? "/lists/batch" : "/triplets/batch";
    trm_result_array start = {.name = NULL};
    trm_status status = trm_result_find(lines->result, "/batches/start", &start, &lines->batched, err);
    if (status != TRM_OK || !lines->batched)
        return status;
    lines->batches = start.size[0] - 1;
    return trm_result_need(lines->result, batch, TRM_ARRAY_INT64, 1, lines->lines, &lines->batch, err);
}

trm_status trm_result_lines_open(trm_result *result, trm_result_lines *lines, trm_error *err)
{
    const bool lists = strcmp(trm_result_text(result, "format"), trm_form_format(TRM_FORM_LISTS)) == 0;
    *lines = (trm_result_lines){.result = result, .form = lists ? TRM_FORM_LISTS : TRM_FORM_TRIPLETS};
    trm_status status = look_columns(lines, err);
    if (status == TRM_OK)
        status = look_batches(lines, err);
    if (status != TRM_OK)
        return status;
    lines->piece = lines->k > 0 && lines->k < PIECE_VALUES ? PIECE_VALUES / lines->k : 1;
    lines->buffer = trm_alloc(lines->piece * (lines->k > 0 ? lines->k : 1), 8);
    lines->lined = trm_alloc(lines->piece * lines->k, sizeof *lines->lined);
    return lines->buffer == NULL || lines->lined == NULL
               ? trm_fail_memory(err, "triplets", lines->piece * lines->k, sizeof *lines->lined)
               : TRM_OK;
}

void trm_result_lines_close(trm_result_lines *lines)
{
    trm_free(lines->buffer);
    trm_free(lines->lined);
    lines->buffer = lines->lined = NULL;
}

/* ---- reading ---- */

/* A value of the buffer as it goes to column c of a triplet. */
static void put(trm_triplet *to, int c, const void *buffer, int64_t i)
{
    int64_t whole = 0;
    double real = 0.0;
    if (type_of(c) == TRM_ARRAY_FLOAT64)
        memcpy(&real, (const double *)buffer + i, sizeof real);
    else if (c == TRM_COLUMN_KIND)
        whole = ((const uint8_t *)buffer)[i];
    else
        memcpy(&whole, (const int64_t *)buffer + i, sizeof whole);
    switch ((trm_form_column)c) {
    case TRM_COLUMN_ANCHOR:
        to->anchor = whole;
        break;
    case TRM_COLUMN_POSITIVE:
        to->positive = whole;
        break;
    case TRM_COLUMN_NEGATIVE:
        to->negative = whole;
        break;
    case TRM_COLUMN_D_AP:
        to->d_ap = real;
        break;
    case TRM_COLUMN_D_AN:
        to->d_an = real;
        break;
    case TRM_COLUMN_KIND:
        to->kind = whole;
        break;
    case TRM_COLUMN_RANK:
        to->rank = whole;
        break;
    case TRM_COLUMNS:
        break;
    }
}

static trm_status read_column(trm_result_lines *lines, int c, int64_t first, int64_t count, trm_error *err)
{
    const bool wide = is_wide(lines->form, c);
    trm_status status = trm_result_read(lines->result, &lines->column[c], first, count, lines->buffer, err);
    for (int64_t i = 0; i < count * lines->k && status == TRM_OK; i++)
        put(&lines->lined[i].triplet, c, lines->buffer, wide ? i : i / lines->k);
    return status;
}

static trm_status fault(const trm_result_lines *lines, int64_t line, trm_error *err, const char *rule)
{
    return trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' row %" PRId64 ": %s",
                    trm_result_path(lines->result), trm_form_path(lines->form, TRM_COLUMN_NEGATIVE), line,
                    rule);
}

/* Drops the places of a list without a negative, which are behind all others. */
static trm_status drop_places(trm_result_lines *lines, int64_t first, int64_t count, trm_error *err)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < count * lines->k; i++) {
        trm_lined *one = &lines->lined[i];
        const int64_t place = i % lines->k, line = first + i / lines->k;
        const bool none = one->triplet.negative == -1 && isinf(one->triplet.d_an);
        if (none && place == 0)
            return fault(lines, line, err, "a list without a negative");
        if (!none && place > 0 &&
            (kept == 0 || lines->lined[kept - 1].line != line ||
             lines->lined[kept - 1].triplet.rank != place))
            return fault(lines, line, err, "a negative behind a place without one");
        if (none)
            continue;
        one->triplet.rank = place + 1;
        lines->lined[kept++] = *one;
    }
    lines->lined_count = kept;
    return TRM_OK;
}

trm_status trm_result_lines_read(trm_result_lines *lines, int64_t first, int64_t count, trm_error *err)
{
    trm_status status = TRM_OK;
    const int64_t *batch = lines->buffer;
    lines->lined_count = count * lines->k;
    for (int64_t i = 0; i < lines->lined_count; i++)
        lines->lined[i] = (trm_lined){.line = first + i / lines->k};
    for (int c = 0; c < TRM_COLUMNS && status == TRM_OK; c++)
        if (trm_form_path(lines->form, (trm_form_column)c) != NULL)
            status = read_column(lines, c, first, count, err);
    if (status == TRM_OK && lines->batched)
        status = trm_result_read(lines->result, &lines->batch, first, count, lines->buffer, err);
    for (int64_t i = 0; i < lines->lined_count && status == TRM_OK && lines->batched; i++)
        lines->lined[i].batch = batch[i / lines->k];
    return status == TRM_OK && lines->form == TRM_FORM_LISTS ? drop_places(lines, first, count, err) : status;
}
