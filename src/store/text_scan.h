/* Text files that are read from any place on, in pieces; and those of row ids, number by number: lines of whole numbers that are separated by spaces, tabs or commas.
 * Lines without anything and lines that begin with # have none; the line ends of Windows, and its mark of UTF-8 at the beginning, are fine. Not collective. */
#ifndef TRM_STORE_TEXT_SCAN_H
#define TRM_STORE_TEXT_SCAN_H

#include "store/sources.h"

#include <stdbool.h>
#include <stdint.h>

enum { TRM_TEXT_PIECE = 1 << 16 };

/* A place in a file that is read from there on. */
typedef struct trm_text_scan {
    const trm_named_file *about;
    int file;
    int64_t bytes, at, line; /* of the file; the next one; its line, from 1 on */
    int64_t piece_at, have;  /* what is in piece */
    int64_t begins;          /* where the text does: behind a mark of UTF-8 */
    int commas;              /* passed by the last trm_text_next before what it found */
    const char *hint; /* what to do with what is no row id: the end of the message; NULL: nothing is said */
    char piece[TRM_TEXT_PIECE];
} trm_text_scan;

/* The next byte without going on (at++ does), or TRM_TEXT_END. Errors: IO. */
enum { TRM_TEXT_END = -1 };
trm_status trm_text_peek(trm_text_scan *scan, int *byte, trm_error *err) TRM_MUST_CHECK;

/* A line, in memory that grows with the longest: begins as {NULL, 0, 0}, and trm_free(bytes) ends it. */
typedef struct trm_text_line {
    char *bytes;
    int64_t length, room;
} trm_text_line;
/* The line that begins at hand, without its end; the next one follows. *there: false where the file ends. Errors: IO; MEMORY; DATA:
 * longer than 1 GB. */
trm_status trm_text_read_line(trm_text_scan *scan, trm_text_line *line, bool *there,
                              trm_error *err) TRM_MUST_CHECK;

/* Fails with "KIND 'PATH': line N: WHAT". Errors: DATA. */
trm_status trm_text_refuse(const trm_text_scan *scan, int64_t line, const char *what,
                           trm_error *err) TRM_MUST_CHECK;

/* What a line has next. */
typedef enum trm_text_token { TRM_TEXT_NUMBER, TRM_TEXT_LINE, TRM_TEXT_FILE } trm_text_token;

/* New memory that reads the text from its beginning; NULL after a failure. The caller owns it, as about is borrowed.
 * Errors: MEMORY, IO, as trm_inspect_regular. */
trm_status trm_text_begin(const trm_named_file *about, trm_text_scan **scan, trm_error *err) TRM_MUST_CHECK;
/* Frees and sets *scan to NULL; NULL is fine. */
void trm_text_end(trm_text_scan **scan);

/* A number, or the end of the line, after which the next one begins, or that of the file; comments are passed over.
 * begins_line: the line had no number yet. Errors: IO; DATA: what is no row id, with its line. */
trm_status trm_text_next(trm_text_scan *scan, bool begins_line, trm_text_token *what, int64_t *value,
                         trm_error *err) TRM_MUST_CHECK;

/* Where the first line begins that does so at `from` or behind it; where none does, the end of the file. Errors: IO. */
trm_status trm_text_line_start(trm_text_scan *scan, int64_t from, int64_t *start,
                               trm_error *err) TRM_MUST_CHECK;
/* The lines that end in bytes [from, to). Errors: IO. */
trm_status trm_text_count_lines(trm_text_scan *scan, int64_t from, int64_t to, int64_t *lines,
                                trm_error *err) TRM_MUST_CHECK;

#endif
