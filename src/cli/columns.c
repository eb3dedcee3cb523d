/* The columns of each kind of result; see columns.h. A new kind is a row of the table. */
#include "cli/columns.h"

#include <string.h>

static const struct kind {
    const char *format, *row, *near, *far;
    trm_lines_of lines_of;
    const char *number, *starts;            /* starts: where each number begins */
    const char *path[TRM_COLUMNS_MOST + 1]; /* NULL-terminated; the first that there is gives the length */
} kinds[] = {
    {"trimine-triplets",
     "triplet",
     "d_ap",
     "d_an",
     TRM_LINES_TOLD,
     NULL,
     NULL,
     {"/triplets/batch", "/triplets/anchor", "/triplets/positive", "/triplets/negative", "/triplets/d_ap",
      "/triplets/d_an", "/triplets/kind", "/triplets/rank"}},
    {"trimine-lists",
     "list",
     "d_ap",
     "d_an",
     TRM_LINES_TOLD,
     NULL,
     NULL,
     {"/lists/batch", "/lists/anchor", "/lists/positive", "/lists/negative", "/lists/d_ap", "/lists/d_an"}},
    {"trimine-knn", "row", "distances", NULL, TRM_LINES_OF_ASKERS, "row", NULL, {"/neighbors", "/distances"}},
    {"trimine-radius",
     "pair",
     "distance",
     NULL,
     TRM_LINES_TOLD,
     NULL,
     NULL,
     {"/pairs/a", "/pairs/b", "/pairs/distance"}},
    {"trimine-eval",
     "relevant row",
     "distance",
     NULL,
     TRM_LINES_OF_ASKERS,
     "query",
     "/queries/start",
     {"/relevant/row", "/relevant/rank", "/relevant/rank_low", "/relevant/rank_high", "/relevant/distance"}},
    {"trimine-gradient",
     "row",
     NULL,
     NULL,
     TRM_LINES_OF_ASKERS,
     "row",
     NULL,
     {"/gradient", "/gradient/anchor", "/gradient/positive", "/gradient/negative", "/gradient/negatives"}},
    {"trimine-gradient", "row", NULL, NULL, TRM_LINES_OF_STORE, "row", NULL, {"/gradient/store"}},
    {"trimine-batches",
     "row of a batch",
     NULL,
     NULL,
     TRM_LINES_OF_BATCHES,
     "batch",
     "/batches/start",
     {"/batches/row"}},
};

/* Without them nothing tells the numbers. */
static trm_status take_starts(trm_result *result, const char *path, trm_columns *columns, trm_error *err)
{
    const trm_status status = trm_result_find(result, path, &columns->starts, &columns->grouped, err);
    if (status != TRM_OK)
        return status;
    columns->grouped =
        columns->grouped && columns->starts.type == TRM_ARRAY_INT64 && columns->starts.rank == 1;
    if (!columns->grouped)
        columns->number = NULL;
    return TRM_OK;
}

static trm_status take(trm_result *result, const struct kind *kind, trm_columns *columns, trm_error *err)
{
    trm_status status = TRM_OK;
    *columns = (trm_columns){.row = kind->row,
                             .near = kind->near,
                             .far = kind->far,
                             .lines_of = kind->lines_of,
                             .number = kind->number,
                             .rows = -1};
    for (int i = 0; i < TRM_COLUMNS_MOST && kind->path[i] != NULL && status == TRM_OK; i++) {
        bool there;
        trm_result_array *array = &columns->array[columns->count];
        status = trm_result_find(result, kind->path[i], array, &there, err);
        if (status != TRM_OK || !there)
            continue;
        if (columns->rows >= 0 && array->size[0] != columns->rows)
            return trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' and '%s' have not the same number of rows",
                            trm_result_path(result), columns->array[0].name, kind->path[i]);
        columns->rows = array->size[0];
        columns->name[columns->count++] = strrchr(kind->path[i], '/') + 1;
    }
    if (status == TRM_OK && kind->starts != NULL && columns->count > 0)
        status = take_starts(result, kind->starts, columns, err);
    return status;
}

trm_status trm_columns_open(trm_result *result, trm_columns *columns, trm_error *err)
{
    const char *format = trm_result_text(result, "format");
    trm_status status = TRM_OK;
    *columns = (trm_columns){.rows = -1};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds && columns->count == 0 && status == TRM_OK; k++)
        if (strcmp(kinds[k].format, format) == 0)
            status = take(result, &kinds[k], columns, err);
    if (status == TRM_OK && columns->count == 0)
        status = trm_fail(err, TRM_ERR_DATA, "result '%s': nothing is known of a '%s' with such datasets",
                          trm_result_path(result), format);
    return status;
}

/* Where a number begins; the last one's end where it is one more. */
static trm_status start_of(trm_result *result, const trm_columns *columns, trm_line_numbers *numbers,
                           int64_t number, int64_t *start, trm_error *err)
{
    const int64_t most = sizeof numbers->start / sizeof *numbers->start;
    if (number >= columns->starts.size[0])
        return trm_fail(err, TRM_ERR_DATA, "result '%s': '%s' ends before the rows do",
                        trm_result_path(result), columns->number);
    if (number >= numbers->from + numbers->count) {
        const int64_t left = columns->starts.size[0] - number;
        numbers->from = number;
        numbers->count = left < most ? left : most;
        const trm_status status =
            trm_result_read(result, &columns->starts, numbers->from, numbers->count, numbers->start, err);
        if (status != TRM_OK)
            return status;
    }
    *start = numbers->start[number - numbers->from];
    return TRM_OK;
}

trm_status trm_columns_number(trm_result *result, const trm_columns *columns, trm_line_numbers *numbers,
                              int64_t line, int64_t *number, trm_error *err)
{
    int64_t end = line + 1;
    trm_status status = TRM_OK;
    *number = line;
    if (!columns->grouped)
        return TRM_OK;
    do {
        status = start_of(result, columns, numbers, numbers->number + 1, &end, err);
        numbers->number += status == TRM_OK && end <= line;
    } while (status == TRM_OK && end <= line);
    *number = numbers->number;
    return status;
}

int trm_columns_find(const trm_columns *columns, const char *name)
{
    for (int c = 0; c < columns->count && name != NULL; c++)
        if (strcmp(columns->name[c], name) == 0)
            return c;
    return -1;
}

int64_t trm_columns_width(const trm_columns *columns)
{
    int64_t width = 1;
    for (int c = 0; c < columns->count; c++)
        width = columns->array[c].width > width ? columns->array[c].width : width;
    return width;
}
