/* The rows of a result as CSV or as lines of JSON; see export.h. Beside row ids are the ids, labels and texts that they
 * stand for, where these are known. */
#include "cli/export.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 1 << 14, NAME = 64 };

/* What is told of a row id. */
typedef enum about { THE_ROW, THE_ID, THE_LABEL, THE_TEXT, ABOUTS } about;
static const char *const suffix[ABOUTS] = {"", "_id", "_label", "_text"};

static bool tells(const trm_export_rows *rows, about what)
{
    return what == THE_ROW || (rows != NULL && (what == THE_ID      ? trm_export_has_ids(rows)
                                                : what == THE_LABEL ? rows->label != NULL
                                                                    : rows->texts.path != NULL));
}

/* The rows that a column names, or NULL. */
static const trm_export_rows *rows_of(const trm_export *export, int c)
{
    return export->columns.array[c].type == TRM_ARRAY_INT64
               ? trm_export_rows_of(export, export->columns.name[c])
               : NULL;
}

/* The rows that lines stand for where none of their columns says which; NULL: they stand for none. */
static const trm_export_rows *numbered_rows(const trm_export *export)
{
    if (export->columns.lines_of == TRM_LINES_OF_BATCHES)
        return NULL;
    return export->two_sets && export->columns.lines_of == TRM_LINES_OF_ASKERS ? &export->askers
                                                                               : &export->base;
}

static bool is_wide(const trm_export *export, int c)
{
    return export->columns.array[c].rank > 1;
}

/* The header of CSV. */
static void put_header(const trm_export *export)
{
    const char *comma = "";
    for (int what = 0; what < ABOUTS && export->columns.number != NULL; what++)
        if (tells(numbered_rows(export), (about)what)) {
            trm_stream_print(export->to, "%s%s%s", comma, export->columns.number, suffix[what]);
            comma = ",";
        }
    for (int c = 0; c < export->columns.count; c++) {
        const char *name = export->columns.name[c];
        for (int what = 0; what < ABOUTS; what++)
            for (int64_t i = 0; i < export->columns.array[c].width; i++) {
                if (!tells(rows_of(export, c), (about)what))
                    continue;
                trm_stream_print(export->to, "%s%s%s", comma, name, suffix[what]);
                if (is_wide(export, c))
                    trm_stream_print(export->to, "_%" PRId64, i + 1);
                comma = ",";
            }
    }
    trm_stream_put(export->to, "\r\n", 2);
}

static void put_value(trm_table *table, trm_array_type type, const void *data, int64_t i)
{
    if (type == TRM_ARRAY_INT64)
        trm_table_whole(table, ((const int64_t *)data)[i]);
    else if (type == TRM_ARRAY_UINT8)
        trm_table_whole(table, ((const uint8_t *)data)[i]);
    else
        trm_table_real(table, type == TRM_ARRAY_FLOAT64 ? ((const double *)data)[i]
                                                        : (double)((const float *)data)[i]);
}

/* What is told of a row; of the row id itself nothing. */
static trm_status put_about(trm_table *table, const trm_export_rows *rows, about what, int64_t row,
                            trm_error *err)
{
    if (row < 0 && what != THE_LABEL)
        return trm_table_text(table, "", 0, err);
    if (what == THE_LABEL)
        return trm_table_label(table, rows, row, err);
    if (what == THE_TEXT)
        return trm_table_row(table, rows, row, err);
    return trm_table_id(table, rows, row, err);
}

/* Is the place of a list empty? */
static bool is_none(trm_array_type type, const void *data, int64_t i)
{
    return type == TRM_ARRAY_INT64 ? ((const int64_t *)data)[i] == -1
                                   : type == TRM_ARRAY_FLOAT64 && isinf(((const double *)data)[i]);
}

static trm_status put_column(const trm_export *export, trm_table *table, int c, const void *data, int64_t row,
                             trm_error *err)
{
    const trm_result_array *array = &export->columns.array[c];
    const trm_export_rows *rows = rows_of(export, c);
    trm_status status = TRM_OK;
    char name[NAME];
    for (int what = 0; what < ABOUTS && status == TRM_OK; what++) {
        if (!tells(rows, (about)what))
            continue;
        snprintf(name, sizeof name, "%s%s", export->columns.name[c], suffix[what]);
        trm_table_key(table, name);
        if (is_wide(export, c))
            trm_table_list(table, true);
        for (int64_t i = row * array->width; i < (row + 1) * array->width && status == TRM_OK; i++) {
            if (!table->csv && is_wide(export, c) && is_none(array->type, data, i))
                continue;
            if (what == THE_ROW)
                put_value(table, array->type, data, i);
            else
                status = put_about(table, rows, (about)what, ((const int64_t *)data)[i], err);
        }
        if (is_wide(export, c))
            trm_table_list(table, false);
    }
    return status;
}

static trm_status put_number(const trm_export *export, trm_table *table, int64_t row, trm_error *err)
{
    const trm_export_rows *rows = numbered_rows(export);
    trm_status status = TRM_OK;
    char name[NAME];
    for (int what = 0; what < ABOUTS && status == TRM_OK; what++) {
        if (!tells(rows, (about)what))
            continue;
        snprintf(name, sizeof name, "%s%s", export->columns.number, suffix[what]);
        trm_table_key(table, name);
        if (what == THE_ROW)
            trm_table_whole(table, row);
        else
            status = put_about(table, rows, (about)what, row, err);
    }
    return status;
}

static trm_status put_rows(trm_export *export, trm_table *table, trm_line_numbers *numbers, int64_t at,
                           int64_t count, void *const data[TRM_COLUMNS_MOST], trm_error *err)
{
    trm_status status = TRM_OK;
    for (int c = 0; c < export->columns.count && status == TRM_OK; c++)
        status = trm_result_read(export->result, &export->columns.array[c], at, count, data[c], err);
    for (int64_t row = 0; row < count && status == TRM_OK; row++) {
        trm_table_begin(table);
        int64_t number = 0;
        if (export->columns.number != NULL)
            status = trm_columns_number(export->result, &export->columns, numbers, at + row, &number, err);
        if (export->columns.number != NULL && status == TRM_OK)
            status = put_number(export, table, number, err);
        for (int c = 0; c < export->columns.count && status == TRM_OK; c++)
            status = put_column(export, table, c, data[c], row, err);
        trm_table_end(table);
        export->lines++;
    }
    return status;
}

trm_status trm_export_table(trm_export *export, bool csv, trm_error *err)
{
    const int64_t rows = export->columns.rows, width = trm_columns_width(&export->columns),
                  piece = width < PIECE ? PIECE / width : 1;
    trm_table table = {.to = export->to, .csv = csv};
    trm_line_numbers numbers = {0};
    void *data[TRM_COLUMNS_MOST] = {NULL};
    trm_status status = TRM_OK;
    for (int c = 0; c < export->columns.count && status == TRM_OK; c++) {
        data[c] = trm_alloc(piece * width, 8);
        if (data[c] == NULL)
            status = trm_fail_memory(err, "a piece of the result", piece * width, 8);
    }
    if (csv && status == TRM_OK)
        put_header(export);
    for (int64_t at = 0; at < rows && status == TRM_OK && !trm_stream_failed(export->to); at += piece)
        status = put_rows(export, &table, &numbers, at, rows - at < piece ? rows - at : piece, data, err);
    for (int c = 0; c < export->columns.count; c++)
        trm_free(data[c]);
    return status;
}
