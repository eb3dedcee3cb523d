/* Labels, and ids, as people write them down: a text with one label a line, a column of a CSV file (RFC 4180: fields in quotes
 * may hold commas, ends of lines and, twice, quotes; a .tsv has tabs in place of commas), or a field of lines of JSON (label_json.h).
 *
 * Where all labels (or ids) of a file are whole numbers (3, -1, also 3.0 and 3.000e+00, as numpy.savetxt writes them), they are these
 * numbers; else all are names, to the byte: "007" is a name. A label may not be empty. */
#ifndef TRM_STORE_LABEL_TEXT_H
#define TRM_STORE_LABEL_TEXT_H

#include "store/sources.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRM_LABEL_MARKS = 1024, TRM_LABEL_MOST = 1 << 16, TRM_LABEL_FIELD = 256 };

/* What rank 0 finds out of such a file; travels as bytes. */
typedef struct trm_label_text {
    bool csv, json;
    char separator;
    char field[TRM_LABEL_FIELD]; /* of JSON; "": lines are values */
    int64_t column, fields;      /* of CSV, from 0 on; fields of the first record */
    int64_t records;             /* with the heading, where there is one */
    bool whole;                  /* all records were read: none is at fault */
    bool heading;                /* the first record is no label */
    bool numbers, is_unsigned;   /* labels are whole numbers, of uint64 */
    int64_t step;  /* where records 0, step, 2 step, ... begin in the file, so that a rank need not read */
    int64_t marks; /* all that is before its own */
    int64_t mark[TRM_LABEL_MARKS]; /* byte in the file */
    int64_t line[TRM_LABEL_MARKS]; /* its line, from 1 on */
} trm_label_text;

/* Looks at all of a file that is to have a label for each of so many rows. column: of CSV, the name in its heading or its
 * number from 1 on, NULL for the only one; of JSON, a field of its objects, NULL where lines are values; a text has none. By the
 * name of the file it is CSV (.csv, .tsv) or JSON (trm_path_is_json). One rank. Errors: as
 * trm_inspect_regular; MEMORY; IO; DATA naming file, line and rule: another number of labels, an empty one, no such
 * column or several of that name, a record without it or with more fields than the first, a quote that does not end; as trm_label_json_next. */
trm_status trm_label_text_look(const trm_named_file *about, const char *column, int64_t rows,
                               trm_label_text *text, trm_error *err) TRM_MUST_CHECK;

/* Reading labels [first, first + count), not counting a heading. */
typedef struct trm_label_reader trm_label_reader;
trm_status trm_label_reader_begin(const trm_named_file *about, const trm_label_text *text, int64_t first,
                                  trm_label_reader **reader, trm_error *err) TRM_MUST_CHECK;
void trm_label_reader_end(trm_label_reader **reader);
/* The next ones as numbers; as names, each of which is borrowed until the next call. Errors: as above; DATA: the file was
 * changed. */
trm_status trm_label_reader_numbers(trm_label_reader *reader, int64_t count, int64_t *number,
                                    trm_error *err) TRM_MUST_CHECK;
trm_status trm_label_reader_names(trm_label_reader *reader, int64_t count, char **name,
                                  trm_error *err) TRM_MUST_CHECK;

/* Refuses another number of labels than rows. below: "" or what they are below. Errors: DATA. */
trm_status trm_label_refuse_count(const trm_named_file *about, int64_t labels, const char *below,
                                  int64_t rows, trm_error *err) TRM_MUST_CHECK;

#endif
