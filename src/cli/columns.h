/* The columns of a result: its datasets that have a value, or several, for each of its rows, whatever kind of result it is. */
#ifndef TRM_CLI_COLUMNS_H
#define TRM_CLI_COLUMNS_H

#include "store/result_read.h"

enum { TRM_COLUMNS_MOST = 8 };

/* Which row id a line is of. */
typedef enum trm_lines_of {
    TRM_LINES_TOLD,      /* what its columns say */
    TRM_LINES_OF_ASKERS, /* its number: of the queries where there are two sets */
    TRM_LINES_OF_STORE,  /* its number, of the store */
    TRM_LINES_OF_BATCHES /* none: its number is that of a batch */
} trm_lines_of;

typedef struct trm_columns {
    const char *row;  /* what a row is: "triplet", "pair"; borrowed for ever */
    const char *near; /* of the distances that are told apart, or NULL: the columns of these names */
    const char *far;
    trm_lines_of lines_of;
    const char *number; /* what a line's number is called: "row", "query", "batch"; NULL: it has none */
    trm_result_array
        starts;   /* lines with the same number follow each other, and it is told where each number begins */
    bool grouped; /* by it; else a line's number is its place */
    int count;
    const char *name[TRM_COLUMNS_MOST]; /* "anchor" */
    trm_result_array array[TRM_COLUMNS_MOST];
    int64_t rows;
} trm_columns;

/* Finds the numbers of lines, one after another. All zero at first. */
typedef struct trm_line_numbers {
    int64_t number, from, count; /* the last one; what is read of where they begin */
    int64_t start[512];
} trm_line_numbers;

/* The number of a line that is not before the last one. Not collective. Errors: DATA: no number has that line; as trm_result_read. */
trm_status trm_columns_number(trm_result *result, const trm_columns *columns, trm_line_numbers *numbers,
                              int64_t line, int64_t *number, trm_error *err) TRM_MUST_CHECK;

/* Looks them up. Not collective. Errors: DATA: a format that is not known, datasets of different lengths. */
trm_status trm_columns_open(trm_result *result, trm_columns *columns, trm_error *err) TRM_MUST_CHECK;
/* The column of that name, or -1. */
int trm_columns_find(const trm_columns *columns, const char *name);
/* Values a row, the largest of any column. */
int64_t trm_columns_width(const trm_columns *columns);

#endif
