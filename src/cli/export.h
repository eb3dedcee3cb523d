/* trimine export: what a result is written as, and what its row ids stand for. One process does it, piece by piece. */
#ifndef TRM_CLI_EXPORT_H
#define TRM_CLI_EXPORT_H

#include "cli/columns.h"
#include "store/labels.h"
#include "store/stream.h"
#include "trimine/store.h"

#include <sys/stat.h>

/* ---- export_rows.c: what a row id stands for ---- */

/* A text for each row, one a line: as it is, or, where the file's name is one of lines of JSON, a
 * JSON string, an object with a text, or one with the field that is named behind a colon. */
typedef struct trm_texts {
    char *path;  /* NULL: there are none */
    char *field; /* in the same memory; NULL: none is named */
    int file;
    struct stat about;    /* when it was opened */
    int64_t rows, *start; /* start: of each line, and the end of the last */
    bool json;
    struct trm_text_line *line; /* the last that was asked for */
} trm_texts;

/* The rows of a set; what is not known is NULL. */
typedef struct trm_export_rows {
    int64_t rows; /* -1: not known */
    int64_t *id, *label;
    trm_ids_kind ids;
    trm_names id_names;       /* in place of id, where ids are strings; empty: they are not */
    const trm_labels *labels; /* what labels stand for; borrowed from the store */
    trm_texts texts;
} trm_export_rows;

/* Reads the texts of a set of so many rows (-1: not known). The caller frees, also after a failure. Errors: NO_INPUT,
 * PERMISSION, IO, MEMORY; DATA: another number of lines. */
trm_status trm_texts_open(const char *path, int64_t rows, trm_texts *texts, trm_error *err) TRM_MUST_CHECK;
/* The line of a row that there is, with its end; borrowed until the next. Errors: IO; DATA: the file was cut; MEMORY. */
trm_status trm_texts_line(const trm_texts *texts, int64_t row, const char **line, int64_t *length,
                          trm_error *err) TRM_MUST_CHECK;
/* Errors: DATA: the file was changed since it was opened. */
trm_status trm_texts_check_unchanged(const trm_texts *texts, trm_error *err) TRM_MUST_CHECK;
void trm_texts_close(trm_texts *texts);
void trm_export_rows_free(trm_export_rows *rows);

/* ---- export_text.c: CSV (RFC 4180) and JSON, a line each ---- */

typedef struct trm_table {
    trm_stream *to;
    bool csv;
    int fields;        /* of the line at hand */
    bool in_list, any; /* of JSON: inside [...], which has a value already */
} trm_table;

/* A line begins, and ends. */
void trm_table_begin(trm_table *table);
void trm_table_end(trm_table *table);
/* The name of what comes next: of CSV nothing, there is a header. */
void trm_table_key(trm_table *table, const char *name);
void trm_table_list(trm_table *table, bool begins);
void trm_table_whole(trm_table *table, int64_t value);
/* The bits of a uint64. */
void trm_table_unsigned(trm_table *table, int64_t bits);
void trm_table_real(trm_table *table, double value);
/* Not NULL. Errors: MEMORY. */
trm_status trm_table_text(trm_table *table, const char *text, int64_t length, trm_error *err) TRM_MUST_CHECK;
/* Has the store ids? */
bool trm_export_has_ids(const trm_export_rows *rows);
/* A row's id, where the store has one, else the row id. Errors: MEMORY. */
trm_status trm_table_id(trm_table *table, const trm_export_rows *rows, int64_t row,
                        trm_error *err) TRM_MUST_CHECK;
/* What a row stands for: its text, else its id, else the row id. Errors: DATA: a text that is no JSON string, a row without a
 * text; MEMORY. */
trm_status trm_table_row(trm_table *table, const trm_export_rows *rows, int64_t row,
                         trm_error *err) TRM_MUST_CHECK;
/* Its label, as a name or a number. Errors: MEMORY. */
trm_status trm_table_label(trm_table *table, const trm_export_rows *rows, int64_t row,
                           trm_error *err) TRM_MUST_CHECK;

/* ---- the writers ---- */

typedef struct trm_export {
    trm_result *result;
    trm_columns columns;
    trm_export_rows base, askers; /* askers: of queries, where there are any */
    bool two_sets;
    trm_stream *to;
    int64_t lines, left_out; /* that were written; that a form has no place for */
} trm_export;
/* The rows that the ids of a column are of; NULL: they are no row ids. */
const trm_export_rows *trm_export_rows_of(const trm_export *export, const char *column);

/* What a result is written as. */
typedef enum trm_export_to { TRM_TO_NONE, TRM_TO_NPZ, TRM_TO_CSV, TRM_TO_JSONL } trm_export_to;
extern const trm_words trm_export_to_words;

typedef enum trm_export_form {
    TRM_EXPORT_ROWS, /* the rows of the result */
    TRM_EXPORT_TRIPLET,
    TRM_EXPORT_N_TUPLE,
    TRM_EXPORT_LABELED_LIST,
    TRM_EXPORT_FLAG
} trm_export_form;

/* export_npz.c; export_table.c; export_form.c. Errors: what reading says; DATA, MEMORY. */
trm_status trm_export_npz(trm_export *export, trm_error *err) TRM_MUST_CHECK;
trm_status trm_export_table(trm_export *export, bool csv, trm_error *err) TRM_MUST_CHECK;
trm_status trm_export_training(trm_export *export, trm_export_form form, bool csv,
                               trm_error *err) TRM_MUST_CHECK;

#endif
